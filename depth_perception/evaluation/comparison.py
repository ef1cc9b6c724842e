"""Compare two models, or two versions of one, on the frames that both were evaluated on.

Convention:
    A frame is the same frame if the bag has the same hash, and camera and stamp are equal. What
    is compared is B against A; a difference counts as shown where the 95 % interval of the paired
    difference (bootstrap.py) does not hold 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.evaluation.bootstrap import ends, mean_distributions, paired_interval
from depth_perception.evaluation.catalogue import LABELS, METRICS
from depth_perception.evaluation.gates import parse_reference
from depth_perception.evaluation.metric import Metric
from depth_perception.evaluation.pairs import Pairs, Side
import numpy as np
from numpy.typing import NDArray

BETTER, WORSE, NOT_SHOWN = 'better', 'worse', 'no difference shown'
ALL = 'all'
HEADLINES = (
    'abs_rel',
    'rmse_m',
    'silog',
    'delta1',
    'coverage',
    'epe_px',
    'bad_2_pct',
    'd1_pct',
    'density_pct',
    'within_1_sigma',
    'ause_abs_rel',
    'nll_gauss_log',
    'boundary_f1',
    'tae_pct',
    'f_score_5cm',
    'latency_ms',
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One figure of A and B.

    Attributes:
        key: 'LABEL/NAME', with '.p95' and the like for another percentile than the median.
        metric: Its entry in the catalogue.
        a, b: The figure over the frames that both have.
        difference: b - a; for a figure with a target the difference of the distances from it.
        low, high: 95 % interval of the difference; NaN with fewer than two frames.
        frames: Frames on which both have the figure.
        verdict: 'better' or 'worse' of B, or 'no difference shown'.
    """

    key: str
    metric: Metric
    a: float
    b: float
    difference: float
    low: float
    high: float
    frames: int
    verdict: str

    @property
    def cost(self) -> tuple[float, float]:
        """How much worse B is: the difference, and the least that its interval holds.

        In the unit of the figure, positive is worse. The second number is the first one where
        there is no interval.
        """
        sign = -1.0 if self.metric.better == 'higher' else 1.0
        least = -self.high if sign < 0.0 else self.low
        return sign * self.difference, (least if math.isfinite(least) else sign * self.difference)

    def data(self) -> dict[str, Any]:
        """Return the row for JSON, None where a number is not finite."""
        numbers = {
            name: _finite(getattr(self, name)) for name in ('a', 'b', 'difference', 'low', 'high')
        }
        return {
            'metric': self.key,
            'unit': self.metric.unit,
            'better': self.metric.better,
            'target': self.metric.target,
            **numbers,
            'frames': self.frames,
            'verdict': self.verdict,
        }


@dataclass(frozen=True)
class Wanted:
    """A figure to compare: its key in the report, and which statistic over the frames.

    Attributes:
        key: 'LABEL/NAME'.
        metric: Its entry in the catalogue.
        stat: 'value', or 'p50', 'p95', 'p99', 'max' of a duration.
    """

    key: str
    metric: Metric
    stat: str = 'value'

    @property
    def name(self) -> str:
        """The key with the statistic, as gates have it."""
        return self.key if self.stat in ('value', 'off') else f'{self.key}.{self.stat}'

    @property
    def percentile(self) -> float | None:
        """0..100; None for a mean."""
        if self.metric.kind != 'percentile':
            return None
        return {'max': 100.0, 'value': 50.0}.get(self.stat) or float(self.stat[1:])


def wanted_of(text: str) -> Wanted:
    """Return the figure that `[LABEL/]NAME[.STAT]` means.

    Raises:
        SettingsError: If there is none such, or it does not exist frame by frame.
    """
    reference = parse_reference(text)
    if reference.model:
        raise SettingsError(f'{text!r}: the models are chosen by --model, not here')
    if reference.stat in ('low', 'high', 'frames'):
        raise SettingsError(f'{text!r}: .{reference.stat} cannot be compared')
    if reference.metric.kind == 'run':
        raise SettingsError(f'{reference.metric.name} is of whole runs, and has no frames to pair')
    return Wanted(reference.key, reference.metric, reference.stat)


