"""depth_perception evaluate: how good models are on your robot's own recordings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
import math
import os
from pathlib import Path
import sys
from typing import Any

from depth_perception.cli.progress import Progress
from depth_perception.errors import SettingsError
from depth_perception.evaluation.catalogue import metric_of
from depth_perception.evaluation.evaluate import evaluate, Evaluation, Means, write
from depth_perception.evaluation.gates import GateResult, parse_gate
from depth_perception.evaluation.judge import DEFAULT_EDGES_M, GROUPS, JudgeOptions, ONLINE
from depth_perception.evaluation.measures.alignment import LABELS
from depth_perception.evaluation.measures.masks import CROPS, PROTOCOLS
from depth_perception.evaluation.plan import make_plan, Plan, Request, Selection
from depth_perception.evaluation.units import choose_models, Span

GATE_FAILED = 1
SOME_FAILED = 3
INTERRUPTED = 130
EPILOG = """exit codes: 0 done; 1 a gate of --fail-if fails; 2 nothing could be evaluated, or an
option is wrong; 3 done, but some bags or runs failed (the report has the others); 130 after ctrl-C
(what was done is in the report, and the same command carries on)"""
TABLE = (
    'online/abs_rel', 'online/rmse_m', 'online/delta1', 'online/coverage', 'online/epe_px',
    'online/bad_2_pct', 'online/d1_pct', 'online/within_1_sigma', 'online/ause_abs_rel',
    'online/latency_ms',
)  # fmt: skip


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'evaluate',
        help='how good models are on recorded bags',
        description=(
            "Replay bags through the node's estimator as the robot would see them, compare with "
            'the ground truth in the bag, and write a report (HTML, JSON, Markdown). '
            'See docs/evaluation.md.'
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG', help='rosbag2: mcap, sqlite3')
    parser.add_argument(
        '--model',
        action='append',
        default=[],
        metavar='[LABEL=]CARD[,NAME=VALUE...]',
        help='id or path of a model card, with parameters of its own; pair:CARD runs a network on '
        'one image in the stereo node; repeatable. Default: auto',
    )
    parser.add_argument('--out', type=Path, default=Path('evaluation'), help='folder of results')
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='parameter of every model, see `depth_perception settings`; repeatable',
    )
    add_inputs(parser)
    _add_judging(parser)
    _add_running(parser)
    parser.set_defaults(func=run)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose topics and frames."""
    group = parser.add_argument_group('topics (found by type where not given)')
    group.add_argument('--image', default='', metavar='TOPIC', help='(left) image')
    group.add_argument('--right', default='', metavar='TOPIC', help='right image')
    group.add_argument('--info', default='', metavar='TOPIC', help='camera_info of --image')
    group.add_argument('--right-info', default='', metavar='TOPIC', help='camera_info of --right')
    group.add_argument(
        '--truth',
        default='',
        metavar='TOPIC',
        help='ground truth: depth image, PointCloud2 or DisparityImage; none: judge without',
    )
    group.add_argument(
        '--reference',
        default='',
        metavar='TOPIC',
        help='depth image or PointCloud2 that models get their scale from, as the node does from '
        'reference/depth and reference/points; default: none',
    )
    group.add_argument('--start', type=float, default=0.0, metavar='S', help='skip the first S s')
    group.add_argument('--duration', type=float, default=math.inf, metavar='S', help='at most S s')
    group.add_argument('--every', type=int, default=1, metavar='N', help='every N-th frame')
    group.add_argument('--limit', type=int, default=0, metavar='N', help='at most N frames a bag')


