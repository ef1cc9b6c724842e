"""The numerical part of robust line fits: RANSAC, reweighted least squares, effective number.

Sources: networks.md 3.2 and 3.4; Huber's and Tukey's tuning constants give 95 % efficiency for
normal residuals; 1.4826 MAD is the standard deviation of a normal distribution.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from depth_perception.core.scale_types import Samples, Values
import numpy as np
from numpy.typing import NDArray

_HUBER = 1.345
_TUKEY = 4.685
_MAD = 1.4826
_GATE = 3.0  # an inlier is nearer than this many sigma
_SEED = 20240229
_PAIRS = 192
_SCORED = 384  # references that judge the pairs
_ROUNDS = 10  # of Huber, and again of Tukey
_CELLS_ACROSS, _CELLS_DOWN = 4, 3  # patches within which residuals may be correlated
_SETTLED = 1e-4  # relative change that ends the rounds


class Line(NamedTuple):
    """rho = s o + t with the weights that made it."""

    s: float
    t: float
    weight: Values  # (N,) 1 / variance, times the robust weight
    inlier: NDArray[np.bool_]  # (N,)
    sigma_model: float  # [1/m]


class Misfit(NamedTuple):
    """Bounds of the misfit floor [1/m]."""

    least: float
    first: float
    most: float


def middle(values: Values) -> float:
    """Return the (upper) median of (N,) values, N > 0, without np.median's overhead."""
    half = values.size // 2
    return float(np.partition(values, half)[half])


def median(values: NDArray[np.floating[Any]]) -> float:
    """Return the median of (N,) values without NaN, N > 0: np.median, in a tenth of its time."""
    half = values.size // 2
    ordered = np.partition(values, half)
    upper = ordered[half]
    return float(upper if values.size % 2 else (ordered[:half].max() + upper) / 2)


def quantiles(values: Values, low: float, high: float) -> tuple[float, float]:
    """Return two quantiles of (N,) finite values, N > 0: np.quantile, without its overhead.

    Args:
        values: (N,) floating.
        low: Share of the values below the first, 0 to 1.
        high: Of the second.
    """
    last = values.size - 1
    places = low * last, high * last
    below = [int(place) for place in places]
    above = [min(place + 1, last) for place in below]
    ordered = np.partition(values, sorted({*below, *above}))
    first, second = (
        float(ordered[a]) + (place - a) * (float(ordered[b]) - float(ordered[a]))
        for place, a, b in zip(places, below, above, strict=True)
    )
    return first, second


def weighted_line(o: Values, rho: Values, weight: Values) -> tuple[float, float]:
    """Return (s, t) that minimises sum w (s o + t - rho)^2; s = 0 where all o are equal."""
    total = weight.sum()
    centre_o, centre_rho = weight @ o / total, weight @ rho / total
    offset = o - centre_o
    weighted = weight * offset
    spread = weighted @ offset
    s = float(weighted @ (rho - centre_rho) / spread) if spread > 0.0 else 0.0
    return s, float(centre_rho - s * centre_o)


def ransac_line(
    o: Values, rho: Values, sigma: Values, least_step: float
) -> tuple[float, float] | None:
    """Return the best line through two references, or None if none has a positive slope.

    Lines are judged by the sum of squared residuals in sigma, cut off at the gate. The pairs are
    the same in every call, so that a frame gives the same result again.

    Args:
        o: (N,) output.
        rho: (N,) inverse depth [1/m].
        sigma: (N,) standard deviation of the residual [1/m].
        least_step: Pairs with |o_a - o_b| of at most this are not used.
    """
    first, second, scored = _drawn(o.size)
    step = o[first] - o[second]
    wide = np.abs(step) > least_step
    first, second, step = first[wide], second[wide], step[wide]
    s = (rho[first] - rho[second]) / step
    t = rho[first] - s * o[first]
    s, t = s[s > 0.0], t[s > 0.0]
    if not s.size:
        return None
    weight = (1.0 / sigma[scored]).astype(np.float32)
    residual = np.multiply.outer(s.astype(np.float32), o[scored].astype(np.float32) * weight)
    residual += np.multiply.outer(t.astype(np.float32), weight)
    residual -= rho[scored].astype(np.float32) * weight
    np.square(residual, out=residual)
    np.clip(residual, 0.0, _GATE**2, out=residual)  # np.minimum takes three times as long
    best = int(np.argmin(residual.sum(axis=1)))
    return float(s[best]), float(t[best])