def choose(pairs: Pairs, names: Sequence[str]) -> list[Wanted]:
    """Return the figures to compare.

    Args:
        pairs: The frames.
        names: What `wanted_of` reads; 'all' for all there are; the headlines if empty.

    Raises:
        SettingsError: If a figure that is named is unknown, or one side does not have it.
    """
    in_a, in_b = pairs.figures()
    chosen: dict[str, Wanted] = {}
    for name in names:
        if name != ALL:
            wanted = wanted_of(name)
            for side, keys in ((pairs.a, in_a), (pairs.b, in_b)):
                if wanted.key not in keys:
                    raise SettingsError(_lacking(side, wanted.key, keys))
            chosen[wanted.name] = wanted
    if not names or ALL in names:
        for label in LABELS:
            for name in METRICS if names else HEADLINES:
                key = f'{label}/{name}'
                if key in in_a and key in in_b:
                    chosen.setdefault(key, Wanted(key, METRICS[name]))
    return list(chosen.values())


def _lacking(side: Side, key: str, keys: Iterable[str]) -> str:
    label = key.partition('/')[0]
    labels = sorted({one.partition('/')[0] for one in keys})
    hint = '' if label in labels else f'; its labels are {", ".join(labels) or "none"}'
    return f'{side.model} of {side.report.name} has no {key}{hint}'


def compare(pairs: Pairs, wanted: Sequence[Wanted]) -> list[Row]:
    """Return the figures of A and B over the frames that both have, with their difference."""
    means = [one for one in wanted if one.percentile is None]
    values = {one.key: pairs.values(one.key) for one in wanted}
    drawn = _mean_differences([(one.metric, values[one.key]) for one in means], pairs.lengths)
    intervals = {one.name: ends(part) for one, part in zip(means, drawn, strict=True)}
    return [_row(one, values[one.key], pairs.lengths, intervals) for one in wanted]


def _mean_differences(
    figures: Sequence[tuple[Metric, Floats]], runs: Sequence[int]
) -> list[Floats]:
    """Return the difference of the means, or of their distances from a target, by resample."""
    if not figures:
        return []
    columns = np.concatenate([values for _, values in figures])
    means = mean_distributions(columns, runs)
    found = []
    for i, (metric, values) in enumerate(figures):
        enough = int(np.isfinite(values[0]).sum()) >= 2
        a, b = means[:, 2 * i], means[:, 2 * i + 1]
        found.append(_off(metric, b) - _off(metric, a) if enough else np.zeros(0))
    return found


def _off(metric: Metric, values: Any) -> Any:
    """Return values, or their distances from the target where there is one."""
    return values if metric.target is None else np.abs(values - metric.target)


def _row(
    wanted: Wanted,
    values: Floats,
    runs: Sequence[int],
    intervals: Mapping[str, tuple[float, float]],
) -> Row:
    metric, percentile = wanted.metric, wanted.percentile
    both = values[:, np.isfinite(values[0])]
    a = b = math.nan
    if percentile is None:
        low, high = intervals[wanted.name]
        if both.size:
            a, b = (float(side.mean()) for side in both)
    else:
        parts = np.split(values, np.cumsum(runs)[:-1], axis=1)
        statistic = _percentile_of(percentile)
        low, high = paired_interval([p[0] for p in parts], [p[1] for p in parts], statistic)
        if both.size:
            a, b = (float(statistic(side, axis=-1)) for side in both)
    difference = float(_off(metric, b) - _off(metric, a))
    verdict = _verdict(metric, low, high)
    return Row(wanted.name, metric, a, b, difference, low, high, both.shape[1], verdict)


def _percentile_of(percentile: float) -> Callable[..., Any]:
    def statistic(values: Floats, axis: int) -> Any:
        return np.percentile(values, percentile, axis=axis)

    return statistic


def _verdict(metric: Metric, low: float, high: float) -> str:
    if not (low > 0.0 or high < 0.0):  # also if there is no interval
        return NOT_SHOWN
    return BETTER if (low > 0.0) == (metric.better == 'higher') else WORSE


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
