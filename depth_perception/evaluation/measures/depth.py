"""How far a depth image is from the truth, with the definitions of the benchmarks.

Convention:
    y is the prediction, g the truth, e = ln y - ln g; means are over the pixels of one image
    where both are known. A prediction that is not finite, or not above 0, is none: it lowers
    `coverage` and nothing else. Averages over images are means of these figures.

Dissent:
    The names are used for other things elsewhere. `silog` here is 100 sqrt(mean e^2 - (mean
    e)^2), as KITTI, AdaBins, ZoeDepth and Marigold have it, and is blind to a scale error.
    Depth Anything V2 prints sqrt(mean e^2 - 0.5 (mean e)^2) without the factor 100, which a
    scale error of 30 % moves from 0.076 to 0.200 where this one stays at 7.55. UniDepth divides
    by n - 1; Metric3D leaves out the factor 100; Marigold averages over a batch before the root
    (the same for one image). MoGe adds 1e-6 to the truth it divides by.
"""

from __future__ import annotations

from collections.abc import Sequence
import itertools
import math

from depth_perception.core.types import DepthMap, Mask
from depth_perception.errors import SettingsError
from depth_perception.evaluation.measures.exact import dot
from depth_perception.evaluation.measures.masks import counted
from depth_perception.evaluation.measures.medians import median_of
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

RANGE_EDGES_M = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)
_RATIOS = (1.25, 1.25**2, 1.25**3, 1.03)

_NAMES = (
    'abs_rel', 'sq_rel_m', 'rmse_m', 'rmse_log', 'log10', 'silog', 'delta1', 'delta2', 'delta3',
    'delta1_03', 'irmse_1_per_km', 'mae_m', 'median_rel',
)  # fmt: skip
_RANGE_NAMES = (
    'range_truth', 'range_pixels', 'range_abs_rel_sum', 'range_abs_sum_m', 'range_square_sum_m2',
    'range_delta1',
)  # fmt: skip


def depth_measures(depth: DepthMap, truth: DepthMap, mask: Mask) -> dict[str, float]:
    """Return the figures of one depth image.

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m].
        mask: (H, W) bool, where the truth counts (see `masks.truth_mask`).

    Returns:
        abs_rel: mean |y - g| / g.
        sq_rel_m: mean (y - g)^2 / g [m].
        rmse_m: sqrt mean (y - g)^2 [m].
        rmse_log: sqrt mean e^2.
        log10: mean |log10 y - log10 g|.
        silog: 100 sqrt(mean e^2 - (mean e)^2).
        delta1, delta2, delta3: share with max(y / g, g / y) < 1.25, 1.25^2, 1.25^3; strict.
        delta1_03: the same with 1.03.
        irmse_1_per_km: sqrt mean (1 / y - 1 / g)^2 [1/km].
        mae_m: mean |y - g| [m].
        median_rel: median |y - g| / g.
        coverage: share of the truth that is predicted, 0..1.

        All NaN but `coverage` where nothing is predicted; that is NaN too without truth.

    Raises:
        ShapeError: If the sizes differ.
    """
    sums = np.zeros(12)
    known, origin = 0, 0.0
    relative: list[NDArray[np.float64]] = []
    for block in counted(depth, truth, mask):
        known += int(np.count_nonzero(block.known))
        if block.truth.size:
            if not relative:
                origin = math.log(block.predicted[0] / block.truth[0])
            relative.append(_add(sums, block.predicted, block.truth, origin))
    count = sum(part.size for part in relative)
    coverage = count / known if known else NAN
    if count == 0:
        return {**dict.fromkeys(_NAMES, NAN), 'coverage': coverage}
    return {
        **_from_means([float(value) / count for value in sums], origin),
        'median_rel': median_of(relative),
        'coverage': coverage,
    }


def _from_means(mean: Sequence[float], origin: float) -> dict[str, float]:
    """Return the figures of the means of what `_add` sums."""
    variance = max(mean[3] - mean[5] ** 2, 0.0)
    return {
        'abs_rel': mean[0],
        'sq_rel_m': mean[1],
        'rmse_m': math.sqrt(mean[2]),
        'rmse_log': math.hypot(math.sqrt(variance), origin + mean[5]),
        'log10': mean[4] / math.log(10.0),
        'silog': 100.0 * math.sqrt(variance),
        'delta1': mean[6],
        'delta2': mean[7],
        'delta3': mean[8],
        'delta1_03': mean[9],
        'irmse_1_per_km': 1e3 * math.sqrt(mean[10]),
        'mae_m': mean[11],
    }


def _add(
    sums: NDArray[np.float64], y: NDArray[np.float64], g: NDArray[np.float64], origin: float
) -> NDArray[np.float64]:
    """Add the sums of some pixels, and return their |y - g| / g.

    Logarithms are summed about `origin`, lest a scale error drowns what they vary by.
    """
    difference = y - g
    off = np.abs(difference)
    relative: NDArray[np.float64] = off / g
    ratio = y / g
    log_ratio = np.log(ratio)
    log_offset = log_ratio - origin
    worse = np.maximum(ratio, g / y)
    inverse = difference / (y * g)
    sums += (
        relative.sum(),
        dot(relative, off),
        dot(off, off),
        dot(log_offset, log_offset),
        np.abs(log_ratio).sum(),
        log_offset.sum(),
        *(np.count_nonzero(worse < limit) for limit in _RATIOS),
        dot(inverse, inverse),
        off.sum(),
    )
    return relative


def range_sums(
    depth: DepthMap, truth: DepthMap, mask: Mask, edges_m: Sequence[float] = RANGE_EDGES_M
) -> dict[str, list[float]]:
    """Return sums by the distance of the truth, to be added up over images.

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m].
        mask: (H, W) bool, where the truth counts.
        edges_m: Ascending lower ends of the bins [m]. Each bin holds its lower end and not its
            upper one; the last one is open. Truth below the first edge is in no bin.

    Returns:
        One number per bin of each: range_truth (pixels with truth), range_pixels (of these,
        predicted), range_abs_rel_sum (sum of |y - g| / g), range_abs_sum_m (of |y - g| [m]),
        range_square_sum_m2 (of (y - g)^2 [m^2]), range_delta1 (pixels with ratio < 1.25).

    Raises:
        SettingsError: If the edges do not ascend.
        ShapeError: If the sizes differ.
    """
    edges = [float(edge) for edge in edges_m]
    ascending = all(low < high for low, high in itertools.pairwise(edges))
    if not edges or not ascending or not all(map(math.isfinite, edges)):
        raise SettingsError(f'the edges of the ranges [m] must ascend, got {edges}')
    sums = np.zeros((len(_RANGE_NAMES), len(edges) + 1))
    for block in counted(depth, truth, mask):
        y, g = block.predicted, block.truth
        off = np.abs(y - g)
        near = np.maximum(y / g, g / y) < 1.25
        every = truth[block.rows][block.known]
        index = np.zeros(g.shape, np.intp)
        for number, edge in enumerate(edges):
            beyond = g >= edge
            index += beyond
            sums[:2, number] += np.count_nonzero(every >= edge), np.count_nonzero(beyond)
            sums[5, number] += np.count_nonzero(beyond & near)
        for row, weights in ((2, off / g), (3, off), (4, np.square(off))):
            sums[row, :-1] += np.bincount(index, weights, len(edges) + 1)[1:]
    for row in (0, 1, 5):
        sums[row, :-1] -= sums[row, 1:]
    return {
        name: [float(value) for value in row[:-1]]
        for name, row in zip(_RANGE_NAMES, sums, strict=True)
    }