def _add_judging(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('figures')
    group.add_argument(
        '--align',
        default=ONLINE,
        metavar='LABEL[,LABEL...]',
        help=f'alignments with the truth, beside online (as published): {", ".join(LABELS[1:])}',
    )
    add_masks(group)
    group.add_argument(
        '--ranges',
        default=','.join(f'{edge:g}' for edge in DEFAULT_EDGES_M),
        metavar='M,M,...',
        help='bounds of the bins of range [m]; default: %(default)s',
    )
    group.add_argument(
        '--groups',
        default=','.join(GROUPS),
        metavar='NAME[,NAME...]',
        help='figures to compute; fewer are faster; default: %(default)s',
    )
    group.add_argument(
        '--detail-every',
        type=int,
        default=0,
        metavar='N',
        help='compute what costs much (by range, sigma, structure, clouds, stability) for every '
        'N-th frame; default: for 100 frames of a run or more, and for all of a run below 200',
    )
    group.add_argument(
        '--fail-if',
        action='append',
        default=[],
        metavar='GATE',
        help="exit with 1 if it holds, e.g. 'abs_rel>0.1' or 'latency_ms.p95>50'; repeatable",
    )


def add_masks(group: Any) -> None:
    """Add the options that choose pixels."""
    group.add_argument(
        '--protocol',
        default='none',
        choices=('none', *PROTOCOLS),
        help='crop and caps of a benchmark',
    )
    group.add_argument('--crop', choices=CROPS, help='part of the image that counts')
    group.add_argument('--min-depth', type=float, metavar='M', help='nearest truth that counts')
    group.add_argument('--max-depth', type=float, metavar='M', help='farthest truth that counts')
    group.add_argument(
        '--truth-tolerance',
        type=float,
        default=20.0,
        metavar='MS',
        help='greatest difference of the stamps of image and truth; default: %(default)s',
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('running')
    group.add_argument(
        '--workers',
        type=int,
        default=1,
        metavar='N',
        help='processes side by side; 0: one a core. More than one is faster with many bags, and '
        'makes the latencies those of a busy machine. Default: %(default)s',
    )
    group.add_argument('--scheduler', metavar='tcp://HOST:PORT', help='an existing Dask cluster')
    group.add_argument(
        '--no-pictures', action='store_true', help='leave out the frames to look at'
    )
    group.add_argument('--fresh', action='store_true', help='begin anew instead of carrying on')


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write the report, and return what the gates say."""
    gates = [parse_gate(text) for text in arguments.fail_if]
    request = request_from(arguments)
    means = Means(
        workers=arguments.workers or len(os.sched_getaffinity(0)),
        scheduler=arguments.scheduler,
        pictures=not arguments.no_pictures,
    )
    if means.workers < 0:
        raise SettingsError(f'--workers is {means.workers}; wanted 0 or more')
    plan = make_plan(request)
    if plan.units:  # else the one error below says it
        for name, problem in plan.problems.items():
            print(f'failed: {name}: {problem}', file=sys.stderr)
    if arguments.fresh:
        for unit in plan.units:
            unit.journal.unlink(missing_ok=True)
    with Progress(_names(plan), [unit.expected for unit in plan.units]) as progress:
        evaluation = evaluate(
            request,
            plan,
            means,
            command=[
                'evaluate',
                *(str(path) for path in arguments.bags),
                *options_given(arguments),
            ],
            gates=gates,
            on_event=progress.hear,
        )
    write(evaluation, arguments.out)
    _tell(evaluation, arguments.out, told=plan.problems)
    return _exit_code(evaluation)


def request_from(arguments: argparse.Namespace) -> Request:
    """Return what the command line asks for.

    Raises:
        SettingsError: If an option has no meaning.
        ModelError: If a model cannot be found.
    """
    labels = [name.strip() for name in arguments.align.split(',') if name.strip()]
    options = JudgeOptions.of_protocol(
        arguments.protocol,
        alignments=tuple(dict.fromkeys([ONLINE, *labels])),
        groups=tuple(name.strip() for name in arguments.groups.split(',') if name.strip()),
        range_edges_m=_edges(arguments.ranges),
    )
    given = {
        'crop': arguments.crop,
        'min_m': arguments.min_depth,
        'max_m': arguments.max_depth,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    if not 0.0 <= arguments.truth_tolerance <= 60_000.0:
        raise SettingsError(f'--truth-tolerance is {arguments.truth_tolerance:g} ms')
    return Request(
        bags=tuple(arguments.bags),
        models=tuple(choose_models(arguments.model or ['auto'], arguments.set)),
        out=arguments.out,
        selection=Selection(
            arguments.image,
            arguments.right,
            arguments.info,
            arguments.right_info,
            arguments.truth,
            arguments.reference,
        ),
        options=replace(options, **changed),
        span=Span(
            arguments.start,
            arguments.duration,
            arguments.every,
            arguments.limit,
            arguments.detail_every,
        ),
        truth_tolerance_ms=arguments.truth_tolerance,
    )


def _edges(text: str) -> tuple[float, ...]:
    try:
        edges = tuple(float(part) for part in text.split(','))
    except ValueError:
        edges = ()
    if not edges or not all(a < b for a, b in zip((-1e-9, *edges), edges, strict=False)):
        raise SettingsError(f'--ranges wants rising distances [m] like 0,5,10, got {text!r}')
    return edges


def options_given(arguments: argparse.Namespace) -> list[str]:
    """Return the options that the user gave, for the record."""
    return [
        f'--{name.replace("_", "-")}={value}'
        for name, value in sorted(vars(arguments).items())
        if name not in {'bags', 'func', 'verb', 'debug', 'out'}
        and value not in ('', None, False, [], math.inf)
    ]


def _names(plan: Plan) -> list[str]:
    return [f'{unit.bag_name} {unit.camera.image} {unit.model.label}' for unit in plan.units]


def _tell(evaluation: Evaluation, out: Path, told: Mapping[str, str]) -> None:
    """Print what failed and was not told yet, the table, the gates, and where the report is."""
    for what, why in evaluation.failed.items():
        if what not in told:
            print(f'failed: {what}: {why}', file=sys.stderr)
    for run in evaluation.report['runs']:
        for text in run['warnings']:
            print(f'{run["bag"]} {run["camera"]}, {run["model"]}: {text}', file=sys.stderr)
    for bag in evaluation.report['bags']:
        for text in bag['warnings']:
            print(f'{bag["name"]}: {text}', file=sys.stderr)
    print(_table(evaluation.report['summary']))
    for gate in evaluation.report.get('gates', []):
        value = math.nan if gate['value'] is None else gate['value']
        result = GateResult(gate['gate'], gate['model'], value, gate['failed'], gate['reason'])
        print(result.text())
    print(f'report: {out / "report.html"}')
    if evaluation.interrupted:
        print('interrupted: the same command carries on where it stopped', file=sys.stderr)


def _table(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return the main figures, one row per model."""
    keys = [key for key in TABLE if any(key in summary['metrics'] for summary in summaries)]
    rows = [['model', 'frames', *(_title(key) for key in keys)]]
    for summary in summaries:
        figures = [summary['metrics'].get(key, {}).get('value') for key in keys]
        cells = ['-' if value is None else f'{value:.4g}' for value in figures]
        rows.append([str(summary['model']), str(summary['frames']), *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _title(key: str) -> str:
    label, metric = metric_of(key)
    unit = f' [{metric.unit}]' if metric.unit else ''
    return f'{metric.title}{unit} ({label})'


def _exit_code(evaluation: Evaluation) -> int:
    if evaluation.interrupted:
        return INTERRUPTED
    if any(gate['failed'] for gate in evaluation.report.get('gates', [])):
        return GATE_FAILED
    return SOME_FAILED if evaluation.failed else 0
