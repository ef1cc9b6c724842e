"""The report of an evaluation as a table for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import math
import re
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.evaluation.comparison import HEADLINES
from depth_perception.evaluation.metric import Metric
from depth_perception.evaluation.report_reader import NOT_INDEPENDENT
from depth_perception.evaluation.report_values import (
    beside,
    best_of,
    cost_of,
    failures_of,
    figures_of,
    labels_of,
    mappings,
    summaries_of,
    Summary,
    text_of,
    warnings_of,
)

MOST_WARNINGS = 10
_SPECIAL = re.compile(r'[&<>\\`*_\[\]|#~@!]|(?<=:)/|\.(?=\S)')  # the last two: no links


def markdown_of(report: Mapping[str, Any], baseline: str = '') -> str:
    """Return the main figures of the models as a table, with gates and warnings below.

    Args:
        report: As report.json has it.
        baseline: Id of the model that the others are compared with; none if empty.

    Raises:
        SettingsError: If the report has no such model.
    """
    summaries = summaries_of(report)
    if baseline and baseline not in {summary.model for summary in summaries}:
        raise SettingsError(f'the report has no model {baseline!r} to compare with')
    runs, bags = mappings(report, 'runs'), mappings(report, 'bags')
    warnings = warnings_of(report)
    frames = sum(summary.frames for summary in summaries)
    lines = [
        f'### Depth evaluation: {_many(len(summaries), "model")}, {_many(len(bags), "bag")}, '
        f'{_many(len(runs), "run")}, {_many(frames, "frame")}',
        '',
        *_table(summaries, baseline, independent=not any(NOT_INDEPENDENT in w for w in warnings)),
        *_gates(mappings(report, 'gates')),
        *(f'\n**{escaped(text)}**' for text in warnings if NOT_INDEPENDENT in text),
        *_warnings([*failures_of(report), *(w for w in warnings if NOT_INDEPENDENT not in w)]),
    ]
    return '\n'.join(lines).rstrip('\n') + '\n'


def _many(count: int, what: str) -> str:
    return f'{count} {what}' if count == 1 else f'{count} {what}s'


def escaped(text: object) -> str:
    """Return text of unknown origin on one line, so that nothing in it is markup or a mention."""
    plain = ' '.join(str(text).split())
    return _SPECIAL.sub(lambda found: f'&#{ord(found[0])};', plain)


def _table(summaries: Sequence[Summary], baseline: str, *, independent: bool) -> Iterator[str]:
    rows = [
        (label, metric)
        for label in labels_of(summaries)
        for metric in figures_of(summaries, label)
        if metric.name in HEADLINES
    ]
    if not rows:
        yield 'No figure could be measured.'
        return
    names = [escaped(s.model) + (' (baseline)' if s.model == baseline else '') for s in summaries]
    yield f'| figure | {" | ".join(names)} |'
    yield '|---|' + '---:|' * len(names)
    for label, metric in rows:
        cells = [_name(label, metric), *_cells(summaries, label, metric, baseline)]
        yield f'| {" | ".join(cells)} |'
    yield ''
    helped = (
        'without any help of the truth'
        if independent
        else 'but models may have their scale from the truth: it is NOT what a robot gets'
    )
    yield (
        f'`online` is depth as published, {helped}; other labels scale it to the truth first. '
        'Bold is best. Beside means: 95 % interval.'
    )


def _name(label: str, metric: Metric) -> str:
    unit = f' [{metric.unit}]' if metric.unit else ''
    arrow = {'lower': '&darr;', 'higher': '&uarr;'}.get(metric.better)
    aim = arrow or (f'&rarr; {metric.target:g}' if metric.target is not None else '')
    return f'`{label}/{metric.name}`{unit} {aim}'.strip()


def _cells(
    summaries: Sequence[Summary], label: str, metric: Metric, baseline: str
) -> Iterator[str]:
    key = f'{label}/{metric.name}'
    values = [summary.value(key) for summary in summaries]
    best = best_of(metric, values)
    reference = next((s.value(key) for s in summaries if s.model == baseline), math.nan)
    for place, (summary, value) in enumerate(zip(summaries, values, strict=True)):
        text = f'**{text_of(value)}**' if place in best else text_of(value)
        remark = beside(summary.entry(key), '') if math.isfinite(value) else ''
        if remark:
            text += f' ({remark})'
        if summary.model != baseline and math.isfinite(value) and math.isfinite(reference):
            text += f'<br>{_delta(metric, value, reference)}'
        yield text


def _delta(metric: Metric, value: float, reference: float) -> str:
    change = value - reference
    cost = cost_of(metric, value) - cost_of(metric, reference)
    verdict = 'same' if cost == 0.0 else 'better' if cost < 0.0 else 'worse'
    share = f' ({100.0 * change / abs(reference):+.1f} %)' if reference else ''
    return f'{change:+.3g}{share} {verdict}'


def _gates(gates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not gates:
        return
    failed = [gate for gate in gates if gate.get('failed')]
    yield ''
    yield (
        f'**Gates: {len(failed)} of {len(gates)} failed**'
        if failed
        else (f'**Gates: all {len(gates)} passed**')
    )
    yield ''
    for gate in sorted(gates, key=lambda gate: not gate.get('failed')):
        result = '**FAILED**' if gate.get('failed') else 'passed'
        who = f'{escaped(gate["model"])}: ' if gate.get('model') else ''
        yield f'* {result} {escaped(gate.get("gate"))}: {who}{escaped(gate.get("reason") or "")}'


def _warnings(warnings: Sequence[str]) -> Iterator[str]:
    if not warnings:
        return
    yield ''
    yield f'<details><summary>{_many(len(warnings), "warning")}</summary>'
    yield ''
    for text in warnings[:MOST_WARNINGS]:
        yield f'* {escaped(text)}'
    if len(warnings) > MOST_WARNINGS:
        yield f'* and {len(warnings) - MOST_WARNINGS} more, see report.html'
    yield ''
    yield '</details>'
