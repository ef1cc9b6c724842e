"""Is sigma honest? Calibration, sharpness, likelihood and rank of the published sigma.

Convention:
    r = Z - Z*, q = |r| / sigma. A pixel counts where the mask is set, depth is finite and above 0
    and sigma is finite and above 0. A pixel with depth but no sigma makes no claim: it is left out
    of every figure but `sigma_coverage`.

Sources: Kuleshov, Fenner, Ermon, Accurate uncertainties for deep learning using calibrated
regression (ICML 2018); Levi, Gispan, Giladi, Fetaya, Evaluating and calibrating uncertainty
prediction in regression tasks (2022); Gneiting, Raftery, Strictly proper scoring rules (2007).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from depth_perception.core.types import DepthMap, Mask, SigmaMap
from depth_perception.evaluation.measures.sparsification import (
    Claims,
    claims_of,
    Curve,
    curves,
    INTERVALS,
    METRICS,
)
from depth_perception.evaluation.scientific import scipy_module
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Probabilities p of the central intervals of which the share is counted."""
CALIBRATION_EDGES = tuple(10.0 ** (step / 6.0 - 4.0) for step in range(25))
"""Edges of the bins of sigma / Z, even in its logarithm, from 1e-4 to 1."""
ENCE_BINS = 20

_Values = NDArray[np.float64]
_LEVEL_Z = tuple(NormalDist().inv_cdf(0.5 + 0.5 * level) for level in LEVELS)
_NAMES = (
    *(f'{area}_{metric}' for metric in METRICS for area in ('ause', 'aurg')),
    *(f'nll_{kind}_{domain}' for domain in ('m', 'log') for kind in ('gauss', 'laplace')),
    *(f'within_{k}_sigma' for k in (1, 2, 3)),
    *('kuleshov', 'ece', 'ence', 'sharpness', 'crps_m', 'spearman'),
    *('median_relative_sigma', 'spread'),
)


@dataclass(frozen=True)
class SigmaFigures:
    """What there is to say about the sigma of one frame.

    Attributes:
        scalars: As `sigma_measures` returns them.
        sums: As `sigma_sums` returns them.
    """

    scalars: dict[str, float]
    sums: dict[str, list[float]]


def sigma_figures(
    depth: DepthMap, sigma: SigmaMap, truth: DepthMap, mask: Mask, max_pixels: int | None = None
) -> SigmaFigures:
    """Return the measures and the sums of one frame, sorting its pixels once.

    Args:
        depth: (H, W) prediction [m]; not finite or not above 0: none.
        sigma: (H, W) one standard deviation of it [m], used as float32; not finite or not above
            0: no claim.
        truth: (H, W) [m].
        mask: (H, W) bool, where the truth counts: finite and above 0.
        max_pixels: Judge at most this many pixels, evenly strided over those there are; all by
            default, because a part gives other figures than the whole.

    Raises:
        ShapeError: If the shapes differ.
        BackendUnavailableError: If SciPy is not installed.
    """
    claims = claims_of(depth, sigma, truth, mask, max_pixels)
    coverage = claims.claimed / claims.predicted if claims.predicted else NAN
    if not claims.pixels:
        return SigmaFigures({**dict.fromkeys(_NAMES, NAN), 'sigma_coverage': coverage}, _no_sums())
    found = curves(claims)
    quotient = claims.error / claims.sigma
    within = np.array([np.count_nonzero(quotient <= z) for z in _LEVEL_Z])
    share = claims.sigma / claims.depth
    scalars = {
        **_areas(found),
        **_likelihoods(claims, quotient, share),
        **{f'within_{k}_sigma': float((quotient <= k).mean()) for k in (1, 2, 3)},
        **_level_errors(within / claims.pixels),
        'ence': _ence(claims),
        'sharpness': float(share.mean()),
        'crps_m': _crps_m(claims, quotient),
        'spearman': _spearman(claims),
        'median_relative_sigma': float(np.median(share)),
        'spread': 1.4826 * float(np.median(quotient)),
        'sigma_coverage': coverage,
    }
    return SigmaFigures(scalars, _sums(claims, found, within, share))


