"""Medians without sorting everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
"""(N,) float64."""

_BINS = 4096
_FEW = 8192
_ROUNDS = 6


def median_of(blocks: Sequence[Values]) -> float:
    """Return the median of all values of the blocks: the mean of the middle two of an even number.

    Args:
        blocks: Arrays of (N,) values, not NaN; at least one value in all.
    """
    values = np.concatenate(blocks)
    middle = values.size // 2
    values.partition(middle)
    upper = float(values[middle])
    return upper if values.size % 2 else 0.5 * (float(values[:middle].max()) + upper)


def weighted_median_of(blocks: Sequence[tuple[Values, Values]]) -> float:
    """Return the least value whose weight, with that of all values below, reaches one half.

    It minimises sum weight |s - value| over s. Bins of equal width are summed, and only the one
    that holds the median is looked at again, until few values are left to sort.

    Args:
        blocks: Pairs of (N,) values and (N,) weights > 0, all finite; at least one value in all.
    """
    half = 0.5 * sum(float(weights.sum()) for _, weights in blocks)
    below = 0.0
    for _ in range(_ROUNDS):
        if sum(values.size for values, _ in blocks) <= _FEW:
            break
        low = min(float(values.min()) for values, _ in blocks if values.size)
        high = max(float(values.max()) for values, _ in blocks if values.size)
        if not high > low:
            return low
        blocks, lighter = _narrowed(blocks, low, high, half - below)
        below += lighter
    values = np.concatenate([block[0] for block in blocks])
    weights = np.concatenate([block[1] for block in blocks])
    order = np.argsort(values)
    reached = below + np.cumsum(weights[order])
    return float(values[order[min(int(np.searchsorted(reached, half)), values.size - 1)]])


def _narrowed(
    blocks: Sequence[tuple[Values, Values]], low: float, high: float, wanted: float
) -> tuple[list[tuple[Values, Values]], float]:
    """Return what lies in the bin where the weights reach `wanted`, and the weight below it."""
    places = [
        np.minimum((values - low) * (_BINS / (high - low)), _BINS - 1).astype(np.intp)
        for values, _ in blocks
    ]
    heights = np.zeros(_BINS)
    for place, (_, weights) in zip(places, blocks, strict=True):
        heights += np.bincount(place, weights, _BINS)
    reached = np.cumsum(heights)
    filled = np.flatnonzero(heights)
    chosen = int(filled[min(int(np.searchsorted(reached[filled], wanted)), filled.size - 1)])
    kept = [
        (values[place == chosen], weights[place == chosen])
        for place, (values, weights) in zip(places, blocks, strict=True)
    ]
    return kept, float(reached[chosen] - heights[chosen])
