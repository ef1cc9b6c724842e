"""Make floor_stixels.onnx: metric depth from one image, a known camera pose and no weights.

The idea is that of Ulrich and Nourbakhsh (Appearance-based obstacle detection with monocular color
vision, AAAI 2000): what looks like the floor right in front of the robot is floor, and in every
column the first thing that does not is an obstacle that stands on it. Floor pixels get the inverse
depth of the floor plane, obstacle pixels that of the row where their column leaves the floor. What
looks like floor again above an obstacle is unknown, and the higher a pixel lies above the contact,
the less it is believed: it may belong to something farther away. A floor cannot lie above the
horizon: a column that looks like floor there shows that looks do not tell the floor from a wall,
and is unknown. So is everything where the seed is too varied to tell anything from it.

    ./run exec python models/make_floor_stixels.py
"""

from __future__ import annotations

from pathlib import Path

from graph_builder import GraphBuilder
import numpy as np

SEED_ROWS = 0.86, 1.0  # of the height
SEED_COLUMNS = 0.3, 0.7  # of the width
LEAST_SPREAD = 0.12, 0.02, 0.02  # of log intensity and of the two chromaticities
MOST_SPREAD = 0.5, 0.1, 0.1  # a more varied seed would take everything for floor
OVERSHOOT = 0.04  # of the height; floor seen higher above the horizon is no floor
LIMIT = 9.0  # squared Mahalanobis distance of three features that is still floor
FLOOR_SIGMA = 0.03  # relative, of depth
OBSTACLE_SIGMA = 0.12
HEIGHT_SIGMA = 0.5  # more of it at the height of the camera, where the horizon is
CONTACT_ROWS = 2.0  # standard deviation of the row of contact [px of the network]
BIG = 1e6


def seed_of(g: GraphBuilder, features: str, shape: str) -> str:
    """Return the part of the feature maps that is taken for floor."""
    for axis, (low, high) in ((2, SEED_ROWS), (3, SEED_COLUMNS)):
        side = g.op('Cast', g.part(shape, axis, axis + 1, 0), to=1)
        bounds = [g.op('Cast', g.op('Mul', side, share), to=7) for share in (low, high)]
        features = g.part(features, *bounds, axis)
    return features


def blurred(g: GraphBuilder, tensor: str, size: int) -> str:
    """Return box averages; at the border, of what lies inside."""
    half = size // 2
    return g.op(
        'AveragePool', tensor, kernel_shape=[size, size], pads=[half] * 4, count_include_pad=0
    )


def make(path: Path) -> None:
    """Write the network."""
    g = GraphBuilder()
    axes = [2, 3]
    total = g.op('ReduceSum', 'image', g.constant([1], np.int64), keepdims=1)
    total = g.op('Add', total, 0.06)
    chroma = [g.op('Div', g.part('image', c, c + 1, 1), total) for c in (0, 1)]
    features = blurred(g, g.op('Concat', g.op('Log', total), *chroma, axis=1), 5)
    seed = seed_of(g, features, g.op('Shape', 'image'))
    mean = g.op('ReduceMean', seed, axes=axes, keepdims=1)
    spread = g.op('ReduceMean', g.op('Abs', g.op('Sub', seed, mean)), axes=axes, keepdims=1)
    sigma = g.op('Mul', spread, 1.2533)  # of a normal distribution, from its mean deviation
    most = g.constant(np.asarray(MOST_SPREAD, np.float32).reshape(1, 3, 1, 1))
    told = g.op('Cast', g.op('Less', sigma, most), to=1)
    told = g.op('Greater', g.op('ReduceMin', told, axes=[1], keepdims=1), 0.5)
    least = np.asarray(LEAST_SPREAD, np.float32).reshape(1, 3, 1, 1)
    sigma = g.op('Max', sigma, g.constant(least))
    score = g.op('Div', g.op('Sub', features, mean), sigma)
    score = g.op('Mul', score, score)
    score = g.op('ReduceSum', score, g.constant([1], np.int64), keepdims=1)
    like_floor = g.op('Cast', g.op('Less', score, LIMIT), to=1)
    is_floor = g.op('Greater', blurred(g, like_floor, 5), 0.5)

    blocked = g.op('Cast', g.op('Not', is_floor), to=1)
    below = g.op('CumSum', blocked, g.constant(2, np.int64), reverse=1)
    reachable = g.op('Less', below, 0.5)
    ground = 'ground_inverse_depth'
    in_front = g.op('Greater', ground, 1e-4)
    contact_rows = g.op('Where', g.op('And', reachable, in_front), ground, BIG)
    contact = g.op('ReduceMin', contact_rows, axes=[2], keepdims=1)
    above = g.op('And', reachable, g.op('Not', in_front))
    overshoot = g.op('ReduceMean', g.op('Cast', above, to=1), axes=[2], keepdims=1)
    known = g.op('And', g.op('Less', contact, 0.5 * BIG), g.op('Less', overshoot, OVERSHOOT))
    known = g.op('And', known, told)
    rho = g.op('Where', reachable, ground, contact)
    g.op('Reciprocal', g.op('Max', rho, 1e-4), name='depth')
    again = g.op('And', is_floor, g.op('Not', g.op('And', reachable, in_front)))
    g.op('Cast', g.op('And', known, g.op('Not', again)), name='valid', to=1)

    slope = g.op('Sub', g.part(ground, 1, 2**31, 2), g.part(ground, 0, -1, 2))
    slope = g.op('ReduceMean', g.op('Abs', slope), axes=axes, keepdims=1)
    contact_sigma = g.op('Div', g.op('Mul', slope, CONTACT_ROWS), g.op('Max', contact, 1e-4))
    doubt = g.op('Mul', g.op('Min', score, LIMIT), 0.1 / LIMIT)
    floor_variance = g.op('Add', g.op('Mul', doubt, doubt), FLOOR_SIGMA**2)
    height = g.op(
        'Max', g.op('Div', g.op('Sub', contact, ground), g.op('Max', contact, 1e-4)), 0.0
    )
    height_sigma = g.op('Mul', g.op('Min', height, 10.0), HEIGHT_SIGMA)
    obstacle_variance = g.op('Add', g.op('Mul', contact_sigma, contact_sigma), OBSTACLE_SIGMA**2)
    obstacle_variance = g.op('Add', obstacle_variance, g.op('Mul', height_sigma, height_sigma))
    g.op('Log', g.op('Where', reachable, floor_variance, obstacle_variance), name='log_variance')
    image = [1, 3, 'height', 'width']
    plane = [1, 1, 'height', 'width']
    g.save(
        path,
        {'image': image, ground: plane},
        dict.fromkeys(('depth', 'log_variance', 'valid'), plane),
        'Floor and standing obstacles from appearance; see make_floor_stixels.py',
    )


if __name__ == '__main__':
    make(Path(__file__).with_name('floor_stixels.onnx'))