def sigma_measures(
    depth: DepthMap, sigma: SigmaMap, truth: DepthMap, mask: Mask, max_pixels: int | None = None
) -> dict[str, float]:
    """Return the figures of the sigma of one frame; see `sigma_figures` for the arguments.

    Returns:
        NaN where no pixel can be judged:
        `ause_*`, `aurg_*`: of abs_rel, rmse_m [m] and 1 - delta1, see `sparsification`.
        `nll_gauss_m`, `nll_laplace_m`: mean negative log-likelihood of Z* under the density of Z
            and sigma [m]; Laplace's scale is b = sigma / sqrt(2), so that sigma stays the standard
            deviation. Lower is better.
        `nll_gauss_log`, `nll_laplace_log`: the same of ln Z with sigma / Z.
        `within_1_sigma` .. `within_3_sigma`: share with |r| <= k sigma; Gaussian: 0.6827, 0.9545,
            0.9973.
        `kuleshov`: sum over p = 0.05 .. 0.95 of the square of p minus the share of r within the
            central p interval of the Gaussian; `ece`: mean of its absolute value.
        `ence`: mean over 20 bins of equally many pixels by sigma of |RMSE - RMV| / RMV.
        `sharpness`: mean of sigma / Z; `median_relative_sigma`: its median.
        `crps_m`: mean continuous ranked probability score of the Gaussian [m].
        `spearman`: rank correlation of |r| and sigma, ties averaged; NaN if one is constant.
        `spread`: 1.4826 * median of |r| / sigma, 1 if sigma is right.
        `sigma_coverage`: share of the pixels with truth and depth that have a sigma.

    Raises:
        ShapeError: If the shapes differ.
        BackendUnavailableError: If SciPy is not installed.
    """
    return sigma_figures(depth, sigma, truth, mask, max_pixels).scalars


def sigma_sums(
    depth: DepthMap, sigma: SigmaMap, truth: DepthMap, mask: Mask, max_pixels: int | None = None
) -> dict[str, list[float]]:
    """Return what adds up over frames; see `sigma_figures` for the arguments.

    Returns:
        Zeros where no pixel can be judged, else:
        `sparsification_*_sparse`, `sparsification_*_oracle`: (51,) curves of abs_rel, rmse_m and
            delta1; divide by `sparsification_frames` for the mean curve.
        `reliability_within`: (19,) pixels within the central p interval, p in `LEVELS`, of
            `reliability_pixels`.
        `calibration_count`, `calibration_variance_sum`, `calibration_square_sum`: (24,) pixels,
            their (sigma / Z)^2 and their (r / Z)^2 by the bin of `CALIBRATION_EDGES` their
            sigma / Z is in; the end bins hold what lies beyond them too.

    Raises:
        ShapeError: If the shapes differ.
        BackendUnavailableError: If SciPy is not installed.
    """
    return sigma_figures(depth, sigma, truth, mask, max_pixels).sums


def _areas(found: Mapping[str, Curve]) -> dict[str, float]:
    """Return AUSE and AURG of every metric."""
    areas = {}
    for metric, curve in found.items():
        areas[f'ause_{metric}'] = curve.ause
        areas[f'aurg_{metric}'] = curve.aurg
    return areas


def _likelihoods(claims: Claims, quotient: _Values, share: _Values) -> dict[str, float]:
    """Return the mean negative log-likelihoods in metres and in ln Z."""
    log_quotient = np.abs(np.log(claims.depth / claims.truth)) / share
    gauss, laplace = 0.5 * np.log(2.0 * np.pi), 0.5 * np.log(2.0)
    values = {}
    for domain, sigma, q in (('m', claims.sigma, quotient), ('log', share, log_quotient)):
        log_sigma = np.log(sigma).mean()
        values[f'nll_gauss_{domain}'] = float(gauss + log_sigma + 0.5 * np.square(q).mean())
        values[f'nll_laplace_{domain}'] = float(laplace + log_sigma + np.sqrt(2.0) * q.mean())
    return values


