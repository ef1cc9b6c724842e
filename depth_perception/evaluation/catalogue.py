"""What every figure of an evaluation means: its name, unit, direction, and how it is averaged.

A figure is written `LABEL/NAME`: the label says what was done with the truth before measuring
(`LABELS`), the name says what was measured (`METRICS`). No figure exists without its label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import difflib
import math
from types import MappingProxyType

from depth_perception.errors import SettingsError
from depth_perception.evaluation.catalogue_data import METRIC_ROWS
from depth_perception.evaluation.metric import Metric

DEFAULT_LABEL = 'online'

METRICS: Mapping[str, Metric] = MappingProxyType({row.name: row for row in METRIC_ROWS})

LABELS: Mapping[str, str] = MappingProxyType(
    {
        'online': (
            'as published, not scaled to the truth: what a robot gets, unless its references are '
            'the truth'
        ),
        'median': 'each image multiplied by median(truth) / median(depth)',
        'lsq_disp': (
            'scale and shift of each image fitted to the truth by least squares in inverse depth '
            '(MiDaS)'
        ),
        'lsq_depth': (
            'scale and shift of each image fitted to the truth by least squares in depth '
            '(Marigold)'
        ),
        'scale_l1': (
            'each image multiplied by the scale with the least sum of |s y - g| / g (MoGe)'
        ),
        'lsq_disp_video': (
            'one scale and shift for all images of a run, by least squares in inverse depth '
            '(DepthCrafter, Video Depth Anything)'
        ),
    }
)

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        'depth': 'Depth',
        'range': 'Range of obstacles',
        'disparity': 'Disparity',
        'sigma': 'Honesty of sigma',
        'structure': 'Structure',
        'time': 'Stability over time',
        'cloud': 'Clouds',
        'speed': 'Speed',
    }
)


def metric_named(name: str) -> Metric:
    """Return the metric of a name without its label.

    Raises:
        SettingsError: If there is no such metric; the message names close ones.
    """
    if name not in METRICS:
        raise SettingsError(f'unknown metric {name!r}{_close(name, METRICS)}')
    return METRICS[name]


def metric_of(key: str) -> tuple[str, Metric]:
    """Return (label, metric) of a key 'LABEL/NAME'; without a label it is 'online'.

    Raises:
        SettingsError: If the label or the name is unknown; the message names close ones.
    """
    label, slash, name = key.partition('/')
    if not slash:
        label, name = DEFAULT_LABEL, key
    if label not in LABELS:
        raise SettingsError(f'{key!r}: unknown label {label!r}; labels are {", ".join(LABELS)}')
    return label, metric_named(name)


def _close(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...' with the names most like the one given."""
    close = difflib.get_close_matches(name.lower(), list(known), n=4, cutoff=0.5)
    return f'; did you mean {", ".join(close)}?' if close else '; see docs/evaluation.md'


def pooled_value(metric: Metric, sums: Sequence[float]) -> float:
    """Return the value of a pooled metric from its vector, summed over all frames or runs.

    Args:
        metric: A metric of the kind 'pooled'.
        sums: The vector `metric.sums`: (numerator, denominator).

    Returns:
        factor * numerator / denominator; NaN if nothing was counted.

    Raises:
        SettingsError: If the metric is not pooled, or the vector is not two numbers.
    """
    if metric.kind != 'pooled':
        raise SettingsError(f'{metric.name} is no pooled metric but a {metric.kind}')
    if len(sums) != 2:
        raise SettingsError(f'{metric.sums} holds {len(sums)} numbers; wanted 2')
    numerator, denominator = float(sums[0]), float(sums[1])
    if not denominator > 0.0:
        return math.nan
    return metric.factor * numerator / denominator


def catalogue_markdown() -> str:
    """Return the tables of labels and metrics of docs/evaluation.md."""
    lines = ['| label | what was done with the truth before measuring |', '|---|---|']
    lines += [f'| `{label}` | {_cell(text)} |' for label, text in LABELS.items()]
    for group, title in GROUPS.items():
        lines += ['', f'### {title}', '']
        lines += ['| name | title | unit | better | over frames | definition |']
        lines += ['|---|---|---|---|---|---|']
        lines += [_row(metric) for metric in METRICS.values() if metric.group == group]
    return '\n'.join(lines) + '\n'


def _row(metric: Metric) -> str:
    better = metric.better if metric.target is None else f'{metric.target:g}'
    return (
        f'| `{metric.name}` | {metric.title} | {metric.unit or "-"} | {better} | {metric.kind} '
        f'| {_cell(metric.definition)} |'
    )


def _cell(text: str) -> str:
    return text.replace('|', '\\|')
