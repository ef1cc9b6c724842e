"""Scores that only rank the pixels of one image, and mean nothing between two images."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

from depth_perception.core.types import AnyArray, SigmaMap
import numpy as np
from numpy.typing import NDArray

_CELLS = 1 << 16
_STEPS = 2048
_HIGHEST = 0.9995  # rank beyond which the scale of sigma no longer grows
_LOWEST = 0.05  # and below which it no longer falls: nothing is known without any error


def ranked_sigma(badness: AnyArray, typical: float) -> SigmaMap:
    """Return a sigma whose order is that of `badness` and whose size is the same in any image.

    A pixel at rank q (0 the best, 1 the worst of the image) gets
    typical Phi^-1((1 + q) / 2) / 0.6745: the q-quantile of |error| of a normal distribution whose
    median |error| is that of sigma `typical`. So the middle pixel gets `typical`.

    Ranks are taken over the upper 16 bits of float32 (within 0.8 % is equal), which needs no sort.

    Args:
        badness: (H, W) floating, the greater the worse; NaN unknown.
        typical: Sigma of the middle pixel.

    Returns:
        (H, W) float32, above 0; NaN where `badness` is.
    """
    values = np.ascontiguousarray(badness, np.float32)
    unknown = np.isnan(values)
    bits = values.view(np.uint32)
    negative = (bits >> np.uint32(31)).astype(bool)
    ordered = np.where(negative, ~bits, bits | np.uint32(1 << 31)) >> np.uint32(16)
    counts = np.bincount(ordered[~unknown], minlength=_CELLS)
    total = max(int(counts.sum()), 1)
    rank = (np.cumsum(counts) - 0.5 * counts) / total
    cells = np.rint(np.clip(rank, _LOWEST, _HIGHEST) * (_STEPS - 1)).astype(np.intp)
    of_cell = _half_normal()[cells] * np.float32(typical)
    sigma: SigmaMap = of_cell.astype(np.float32)[ordered]
    sigma[unknown] = np.nan
    return sigma


@lru_cache(maxsize=1)
def _half_normal() -> NDArray[np.float32]:
    """Return Phi^-1((1 + q) / 2) / Phi^-1(3 / 4) for q on an even grid of 0..1."""
    normal = NormalDist()
    ranks = np.minimum(np.arange(_STEPS) / (_STEPS - 1), 1.0 - 1e-6)
    middle = normal.inv_cdf(0.75)
    return np.array([normal.inv_cdf(0.5 * (1.0 + q)) / middle for q in ranks], np.float32)
