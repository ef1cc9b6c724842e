"""Choose the form of a sigma curve on scenes that it was not fitted on, and say how good it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from depth_perception.core.calibration_curve import SigmaCurve
from depth_perception.core.calibration_fit import (
    BINS,
    coverage_temperature,
    fit_power,
    fit_table,
    joined,
    ONE_SIGMA,
    quotients,
    ScoredErrors,
)
from depth_perception.errors import CalibrationError
import numpy as np
from numpy.typing import NDArray

FOLDS = 5
POWER_ENCE = 0.15  # above it the table is tried
_CLEARLY = 0.75  # of that ENCE: flat parts of a table cost rank, so it must be worth it

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationFigures:
    """How honest sigma is, pooled over pixels.

    Attributes:
        pixels: Number of pixels.
        within_1_sigma: Share with |r| <= sigma; 0.6827 if Gaussian.
        within_2_sigma: Share with |r| <= 2 sigma; 0.9545 if Gaussian.
        beyond_5_sigma: Share of gross errors, |r| > 5 sigma, which sigma did not foresee.
        ence: Mean over 20 bins by sigma of |RMSE - RMV| / RMV, which gross errors rule.
        ence_robust: The same with the 68.3-percentile of |r| in place of the RMSE: what is left
            is the fault of the curve.
        spearman: Rank correlation of |r| and sigma; NaN if one is constant.
    """

    pixels: int
    within_1_sigma: float
    within_2_sigma: float
    beyond_5_sigma: float
    ence: float
    ence_robust: float
    spearman: float


@dataclass(frozen=True)
class Calibration:
    """A curve and what is known of it.

    Attributes:
        curve: Fitted on all groups.
        held_out: Figures of curves of the chosen form, each on groups it was not fitted on.
        before: Figures of the raw score itself taken for sigma.
        power: Held-out figures of the power law.
        table: Held-out figures of the isotonic table.
        groups: Scenes or bags used.
        held_out_sigma: Group -> (N,) sigma of its pixels, in the order of its samples, by the
            curve of the chosen form that was fitted without it; what `held_out` is made of.
    """

    curve: SigmaCurve
    held_out: CalibrationFigures
    before: CalibrationFigures
    power: CalibrationFigures
    table: CalibrationFigures
    groups: tuple[str, ...]
    held_out_sigma: Mapping[str, _Values] = field(default_factory=dict, compare=False)


def calibrated(samples: Sequence[ScoredErrors]) -> Calibration:
    """Return the curve for a model, chosen and judged by cross-validation over groups.

    The groups are dealt to at most five folds. For each, both forms are fitted on the others and
    judged on it; the table is taken if the robust ENCE of the power law is above 0.15 and its own
    is less by a quarter. The winner is fitted on everything, and scaled so that coverage is right
    for groups that were held out, not for those that were fitted.

    Raises:
        CalibrationError: If there are fewer than two groups: errors of one scene are alike, so
            nothing can be tested on the scene that was fitted. Or if there are too few pixels.
    """
    groups = tuple(sorted({sample.group for sample in samples}))
    if len(groups) < 2:
        raise CalibrationError(
            f'calibration needs at least two scenes or bags to be tested on what it was not '
            f'fitted on; got {len(groups)}'
        )
    whole = joined(samples)
    power, power_temperature, power_sigma = _held_out(samples, groups, fit_power)
    table, table_temperature, table_sigma = _held_out(samples, groups, fit_table)
    use_table = power.ence_robust > POWER_ENCE and table.ence_robust < _CLEARLY * power.ence_robust
    curve: SigmaCurve
    if use_table:
        curve = fit_table(whole).scaled(table_temperature)
    else:
        curve = fit_power(whole).scaled(power_temperature)
    before = calibration_figures(whole, whole.score)
    held_out = table if use_table else power
    sigma = table_sigma if use_table else power_sigma
    return Calibration(curve, held_out, before, power, table, groups, sigma)


def _held_out(
    samples: Sequence[ScoredErrors],
    groups: Sequence[str],
    fitter: Callable[[ScoredErrors], SigmaCurve],
) -> tuple[CalibrationFigures, float, dict[str, _Values]]:
    """Return the figures of all groups when held out, their common temperature, and sigma."""
    folds = min(FOLDS, len(groups))
    parts, sigmas = [], []
    for fold in range(folds):
        tested = set(groups[fold::folds])
        curve = fitter(joined([s for s in samples if s.group not in tested]))
        for sample in samples:
            if sample.group in tested:
                parts.append(sample)
                sigmas.append(curve.exact(sample.score))
    pixels, sigma = joined(parts), np.concatenate(sigmas)
    temperature = coverage_temperature(pixels, sigma)
    sigma = sigma * temperature
    ends = np.cumsum([part.error.size for part in parts])
    of_group: dict[str, list[_Values]] = {}
    for part, values in zip(parts, np.split(sigma, ends[:-1]), strict=True):
        of_group.setdefault(part.group, []).append(values)
    by_group = {group: np.concatenate(values) for group, values in of_group.items()}
    return calibration_figures(pixels, sigma), temperature, by_group


def calibration_figures(sample: ScoredErrors, sigma: _Values) -> CalibrationFigures:
    """Return how honest (N,) sigma is, the uncertainty of the truth taken into account.

    Raises:
        CalibrationError: If there are no pixels.
    """
    if not sample.error.size:
        raise CalibrationError('there are no pixels with truth to judge sigma on')
    quotient = quotients(sample, sigma)
    claimed = np.hypot(sigma, sample.reference_sigma)
    error = np.abs(sample.error)
    parts = np.array_split(np.argsort(sigma, kind='stable'), min(BINS, error.size))
    claims = np.array([np.sqrt(np.mean(np.square(claimed[part]))) for part in parts])
    square = np.array([np.sqrt(np.mean(np.square(error[part]))) for part in parts])
    typical = np.array([np.quantile(error[part], ONE_SIGMA) for part in parts])
    return CalibrationFigures(
        pixels=error.size,
        within_1_sigma=float(np.mean(quotient <= 1.0)),
        within_2_sigma=float(np.mean(quotient <= 2.0)),
        beyond_5_sigma=float(np.mean(quotient > 5.0)),
        ence=float(np.mean(np.abs(square / claims - 1.0))),
        ence_robust=float(np.mean(np.abs(typical / claims - 1.0))),
        spearman=rank_correlation(error, sigma),
    )


def rank_correlation(first: _Values, second: _Values) -> float:
    """Return Spearman's rho of (N,) values, equal ones sharing their mean rank."""
    ranks = [_centred_ranks(values) for values in (first, second)]
    scale = float(np.sqrt(np.square(ranks[0]).sum() * np.square(ranks[1]).sum()))
    return float((ranks[0] * ranks[1]).sum()) / scale if scale > 0.0 else float('nan')


def _centred_ranks(values: _Values) -> _Values:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * (counts + 1)
    ranks: _Values = middle[place.reshape(-1)] - 0.5 * (values.size - 1)
    return ranks
