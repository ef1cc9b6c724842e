"""Runs of a network on variants of a frame: mirrored, at another size, darker, or drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.score_mirror import mirrored_frame
from depth_perception.core.types import AnyArray
from depth_perception.errors import ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize, ResizePlan
import numpy as np


@dataclass(frozen=True)
class Variant:
    """What is different in a further run.

    Attributes:
        mirrored: The mirror image; pairs are swapped, too.
        size: Size of the network's input over its usual one.
        gamma: Exponent of the grey levels, as a share of white.
        draw: Which sample of its noise the network gets.
        model: Id of another card that answers; '' for the model itself.
    """

    mirrored: bool = False
    size: float = 1.0
    gamma: float = 1.0
    draw: int = 0
    model: str = ''


FLIP = Variant(mirrored=True)
AUGMENTATIONS: Mapping[str, Variant] = {
    'flip': FLIP,
    'smaller': Variant(size=0.8),
    'larger': Variant(size=1.25),
    'darker': Variant(gamma=1.25),
    'brighter': Variant(gamma=0.8),
}


def can_resize(backend: Backend) -> bool:
    """Return whether the network takes images of any size."""
    images = [spec.shape for spec in backend.inputs if len(spec.shape) == 4]
    return bool(images) and all(sum(side is None for side in shape[1:]) >= 2 for shape in images)


def varied(preparation: Preparation, variant: Variant) -> Preparation:
    """Return the preparation of a variant of a frame.

    Raises:
        ModelError: If no image has the size asked for.
    """
    frame = preparation.frame
    resize, plan, ground = preparation.resize, preparation.plan, preparation.ground
    if variant.mirrored:
        frame = mirrored_frame(frame)
        if ground is not None:
            ground = replace(ground, roll_rad=-ground.roll_rad)
    if variant.gamma != 1.0:
        frame = _relit(frame, variant.gamma)
    if variant.size != 1.0:
        resize = _resized(resize, plan, variant.size)
        plan = plan_resize(resize, *plan.source)
    return Preparation(frame, plan, resize, ground, variant.draw)


def infer_each(
    backend: Backend, specs: tuple[InputSpec, ...], preparations: Sequence[Preparation]
) -> Iterator[dict[str, AnyArray]]:
    """Yield the outputs of a network for each preparation.

    They go through the network in one batch if all its tensors begin with a free side and the
    inputs are of one size; else one after the other. The outputs hold until the next is taken.

    Raises:
        ModelError: If the network does not answer once for each image of a batch.
    """
    feeds = [tensors_from(specs, preparation) for preparation in preparations]
    if len(feeds) < 2 or not _one_batch(backend, feeds):
        for feed in feeds:
            yield backend.infer(feed)
        return
    together = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
    outputs = backend.infer(together)
    wrong = [name for name, values in outputs.items() if len(values) != len(feeds)]
    if wrong:
        raise ModelError(f'output {wrong[0]} has no row for each of {len(feeds)} images')
    for index in range(len(feeds)):
        yield {name: values[index : index + 1] for name, values in outputs.items()}


def _one_batch(backend: Backend, feeds: Sequence[Mapping[str, AnyArray]]) -> bool:
    free = all(
        len(spec.shape) > 1 and spec.shape[0] is None
        for spec in (*backend.inputs, *backend.outputs)
    )
    if not free:
        return False
    first = {name: (1, *values.shape[1:]) for name, values in feeds[0].items()}
    return all(feed[name].shape == shape for feed in feeds for name, shape in first.items())


def _relit(frame: MonoFrame | StereoFrame, gamma: float) -> MonoFrame | StereoFrame:
    """Return the frame with grey levels 255 (x / 255)^gamma."""
    levels = np.rint(255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)

    def relit(picture: Picture) -> Picture:
        return Picture(np.take(levels, picture.pixels), picture.order)

    if isinstance(frame, StereoFrame):
        return replace(frame, left=relit(frame.left), right=relit(frame.right))
    return replace(frame, image=relit(frame.image))


def _resized(resize: ResizeSpec, plan: ResizePlan, share: float) -> ResizeSpec:
    """Return the policy of an input that is `share` as large, in whole multiples, unpadded."""
    width, height = (
        max(1, round(side * share / resize.multiple)) * resize.multiple for side in plan.scaled
    )
    return ResizeSpec('stretch', (height, width), resize.multiple, interp=resize.interp)