@lru_cache(maxsize=16)
def _drawn(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of references to try (P,), (P,), and those that judge them (J,)."""
    generator = np.random.default_rng(_SEED)
    first, second = generator.integers(0, count, (2, _PAIRS))
    drawn = first, second, generator.permutation(count)[:_SCORED]
    for indices in drawn:
        indices.setflags(write=False)
    return drawn


def ransac_ratio(o: Values, rho: Values, sigma: Values) -> float | None:
    """Return the slope through the origin with the least truncated cost, None if none is > 0."""
    positive = np.flatnonzero(o > 0.0)
    if not positive.size:
        return None
    step = max(1, positive.size // _PAIRS)
    slopes = rho[positive[::step]] / o[positive[::step]]
    slopes = slopes[slopes > 0.0]
    if not slopes.size:
        return None
    cost = np.minimum(np.square((np.multiply.outer(slopes, o) - rho) / sigma), _GATE**2)
    return float(slopes[int(np.argmin(cost.sum(axis=1)))])


def reweighted(
    o: Values,
    rho: Values,
    sigma_rho: Values,
    start: tuple[float, float],
    misfit: Misfit,
    *,
    through_origin: bool = False,
) -> Line:
    """Polish a line: Huber's weights until they settle, then Tukey's.

    sigma_i^2 = sigma_rho_i^2 + sigma_m^2, where sigma_m is the robust spread of the residuals
    beyond what `sigma_rho` explains, within its bounds. Residuals are scaled by their MAD.

    Args:
        o: (N,) output.
        rho: (N,) inverse depth [1/m].
        sigma_rho: (N,) standard deviation of `rho` [1/m].
        start: (s, t) to begin with.
        misfit: Bounds of the floor sigma_m.
        through_origin: Keep t as it is in `start` (then `rho` must have it subtracted).
    """
    (s, t), floor = start, misfit.first
    variance = np.square(sigma_rho)
    typical = middle(variance)
    weight = np.zeros(0)
    width, most = float(np.ptp(o)), float(np.abs(o).max())
    for tukey in (False, True):
        for _ in range(_ROUNDS):
            residual = np.abs(rho - s * o - t)
            inside = residual[residual < _GATE * np.sqrt(variance + floor * floor)]
            if inside.size:
                excess = (_MAD * middle(inside)) ** 2 - typical
                floor = float(np.sqrt(max(excess, 0.0)))
                floor = min(max(floor, misfit.least), misfit.most)
            total = variance + floor * floor
            deviation = residual / np.sqrt(total)
            weight = _robust_weight(deviation, tukey=tukey) / total
            if not weight.any():
                break
            before = s, t
            if through_origin:
                s = float((weight * o) @ rho / ((weight * o) @ o))
            else:
                s, t = weighted_line(o, rho, weight)
            change = abs(s - before[0]) * width + abs(t - before[1])
            if change < _SETTLED * (abs(t) + abs(s) * most):
                break
    inlier = np.abs(rho - s * o - t) < _GATE * np.sqrt(variance + floor * floor)
    return Line(s, t, weight, inlier, floor)


def _robust_weight(deviation: Values, *, tukey: bool) -> Values:
    """Return the weight of |residual| / sigma, after scaling by the MAD of the inliers."""
    inside = deviation[deviation < _GATE]
    scale = _MAD * middle(inside) if inside.size else 1.0
    scaled = deviation / min(max(scale, 0.5), 2.0)
    if tukey:
        return np.square(np.maximum(1.0 - np.square(scaled / _TUKEY), 0.0))
    # Outliers that agree with each other would drag Huber's fit away from where RANSAC put it.
    weight: Values = np.minimum(1.0, _HUBER / np.maximum(scaled, 1e-9))
    weight[deviation > _GATE] = 0.0
    return weight


def effective_number(samples: Samples, line: Line) -> float:
    """Return how many independent residuals the inliers of a line are worth.

    The errors of a network are smooth: neighbouring residuals say the same. With z the residuals
    in sigma, the sum over patches of (sum of z in the patch)^2 is sum z^2 for independent
    residuals, and n / n_eff times that for correlated ones (the 'design effect' of surveys). What
    the network adds counts at most once per patch; the noise of the references is independent.
    """
    inlier = line.inlier
    measured = np.square(samples.sigma_rho[inlier])
    deviation = (samples.rho - line.s * samples.o - line.t)[inlier]
    deviation /= np.sqrt(measured + line.sigma_model**2)
    across = (samples.column[inlier] * _CELLS_ACROSS).astype(np.intp)
    down = (samples.row[inlier] * _CELLS_DOWN).astype(np.intp)
    cell = np.minimum(down, _CELLS_DOWN - 1) * _CELLS_ACROSS
    cell += np.minimum(across, _CELLS_ACROSS - 1)
    sums = np.bincount(cell, weights=deviation)
    patches = int((np.bincount(cell) > 0).sum())
    power = float(deviation @ deviation)
    effect = max(float(sums @ sums) / power if power > 0.0 else 1.0, 1.0)
    share = line.sigma_model**2 / (line.sigma_model**2 + middle(measured))
    independent = min(deviation.size / effect, patches)
    return 1.0 / (share / independent + (1.0 - share) / deviation.size)
