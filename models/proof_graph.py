"""A network without weights that stands in for a real one: same tensors, known answer.

It undoes the normalisation that the real network wants, reads the code of every pixel's colour,
turns it into the depth of proof_scene.py, and says that depth in the units of the real network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from depth_perception.core.types import AnyArray
from graph_builder import GraphBuilder
import numpy as np
from proof_meanings import grid, Meanings
from proof_networks import LIMIT_BLOCK, Net
from proof_scene import (
    GREY_WEIGHTS,
    LEFT_WEIGHTS,
    RAMP_X,
    RAMP_Y,
    RIGHT_WEIGHTS,
    Scene,
)

_MEAN = np.array([0.485, 0.456, 0.406])
_STD = np.array([0.229, 0.224, 0.225])
_PIXEL: dict[str, tuple[Any, Any]] = {  # pixel of 0..255 = x * first + second
    'raw': (1.0, 0.0),
    'unit': (255.0, 0.0),
    'half': (127.5, 127.5),
    'imagenet': (255.0 * _STD, 255.0 * _MEAN),
}
_SHAPES: dict[str, list[object]] = {
    'HW': ['H', 'W'],
    '1HW': [1, 'H', 'W'],
    '11HW': [1, 1, 'H', 'W'],
    '1HW1': [1, 'H', 'W', 1],
    '12HW': [1, 2, 'H', 'W'],
    '13HW': [1, 3, 'H', 'W'],
    '1HW3': [1, 'H', 'W', 3],
    '1': [1],
    '1N': [1, 257],
    '133': [1, 3, 3],
}


def make_network(net: Net, scene: Scene, path: Path) -> None:
    """Write the network that answers `scene`."""
    g = GraphBuilder()
    width, height = scene.placed.target
    sides: dict[str, object] = {'H': height, 'W': width} if net.static else {}
    inputs, types = {}, {}
    for name, source in net.inputs.items():
        inputs[name] = _input_shape(net, source, sides)
        types[name] = 'i8' if source == 'tokens' else net.dtype
    code, trust = _code(g, net, scene)
    rho = _inverse_depth(g, net, scene, code, trust)
    outputs = {}
    for name, shape in net.shapes.items():
        if name == net.output:
            plane = getattr(Meanings(g, net, scene), net.says)(rho)
            if net.limit is not None:
                plane = g.op('Where', _in_block(g, scene, code, LIMIT_BLOCK), net.limit, plane)
        else:
            plane = _companion(g, net, scene, code, name)
        _shaped(g, plane, shape, name)
        outputs[name] = _output_shape(net, name, shape, sides)
    g.save(path, inputs, outputs, 'Stands in for a real network; see proof_graph.py', types)


def _in_block(g: GraphBuilder, scene: Scene, code: str, block: int) -> str:
    """Return whether a pixel has the colour of a block."""
    apart = g.op('Abs', g.op('Sub', code, float(scene.code[block])))
    return g.op('Less', apart, 1e-4)


def _companion(g: GraphBuilder, net: Net, scene: Scene, code: str, name: str) -> str:
    """Return an output beside the main one: a mask, or something constant."""
    flag = net.flags.get(name)
    if flag is not None:
        return g.op('Where', _in_block(g, scene, code, flag.block), flag.bad, flag.good)
    plane = g.op('Add', g.op('Mul', code, 0.0), net.constants.get(name, 0.5))
    channels = 3 if '3' in net.shapes[name] else 1
    return g.op('Concat', *[plane] * channels, axis=1) if channels > 1 else plane


def _shaped(g: GraphBuilder, plane: str, shape: str, name: str) -> None:
    """Give a (1, C, H, W) tensor the shape and the name of the real one."""
    if shape in ('1', '1N', '133'):
        one = g.op('ReduceMax', plane, keepdims=0)
        g.op('Expand', one, g.constant(_SHAPES[shape], np.int64), name=name)
    elif shape.startswith('1HW') and shape != '1HW':
        g.op('Transpose', plane, perm=[0, 2, 3, 1], name=name)
    elif shape in ('HW', '1HW'):
        axes = g.constant([1] if shape == '1HW' else [0, 1], np.int64)
        g.op('Squeeze', plane, axes, name=name)
    else:
        g.op('Identity', plane, name=name)


def _output_shape(net: Net, name: str, shape: str, sides: dict[str, object]) -> list[object]:
    """Return the declared shape of an output; sides that are free have names."""
    result: list[object] = []
    for side in _SHAPES[shape]:
        known = sides.get(side) if isinstance(side, str) else None
        if isinstance(known, int):
            result.append(known // net.stride)
        else:
            result.append(f'{name}_{side}' if isinstance(side, str) else side)
    return result


def _input_shape(net: Net, source: str, sides: dict[str, object]) -> list[object]:
    """Return the shape of an input."""
    if source == 'tokens':
        return []
    height, width = sides.get('H', f'{source}_h'), sides.get('W', f'{source}_w')
    if source.endswith('/2') and isinstance(height, int) and isinstance(width, int):
        height, width = height // 2, width // 2
    channels = 1 if net.order == 'grey' else 3
    if source == 'pair':
        channels *= 2
    if net.layout == 'NHWC':
        return [1, height, width, channels]
    return [1, channels, height, width]


def _code(g: GraphBuilder, net: Net, scene: Scene) -> tuple[str, str]:
    """Return (code of every pixel, trust): trust is 1 where all that is fed is as it must be."""
    trust = g.constant(np.ones((1, 1, 1, 1)))
    total, most = g.constant(np.zeros((1, 1, 1, 1))), 0.0
    for name, source in net.inputs.items():
        if source == 'tokens':
            right = g.op('Equal', name, g.constant(net.tokens, np.int64))
            trust = g.op('Mul', trust, g.op('Cast', right, to=1))
        elif source.endswith('/2'):
            trust = g.op('Mul', trust, _half_trust(g, net, scene, name, source))
        for side, pixel in _pixels(g, net, name, source):
            weights = _weights(net, side)
            seen = g.op('Mul', pixel, g.constant(weights.reshape(1, -1, 1, 1)))
            seen = g.op('ReduceSum', seen, g.constant([1], np.int64), keepdims=1)
            total = g.op('Add', total, seen)
            most += 255.0 * float(weights.sum())
            if side == 'left':
                trust = g.op('Mul', trust, _padding_trust(g, net, scene, pixel))
    code = g.op('Div', total, most)
    if net.stride > 1:
        step = g.constant([net.stride, net.stride], np.int64)
        ends = g.constant([2**31, 2**31], np.int64)
        starts, axes = g.constant([0, 0], np.int64), g.constant([2, 3], np.int64)
        code = g.op('Slice', code, starts, ends, axes, step)
    return code, trust


def _weights(net: Net, side: str) -> AnyArray:
    """Return the weights of the channels in the order in which the network sees them."""
    if net.order == 'grey':
        return np.array([GREY_WEIGHTS[side == 'right']])
    weights = np.array(LEFT_WEIGHTS if side == 'left' else RIGHT_WEIGHTS)
    return weights[::-1] if net.order == 'bgr' else weights


def _pixels(g: GraphBuilder, net: Net, name: str, source: str) -> list[tuple[str, str]]:
    """Return (side, 0..255 image of shape (1, C, H, W)) of the images in an input."""
    if source not in ('left', 'right', 'pair'):
        return []
    image = g.op('Cast', name, to=1)
    if net.layout == 'NHWC':
        image = g.op('Transpose', image, perm=[0, 3, 1, 2])
    channels = 1 if net.order == 'grey' else 3
    result = []
    for index, side in enumerate(('left', 'right') if source == 'pair' else (source,)):
        part = g.part(image, channels * index, channels * (index + 1), 1)
        result.append((side, _unnormalised(g, net, part, channels)))
    return result


def _unnormalised(g: GraphBuilder, net: Net, image: str, channels: int) -> str:
    gain, offset = (np.broadcast_to(v, (channels,)).reshape(1, -1, 1, 1) for v in _PIXEL[net.norm])
    return g.op('Add', g.op('Mul', image, g.constant(gain)), g.constant(offset))


def _half_trust(g: GraphBuilder, net: Net, scene: Scene, name: str, source: str) -> str:
    """Return 1 if an input at half the size shows the first block where it must."""
    frame = scene.frame
    picture = frame.image if source.startswith('left') else frame.right
    wanted = picture.pixels[0, 0].astype(float)
    if net.order == 'bgr':
        wanted = wanted[::-1]
    corner = g.part(g.part(name, 4, 5, 2), 4, 5, 3)
    pixel = _unnormalised(g, net, corner, 3)
    apart = g.op('Sub', pixel, g.constant(wanted.reshape(1, 3, 1, 1)))
    apart = g.op('ReduceMax', g.op('Abs', apart), keepdims=1)
    return g.op('Cast', g.op('Less', apart, 0.6), to=1)


def _padding_trust(g: GraphBuilder, net: Net, scene: Scene, pixel: str) -> str:
    """Return 1 if the padding is what the real network is fed, else less."""
    placed = scene.placed
    spare = placed.target[0] - placed.scaled[0], placed.target[1] - placed.scaled[1]
    if not any(spare) or net.padding == 'any':
        return g.constant(np.ones((1, 1, 1, 1)))
    corner = [0, 0]  # of the image, that which lies nearest to the tested corner of the padding
    places = []
    if placed.top or placed.left:
        places.append((0, 0, corner))
    if spare[0] > placed.left or spare[1] > placed.top:
        places.append((placed.target[1] - 1, placed.target[0] - 1, [-1, -1]))
    trust = ''
    for row, column, (v, u) in places:
        there = g.part(g.part(pixel, row, row + 1, 2), column, column + 1, 3)
        if net.padding == 'replicate':
            wanted = scene.frame.image.pixels[v, u].astype(float)
        else:
            wanted = np.array(net.padding, float)
        if net.order == 'bgr':
            wanted = wanted[::-1]
        apart = g.op('Sub', there, g.constant(wanted.reshape(1, 3, 1, 1)))
        apart = g.op('ReduceMax', g.op('Abs', apart), keepdims=1)
        good = g.op('Cast', g.op('Less', apart, 0.6), to=1)
        trust = g.op('Mul', trust, good) if trust else good
    return trust


def _inverse_depth(g: GraphBuilder, net: Net, scene: Scene, code: str, trust: str) -> str:
    """Return 1 / Z of proof_scene.py; far off where the network was fed something wrong."""
    near, far = scene.nearest
    flat = g.op('Add', g.op('Mul', code, 1.0 / near - 1.0 / far), 1.0 / far)
    x, y = grid(g, code)
    ramp = g.op('Add', g.op('Add', g.op('Mul', x, RAMP_X), g.op('Mul', y, RAMP_Y)), 1.0)
    rho = g.op('Div', flat, ramp) if net.depth_ramp else g.op('Mul', flat, ramp)
    doubt = g.op('Add', g.op('Mul', g.op('Sub', 1.0, trust), 0.5), 1.0)
    return g.op('Mul', rho, doubt)
