"""The report of an evaluation as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
import math
from typing import Any

from depth_perception.evaluation import page, report_charts
from depth_perception.evaluation.page import Tile
from depth_perception.evaluation.report_charts import Track
from depth_perception.evaluation.report_frames import frames_to_look_at
from depth_perception.evaluation.report_ranges import range_table
from depth_perception.evaluation.report_reader import NOT_INDEPENDENT
from depth_perception.evaluation.report_style import REPORT_STYLE
from depth_perception.evaluation.report_tables import (
    definitions,
    gates_table,
    label_text,
    provenance,
    run_facts,
    side_by_side,
)
from depth_perception.evaluation.report_values import (
    beside,
    best_of,
    failures_of,
    labels_of,
    mapping,
    mappings,
    metric_named,
    ONLINE,
    share_text,
    summaries_of,
    Summary,
    text_of,
    warnings_of,
)

MOST_NOTES = 6
MOST_TIMELINES = 12
SUBTITLE = (
    'Recordings, replayed through the estimator that the node runs, compared with their ground '
    'truth.'
)
TABLE_TEXT = (
    'Means over the frames with their 95 % bootstrap interval below; D1 is pooled over pixels, '
    'durations are medians. The best model of a row is marked. Errors are of the pixels that have '
    'a depth, so read them beside the coverage. Figures with different labels do not compare.'
)
_HEADLINES = (
    'abs_rel',
    'delta1',
    'bad_2_pct',
    'coverage',
    'within_1_sigma',
    'latency_ms',
)
_SHARES = frozenset({'abs_rel', 'delta1', 'coverage', 'within_1_sigma'})


def html_of(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the page; it loads nothing, runs no script, and all its texts are escaped.

    Args:
        report: As report.json has it.
        pictures: Name of a file, as in 'pictures' of the runs, to JPEG; missing ones are left out.
    """
    summaries = summaries_of(report)
    sections = [
        ('gates', 'Gates', _gates(report)),
        ('models', 'Models side by side' if len(summaries) > 1 else 'Figures', _models(summaries)),
        ('range', 'Where it is right', _accuracy(report, summaries)),
        ('sigma', 'Can the error bar be trusted?', _sigma(summaries)),
        ('frames', 'Frames to look at', frames_to_look_at(report, pictures)),
        ('time', 'Over time', _time(report)),
        ('speed', 'Speed', _speed(report, summaries)),
        ('runs', 'Runs', _runs(report)),
        ('made', 'How this was made', provenance(report)),
        ('words', 'What the figures mean', definitions(summaries)),
    ]
    there = [(name, title, text) for name, title, text in sections if text]
    links = ''.join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in there)
    parts = [
        *_notes(report),
        _headline(summaries),
        f'<nav aria-label="parts of this page">{links}</nav>',
        *(f'<div id="{name}">{page.section(title, text)}</div>' for name, title, text in there),
    ]
    return page.document(_title(report, summaries), SUBTITLE, parts, REPORT_STYLE)


def _title(report: Mapping[str, Any], summaries: Sequence[Summary]) -> str:
    bags = [str(bag.get('name')) for bag in mappings(report, 'bags')]
    models = [summary.model for summary in summaries]
    who = ', '.join(models) if len(', '.join(models)) <= 60 else f'{len(models)} models'
    where = ', '.join(bags) if len(', '.join(bags)) <= 60 else f'{len(bags)} bags'
    return f'Depth of {who or "no model"} on {where or "no bag"}'


def _notes(report: Mapping[str, Any]) -> Iterator[str]:
    gates = mappings(report, 'gates')
    failed = [gate for gate in gates if gate.get('failed')]
    if failed:
        yield page.note(f'{len(failed)} of {len(gates)} gates failed.')
    failures = failures_of(report)
    yield from (page.note(text) for text in failures[:MOST_NOTES])
    warnings = warnings_of(report)
    yield from (page.note(text) for text in warnings if NOT_INDEPENDENT in text)
    told = [*failures[MOST_NOTES:], *(text for text in warnings if NOT_INDEPENDENT not in text)]
    if told:
        items = ''.join(f'<li>{escape(text)}</li>' for text in told)
        title = '1 warning' if len(told) == 1 else f'{len(told)} warnings'
        yield page.details(title, f'<ul>{items}</ul>')


