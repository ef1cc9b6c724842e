"""A first draft of a model card from a network file: what can be seen, and what a human must say.

Names and shapes of tensors are in the file; what the numbers mean is not. The draft is a card that
loads, with a `# ?` at everything that was guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from pathlib import Path
import re
from typing import Any

from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.cards import ANY_TENSOR, file_sha256, ModelCard
import numpy as np

_MEAN_STD = 'mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]'
_DYNAMIC = '{policy: lower_bound, size: 518, multiple: 14, interp: cubic}'
_MASKS = {  # name -> (condition, what is outside)
    'sky': ('"<", value: 0.3', ', else: far'),
    'mask': ('">", value: 0.5', ''),
    'valid': ('">", value: 0.5', ''),
    'occ': ('">", value: 0.5', ''),
    'conf': ('">=", value: 0.4', ''),
}
_MEANS = tuple(
    np.sort(np.multiply(factor, (0.485, 0.456, 0.406))) for factor in (1.0, -1.0, 255.0, -255.0)
)
_FREE = 0  # a side of a tensor that the file leaves open
_SHOWN = 8


def card_sketch(path: Path, backend: Backend, cards: Sequence[ModelCard]) -> str:
    """Return the YAML of a draft.

    Args:
        path: Network file.
        backend: It, opened.
        cards: Cards that it is compared with.
    """
    images = [spec for spec in backend.inputs if _image_axes(spec) is not None]
    pair = len(images) > 1 or any(_channels(spec) in (2, 6) for spec in images)
    main = _main_output(backend.outputs)
    digest = file_sha256(path)
    inside = normalises_by_itself(path)
    lines = [
        *_likeness(backend, cards, digest),
        'schema: 1',
        f'id: {_id_of(path)}',
        'summary: "?"  # ? one sentence: whose network, which year, trained on what',
        f'task: {"stereo" if pair else "mono"}',
        'artifact:',
        f'  file: {path.name}',
        f'  sha256: {digest}',
        '  source: ""  # ? where it can be downloaded (https), if it can',
        '  licence: "?"  # ? of the weights, as an SPDX name if there is one',
        '  commercial: check  # ? true or false',
        f'  bytes: {path.stat().st_size}',
        f'runtime: {_runtime(images)}',
        'inputs:',
        *[f'  - {_input(spec, images, inside=inside)}' for spec in backend.inputs],
        f'resize: {_resize(images)}',
        f'output: {_output(main, stereo=pair)}',
        *_masks(backend.outputs, main),
        'scale: {modes: []}  # ? of a relative network: sparse, stereo, ground, prior',
        'uncertainty: {relative_floor: 0.1}  # ? or disparity_floor_px for a matcher',
    ]
    return '\n'.join(lines) + '\n'


def like_cards(backend: Backend, cards: Sequence[ModelCard]) -> list[str]:
    """Return the ids of the cards whose network has these tensors."""
    inputs = {spec.name for spec in backend.inputs}
    outputs = {spec.name for spec in backend.outputs}
    found = []
    for card in cards:
        named = {spec.tensor for spec in card.inputs}
        read = {card.output.tensor, *(mask.tensor for mask in card.masks)}
        known = card.builtin is None and ANY_TENSOR not in named | read
        if known and named == inputs and read <= outputs and _sizes_fit(backend, card):
            found.append(card.id)
    return found


def normalises_by_itself(path: Path) -> bool:
    """Return whether the graph holds a mean that it takes off the image.

    Only where the package onnx is installed; without it nothing is seen, and so False.
    """
    try:
        import onnx
    except ImportError:
        return False
    graph = onnx.load(str(path), load_external_data=False).graph
    stored = [tensor for tensor in graph.initializer if _is_small(tensor)]
    for node in graph.node:
        stored += [
            attribute.t
            for attribute in node.attribute
            if node.op_type == 'Constant' and attribute.HasField('t') and _is_small(attribute.t)
        ]
    numbers = [np.sort(onnx.numpy_helper.to_array(tensor).ravel()) for tensor in stored]
    return any(np.allclose(found, mean, rtol=1e-3) for found in numbers for mean in _MEANS)


def _is_small(tensor: Any) -> bool:
    return bool(math.prod(tensor.dims) == 3 and tensor.data_location == 0)


def _sizes_fit(backend: Backend, card: ModelCard) -> bool:
    """Return whether file and card both take any size, or the same one."""
    size = card.resize.size
    for spec, wanted in ((spec, s) for spec in backend.inputs for s in card.inputs):
        axes = _image_axes(spec)
        if axes is None or wanted.tensor != spec.name:
            continue
        sides = tuple((spec.shape[axis] or _FREE) * wanted.shrink for axis in axes)
        if (card.runtime.shape == 'dynamic') != (_FREE in sides):
            return False
        if _FREE not in sides and isinstance(size, tuple) and sides != size:
            return False
    return True


def _likeness(backend: Backend, cards: Sequence[ModelCard], digest: str) -> list[str]:
    """Return comment lines that name the cards that may be meant."""
    same = [card.id for card in cards if card.artifact.sha256 == digest]
    if same:
        return [f'# This is the file of the card {same[0]}, which needs no other.']
    likely = like_cards(backend, cards)
    draft = (
        '# Draft. Every line with "# ?" holds a guess: check it against the network\'s own code.'
    )
    if not likely:
        return [draft]
    more = f' and {len(likely) - _SHOWN} more' if len(likely) > _SHOWN else ''
    return [
        f'# It has the tensors of {", ".join(likely[:_SHOWN])}{more}.',
        '# If it is one of these, a card with `base: <that id>`, `id` and `artifact` is enough.',
        draft,
    ]


def _id_of(path: Path) -> str:
    return re.sub(r'[^a-z0-9]+', '-', path.stem.lower()).strip('-') or 'network'


def _from_calibration(spec: TensorSpec) -> str:
    """Return what an input is made from, by its name, if not from an image; '' otherwise."""
    name = spec.name.lower()
    if 'ray' in name:
        return 'rays'
    if 'ground' in name:
        return 'ground_inverse_depth'
    return 'intrinsics' if spec.shape[-2:] == (3, 3) else ''


def _image_axes(spec: TensorSpec) -> tuple[int, int] | None:
    """Return the axes of rows and columns of an image tensor, None if it is no image."""
    if len(spec.shape) != 4 or _from_calibration(spec):
        return None
    if spec.shape[1] in (1, 2, 3, 6):
        return 2, 3
    return (1, 2) if spec.shape[3] in (1, 2, 3, 6) else None


def _channels(spec: TensorSpec) -> int:
    axes = _image_axes(spec)
    return int(spec.shape[1 if axes == (2, 3) else 3] or _FREE) if axes else _FREE


def _side(spec: TensorSpec, images: Sequence[TensorSpec]) -> str:
    """Return which image of a pair an input is."""
    if _channels(spec) in (2, 6):
        return 'pair_concat'
    if any('right' in image.name.lower() for image in images):
        return 'right' if 'right' in spec.name.lower() else 'left'
    return 'right' if len(images) > 1 and spec is images[-1] else 'left'


def _input(spec: TensorSpec, images: Sequence[TensorSpec], *, inside: bool) -> str:
    """Return one entry of `inputs`."""
    name = f'tensor: "{spec.name}"'
    kind = '' if spec.dtype == 'float32' else f', dtype: {spec.dtype}'
    axes = _image_axes(spec)
    if axes is None:
        source = _from_calibration(spec)
        if source:
            return f'{{{name}, from: {source}{kind}}}'
        return f'{{{name}, from: const{kind}, value: 0}}  # ? shape {spec.shape}: which value'
    layout = '' if axes == (2, 3) else ', layout: NHWC'
    grey = _channels(spec) in (1, 2)
    colour = 'gray' if grey else 'rgb'
    norm = 'divide: 255' if grey or inside else f'divide: 255, {_MEAN_STD}'
    why = 'the graph holds the mean of ImageNet' if inside else 'no mean if the graph takes it off'
    return (
        f'{{{name}, from: {_side(spec, images)}, color: {colour}{layout}{kind}, {norm}}}'
        f'  # ? colour order; divide 255 or 1; {why}'
    )


def _sides(images: Sequence[TensorSpec]) -> tuple[int, int] | None:
    """Return (height, width) of the largest image input, None where they are free."""
    best: tuple[int, int] | None = None
    for spec in images:
        axes = _image_axes(spec)
        height, width = (spec.shape[axis] for axis in axes) if axes else (None, None)
        if height is None or width is None:
            return None
        if best is None or height * width > best[0] * best[1]:
            best = height, width
    return best


def _runtime(images: Sequence[TensorSpec]) -> str:
    sides = _sides(images)
    if sides is None:
        return '{shape: dynamic}'
    return f'{{shape: static, opt: [{sides[0]}, {sides[1]}]}}'


def _resize(images: Sequence[TensorSpec]) -> str:
    sides = _sides(images)
    if sides is None:
        return f'{_DYNAMIC}  # ? the file takes any size'
    return (
        f'{{policy: stretch, size: [{sides[0]}, {sides[1]}], interp: area}}'
        '  # ? or letterbox with its padding'
    )


def _main_output(outputs: Sequence[TensorSpec]) -> TensorSpec:
    """Return the output that most likely is the depth."""
    words = ('disp', 'depth', 'point', 'pts', 'flow')
    for word in words:
        named = [spec for spec in outputs if word in spec.name.lower()]
        if named:
            return named[0]
    return outputs[0]


def _output(spec: TensorSpec, *, stereo: bool) -> str:
    name = spec.name.lower()
    text = f'tensor: "{spec.name}"'
    axis = next((axis for axis in (1, 3) if len(spec.shape) == 4 and spec.shape[axis] == 3), None)
    if axis is not None:
        layout = ', layout: NHWC' if axis == 3 else ''
        return f'{{{text}, kind: points_metric, channel: 2{layout}}}  # ? or points_affine_z'
    last = ', layout: NHWC' if len(spec.shape) == 4 and spec.shape[3] == 1 else ''
    if stereo and 'flow' in name:
        return f'{{{text}, kind: disparity_px{last}, gain: -1.0}}  # ? flow is minus the disparity'
    if stereo:
        return f'{{{text}, kind: disparity_px{last}}}  # ? params.max_disp, sign'
    if 'inverse' in name:
        return f'{{{text}, kind: inv_depth_fov{last}}}  # ? or inv_depth_affine'
    if 'disp' in name:
        return (
            f'{{{text}, kind: disparity_sigmoid{last}}}  # ? or inv_depth_affine, disparity_width'
        )
    return (
        f'{{{text}, kind: inv_depth_affine{last}}}'
        '  # ? depth_metric or depth_focal if it gives metres, depth_affine if far is large'
    )


def _masks(outputs: Sequence[TensorSpec], main: TensorSpec) -> list[str]:
    """Return the lines of masks and confidence that the names suggest."""
    masks, others = [], []
    for spec in outputs:
        word = next((word for word in _MASKS if word in spec.name.lower()), None)
        if spec is main:
            continue
        if word is None:
            others.append(f'{spec.name} {spec.shape}')
            continue
        condition, outside = _MASKS[word]
        masks.append(f'  - {{tensor: "{spec.name}", op: {condition}{outside}}}  # ? threshold')
    lines = ['masks:', *masks] if masks else []
    if others:
        lines.append(f'# Outputs that are not used: {", ".join(others)}')
    return lines
