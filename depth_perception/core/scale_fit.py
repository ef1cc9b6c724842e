"""Fit metric scale: rho = s o + t against measured inverse depth.

Sources: MiDaS (least squares in inverse depth), MoGe and VI-Depth (robust alignment); rejection
rules from networks.md section 3, 'Failure handling'.

Convention:
    o is the output of the network in the domain of inverse depth (larger is nearer), whatever
    its unit and zero. Kinds that are metric up to a factor use `fit_scale`; the median of ratios
    is only offered for them, since an unknown shift makes it meaningless.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
import math

from depth_perception.core.scale_robust import (
    effective_number,
    Line,
    middle,
    Misfit,
    quantiles,
    ransac_line,
    ransac_ratio,
    reweighted,
    weighted_line,
)
from depth_perception.core.scale_types import (
    Outcome,
    Rejected,
    Rejection,
    Samples,
    ScaleFit,
    Square,
    Values,
)
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FitRules:
    """When a fit is refused, and how good a network is believed to be.

    Attributes:
        least_inliers: Fewest references within three sigma.
        least_inlier_ratio: Least share of them.
        most_condition: Greatest condition number of A^T W A, its columns scaled to equal length
            so that it does not depend on the unit of the output.
        least_spread: Least spread of the output at the references (5th to 95th percentile), as a
            fraction of its interquartile range over the image.
        least_quadrants: Fewest quadrants of the image with at least 5 % of the inliers.
        misfit: Least, first and greatest misfit floor, as fractions of the median rho.
    """

    least_inliers: int = 50
    least_inlier_ratio: float = 0.5
    most_condition: float = 1e4
    least_spread: float = 0.25
    least_quadrants: int = 2
    misfit: tuple[float, float, float] = (0.005, 0.05, 0.10)


DEFAULT_RULES = FitRules()
MOST_SAMPLES = 600
"""References that a fit looks at."""


def fit_least_squares(samples: Samples, sigma_model: float) -> ScaleFit:
    """Return the weighted least-squares scale and shift, without any check or robustness.

    theta = (A^T W A)^-1 A^T W rho with w = 1 / (sigma_m^2 + sigma_rho^2), and
    Cov = r^T W r / (n - 2) (A^T W A)^-1.

    Args:
        samples: At least three samples with different outputs.
        sigma_model: Misfit of the network [1/m].
    """
    weight = 1.0 / (np.square(samples.sigma_rho) + sigma_model**2)
    s, t = weighted_line(samples.o, samples.rho, weight)
    everything = np.ones(samples.o.size, np.bool_)
    line = Line(s, t, weight, everything, sigma_model)
    covariance = _noise(samples, line, 2) * np.linalg.inv(_information(samples.o, weight))
    return _result(samples, line, covariance, float(samples.o.size))


def fit_scale_shift(samples: Samples, rules: FitRules = DEFAULT_RULES) -> Outcome:
    """Return the robust scale and shift, or why it cannot be trusted.

    RANSAC on pairs, then iteratively reweighted least squares (`scale_robust`).

    Args:
        samples: References with the output at them.
        rules: When to refuse.
    """
    samples = _enough(samples)
    if samples.o.size < rules.least_inliers:
        return _too_few(samples.o.size, rules)
    if not samples.iqr_o > 0.0:
        return Rejected(Rejection.NO_OUTPUT, 'the output is flat')
    low, high = quantiles(samples.o, 0.05, 0.95)
    spread = high - low
    if spread < rules.least_spread * samples.iqr_o:
        return Rejected(
            Rejection.SMALL_SPREAD,
            f'the output spreads over {spread:.3g} at the references, over {samples.iqr_o:.3g} '
            f'in the image: at least {rules.least_spread:.0%} of it is needed',
        )
    misfit = _misfit(samples, rules)
    sigma = np.sqrt(np.square(samples.sigma_rho) + misfit.first**2)
    start = ransac_line(samples.o, samples.rho, sigma, 0.1 * samples.iqr_o)
    if start is None:
        return Rejected(Rejection.NOT_POSITIVE, 'no two references give a positive scale')
    line = reweighted(samples.o, samples.rho, samples.sigma_rho, start, misfit)
    information = _information(samples.o, line.weight)
    refusal = _refusal(samples, line, rules) or _ill_conditioned(information, rules)
    if refusal is not None:
        return refusal
    effective = effective_number(samples, line)
    widening = _noise(samples, line, 2) * int(line.inlier.sum()) / effective
    covariance = widening * np.linalg.inv(information)
    return _doubtful(line, covariance) or _result(samples, line, covariance, effective)


def _doubtful(line: Line, covariance: Square) -> Rejected | None:
    """Refuse a slope that may be none at all."""
    s_sigma = math.sqrt(float(covariance[0, 0]))
    if line.s >= s_sigma:
        return None
    return Rejected(
        Rejection.NOT_POSITIVE,
        f'the scale is {line.s:.3g} +- {s_sigma:.3g}: what the network says hardly goes with the '
        'references',
    )


def fit_scale(
    samples: Samples, t: float = 0.0, t_variance: float = 0.0, rules: FitRules = DEFAULT_RULES
) -> Outcome:
    """Return the robust scale for a known shift, s = sum w o (rho - t) / sum w o^2.

    For outputs that are metric up to a factor, and for affine ones whose references lie at
    nearly one depth. The doubt about `t` widens the covariance: ds/dt = -sum w o / sum w o^2.

    Args:
        samples: References with the output at them.
        t: Shift [1/m].
        t_variance: Its variance [1/m^2].
        rules: When to refuse; spread and condition do not matter here.
    """
    samples = _enough(samples)
    if samples.o.size < rules.least_inliers:
        return _too_few(samples.o.size, rules)
    misfit = _misfit(samples, rules)
    sigma = np.sqrt(np.square(samples.sigma_rho) + misfit.first**2)
    rho = samples.rho - t
    start = ransac_ratio(samples.o, rho, sigma)
    if start is None:
        return Rejected(Rejection.NOT_POSITIVE, 'no reference gives a positive scale')
    line = reweighted(samples.o, rho, samples.sigma_rho, (start, 0.0), misfit, through_origin=True)
    line = line._replace(t=t)
    refusal = _refusal(samples, line, rules)
    if refusal is not None:
        return refusal
    information = float(line.weight @ np.square(samples.o))
    effective = effective_number(samples, line)
    variance = _noise(samples, line, 1) * int(line.inlier.sum()) / effective / information
    slope = -float(line.weight @ samples.o) / information
    covariance = t_variance * np.array([[slope * slope, slope], [slope, 1.0]])
    covariance[0, 0] += variance
    return _result(samples, line, covariance, effective)


def median_scale(o: Values, rho: Values) -> float:
    """Return the median of rho / o over positive pairs; NaN without any. Never for affine kinds.

    The same as exp of the median of ln rho - ln o, and one over the median ratio of depths.
    """
    positive = (o > 0.0) & (rho > 0.0)
    ratio = np.log(rho[positive]) - np.log(o[positive])
    return math.exp(float(np.median(ratio))) if ratio.size else math.nan


def _enough(samples: Samples) -> Samples:
    """Return at most MOST_SAMPLES of the samples, an even share of those from everywhere.

    The errors of a network are alike from one to the next, so that more tell little.
    """
    if samples.o.size <= MOST_SAMPLES:
        return samples
    chosen = _spread_evenly(samples.o.size)
    return replace(
        samples,
        **{
            name: getattr(samples, name).take(chosen)
            for name in ('o', 'rho', 'sigma_rho', 'column', 'row')
        },
    )


@lru_cache(maxsize=16)
def _spread_evenly(count: int) -> NDArray[np.intp]:
    """Return MOST_SAMPLES indices below `count`."""
    chosen = np.linspace(0, count - 1, MOST_SAMPLES).astype(np.intp)
    chosen.setflags(write=False)
    return chosen


def _misfit(samples: Samples, rules: FitRules) -> Misfit:
    typical = middle(samples.rho)
    return Misfit(*(share * typical for share in rules.misfit))


def _too_few(count: int, rules: FitRules) -> Rejected:
    return Rejected(
        Rejection.TOO_FEW_INLIERS,
        f'{count} references agree, at least {rules.least_inliers} are needed',
    )


def _ill_conditioned(information: Square, rules: FitRules) -> Rejected | None:
    (first, cross), (_, second) = information.tolist()
    # Scaled to [1 c; c 1], whose singular values are 1 + |c| and 1 - |c|.
    square = cross * cross / (first * second) if first * second > 0.0 else 1.0
    alike = math.sqrt(min(square, 1.0))
    condition = (1.0 + alike) / (1.0 - alike) if alike < 1.0 else math.inf
    if condition <= rules.most_condition:
        return None
    return Rejected(
        Rejection.ILL_CONDITIONED,
        f'the condition number is {condition:.2g}, at most {rules.most_condition:.2g} allowed',
    )


def _refusal(samples: Samples, line: Line, rules: FitRules) -> Rejected | None:
    """Return the first rule that the line breaks."""
    inliers, offered = int(line.inlier.sum()), samples.o.size
    if inliers < rules.least_inliers:
        return _too_few(inliers, rules)
    if inliers < rules.least_inlier_ratio * offered:
        return Rejected(
            Rejection.LOW_INLIER_RATIO,
            f'{inliers} of {offered} references agree, at least '
            f'{rules.least_inlier_ratio:.0%} are needed',
        )
    if not line.s > 0.0:
        return Rejected(Rejection.NOT_POSITIVE, f'the scale is {line.s:.3g}, not positive')
    quadrant = 2 * (samples.row[line.inlier] > 0.5) + (samples.column[line.inlier] > 0.5)
    covered = int((np.bincount(quadrant, minlength=4) >= max(3.0, 0.05 * inliers)).sum())
    if covered < rules.least_quadrants:
        return Rejected(
            Rejection.ONE_SIDED,
            f'the references lie in {covered} quadrant of the image, in '
            f'{rules.least_quadrants} at least are needed',
        )
    return None


def _information(o: Values, weight: Values) -> Values:
    """Return A^T W A for A = [o 1]."""
    cross = weight @ o
    return np.array([[weight @ np.square(o), cross], [cross, weight.sum()]])


def _noise(samples: Samples, line: Line, parameters: int) -> float:
    """Return r^T W r / (n - p) over the inliers, the variance in units of the believed one."""
    residual = (samples.rho - line.s * samples.o - line.t)[line.inlier]
    believed = np.square(samples.sigma_rho[line.inlier]) + line.sigma_model**2
    count = max(residual.size - parameters, 1)
    return float(np.sum(np.square(residual) / believed)) / count


def _result(samples: Samples, line: Line, covariance: Square, effective: float) -> ScaleFit:
    o_range = quantiles(samples.o[line.inlier], 0.02, 0.98)
    return ScaleFit(
        line.s,
        line.t,
        covariance,
        samples.o.size,
        int(line.inlier.sum()),
        effective,
        line.sigma_model,
        o_range,
    )
