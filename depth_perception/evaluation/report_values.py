"""What the page and the table for pull requests take from a report: models, labels, figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

from depth_perception.evaluation.catalogue import GROUPS, LABELS, METRICS
from depth_perception.evaluation.comparison import HEADLINES
from depth_perception.evaluation.metric import Metric
from depth_perception.evaluation.report_svg import number

MISSING = '-'
ONLINE = 'online'
MAIN = frozenset(
    {
        *HEADLINES,
        'median_rel',
        'mae_m',
        'valid_share',
        'obstacle_range_error_m',
        'within_2_sigma',
        'spread',
        'ence',
        'scale',
        'scale_jitter',
        'flicker',
        'plane_rms_m',
        'network_ms',
        'drop_rate',
        'live_drop_rate',
    }
)
"""The figures that are shown first; the others are folded away."""


@dataclass(frozen=True)
class Summary:
    """The figures of one model over all its frames.

    Attributes:
        model: Its id.
        frames: Number of frames with depth.
        metrics: 'LABEL/NAME' to value, interval or percentiles, frames.
        sums: 'LABEL/NAME' to a vector.
    """

    model: str
    frames: int
    metrics: Mapping[str, Any]
    sums: Mapping[str, Any]

    def entry(self, key: str) -> Mapping[str, Any]:
        """Return what the report says of a figure; empty if nothing."""
        found = self.metrics.get(key)
        return found if isinstance(found, Mapping) else {}

    def value(self, key: str) -> float:
        """Return a figure, NaN where there is none."""
        return number(self.entry(key).get('value'))

    def judged(self, label: str) -> int:
        """Return the number of frames that most figures of a label were measured on."""
        counts = Counter(
            int(entry.get('frames') or 0)
            for key in self.metrics
            if key.startswith(f'{label}/')
            and (entry := self.entry(key)).get('kind') in ('mean', 'pooled')
            and entry.get('frames')
        )
        return counts.most_common(1)[0][0] if counts else self.frames

    def sums_of(self, label: str) -> dict[str, Any]:
        """Return the vectors of a label by name."""
        prefix = f'{label}/'
        return {k[len(prefix) :]: v for k, v in self.sums.items() if k.startswith(prefix)}


def mappings(report: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the entries of a list of the report; empty if there is none."""
    found = report.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def mapping(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an entry of the report that holds names; empty if there is none."""
    found = report.get(name)
    return found if isinstance(found, Mapping) else {}


def summaries_of(report: Mapping[str, Any]) -> list[Summary]:
    """Return the summaries of the models, in the order of the report."""
    return [
        Summary(
            str(part.get('model')),
            int(part.get('frames') or 0),
            mapping(part, 'metrics'),
            mapping(part, 'sums'),
        )
        for part in mappings(report, 'summary')
    ]


def labels_of(summaries: Sequence[Summary]) -> list[str]:
    """Return the labels that have figures, 'online' first."""
    there = {key.partition('/')[0] for summary in summaries for key in summary.metrics}
    return [label for label in LABELS if label in there] + sorted(there - set(LABELS))


def metric_named(name: str) -> Metric:
    """Return the metric of a name; one that only has a name if the catalogue lacks it."""
    return METRICS.get(name) or Metric(name, name, '', 'other', '', 'not in the catalogue')


def figures_of(summaries: Sequence[Summary], label: str) -> list[Metric]:
    """Return the metrics that a model has under a label, in the order of the catalogue."""
    names = {
        key.partition('/')[2]
        for summary in summaries
        for key in summary.metrics
        if key.startswith(f'{label}/') and math.isfinite(summary.value(key))
    }
    known = [metric for name, metric in METRICS.items() if name in names]
    return known + [metric_named(name) for name in sorted(names - set(METRICS))]


def group_title(group: str) -> str:
    """Return the title of a group of metrics."""
    return GROUPS.get(group, 'Other figures')


def best_of(metric: Metric, values: Sequence[float]) -> set[int]:
    """Return the places of the best values; none if fewer than two differ."""
    costs = {i: cost_of(metric, value) for i, value in enumerate(values) if math.isfinite(value)}
    if len(set(costs.values())) < 2 or metric.better not in ('lower', 'higher', 'target'):
        return set()
    least = min(costs.values())
    return {i for i, cost in costs.items() if cost == least}


def cost_of(metric: Metric, value: float) -> float:
    """Return a number that is the smaller the better."""
    if metric.better == 'target' and metric.target is not None:
        return abs(value - metric.target)
    return -value if metric.better == 'higher' else value


def goal(metric: Metric) -> str:
    """Return which way is better, in words."""
    if metric.better == 'target' and metric.target is not None:
        return f'ideal {metric.target:g}'
    return {'lower': 'lower is better', 'higher': 'higher is better'}.get(metric.better, '')


def text_of(value: object, unit: str = '', digits: int = 4) -> str:
    """Return a number with its digits and its unit; '-' where there is none."""
    found = number(value)
    if not math.isfinite(found):
        return MISSING
    plain = found == 0.0 or 1e-4 <= abs(found) < 1e6
    text = f'{found:.{digits}g}' if plain else f'{found:.3e}'
    if plain and 'e' in text:
        text = f'{found:.0f}'
    return f'{text} {unit}'.strip()


def share_text(value: float) -> str:
    """Return a share of 0..1 in per cent."""
    return f'{100.0 * value:.3g} %' if math.isfinite(value) else MISSING


def beside(entry: Mapping[str, Any], unit: str) -> str:
    """Return what stands beside a figure: its 95 % interval, or the other percentiles."""
    if entry.get('kind') == 'percentile':
        parts = [f'{name} {text_of(entry.get(name))}' for name in ('p95', 'p99')]
        return ', '.join(parts) + (f' {unit}' if unit else '')
    low, high = number(entry.get('low')), number(entry.get('high'))
    if not (math.isfinite(low) and math.isfinite(high)):
        return ''
    return f'{text_of(low)} to {text_of(high)}'


def failures_of(report: Mapping[str, Any]) -> list[str]:
    """Return which bags and runs gave nothing, or only a part."""
    found = [
        f'{bag.get("name")} could not be evaluated: {bag["error"]}'
        for bag in mappings(report, 'bags')
        if bag.get('error')
    ]
    for run in mappings(report, 'runs'):
        if run.get('status') not in ('complete', None):
            place = f'{run.get("model")} on {run.get("bag")} {run.get("camera")}'
            found.append(f'{place}: {run.get("status")}, {run.get("error") or "interrupted"}')
    return list(dict.fromkeys(found))


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """Return what must be known of bags and runs, each with where it belongs."""
    found: list[str] = []
    for bag in mappings(report, 'bags'):
        found += [f'{bag.get("name")}: {text}' for text in bag.get('warnings') or ()]
    for run in mappings(report, 'runs'):
        place = f'{run.get("model")} on {run.get("bag")} {run.get("camera")}'
        found += [f'{place}: {text}' for text in run.get('warnings') or ()]
    return list(dict.fromkeys(found))