def _level_errors(observed: _Values) -> dict[str, float]:
    """Return how far (19,) observed shares are from `LEVELS`."""
    miss = np.array(LEVELS) - observed
    return {'kuleshov': float(np.square(miss).sum()), 'ece': float(np.abs(miss).mean())}


def _ence(claims: Claims) -> float:
    """Return the normalised calibration error; of one bin per pixel where there are under 20."""
    bins = min(ENCE_BINS, claims.pixels)
    short, longer = divmod(claims.pixels, bins)
    sizes = np.full(bins, short)
    sizes[:longer] += 1
    starts = np.cumsum(sizes) - sizes
    variance = np.add.reduceat(np.square(claims.sigma), starts) / sizes
    found = np.add.reduceat(claims.square, starts) / sizes
    return float(np.abs(np.sqrt(found / variance) - 1.0).mean())


def _crps_m(claims: Claims, quotient: _Values) -> float:
    """Return the mean CRPS of the Gaussian [m]: sigma (q erf(q / sqrt 2) + 2 phi(q) - pi^-1/2)."""
    inside = quotient * scipy_module('special').erf(quotient * np.sqrt(0.5))
    peak = np.sqrt(2.0 / np.pi) * np.exp(-0.5 * np.square(quotient))
    return float((claims.sigma * (inside + peak - 1.0 / np.sqrt(np.pi))).mean())


def _centred_ranks(rising_values: _Values) -> _Values:
    """Return the ranks of (N,) rising values, equal ones sharing their mean, less their mean."""
    size = rising_values.size
    starts = np.flatnonzero(rising_values[1:] != rising_values[:-1]) + 1
    if starts.size == size - 1:
        return np.arange(size, dtype=np.float64) - 0.5 * (size - 1)
    counts = np.diff(starts, prepend=0, append=size)
    first = np.cumsum(counts) - counts
    return np.repeat(first + 0.5 * (counts - size), counts)


def _spearman(claims: Claims) -> float:
    """Return the rank correlation of |r| and sigma; NaN if either has one value only."""
    by_sigma = _centred_ranks(claims.sigma)
    by_error = _centred_ranks(claims.rising_error)
    spread = np.sqrt(np.square(by_sigma).sum() * np.square(by_error).sum())
    return float((by_sigma[claims.error_order] * by_error).sum() / spread) if spread else NAN


def _sums(
    claims: Claims, found: Mapping[str, Curve], within: NDArray[np.int64], share: _Values
) -> dict[str, list[float]]:
    """Return the sums of a frame with pixels."""
    steps = np.floor((np.log(share) / np.log(10.0) + 4.0) * 6.0)
    bins = np.clip(steps, 0, len(CALIBRATION_EDGES) - 2).astype(np.intp)
    least = len(CALIBRATION_EDGES) - 1
    relative_square = claims.square / np.square(claims.depth)
    curve_sums = {
        f'sparsification_{metric}_{name}': values.tolist()
        for metric, curve in found.items()
        for name, values in (('sparse', curve.sparse), ('oracle', curve.oracle))
    }
    return {
        **curve_sums,
        'sparsification_frames': [1.0],
        'reliability_within': within.astype(np.float64).tolist(),
        'reliability_pixels': [float(claims.pixels)],
        'calibration_count': np.bincount(bins, minlength=least).astype(np.float64).tolist(),
        'calibration_variance_sum': np.bincount(bins, np.square(share), least).tolist(),
        'calibration_square_sum': np.bincount(bins, relative_square, least).tolist(),
    }


def _no_sums() -> dict[str, list[float]]:
    """Return the sums of a frame without pixels."""
    curve = {
        f'sparsification_{metric}_{name}': [0.0] * (INTERVALS + 1)
        for metric in METRICS
        for name in ('sparse', 'oracle')
    }
    bins = [0.0] * (len(CALIBRATION_EDGES) - 1)
    return {
        **curve,
        'sparsification_frames': [0.0],
        'reliability_within': [0.0] * len(LEVELS),
        'reliability_pixels': [0.0],
        'calibration_count': list(bins),
        'calibration_variance_sum': list(bins),
        'calibration_square_sum': list(bins),
    }
