"""The tables of an evaluation: models side by side, runs, gates, provenance, definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
import itertools
import math
from typing import Any

from depth_perception.evaluation import page
from depth_perception.evaluation.catalogue import LABELS
from depth_perception.evaluation.metric import Metric
from depth_perception.evaluation.report_values import (
    beside,
    best_of,
    figures_of,
    goal,
    group_title,
    MAIN,
    mapping,
    metric_named,
    Summary,
    text_of,
)


def label_text(label: str) -> str:
    """Return the sentence that says what was done with the truth."""
    text = LABELS.get(label, 'not in the catalogue of labels')
    return text[:1].upper() + text[1:] + '.'


def side_by_side(summaries: Sequence[Summary], label: str) -> str:
    """Return the main figures of a label, models as columns, and the others folded away."""
    metrics = figures_of(summaries, label)
    main = [metric for metric in metrics if metric.name in MAIN] or metrics
    rest = [metric for metric in metrics if metric not in main]
    caption = f'Figures with the label {label}'
    parts = [_table(summaries, label, main, caption)]
    if rest:
        more = _table(summaries, label, rest, f'{caption}, continued')
        parts.append(page.details(f'{len(rest)} more figures with the label {label}', more))
    return ''.join(parts)


def _table(
    summaries: Sequence[Summary], label: str, metrics: Sequence[Metric], caption: str
) -> str:
    head = ''.join(
        f'<th scope="col">{escape(summary.model)}<small>{_frames(summary, label)}</small></th>'
        for summary in summaries
    )
    body = []
    for group, members in itertools.groupby(metrics, key=lambda metric: metric.group):
        span = len(summaries) + 1
        body.append(
            f'<tr class="group"><th scope="colgroup" colspan="{span}">'
            f'{escape(group_title(group))}</th></tr>'
        )
        body += [_row(summaries, label, metric) for metric in members]
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table class="models"><caption class="hidden">{escape(caption)}</caption>'
        f'<thead><tr><th scope="col"><span class="chip">{escape(label)}</span></th>{head}</tr>'
        f'</thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _frames(summary: Summary, label: str) -> str:
    judged = summary.judged(label)
    return f'{summary.frames} frames' + (f', {judged} judged' if judged != summary.frames else '')


def _row(summaries: Sequence[Summary], label: str, metric: Metric) -> str:
    name = f'{label}/{metric.name}'
    best = best_of(metric, [summary.value(name) for summary in summaries])
    cells = ''.join(
        _cell(summary, name, metric, best=i in best) for i, summary in enumerate(summaries)
    )
    unit = f' [{metric.unit}]' if metric.unit else ''
    return (
        f'<tr><th scope="row" title="{escape(f"{name}: {metric.definition}")}">'
        f'{escape(metric.title + unit)}<small>{escape(goal(metric))}</small></th>{cells}</tr>'
    )


def _cell(summary: Summary, name: str, metric: Metric, *, best: bool) -> str:
    entry = summary.entry(name)
    remarks = [beside(entry, metric.unit)] if math.isfinite(summary.value(name)) else []
    frames = entry.get('frames')
    usual = (summary.frames, summary.judged(name.partition('/')[0]))
    if remarks and isinstance(frames, int) and frames not in usual:
        remarks.append(f'{frames} of {summary.frames} frames')
    small = ''.join(f'<small>{escape(remark)}</small>' for remark in remarks if remark)
    mark = '<span class="hidden">best: </span>' if best else ''
    kind = ' class="best"' if best else ''
    return f'<td{kind}>{mark}{escape(text_of(summary.value(name)))}{small}</td>'


def gates_table(gates: Sequence[Mapping[str, Any]]) -> str:
    """Return the results of the gates."""
    rows = []
    for gate in sorted(gates, key=lambda gate: not gate.get('failed')):
        kind = 'failed' if gate.get('failed') else 'passed'
        cells = (gate.get('model') or '', gate.get('reason') or '')
        rows.append(
            f'<tr><th scope="row"><code>{escape(str(gate.get("gate")))}</code></th>'
            f'<td class="text {kind}">{kind}</td>'
            + ''.join(f'<td class="text">{escape(str(cell))}</td>' for cell in cells)
            + '</tr>'
        )
    titles = ('fails if', 'result', 'model', 'reason')
    head = ''.join(f'<th scope="col" class="text">{title}</th>' for title in titles)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div>'
    )


def run_facts(run: Mapping[str, Any]) -> str:
    """Return what is to be known about one run."""
    calibration = mapping(run, 'calibration')
    items = [
        ('status', _joined(run.get('status'), run.get('error'))),
        ('frames', f'{run.get("frames_out")} with depth of {run.get("frames_in")} given'),
        ('dropped', _drops(run)),
        ('camera', camera_text(calibration)),
        ('truth', truth_text(run)),
    ]
    if run.get('backend'):
        items.append(('backend', str(run['backend'])))
    items += [('warning', str(text)) for text in run.get('warnings') or ()]
    return page.facts(items)


def _joined(*parts: object) -> str:
    return ': '.join(str(part) for part in parts if part)


def _drops(run: Mapping[str, Any]) -> str:
    drops = mapping(run, 'drops')
    return ', '.join(f'{count} x {cause}' for cause, count in drops.items()) or 'none'


def camera_text(calibration: Mapping[str, Any]) -> str:
    """Return a calibration in words."""
    if not calibration:
        return 'unknown, no frame was served'
    numbers = {name: text_of(value) for name, value in calibration.items()}
    text = (
        f'{numbers.get("width")} x {numbers.get("height")} px, '
        f'f {numbers.get("fx_px")}, {numbers.get("fy_px")} px, '
        f'centre {numbers.get("cx_px")}, {numbers.get("cy_px")} px'
    )
    if calibration.get('baseline_m') is not None:
        text += f', baseline {numbers["baseline_m"]} m, doffs {numbers.get("doffs_px")} px'
    return text


def truth_text(run: Mapping[str, Any]) -> str:
    """Return where the truth comes from."""
    truth = mapping(run, 'truth')
    kind = str(truth.get('kind') or 'none')
    if kind == 'none':
        return 'none: nothing is said about accuracy'
    return f'{kind.replace("_", " ")} {truth.get("topic") or ""}'.strip()


def provenance(report: Mapping[str, Any]) -> str:
    """Return the tables of what the figures were made of and with."""
    bags = [
        (
            str(bag.get('name')),
            ', '.join(
                part
                for part in (
                    f'sha256 {bag.get("sha256") or "unknown"}',
                    str(bag.get('storage') or ''),
                    f'{text_of(bag.get("bytes"))} bytes',
                    text_of(bag.get('duration_s'), 's'),
                    f'{text_of(bag.get("messages"))} messages',
                )
                if part
            ),
        )
        for bag in report.get('bags') or ()
    ]
    models = [(str(model.get('id')), _model_text(model)) for model in report.get('models') or ()]
    with_what = [(name, str(value)) for name, value in mapping(report, 'provenance').items()]
    options = [(name, _option(value)) for name, value in mapping(report, 'options').items()]
    command = ' '.join(str(word) for word in report.get('command') or ())
    made = [('command', command), ('made at', str(report.get('created_utc'))), *with_what]
    parts = (('Bags', bags), ('Models', models), ('Made with', made), ('Options', options))
    return ''.join(f'<h3>{title}</h3>{page.facts(items)}' for title, items in parts if items)


def _model_text(model: Mapping[str, Any]) -> str:
    settings = mapping(model, 'settings')
    terms = str(model.get('licence') or 'unknown licence')
    if model.get('commercial') is False:
        terms += ' (no commercial use)'
    parts = [
        str(model.get('title') or ''),
        str(model.get('task') or ''),
        str(model.get('backend') or ''),
        terms,
        f'card sha256 {model["sha256"]}' if model.get('sha256') else '',
        f'network sha256 {model["artifact_sha256"]}' if model.get('artifact_sha256') else '',
        'settings: ' + ', '.join(f'{k} = {v}' for k, v in settings.items()) if settings else '',
    ]
    return '; '.join(part for part in parts if part)


def _option(value: object) -> str:
    if value is None:
        return 'none'
    if isinstance(value, list | tuple):
        return ', '.join(str(one) for one in value) or 'none'
    return str(value)


def definitions(summaries: Sequence[Summary]) -> str:
    """Return what every label and every figure of the report means."""
    names = {key.partition('/')[2] for summary in summaries for key in summary.metrics}
    metrics = sorted((metric_named(name) for name in names), key=lambda m: (m.group, m.name))
    items = ''.join(
        f'<dt><code>{escape(metric.name)}</code> {escape(metric.title)}'
        f'{escape(f" [{metric.unit}]" if metric.unit else "")}</dt>'
        f'<dd>{escape(metric.definition)} {escape(goal(metric))}; over frames: {metric.kind}.</dd>'
        for metric in metrics
    )
    return page.details(
        f'{len(metrics)} figures and what they mean', f'<dl class="definitions">{items}</dl>'
    )
