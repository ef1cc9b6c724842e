"""Fixed inputs for a network of any card, to learn the shapes of its tensors and check engines.

They are made by the same code that makes the inputs of real frames, so that an engine is judged on
numbers like those it will see.
"""

from __future__ import annotations

from typing import TypeVar

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose, MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, Pixels
from depth_perception.errors import ModelError
from depth_perception.inference.backend import TensorSpec
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize
import numpy as np

SCENES = 3
Size = tuple[int, int]
S = TypeVar('S')
_IMAGES = ('left', 'right', 'pair_concat', 'rays', 'ground_inverse_depth')
_AS_IT_IS = ResizeSpec(policy='none')
_PROBES = ((640, 480), (1920, 1080), (400, 700))  # images of which a fixed policy makes one size
_BASELINE_M = 0.1


def inputs_at(card: ModelCard, size: Size, scene: int = 0) -> dict[str, AnyArray]:
    """Return the input tensors of a card for an invented image of the size of the network.

    Args:
        card: The model.
        size: Width and height of the network [px].
        scene: 0 to SCENES - 1; the same number gives the same image everywhere.
    """
    width, height = size
    camera = PinholeCamera(
        width, height, 0.8 * width, 0.8 * width, (width - 1) / 2, (height - 1) / 2
    )
    left = _picture(width, height, scene)
    frame: MonoFrame | StereoFrame
    if card.task == 'stereo':
        right = Picture(_shifted(left.pixels), 'rgb')
        frame = StereoFrame(left, right, StereoRig(camera, camera, _BASELINE_M))
    else:
        frame = MonoFrame(left, camera)
    plan = plan_resize(_AS_IT_IS, width, height)
    ground = GroundPose(1.0, 0.2)
    return tensors_from(card.inputs, Preparation(frame, plan, _AS_IT_IS, ground))


def size_of(card: ModelCard, shapes: dict[str, tuple[int, ...]]) -> Size:
    """Return width and height of the network for which its inputs have these shapes.

    Raises:
        ModelError: If no input is an image.
    """
    spec = _image_input(card)
    height, width = _sides(spec, shapes[spec.tensor])
    return width, height


def fixed_size(card: ModelCard, inputs: tuple[TensorSpec, ...]) -> Size | None:
    """Return the size of the network, where the file or the card fixes it; else None."""
    spec = _image_input(card)
    known = {tensor.name: tensor.shape for tensor in inputs}.get(spec.tensor, ())
    if len(known) == (2 if spec.layout == 'HW' else 4):
        height, width = _sides(spec, known)
        if height is not None and width is not None:
            return width, height
    targets = {plan_resize(card.resize, *probe).target for probe in _PROBES}
    return targets.pop() if len(targets) == 1 else None


def size_for_image(card: ModelCard, inputs: tuple[TensorSpec, ...], image: Size) -> Size:
    """Return the size of the network for images of the size `image`."""
    return fixed_size(card, inputs) or plan_resize(card.resize, *image).target


def _image_input(card: ModelCard) -> InputSpec:
    for spec in card.inputs:
        if spec.source in _IMAGES and spec.shrink == 1:
            return spec
    raise ModelError(f'{card.id}: no input is an image')


def _sides(spec: InputSpec, shape: tuple[S, ...]) -> tuple[S, S]:
    """Return height and width in a shape."""
    first = {'HW': 0, 'NHWC': 1, 'NCHW': 2}[spec.layout]
    return shape[first], shape[first + 1]


def _picture(width: int, height: int, scene: int) -> Picture:
    """Return texture of several sizes, on a slope of brightness, with an edge or two."""
    random = np.random.default_rng(20_260 + scene)
    image = np.linspace(0.7, 0.3, height)[:, None, None] * np.ones((1, width, 3))
    for cells, weight in ((4, 0.35), (16, 0.2), (64, 0.1)):
        rows = np.linspace(0, cells, height).astype(int)
        columns = np.linspace(0, cells, width).astype(int)
        noise = random.uniform(-1.0, 1.0, (cells + 1, cells + 1, 3))
        image += weight * noise[rows][:, columns]
    if scene == 1:  # dim and flat
        image = 0.1 + 0.2 * image
    elif scene == 2:  # noisy and glaring
        image = 1.4 * image + random.normal(0.0, 0.1, image.shape)
    return Picture(np.rint(255.0 * image.clip(0.0, 1.0)).astype(np.uint8), 'rgb')


def _shifted(pixels: Pixels) -> Pixels:
    """Return what a right camera sees: nearer, and so farther to the left, at the bottom."""
    height, width = pixels.shape[:2]
    shift = np.linspace(0.01 * width, 0.06 * width, height).astype(int)
    columns = np.minimum(np.arange(width)[None] + shift[:, None], width - 1)
    return np.take_along_axis(pixels, columns[..., None], axis=1)
