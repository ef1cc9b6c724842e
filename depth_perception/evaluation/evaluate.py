"""The whole of an evaluation: plan, run, report; what is there after ctrl-C is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation.gates import evaluate_gates, Gate
from depth_perception.evaluation.plan import Plan, Request
from depth_perception.evaluation.records import plain
from depth_perception.evaluation.report_data import assembled
from depth_perception.evaluation.report_markdown import markdown_of
from depth_perception.evaluation.report_page import html_of
from depth_perception.evaluation.runner import evaluate_unit
from depth_perception.evaluation.schedule import run_ordered
from depth_perception.evaluation.schedule_parts import Interrupted, Listener, Result
from depth_perception.evaluation.showcase import show_frames
from depth_perception.evaluation.units import ModelChoice, Unit
from depth_perception.inference.cards import load_card


@dataclass(frozen=True)
class Means:
    """Where the work is done.

    Attributes:
        workers: Number of processes.
        scheduler: Address of a Dask scheduler; None works on this machine.
        pictures: Whether best, median and worst frames are shown.
    """

    workers: int = 1
    scheduler: str | None = None
    pictures: bool = True


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        report: As report.json has it.
        pictures: Name of a file -> its bytes.
        failed: Runs and bags that gave nothing, with the reason.
        interrupted: Whether ctrl-C ended it early.
    """

    report: dict[str, Any]
    pictures: Mapping[str, bytes]
    failed: Mapping[str, str]
    interrupted: bool


def evaluate(
    request: Request,
    plan: Plan,
    means: Means,
    *,
    command: Sequence[str],
    gates: Sequence[Gate] = (),
    on_event: Listener | None = None,
) -> Evaluation:
    """Do the work of a plan and return its report.

    Args:
        request: What the user wants to know.
        plan: The units of work.
        means: Where the work is done.
        command: The command line, for the provenance.
        gates: What must not be; their results are part of the report.
        on_event: Told of progress.

    Raises:
        RecordingError: If nothing at all could be evaluated.
        SchedulingError: If the cluster cannot be used.
    """
    interrupted = False
    try:
        results = run_ordered(
            plan.units,
            evaluate_unit,
            workers=means.workers,
            scheduler=means.scheduler,
            on_event=on_event,
        )
    except Interrupted as stop:
        results, interrupted = stop.results, True
    runs = [_run_of(unit, result) for unit, result in zip(plan.units, results, strict=True)]
    failed = dict(plan.problems)
    for run in runs:
        if run['status'] == 'failed':
            failed[f'{run["bag"]} {run["camera"]}, {run["model"]}'] = str(run['error'])
    if not any(run['frames_out'] for run in runs) and not interrupted:
        raise RecordingError(_nothing(failed, runs))
    shown: dict[str, bytes] = {}
    if means.pictures and not interrupted:
        shown = show_frames(plan.units, runs)
    models = [_model_entry(model, runs) for model in request.models]
    report = assembled(
        command=command,
        options=_options(request, means),
        bags=plan.bags,
        models=models,
        runs=runs,
        device='CPU',
    )
    if gates:
        report['gates'] = [result.data() for result in evaluate_gates(report, gates)]
    return Evaluation(report, shown, failed, interrupted)


def write(evaluation: Evaluation, out: Path) -> None:
    """Write report.json, report.html, report.md and the pictures.

    Raises:
        RecordingError: If a file cannot be written.
    """
    texts = {
        'report.json': json.dumps(evaluation.report, indent=1, allow_nan=False) + '\n',
        'report.md': markdown_of(evaluation.report),
        'report.html': html_of(evaluation.report, evaluation.pictures),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in evaluation.pictures.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(data)
        for name, text in texts.items():
            scratch = out / f'.{name}.part'
            scratch.write_text(text, encoding='utf-8')
            scratch.replace(out / name)
    except OSError as error:
        raise RecordingError(f'cannot write {out}: {error.strerror or error}') from error


def _run_of(unit: Unit, result: Result[dict[str, Any]]) -> dict[str, Any]:
    """Return the run of a unit, an empty one where there is no outcome."""
    if result.outcome is not None:
        return result.outcome
    return {
        'model': unit.model.label,
        'bag': unit.bag_name,
        'camera': unit.camera.image,
        'calibration': {},
        'truth': {'kind': unit.truth.kind, 'topic': ', '.join(unit.truth.topics)},
        'backend': '',
        'status': 'partial' if result.stopped else 'failed',
        'error': result.error,
        'frames_in': 0,
        'frames_out': 0,
        'drops': {},
        'totals': {},
        'warnings': [],
        'stamps_ns': [],
        'columns': {},
        'sums': {},
        'pooled': {},
        'pictures': [],
    }


def _nothing(failed: Mapping[str, str], runs: Sequence[Mapping[str, Any]]) -> str:
    """Return why there is no report, in one message."""
    reasons = [f'{what}: {why}' for what, why in failed.items()]
    for run in runs:
        if run['status'] != 'failed':
            drops = ', '.join(f'{count} x {cause}' for cause, count in run['drops'].items())
            warnings = '; '.join(run['warnings'])
            reasons.append(
                f'{run["bag"]} {run["camera"]}, {run["model"]}: no frame was served '
                f'({drops or "no complete set of inputs"}) {warnings}'
            )
    shown = '\n  '.join(reasons[:10])
    return f'nothing could be evaluated:\n  {shown}' if reasons else 'there is nothing to evaluate'


def _model_entry(model: ModelChoice, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    card = load_card(model.card)
    backend = next((r['backend'] for r in runs if r['model'] == model.label and r['backend']), '')
    return {
        'id': model.label,
        'card': card.id,
        'task': model.task,
        'title': card.summary,
        'sha256': model.sha256,
        'artifact_sha256': card.artifact.sha256,
        'licence': card.artifact.licence,
        'commercial': card.artifact.commercial,
        'backend': backend,
        'settings': model.changed_settings(),
    }


def _options(request: Request, means: Means) -> dict[str, Any]:
    options, span = request.options, request.span
    found: dict[str, Any] = plain(
        {
            'alignments': options.alignments,
            'protocol': options.protocol,
            'crop': options.crop,
            'min_m': options.min_m,
            'max_m': options.max_m if math.isfinite(options.max_m) else None,
            'clamp': options.clamp,
            'range_edges_m': options.range_edges_m,
            'groups': options.groups,
            'truth': request.selection.truth or 'found by type',
            'reference': request.selection.reference or 'none',
            'truth_tolerance_ms': request.truth_tolerance_ms,
            'start_s': span.start_s,
            'duration_s': span.duration_s,
            'every': span.every,
            'limit': span.limit,
            'detail_every': span.detail_every,
            'workers': means.workers,
            'scheduler': means.scheduler,
        }
    )
    return found
