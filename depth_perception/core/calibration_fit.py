"""Fit the curve that makes sigma of a raw score, from errors against truth.

Everything is in the model's own error domain (disparity, inverse depth, ln Z), where errors are
alike near and far; sigma goes on to metres by its Jacobian.

Convention:
    r = prediction - truth, u the raw score, sigma_ref the standard deviation of the truth itself;
    a claim is judged by q = |r| / sqrt(sigma^2 + sigma_ref^2).

Sources: Student-t likelihood with 4 degrees of freedom, because under one per cent of gross errors
rule a Gaussian one; isotonic regression by pooling adjacent violators (Ayer et al. 1955); ENCE of
Levi, Gispan, Giladi, Fetaya, Evaluating and calibrating uncertainty prediction (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from depth_perception.core.calibration_curve import PowerCurve, TableCurve
from depth_perception.core.shapes import check_shapes
from depth_perception.core.simplex import minimum
from depth_perception.core.types import AnyArray, Mask
from depth_perception.errors import CalibrationError
import numpy as np
from numpy.typing import NDArray

ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
BINS = 20
FREEDOM = 4.0  # of the Student-t likelihood
HALF_WIDTH = 1.141627  # of the central 68.27 % of a Student-t(4) of scale 1
_TOLERANCES = 0.05, 0.03  # of the shares within 1 and 2 sigma, when one is traded for the other
_GOLDEN = 0.6180339887498949
_MEDIAN_QUOTIENT = 0.6745  # median of |z| of a Gaussian
_GAMMAS = 0.5, 1.0, 1.5
_LEAST_PIXELS = 200

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredErrors:
    """Errors of one frame with the raw scores of their pixels.

    Attributes:
        group: Scene or bag; all frames of a group are fitted or tested together.
        error: (N,) float64, prediction - truth [unit of the domain].
        score: (N,) float64 raw score, above 0.
        reference_sigma: (N,) float64 standard deviation of the truth [unit of the domain].
    """

    group: str
    error: _Values
    score: _Values
    reference_sigma: _Values


def scored_errors(
    group: str,
    predicted: AnyArray,
    truth: AnyArray,
    score: AnyArray,
    reference_sigma: float = 0.0,
    limit: int = 4000,
) -> ScoredErrors:
    """Return a sample of the pixels of a frame, always the same one.

    One pixel is taken from each of `limit` equally long runs of the usable pixels, at a place that
    the golden ratio shifts from run to run, so that no pattern of rows or columns is followed.

    Args:
        group: Scene or bag the frame is from.
        predicted: (H, W) in the error domain, e.g. disparity [px]; NaN unknown.
        truth: (H, W) likewise; NaN where it is not known or does not count.
        score: (H, W) raw score, higher is worse; not finite or not above 0: unusable.
        reference_sigma: Standard deviation of the truth, e.g. step / sqrt(12) of its rounding.
        limit: Most pixels taken, so that no frame outweighs another by its size.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_shapes(predicted=(predicted, 'H W'), truth=(truth, 'H W'), score=(score, 'H W'))
    usable = np.isfinite(predicted) & np.isfinite(truth) & np.isfinite(score) & (score > 0.0)
    places = spread_places(usable, limit)
    taken = [array.reshape(-1)[places].astype(np.float64) for array in (predicted, truth, score)]
    reference = np.full(places.size, float(reference_sigma))
    return ScoredErrors(group, taken[0] - taken[1], taken[2], reference)


def spread_places(usable: Mask, limit: int) -> NDArray[np.intp]:
    """Return flat indices of at most `limit` true pixels, evenly spread, always the same ones.

    Rising; where there are hardly more pixels than `limit` a few come twice.
    """
    places = np.flatnonzero(usable)
    if places.size > limit:
        runs = np.arange(limit, dtype=np.float64)
        inside = (runs * _GOLDEN) % 1.0
        places = places[((runs + inside) * (places.size / limit)).astype(np.intp)]
    return places


def joined(samples: Sequence[ScoredErrors], group: str = '') -> ScoredErrors:
    """Return the pixels of all samples as one.

    Raises:
        CalibrationError: If there are none.
    """
    if not samples:
        raise CalibrationError('there are no errors to calibrate with')
    parts = [
        np.concatenate([getattr(sample, name) for sample in samples])
        for name in ('error', 'score', 'reference_sigma')
    ]
    return ScoredErrors(group, *parts)


def quotients(sample: ScoredErrors, sigma: _Values) -> _Values:
    """Return q = |r| / sqrt(sigma^2 + sigma_ref^2)."""
    values: _Values = np.abs(sample.error) / np.hypot(sigma, sample.reference_sigma)
    return values


def gaussian_temperature(quotient: _Values) -> float:
    """Return T = sqrt(mean q^2), by which sigma of a Gaussian is too small."""
    return float(np.sqrt(np.mean(np.square(quotient))))


def robust_temperature(quotient: _Values) -> float:
    """Return T = median(q) / 0.6745, which gross errors do not move."""
    return float(np.median(quotient)) / _MEDIAN_QUOTIENT


