"""Make a stereo matcher from a network that describes every pixel of one image.

MC-CNN (Zbontar and LeCun 2016) and its like turn a picture into a descriptor per pixel; how unlike
two descriptors are is the cost of a match. This puts such a network into one ONNX file with what
follows it: costs over all disparities, their average over a window, the expectation around the
best, the spread of the distribution, and whether the right image agrees. The card is mc-cnn-fast.

    ./run exec python models/make_descriptor_stereo.py DESCRIPTORS.onnx mc_cnn_fast.onnx

DESCRIPTORS.onnx takes one grey image (1, 1, H, W) of zero mean and unit variance, as MC-CNN does,
and gives (1, C, H, W) descriptors of any length; sides must be free.
"""

from __future__ import annotations

from pathlib import Path
import sys

from graph_builder import GraphBuilder
import numpy as np
import onnx

DISPARITIES = 96
WINDOW = 5
SHARPNESS = 30.0
NEAR = 2.0  # the expectation is taken over best +- 2
AGREEMENT = 1.5  # px between left and right


def standardised(g: GraphBuilder, image: str) -> str:
    """Return the image with zero mean and unit variance."""
    centred = g.op('Sub', image, g.op('ReduceMean', image, keepdims=1))
    power = g.op('ReduceMean', g.op('Mul', centred, centred), keepdims=1)
    return g.op('Div', centred, g.op('Sqrt', g.op('Add', power, 1e-8)))


def unit_length(g: GraphBuilder, tensor: str) -> str:
    """Return descriptors of length 1."""
    power = g.op('ReduceSum', g.op('Mul', tensor, tensor), g.constant([1], np.int64), keepdims=1)
    return g.op('Div', tensor, g.op('Sqrt', g.op('Add', power, 1e-8)))


def pooled(g: GraphBuilder, plane: str) -> str:
    """Return box averages; at the border, of what lies inside."""
    half = WINDOW // 2
    return g.op(
        'AveragePool',
        plane,
        kernel_shape=[WINDOW, WINDOW],
        pads=[half] * 4,
        count_include_pad=0,
    )


def cost_volume(g: GraphBuilder, left: str, right: str) -> str:
    """Return (1, D, H, W): one minus the cosine between left and shifted right descriptors."""
    room = g.constant([0, 0, 0, DISPARITIES, 0, 0, 0, 0], np.int64)
    wide = g.op('Pad', right, room, mode='edge')
    axis = g.constant([1], np.int64)
    planes = []
    for d in range(DISPARITIES):
        shifted = g.part(wide, DISPARITIES - d, -d if d else 2**31, 3)
        alike = g.op('ReduceSum', g.op('Mul', left, shifted), axis, keepdims=1)
        planes.append(pooled(g, g.op('Sub', 1.0, alike)))
    return g.op('Concat', *planes, axis=1)


def visible(g: GraphBuilder, costs: str, best: str) -> None:
    """Add the output `visible`: 1 where the best match of the right pixel leads back."""
    moved = []
    for d in range(DISPARITIES):  # the right pixel u' is matched by the left one at u' + d
        plane = g.part(g.part(costs, d, d + 1, 1), d, 2**31, 3)
        pads = g.constant([0, 0, 0, 0, 0, 0, 0, d], np.int64)
        moved.append(g.op('Pad', plane, pads, g.constant(9.0), mode='constant'))
    right = g.op('ArgMin', g.op('Concat', *moved, axis=1), axis=1, keepdims=1)
    ones = g.op('Cast', g.op('GreaterOrEqual', best, g.constant(0, np.int64)), to=7)
    columns = g.op('Sub', g.op('CumSum', ones, g.constant(3, np.int64)), ones)
    match = g.op('Max', g.op('Sub', columns, best), g.constant(0, np.int64))
    there = g.op('GatherElements', right, match, axis=3)
    apart = g.op('Cast', g.op('Abs', g.op('Sub', there, best)), to=1)
    inside = g.op('GreaterOrEqual', columns, best)
    g.op('Cast', g.op('And', g.op('Less', apart, AGREEMENT), inside), name='visible', to=1)


def answer(g: GraphBuilder, costs: str) -> None:
    """Add the outputs `disparity` and `variance`."""
    probability = g.op('Softmax', g.op('Mul', costs, -SHARPNESS), axis=1)
    best = g.op('ArgMax', probability, axis=1, keepdims=1)
    steps = g.constant(np.arange(DISPARITIES).reshape(1, -1, 1, 1))
    away = g.op('Abs', g.op('Sub', steps, g.op('Cast', best, to=1)))
    near = g.op('Mul', probability, g.op('Cast', g.op('LessOrEqual', away, NEAR), to=1))
    axis = g.constant([1], np.int64)
    share = g.op('ReduceSum', near, axis, keepdims=1)
    expected = g.op('ReduceSum', g.op('Mul', near, steps), axis, keepdims=1)
    disparity = g.op('Div', expected, share, name='disparity')
    apart = g.op('Sub', steps, disparity)
    spread = g.op('Mul', probability, g.op('Mul', apart, apart))
    g.op('Add', g.op('ReduceSum', spread, axis, keepdims=1), 0.01, name='variance')
    visible(g, costs, best)


def make(descriptors: Path, path: Path) -> None:
    """Write the matcher.

    Args:
        descriptors: Network of one grey image.
        path: File to write.
    """
    network = onnx.load(str(descriptors))
    g = GraphBuilder()
    sides = [
        unit_length(g, g.embedded(network, standardised(g, side), side))
        for side in ('left', 'right')
    ]
    answer(g, cost_volume(g, *sides))
    image = [1, 1, 'height', 'width']
    g.save(
        path,
        {'left': image, 'right': image},
        dict.fromkeys(('disparity', 'variance', 'visible'), image),
        'Matching of learned descriptors; see make_descriptor_stereo.py',
    )


if __name__ == '__main__':
    make(Path(sys.argv[1]), Path(sys.argv[2]))
