"""Gates: conditions on a report that make a run of CI fail.

Syntax: `[MODEL:][LABEL/]NAME[.STAT] OP VALUE`, the condition under which the gate FAILS:
`abs_rel>0.1`, `sgbm:online/bad_2_pct >= 10`, `latency_ms.p95>50`, `within_1_sigma.off>0.05`.
The label is 'online' if not given; without a model the gate holds for every model. A figure that
does not exist, or is not defined, fails its gate: no data is never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
import operator
import re
from types import MappingProxyType
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.evaluation.catalogue import metric_of
from depth_perception.evaluation.metric import Metric

STATS: Mapping[str, str] = MappingProxyType(
    {
        'value': 'the figure itself (the default)',
        'off': 'its distance from the target of the figure',
        'low': 'lower end of its 95 % interval',
        'high': 'upper end of its 95 % interval',
        'frames': 'number of frames it was measured on',
        'p50': 'median of a duration',
        'p95': '95th percentile of a duration',
        'p99': '99th percentile of a duration',
        'max': 'greatest of a duration',
    }
)
_OPERATORS = MappingProxyType(
    {'>': operator.gt, '>=': operator.ge, '<': operator.lt, '<=': operator.le}
)
_FORM = "[MODEL:][LABEL/]NAME[.STAT] OP VALUE, for example 'abs_rel>0.1' or 'latency_ms.p95>50'"
_MAX_LENGTH = 300
_REFERENCE = re.compile(r'(?:(?P<model>.+):)?(?P<key>(?:\w+/)?\w+)(?:\.(?P<stat>\w+))?')
_GATE = re.compile(r'(?P<left>[^<>]+?)\s*(?P<op>>=|<=|>|<)\s*(?P<value>[^<>=]+?)')


@dataclass(frozen=True)
class Reference:
    """Which figure is meant.

    Attributes:
        model: Id of the model; '' for every one.
        label: What was done with the truth, of LABELS.
        metric: Its entry in the catalogue.
        stat: Which number of it, of STATS.
    """

    model: str
    label: str
    metric: Metric
    stat: str

    @property
    def key(self) -> str:
        """'LABEL/NAME', as reports have it."""
        return f'{self.label}/{self.metric.name}'


@dataclass(frozen=True)
class Gate:
    """A condition under which a run fails.

    Attributes:
        text: As it was given.
        reference: The figure.
        op: '>', '>=', '<' or '<='.
        limit: The value it is compared with, in the unit of the figure.
    """

    text: str
    reference: Reference
    op: str
    limit: float

    def fails(self, value: float) -> bool:
        """Return whether a value makes the gate fail; what is not finite always does."""
        return not math.isfinite(value) or bool(_OPERATORS[self.op](value, self.limit))


@dataclass(frozen=True)
class GateResult:
    """What became of a gate for one model.

    Attributes:
        gate: The gate, as it was given.
        model: Id of the model; '' if the report has none to look at.
        value: The figure; NaN if there is none.
        failed: Whether it fails.
        reason: One sentence.
    """

    gate: str
    model: str
    value: float
    failed: bool
    reason: str

    def data(self) -> dict[str, Any]:
        """Return the result as report.json has it."""
        value = self.value if math.isfinite(self.value) else None
        return {
            'gate': self.gate,
            'model': self.model,
            'value': value,
            'failed': self.failed,
            'reason': self.reason,
        }

    def text(self) -> str:
        """Return the result as a line for the terminal."""
        who = f'{self.model}: ' if self.model else ''
        return f'{"FAILED" if self.failed else "passed"}  {self.gate}  {who}{self.reason}'


def parse_reference(text: str) -> Reference:
    """Return the figure that `[MODEL:][LABEL/]NAME[.STAT]` means.

    Raises:
        SettingsError: If it cannot be read, or names what there is not.
    """
    found = _REFERENCE.fullmatch(text.strip()) if len(text) <= _MAX_LENGTH else None
    if found is None:
        raise SettingsError(
            f'{text[:_MAX_LENGTH]!r} names no figure; wanted [MODEL:][LABEL/]NAME[.STAT]'
        )
    label, metric = metric_of(found['key'])
    stat = found['stat'] or 'value'
    _check_stat(metric, stat)
    return Reference(found['model'] or '', label, metric, stat)


def _check_stat(metric: Metric, stat: str) -> None:
    if stat not in STATS:
        raise SettingsError(
            f'.{stat} is unknown; known are {", ".join(f".{one}" for one in STATS)}'
        )
    if stat == 'off' and metric.target is None:
        raise SettingsError(f'{metric.name} has no target to be off from')
    if (stat[0] == 'p' or stat == 'max') and metric.kind != 'percentile':
        raise SettingsError(f'{metric.name} has no .{stat}, only durations do')
    if stat in ('low', 'high') and metric.kind in ('percentile', 'run'):
        raise SettingsError(f'{metric.name} has no interval, and therefore no .{stat}')


def parse_gate(text: str) -> Gate:
    """Return the gate that a text means.

    A VALUE in % is a hundredth for a share, so that `coverage<90%` is `coverage<0.9`; for a figure
    in % it changes nothing.

    Raises:
        SettingsError: If the text cannot be read, or names what there is not.
    """
    found = _GATE.fullmatch(text.strip()) if len(text) <= _MAX_LENGTH else None
    if found is None:
        raise SettingsError(f'{text[:_MAX_LENGTH]!r} is no gate; wanted {_FORM}')
    reference = parse_reference(found['left'])
    return Gate(text.strip(), reference, found['op'], _limit(found['value'], reference))


def _limit(text: str, reference: Reference) -> float:
    percent = text.endswith('%')
    try:
        value = float(text.rstrip('% '))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingsError(f'{text!r} is no number to compare {reference.metric.name} with')
    if not percent or (reference.metric.unit == '%' and reference.stat != 'frames'):
        return value
    if reference.metric.unit or reference.stat == 'frames':
        unit = 'frames' if reference.stat == 'frames' else reference.metric.unit
        raise SettingsError(f'{reference.metric.name} is in {unit}, not in %')
    return value / 100.0


def evaluate_gates(report: Mapping[str, Any], gates: Sequence[Gate]) -> list[GateResult]:
    """Return what becomes of every gate for every model that it is about.

    Args:
        report: As report.json has it; its `summary` is looked at.
        gates: As `parse_gate` returns them.
    """
    summaries = {str(part['model']): part for part in report.get('summary') or ()}
    results: list[GateResult] = []
    for gate in gates:
        wanted = gate.reference.model
        models = [wanted] if wanted else list(summaries)
        results += [_result(gate, model, summaries.get(model)) for model in models]
        if not models:
            results.append(GateResult(gate.text, '', math.nan, True, 'no data: no model'))
    return results


def _result(gate: Gate, model: str, summary: Mapping[str, Any] | None) -> GateResult:
    if summary is None:
        reason = 'no data: the report has no such model'
        return GateResult(gate.text, model, math.nan, True, reason)
    value = _value(summary, gate.reference)
    key, unit = gate.reference.key, gate.reference.metric.unit
    if not math.isfinite(value):
        return GateResult(gate.text, model, value, True, f'no data: {key} was not measured')
    stat = '' if gate.reference.stat == 'value' else f'.{gate.reference.stat}'
    unit = '' if gate.reference.stat == 'frames' else unit
    reason = f'{key}{stat} is {value:.4g} {unit}'.rstrip()
    return GateResult(gate.text, model, value, gate.fails(value), reason)


def _value(summary: Mapping[str, Any], reference: Reference) -> float:
    """Return the number that a reference means; NaN if there is none."""
    metrics = summary.get('metrics')
    found = metrics.get(reference.key) if isinstance(metrics, Mapping) else None
    if not isinstance(found, Mapping):
        return math.nan
    stat = 'value' if reference.stat == 'off' else reference.stat
    value = found.get(stat)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    if reference.stat == 'off' and reference.metric.target is not None:
        return abs(float(value) - reference.metric.target)
    return float(value)


def any_failed(results: Sequence[GateResult]) -> bool:
    """Return whether a gate failed, which makes the exit code 1."""
    return any(result.failed for result in results)
