"""What several readings of one scene say about its error: alignment, fusion and spread.

A network that is right gives the same answer for the mirrored image, for the image at another
scale, or for another sample of its noise. How far the answers differ is a raw score: it finds what
the network is unsure of, and misses what it gets wrong every time. So it is always calibrated.

Convention:
    Readings lie on the same (H, W) grid and hold what errors live in: disparity [px] of stereo
    networks, inverse depth [1/m] of metric ones, the bare output of relative ones.
"""

from __future__ import annotations

import math
from typing import Literal

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray
import numpy as np
from numpy.typing import NDArray

Alignment = Literal['none', 'scale', 'affine']
"""What a second reading may differ by without being another answer."""

PAIR_MEAN = 2.0 / math.sqrt(math.pi)  # E|a - b| of two normal a, b of sigma 1: 1.128
MAD_SIGMA = 1.4826  # sigma of a normal distribution over its median absolute deviation
_FIT_PIXELS = 20_000  # an even grid of them fits two numbers well enough
_FLAT = 1e-10  # variance over mean square below which values are flat
_BORDER = 0.05  # share of the width where the border blend takes one reading only

Map = NDArray[np.float32]


def alignment(values: Map, target: Map, how: Alignment) -> tuple[float, float]:
    """Return the (a, b) for which a `values` + b comes closest to `target` by least squares.

    Args:
        values: (H, W) float32; NaN unknown.
        target: (H, W) float32; NaN unknown.
        how: 'none': (1, 0); 'scale': b = 0; 'affine': both.

    Returns:
        (0, mean of the target) where `values` is flat and has nothing to align; NaN where nothing
        is known of both.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_shapes(values=(values, 'H W'), target=(target, 'H W'))
    if how == 'none':
        return 1.0, 0.0
    step = max(1, math.isqrt(values.size // _FIT_PIXELS))
    v = values[::step, ::step].astype(np.float64).ravel()
    w = target[::step, ::step].astype(np.float64).ravel()
    known = np.isfinite(v) & np.isfinite(w)
    v, w = v[known], w[known]
    if not v.size:
        return math.nan, math.nan
    if how == 'scale':
        power = float(v @ v)
        return (float(v @ w) / power, 0.0) if power > 0.0 else (0.0, float(w.mean()))
    v_mean, w_mean = float(v.mean()), float(w.mean())
    apart = v - v_mean
    power = float(apart @ apart)
    if power <= _FLAT * float(v @ v):
        return 0.0, w_mean
    a = float(apart @ (w - w_mean)) / power
    return a, w_mean - a * v_mean


def aligned(values: Map, target: Map, how: Alignment) -> Map:
    """Return a `values` + b for the (a, b) of `alignment`."""
    if how == 'none':
        return values
    a, b = alignment(values, target, how)
    result: Map = (values.astype(np.float64) * a + b).astype(np.float32)
    return result


def pair_sigma(one: Map, other: Map) -> Map:
    """Return |one - other| / 1.128: sigma of either, if both were normal and independent.

    NaN where either is. Errors of one network are not independent, so this is too small: a score.
    """
    sigma: Map = np.abs(one - other)
    sigma *= np.float32(1.0 / PAIR_MEAN)
    return sigma


def fused_pair(main: Map, other: Map, *, border: bool = False) -> Map:
    """Return the mean of two readings, the main one where the other is unknown.

    Args:
        main: (H, W) float32 reading of the image; NaN unknown.
        other: (H, W) float32 reading of the mirrored image, mirrored back.
        border: Take `other` alone at the left border and `main` alone at the right one, with a
            ramp of 5 % of the width between, as Monodepth does: networks that learned from left
            images see too little at their left border. With x/W from 0 to 1 the weight of `other`
            there is 1 - clip(20 (x/W - 0.05), 0, 1).

    Returns:
        (H, W) float32; NaN where `main` is.
    """
    weight = np.full(main.shape[1], 0.5, np.float32)
    if border:
        share = np.linspace(0.0, 1.0, main.shape[1], dtype=np.float32)
        left = 1.0 - np.clip((share - _BORDER) / np.float32(_BORDER), 0.0, 1.0)
        weight = 0.5 + 0.5 * left - 0.5 * left[::-1]
    fused: Map = main + weight * np.where(np.isfinite(other), other - main, np.float32(0.0))
    return fused


def mixture(means: AnyArray, sigmas: AnyArray | None = None) -> tuple[Map, Map]:
    """Return mean and sigma of a mixture of K answers, each with its own sigma.

    Convention:
        sigma^2 = Var_k(mu_k) + mean_k(sigma_k^2), with the variance over all K (law of total
        variance). Summing the sigma_k^2 instead of averaging them, as is seen in places, is K
        times too much.

    Args:
        means: (K, H, W) floating; NaN unknown, which does not count.
        sigmas: (K, H, W) floating, one standard deviation of each; None if they have none.

    Returns:
        (H, W) float32 mean and sigma; NaN where less than two answers are known.
    """
    known = np.isfinite(means)
    count = known.sum(axis=0)
    with np.errstate(invalid='ignore', divide='ignore'):
        mean = np.where(known, means, 0.0).sum(axis=0, dtype=np.float64) / count
        variance = np.square(np.where(known, means - mean, 0.0)).sum(axis=0) / count
        if sigmas is not None:
            own = np.where(known & np.isfinite(sigmas), sigmas, 0.0)
            variance += np.square(own, dtype=np.float64).sum(axis=0) / count
    mean[count < 2] = variance[count < 2] = np.nan
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)


def median_and_spread(values: AnyArray) -> tuple[Map, Map]:
    """Return the median of K readings and 1.4826 times the median distance from it.

    Args:
        values: (K, H, W) floating; NaN unknown, which does not count.

    Returns:
        (H, W) float32 median and spread; NaN where less than two are known.
    """
    few = np.isfinite(values).sum(axis=0) < 2
    middle = _median(values)
    spread = _median(np.abs(values - middle)) * np.float32(MAD_SIGMA)
    middle[few] = spread[few] = np.nan
    return middle, spread


def _median(values: AnyArray) -> Map:
    """Return the median over the first axis; NaN does not count (np.nanmedian is far slower)."""
    ordered = np.sort(values, axis=0)  # NaN comes last
    count = np.isfinite(values).sum(axis=0)
    low, high = (np.maximum(count - 1, 0) // 2)[None], (count // 2)[None]
    high = np.minimum(high, len(values) - 1)
    low, high = np.take_along_axis(ordered, low, 0)[0], np.take_along_axis(ordered, high, 0)[0]
    result: Map = (low + np.where(np.isfinite(high), high, low)).astype(np.float32)
    result *= np.float32(0.5)
    return result
