"""depth_perception compare: two evaluated models, frame by frame."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from depth_perception.cli.compare_output import markdown_of, Outcome, remarks, text_of, write_json
from depth_perception.errors import RecordingError, SettingsError
from depth_perception.evaluation.comparison import ALL, choose, compare, wanted_of
from depth_perception.evaluation.gates import any_failed
from depth_perception.evaluation.pairs import pair_frames, Side
from depth_perception.evaluation.regressions import (
    check_tolerances,
    parse_tolerance,
    Tolerance,
)
from depth_perception.evaluation.report_reader import read_report, Report

GATE_FAILED = 1


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'compare',
        help='compare two evaluated models on the frames that both have',
        description=(
            'Compare report B with report A, or two models of one report, on the frames that both '
            'have, with a 95 % bootstrap interval of the difference. See docs/evaluation.md.'
        ),
        epilog='exit codes: 0 done, 1 worse than --fail-if-worse allows, 2 unusable input',
    )
    parser.add_argument(
        'reports',
        nargs='+',
        type=Path,
        metavar='REPORT',
        help='report.json of `evaluate`, or its folder: A, then B',
    )
    parser.add_argument(
        '--model',
        action='append',
        default=[],
        metavar='M',
        help='the model; given twice: that of A, then that of B. Default: all that both have',
    )
    parser.add_argument(
        '--metric',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME',
        help='[LABEL/]NAME[.p95]; `all` for all there are. Default: the most important ones',
    )
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the result as JSON too')
    parser.add_argument('--markdown', action='store_true', help='print Markdown tables')
    parser.add_argument(
        '--fail-if-worse',
        action='append',
        default=[],
        metavar='NAME[:TOLERANCE]',
        help='exit with 1 if B is shown to be worse by more than TOLERANCE, e.g. abs_rel:0.005 or '
        'latency_ms.p95:10%%; repeatable',
    )
    parser.add_argument(
        '--anyway',
        action='store_true',
        help='compare even what was measured with another crop, range, truth or calibration',
    )
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables, and return 1 if B is worse than it may be."""
    tolerances = [parse_tolerance(text) for text in arguments.fail_if_worse]
    for name in arguments.metric:
        if name != ALL:
            wanted_of(name)
    if len(arguments.reports) > 2:
        raise SettingsError(f'{len(arguments.reports)} reports given; wanted one or two')
    reports = [read_report(path) for path in arguments.reports]
    outcomes = [
        _compared(a, b, arguments, tolerances)
        for a, b in _sides(reports[0], reports[-1], arguments.model)
    ]
    if arguments.json is not None:
        write_json(arguments.json, outcomes)
    for outcome in outcomes:
        print(markdown_of(outcome) if arguments.markdown else text_of(outcome))
    return GATE_FAILED if any(any_failed(outcome.gates) for outcome in outcomes) else 0


def _sides(a: Report, b: Report, models: Sequence[str]) -> list[tuple[Side, Side]]:
    """Return what is to be compared with what.

    Raises:
        SettingsError: If that is not clear, or a model is not there.
    """
    if len(models) > 2:
        raise SettingsError(f'--model is given {len(models)} times; wanted at most two')
    for name, report in zip([models[0], models[-1]] if models else [], (a, b), strict=False):
        if name not in report.models:
            known = ', '.join(report.models) or 'none'
            raise SettingsError(f'{report.name} has no model {name!r}; its models are {known}')
    if len(models) == 2 or (models and a is not b):
        return [(Side(a, models[0]), Side(b, models[-1]))]
    if a is b:
        if len(a.models) != 2 or models:
            raise SettingsError(
                f'one report: say what to compare with --model A --model B; its models are '
                f'{", ".join(a.models) or "none"}'
            )
        return [(Side(a, a.models[0]), Side(a, a.models[1]))]
    if len(a.models) == len(b.models) == 1:
        return [(Side(a, a.models[0]), Side(b, b.models[0]))]
    common = [name for name in a.models if name in b.models]
    if not common:
        raise SettingsError(
            f'no model is in both: {", ".join(a.models) or "none"} in {a.name}, '
            f'{", ".join(b.models) or "none"} in {b.name}; say which with --model A --model B'
        )
    return [(Side(a, name), Side(b, name)) for name in common]


def _compared(
    a: Side, b: Side, arguments: argparse.Namespace, tolerances: Sequence[Tolerance]
) -> Outcome:
    """Return one comparison.

    Raises:
        RecordingError: If the figures cannot be compared.
    """
    pairs = pair_frames(a, b)
    if pairs.obstacles and not arguments.anyway:
        listed = '; '.join(pairs.obstacles[:5])
        raise RecordingError(f'not comparable: {listed}; --anyway compares nevertheless')
    wanted = {one.name: one for one in choose(pairs, arguments.metric)}
    in_both = set.intersection(*pairs.figures())
    for tolerance in tolerances:
        if tolerance.wanted.key in in_both:
            wanted.setdefault(tolerance.wanted.name, tolerance.wanted)
    rows = compare(pairs, list(wanted.values()))
    gates = check_tolerances(rows, tolerances, b.model)
    return Outcome(pairs, rows, list(remarks(pairs, rows)), gates)
