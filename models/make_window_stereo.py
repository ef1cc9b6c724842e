"""Make window_stereo.onnx: a stereo matcher without weights that says how sure it is.

Locally normalised intensity and gradients are compared over a window for every disparity; the
softmax over the disparities gives the expectation around the best one, the variance of the whole
distribution, and the probability of the best. A pixel agrees where the right image, matched with
the same costs, finds the same disparity within 1.5 px.

`score` says how large the error is likely to be [px of the network]: the exponential of a weighted
sum of how far the disparity is from the mean of its surroundings, the shares of its surroundings
and of the image that do not agree, and the second best cost against the best one (PKRN). The
weights are the scale of a Student-t distribution of the errors on real and rendered scenes; a
calibrated curve makes sigma of it (`benchmark/sigma_honesty.py`). A pixel is visible where it
agrees and its score is at most 0.85.

    ./run exec python models/make_window_stereo.py
"""

from __future__ import annotations

from pathlib import Path

from graph_builder import GraphBuilder
import numpy as np

DISPARITIES = 64
TRUNCATION = 1.0  # of the difference of a feature, which is about 1 for the texture of its window
WINDOW = 9
SHARPNESS = 40.0
NEAR = 2.0  # the expectation is taken over best +- 2
AGREEMENT = 1.5  # px between left and right
SCORE = {
    'constant': 0.62,
    'wide': 0.44,  # ln of the distance from the mean disparity within 15 px
    'close': 0.26,  # the same within 5 px
    'blind': 3.5,  # share of the 9 px around that does not agree
    'rivalry': -0.29,  # ln of the second best cost over the best one
    'failures': 0.26,  # ln of the share of the image that does not agree
}
MOST_SCORE = 0.85  # px of the network