def _headline(summaries: Sequence[Summary]) -> str:
    """Return tiles of what is published: of the only model, or of the best one for each figure."""
    items = [tile for name in _HEADLINES if (tile := _tile(summaries, name)) is not None]
    if not items:
        return ''
    one = f'As published (online), {summaries[0].frames} frames'
    lead = one if len(summaries) == 1 else 'The best model of each figure, as published (online)'
    return page.section('At a glance', page.tiles(lead, items))


def _tile(summaries: Sequence[Summary], name: str) -> Tile | None:
    metric, key = metric_named(name), f'{ONLINE}/{name}'
    values = [summary.value(key) for summary in summaries]
    known = [i for i, value in enumerate(values) if math.isfinite(value)]
    if not known:
        return None
    best = min(best_of(metric, values) or known)
    value = values[best]
    remark = summaries[best].model if len(summaries) > 1 else _remark(summaries[best], name)
    if len(known) > 1 and not best_of(metric, values):
        remark = f'{len(known)} models alike'
    shown = share_text(value) if name in _SHARES else text_of(value, metric.unit, digits=3)
    return Tile(shown, metric.title, remark)


def _remark(summary: Summary, name: str) -> str:
    metric, entry = metric_named(name), summary.entry(f'{ONLINE}/{name}')
    if metric.target is not None:
        ideal = share_text(metric.target) if name in _SHARES else f'{metric.target:g}'
        return f'ideal {ideal}'
    text = beside(entry, metric.unit)
    if name in _SHARES and text:
        low, high = (share_text(float(entry[end])) for end in ('low', 'high'))
        text = f'{low} to {high}'
    return text


def _gates(report: Mapping[str, Any]) -> str:
    gates = mappings(report, 'gates')
    return gates_table(gates) if gates else ''


def _models(summaries: Sequence[Summary]) -> str:
    parts = [
        f'<h3><span class="chip">{escape(label)}</span></h3>'
        f'{page.paragraph(label_text(label))}{side_by_side(summaries, label)}'
        for label in labels_of(summaries)
    ]
    if not parts:
        return page.paragraph('No figure could be measured.')
    return page.paragraph(TABLE_TEXT) + _unequal(summaries) + ''.join(parts)


def _unequal(summaries: Sequence[Summary]) -> str:
    """Return a note where the models were not measured on as many frames."""
    counts = {summary.model: summary.frames for summary in summaries}
    if len(set(counts.values())) < 2:
        return ''
    listed = ', '.join(f'{count} of {model}' for model, count in counts.items())
    return page.note(
        f'The models were not measured on the same frames ({listed}): some rows compare different '
        'scenes. The verb compare takes only the frames that both models have.'
    )


def _charts(*charts: str) -> str:
    there = [one for one in charts if one]
    return f'<div class="charts">{"".join(there)}</div>' if there else ''


def _accuracy(report: Mapping[str, Any], summaries: Sequence[Summary]) -> str:
    edges = [
        float(edge)
        for edge in mapping(report, 'options').get('range_edges_m') or ()
        if isinstance(edge, int | float) and math.isfinite(edge)
    ]
    parts: list[str] = []
    for label in labels_of(summaries):
        series = [(summary.model, summary.sums_of(label)) for summary in summaries]
        figures = [
            (s.model, {name: s.entry(f'{label}/{name}') for name in ('abs_rel', 'coverage')})
            for s in summaries
        ]
        charts = _charts(
            report_charts.error_by_range(series, edges),
            report_charts.coverage_by_range(series, edges) if label == ONLINE else '',
            report_charts.trade_off(figures),
        )
        if charts:
            head = f'<h3><span class="chip">{escape(label)}</span></h3>'
            table = range_table(series, edges)
            if table:
                charts += page.details(f'figures by range with the label {label}', table)
            folded = page.details(f'the same charts with the label {label}', head, charts)
            parts.append(head + charts if label == ONLINE or not parts else folded)
    return ''.join(parts)