def coverage_temperature(sample: ScoredErrors, sigma: _Values) -> float:
    """Return the T that brings the shares within 1 and 2 T sigma closest to those of a Gaussian.

    With heavy tails no T meets both. The one returned has the least sum of squares of the two
    misses, each in units of its tolerance (0.05 and 0.03); it is found to 1 %.

    Args:
        sample: Errors; the standard deviation of the truth is added to T sigma.
        sigma: (N,) what to scale.
    """
    best = max(robust_temperature(quotients(sample, sigma)), 1e-6)
    for reach in (8.0, 1.15):
        tried = best * np.geomspace(1.0 / reach, reach, 31)
        best = float(tried[np.argmin([_coverage_miss(sample, t * sigma) for t in tried])])
    return best


def _coverage_miss(sample: ScoredErrors, sigma: _Values) -> float:
    quotient = quotients(sample, sigma)
    first = (np.mean(quotient <= 1.0) - ONE_SIGMA) / _TOLERANCES[0]
    second = (np.mean(quotient <= 2.0) - TWO_SIGMA) / _TOLERANCES[1]
    return float(first**2 + second**2)


def fit_power(sample: ScoredErrors) -> PowerCurve:
    """Return the curve of greatest Student-t likelihood, brought to a 1-sigma of coverage.

    The likelihood with 4 degrees of freedom is climbed over (ln a, gamma, ln b) from the best
    point of a coarse grid. The scale of a Student-t is no standard deviation, so the half-width of
    its central 68.27 % is taken to be sqrt(sigma^2 + sigma_ref^2), with
    sigma^2 = (a u^gamma)^2 + b^2; `coverage_temperature` does the rest.

    Raises:
        CalibrationError: If there are fewer than 200 pixels, or they have no errors at all.
    """
    _check_enough(sample)
    log_score = np.log(sample.score)
    middle = float(np.median(log_score))
    typical = math.log(_percentile_68(sample.error))

    def curve_at(point: _Values) -> PowerCurve:
        gamma = float(np.clip(point[1], 0.0, 4.0))
        a, b = np.exp(np.clip((point[0] - gamma * middle, point[2]), -60.0, 60.0))
        return PowerCurve(float(a), gamma, float(b))

    def loss(point: _Values) -> float:
        gamma, floor = float(point[1]), math.exp(2.0 * min(float(point[2]), 60.0))
        power = np.exp(np.minimum(2.0 * (point[0] + gamma * (log_score - middle)), 120.0))
        outside = max(0.0, -gamma) + max(0.0, gamma - 4.0)
        square = power + floor + np.square(sample.reference_sigma)
        return student_loss(sample.error, square / HALF_WIDTH**2) + outside

    offsets = (-1.0, 0.0), (-3.0, -1.0, 0.0)
    grid = [
        np.array([typical + first, gamma, typical + second])
        for first in offsets[0]
        for gamma in _GAMMAS
        for second in offsets[1]
    ]
    curve = curve_at(minimum(loss, min(grid, key=loss), 0.3))
    return curve.scaled(coverage_temperature(sample, curve.exact(sample.score)))


def student_loss(error: _Values, square: _Values) -> float:
    """Return the mean negative log-likelihood of a Student-t(4) of squared scale, less ln(8/3)."""
    tail = 0.5 * (FREEDOM + 1.0) * np.log1p(np.square(error) / (FREEDOM * square))
    return float(np.mean(0.5 * np.log(square) + tail))


def fit_table(sample: ScoredErrors, bins: int = BINS) -> TableCurve:
    """Return the isotonic curve: 68.3-percentiles of |r| in bins of equally many pixels by score.

    The variance of the truth is taken off each bin; falling bins are pooled; the whole is brought
    to a 1-sigma of coverage like `fit_power`. Bins whose median scores agree become one.

    Raises:
        CalibrationError: If there are fewer than 200 pixels, or they have no errors at all.
    """
    _check_enough(sample)
    order = np.argsort(sample.score, kind='stable')
    parts = np.array_split(order, bins)
    found = np.array([_percentile_68(sample.error[part]) for part in parts])
    reference = np.array([np.mean(np.square(sample.reference_sigma[part])) for part in parts])
    least = 1e-3 * _percentile_68(sample.error)
    square = np.maximum(np.square(found) - reference, least**2)
    counts = np.array([part.size for part in parts], np.float64)
    rising = pooled_adjacent(np.sqrt(square), counts)
    score = np.array([np.median(sample.score[part]) for part in parts])
    _, last = np.unique(score[::-1], return_index=True)
    kept = bins - 1 - last
    curve = TableCurve(tuple(score[kept].tolist()), tuple(rising[kept].tolist()))
    return curve.scaled(coverage_temperature(sample, curve.exact(sample.score)))


def pooled_adjacent(values: _Values, weights: _Values) -> _Values:
    """Return the never-falling values nearest to `values` in weighted squares.

    Args:
        values: (N,) in the order in which they should rise.
        weights: (N,) above 0.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, length = value, weight, 1
        while blocks and blocks[-1][0] >= mean:
            before, heavy, more = blocks.pop()
            mean = (before * heavy + mean * total) / (heavy + total)
            total, length = heavy + total, more + length
        blocks.append((mean, total, length))
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])


def _percentile_68(error: _Values) -> float:
    return float(np.quantile(np.abs(error), ONE_SIGMA))


def _check_enough(sample: ScoredErrors) -> None:
    if sample.error.size < _LEAST_PIXELS:
        raise CalibrationError(
            f'{sample.error.size} pixels with truth are too few to calibrate sigma; '
            f'at least {_LEAST_PIXELS} are needed'
        )
    if not _percentile_68(sample.error) > 0.0:
        raise CalibrationError('two thirds of the errors are exactly 0; this is not a real truth')