def pooled(g: GraphBuilder, tensor: str, height: int, width: int) -> str:
    """Return box averages; at the border, of what lies inside."""
    pads = [height // 2, width // 2, height // 2, width // 2]
    return g.op(
        'AveragePool', tensor, kernel_shape=[height, width], pads=pads, count_include_pad=0
    )


def features_of(g: GraphBuilder, image: str) -> str:
    """Return (1, 3, H, W): intensity and both gradients, normalised by their surroundings."""
    kernels = np.zeros((3, 3, 3, 3), np.float32)
    kernels[0, :, 1, 1] = 1.0 / 3.0
    kernels[1, :, 1, 0], kernels[1, :, 1, 2] = -1.0 / 3.0, 1.0 / 3.0
    kernels[2, :, 0, 1], kernels[2, :, 2, 1] = -1.0 / 3.0, 1.0 / 3.0
    edged = g.op('Pad', image, g.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode='edge')
    raw = g.op('Conv', edged, g.constant(kernels))
    centred = g.op('Sub', raw, pooled(g, raw, WINDOW, WINDOW))
    power = pooled(g, g.op('Mul', centred, centred), WINDOW, WINDOW)
    return g.op('Div', centred, g.op('Sqrt', g.op('Add', power, 2e-4)))


def cost_planes(g: GraphBuilder) -> list[str]:
    """Return the aggregated cost (1, 1, H, W) of every disparity, on the left image."""
    left, right = features_of(g, 'left'), features_of(g, 'right')
    wide = g.op(
        'Pad', right, g.constant([0, 0, 0, DISPARITIES, 0, 0, 0, 0], np.int64), mode='edge'
    )
    planes = []
    for d in range(DISPARITIES):
        shifted = g.part(wide, DISPARITIES - d, -d if d else 2**31, 3)
        difference = g.op('Min', g.op('Abs', g.op('Sub', left, shifted)), TRUNCATION)
        cost = g.op('ReduceMean', difference, axes=[1], keepdims=1)
        planes.append(pooled(g, pooled(g, cost, 1, WINDOW), WINDOW, 1))
    return planes


def agreement(g: GraphBuilder, planes: list[str], best: str) -> str:
    """Return 1 where the disparity of the right image at the match is the same."""
    shifted = []
    for d, plane in enumerate(planes):  # the right pixel u' is matched by the left one at u' + d
        pads = g.constant([0, 0, 0, 0, 0, 0, 0, d], np.int64)
        moved = g.part(plane, d, 2**31, 3) if d else plane
        shifted.append(g.op('Pad', moved, pads, g.constant(9.0), mode='constant'))
    volume = g.op('Concat', *shifted, axis=1)
    right = g.op('ArgMin', volume, axis=1, keepdims=1)
    ones = g.op('Cast', g.op('GreaterOrEqual', best, g.constant(0, np.int64)), to=7)
    columns = g.op('Sub', g.op('CumSum', ones, g.constant(3, np.int64)), ones)
    match = g.op('Max', g.op('Sub', columns, best), g.constant(0, np.int64))
    there = g.op('GatherElements', right, match, axis=3)
    apart = g.op('Cast', g.op('Abs', g.op('Sub', there, best)), to=1)
    inside = g.op('GreaterOrEqual', columns, best)
    return g.op('Cast', g.op('And', g.op('Less', apart, AGREEMENT), inside), to=1)


def deviation(g: GraphBuilder, disparity: str, agreeing: str, window: int) -> str:
    """Return ln(0.1 + |disparity - mean of the agreeing ones in the window|)."""
    share = g.op('Add', pooled(g, agreeing, window, window), 1e-3)
    total = pooled(g, g.op('Mul', disparity, agreeing), window, window)
    apart = g.op('Abs', g.op('Sub', disparity, g.op('Div', total, share)))
    return g.op('Log', g.op('Add', apart, 0.1))


def error_score(g: GraphBuilder, disparity: str, agreeing: str, costs: str, near: str) -> str:
    """Return how large the error is likely to be [px]."""
    beside = g.op('Add', costs, g.op('Mul', near, 9.0))
    first, second = (
        g.op('Add', g.op('ReduceMin', tensor, axes=[1], keepdims=1), 0.02)
        for tensor in (costs, beside)
    )
    cues = {
        'wide': deviation(g, disparity, agreeing, 15),
        'close': deviation(g, disparity, agreeing, 5),
        'blind': g.op('Sub', 1.0, pooled(g, agreeing, 9, 9)),
        'rivalry': g.op('Log', g.op('Div', second, first)),
        'failures': g.op('Log', g.op('Sub', 1.005, g.op('GlobalAveragePool', agreeing))),
    }
    total = g.constant(SCORE['constant'])
    for name, cue in cues.items():
        total = g.op('Add', total, g.op('Mul', cue, SCORE[name]))
    return g.op('Exp', total, name='score')


def make(path: Path) -> None:
    """Write the network."""
    g = GraphBuilder()
    planes = cost_planes(g)
    costs = g.op('Concat', *planes, axis=1)
    probability = g.op('Softmax', g.op('Mul', costs, -SHARPNESS), axis=1)
    best = g.op('ArgMax', probability, axis=1, keepdims=1)
    steps = g.constant(np.arange(DISPARITIES).reshape(1, -1, 1, 1))
    away = g.op('Abs', g.op('Sub', steps, g.op('Cast', best, to=1)))
    beside = g.op('Cast', g.op('LessOrEqual', away, NEAR), to=1)
    near = g.op('Mul', probability, beside)
    axis = g.constant([1], np.int64)
    share = g.op('ReduceSum', near, axis, keepdims=1)
    disparity = g.op('ReduceSum', g.op('Mul', near, steps), axis, keepdims=1)
    disparity = g.op('Div', disparity, share, name='disparity')
    apart = g.op('Sub', steps, disparity)
    spread = g.op('Mul', probability, g.op('Mul', apart, apart))
    spread = g.op('ReduceSum', spread, axis, keepdims=1)
    g.op('Add', spread, 0.01, name='variance')
    g.op('ReduceMax', probability, axes=[1], keepdims=1, name='confidence')
    agreeing = agreement(g, planes, best)
    score = error_score(g, disparity, agreeing, costs, beside)
    sure = g.op('Cast', g.op('LessOrEqual', score, MOST_SCORE), to=1)
    g.op('Mul', agreeing, sure, name='visible')
    image = [1, 3, 'height', 'width']
    plane = [1, 1, 'height', 'width']
    g.save(
        path,
        {'left': image, 'right': image},
        dict.fromkeys(('disparity', 'score', 'variance', 'confidence', 'visible'), plane),
        'Window matching without weights; see make_window_stereo.py',
    )


if __name__ == '__main__':
    make(Path(__file__).with_name('window_stereo.onnx'))