def _sigma(summaries: Sequence[Summary]) -> str:
    """Return the charts of sigma, for the figures as published or else for the first label."""
    label = next(iter(labels_of(summaries)), ONLINE)
    series = [(summary.model, summary.sums_of(label)) for summary in summaries]
    honest = _charts(report_charts.reliability(series), report_charts.calibration(series))
    ranked = _charts(*report_charts.sparsification(series))
    if not honest and not ranked:
        return ''
    text = (
        'Sigma is one standard deviation. It is honest if the errors are as large as it says '
        '(reliability, calibration), and useful if it is large where the error is '
        '(sparsification: pixels are removed in the order of sigma, and the error of the rest '
        'should fall as fast as if the true errors were known).'
    )
    title = '<h4>Sparsification</h4>' if ranked else ''
    chip = f'<h3><span class="chip">{escape(label)}</span></h3>'
    return page.paragraph(text) + chip + honest + title + ranked


def _places(report: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Mapping[str, Any]]]:
    """Return (bag, camera) to the run of each model."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for run in mappings(report, 'runs'):
        place = (str(run.get('bag')), str(run.get('camera')))
        found.setdefault(place, {})[str(run.get('model'))] = run
    return found


def _time(report: Mapping[str, Any]) -> str:
    models = [summary.model for summary in summaries_of(report)]
    parts = []
    for place, runs in _places(report).items():
        charts = _charts(
            report_charts.over_time(
                'Error over time',
                'online/abs_rel of every frame; gaps are frames without truth',
                'AbsRel',
                _tracks(models, runs, f'{ONLINE}/abs_rel'),
            ),
            report_charts.over_time(
                'Scale over time',
                'online/scale: median of the truth over median of the depth; a metric model is 1',
                'scale',
                _tracks(models, runs, f'{ONLINE}/scale'),
                1.0,
            ),
        )
        if charts:
            parts.append(f'<h3>{escape(" ".join(place))}</h3>{charts}')
    shown, rest = parts[:MOST_TIMELINES], len(parts) - MOST_TIMELINES
    if rest > 0:
        shown.append(page.paragraph(f'{rest} more cameras or bags are in report.json.'))
    return ''.join(shown)


def _tracks(models: Sequence[str], runs: Mapping[str, Mapping[str, Any]], key: str) -> list[Track]:
    return [
        Track(
            model,
            runs.get(model, {}).get('stamps_ns') or [],
            mapping(runs.get(model, {}), 'columns').get(key) or [],
        )
        for model in models
    ]


def _speed(report: Mapping[str, Any], summaries: Sequence[Summary]) -> str:
    key = f'{ONLINE}/latency_ms'
    series = [
        (
            summary.model,
            [
                value
                for run in mappings(report, 'runs')
                if run.get('model') == summary.model
                for value in mapping(run, 'columns').get(key) or ()
            ],
            summary.entry(key),
        )
        for summary in summaries
    ]
    charts = _charts(*report_charts.latency(series))
    device = mapping(report, 'provenance').get('cpu') or 'an unknown processor'
    text = (
        f'From the messages to the estimate, decoding included, measured on {device}; one axis '
        'for all models.'
    )
    return page.paragraph(text) + charts if charts else ''


def _runs(report: Mapping[str, Any]) -> str:
    parts = []
    for (bag, camera), runs in _places(report).items():
        parts.append(f'<h3>{escape(f"{bag} {camera}")}</h3>')
        for model, run in runs.items():
            given, served = run.get('frames_in'), run.get('frames_out')
            head = f'{model}: {run.get("status")}, {served} of {given} frames'
            parts.append(page.details(head, run_facts(run)))
    return ''.join(parts)
