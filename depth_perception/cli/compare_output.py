"""What `compare` says: tables for the terminal, for pull requests and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation.comparison import NOT_SHOWN, Row
from depth_perception.evaluation.gates import any_failed, GateResult
from depth_perception.evaluation.pairs import Pairs, Side
import numpy as np

SCHEMA = 'depth_perception.comparison'
VERSION = 1
_COVERAGE_GAP = 0.01
_HEADER = ('figure', 'unit', 'A', 'B', 'B - A', '95 % interval', 'frames', 'B is')
_MANY = 20  # rows among which some differ by chance


@dataclass(frozen=True)
class Outcome:
    """One comparison.

    Attributes:
        pairs: The frames.
        rows: The figures.
        remarks: What the reader has to know.
        gates: What became of --fail-if-worse.
    """

    pairs: Pairs
    rows: Sequence[Row]
    remarks: Sequence[str]
    gates: Sequence[GateResult]


def remarks(pairs: Pairs, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what has to be known to read the rows right."""
    for obstacle in pairs.obstacles:
        yield f'NOT COMPARABLE: {obstacle}'
    for name, only in (('A', pairs.only_a), ('B', pairs.only_b)):
        if only:
            places = Counter(place for place, _ in only)
            listed = ', '.join(f'{count} of {place}' for place, count in places.items())
            yield f'only {name} has {len(only)} frames, which are left out: {listed}'
    labels_a, labels_b = ({key.partition('/')[0] for key in keys} for keys in pairs.figures())
    if labels_a != labels_b:
        yield f'labels that only one side has: {", ".join(sorted(labels_a ^ labels_b))}'
    yield from _remarks_on_rows(pairs, rows)


def _remarks_on_rows(pairs: Pairs, rows: Sequence[Row]) -> Iterator[str]:
    coverage = pairs.values('online/coverage')
    coverage = coverage[:, np.isfinite(coverage[0])]
    if coverage.size:
        a, b = coverage.mean(axis=1)
        if abs(a - b) > _COVERAGE_GAP:
            yield f'coverage is {a:.3f} of A and {b:.3f} of B: other figures are of other pixels'
    if any(row.metric.group == 'speed' for row in rows):
        of_a, of_b = pairs.a.report.provenance, pairs.b.report.provenance
        names = ('cpu', 'cores', 'device', 'machine')
        if any(of_a.get(name) != of_b.get(name) for name in names):
            yield 'A and B ran on different machines: durations say nothing about the models'
    if any(row.metric.target is not None for row in rows):
        yield 'for a figure with a target, B - A is the difference of the distances from it'
    pooled = [row.key for row in rows if row.metric.kind == 'pooled']
    if pooled:
        yield f'means over frames here, in a report pooled over pixels: {", ".join(pooled)}'
    shown = sum(row.verdict != NOT_SHOWN for row in rows)
    if len(rows) >= _MANY and shown:
        yield f'of {len(rows)} figures, about {len(rows) / _MANY:.0f} differ by chance alone'


def text_of(outcome: Outcome) -> str:
    """Return a comparison for the terminal."""
    cells = [_HEADER, *map(_cells, outcome.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [*_titles(outcome.pairs), '']
    for row in cells:
        padded = [
            cell.rjust(width) if 2 <= i <= 6 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append('  '.join(padded).rstrip())
    lines += [f'note: {remark}' for remark in outcome.remarks]
    lines += [result.text() for result in outcome.gates]
    return '\n'.join(lines) + '\n'


def markdown_of(outcome: Outcome) -> str:
    """Return a comparison for a pull request."""
    lines = [*(f'{line}  ' for line in _titles(outcome.pairs)), '']
    lines += ['| ' + ' | '.join(_HEADER) + ' |', '|---|---|---:|---:|---:|---:|---:|---|']
    lines += ['| ' + ' | '.join(map(_escaped, _cells(row))) + ' |' for row in outcome.rows]
    lines += [''] if outcome.remarks or outcome.gates else []
    lines += [f'* {_escaped(remark)}' for remark in outcome.remarks]
    lines += [f'* {_escaped(result.text())}' for result in outcome.gates]
    return '\n'.join(lines) + '\n'


def _escaped(text: str) -> str:
    return text.replace('|', '\\|').replace('<', '&lt;')


def _titles(pairs: Pairs) -> list[str]:
    places = len(pairs.lengths)
    of = f'{places} cameras or bags' if places > 1 else '1 camera or bag'
    return [
        f'A: {pairs.a.model} ({pairs.a.report.name})',
        f'B: {pairs.b.model} ({pairs.b.report.name})',
        f'{pairs.count} frames in common, of {of}',
    ]


def _cells(row: Row) -> tuple[str, ...]:
    within = '-'
    if math.isfinite(row.low):
        within = f'{_number(row.low, "+")} .. {_number(row.high, "+")}'
    return (
        row.key,
        row.metric.unit or '-',
        _number(row.a),
        _number(row.b),
        _number(row.difference, '+'),
        within,
        str(row.frames),
        row.verdict,
    )


def _number(value: float, sign: str = '') -> str:
    if not math.isfinite(value):
        return '-'
    return f'{value:{sign}.4g}' if value else '0'


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write comparisons for programs.

    Raises:
        RecordingError: If the file cannot be written.
    """
    content = {
        'schema': SCHEMA,
        'version': VERSION,
        'failed': any(any_failed(outcome.gates) for outcome in outcomes),
        'comparisons': [_data(outcome) for outcome in outcomes],
    }
    try:
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    except OSError as error:
        raise RecordingError(f'cannot write {path}: {error.strerror}') from error


def _data(outcome: Outcome) -> dict[str, Any]:
    pairs = outcome.pairs
    return {
        'a': _side_data(pairs.a, pairs.only_a),
        'b': _side_data(pairs.b, pairs.only_b),
        'pairs': pairs.count,
        'remarks': list(outcome.remarks),
        'rows': [row.data() for row in outcome.rows],
        'gates': [result.data() for result in outcome.gates],
    }


def _side_data(side: Side, only: Sequence[tuple[str, int]]) -> dict[str, Any]:
    frames = [{'place': place, 'stamp_ns': stamp_ns} for place, stamp_ns in only]
    return {'report': side.report.name, 'model': side.model, 'only_here': frames}
