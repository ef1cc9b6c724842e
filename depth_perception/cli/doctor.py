"""depth_perception doctor: what is wrong with the live graph, and how to mend it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import importlib.util
import json
import os
from pathlib import Path
import sys
import tempfile
import textwrap
from typing import Any

from depth_perception.cli.processes import Program
from depth_perception.doctor.facts import Facts
from depth_perception.doctor.facts_file import read_facts
from depth_perception.doctor.findings import CATALOGUE, Finding, SEVERITIES
from depth_perception.doctor.judge import exit_code, judge, NO_GRAPH, report
from depth_perception.doctor.judge_times import Wishes
from depth_perception.errors import DepthPerceptionError, RecordingError, SettingsError

_WIDTH = 100
_GRACE_S = 60.0
_COLOURS = {'error': '31', 'warning': '33', 'note': '36', 'ok': '32'}
_CODES = """\
exit code: 0 healthy (notes at most); 1 faults; 2 an option cannot be used; 3 there is no graph to
look at, or no ROS; 4 warnings, but no faults. docs/doctor.md has every finding.
"""


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'doctor',
        help='look at the live graph and say what is wrong, and how to mend it',
        epilog=_CODES,
    )
    task = parser.add_mutually_exclusive_group()
    task.add_argument('--stereo', action='store_true', help='look at pairs only')
    task.add_argument('--mono', action='store_true', help='look at single cameras only')
    parser.add_argument(
        '--node',
        action='append',
        default=[],
        metavar='NAME',
        help='a depth node; repeatable; without it all that run, else cameras by their topics',
    )
    parser.add_argument('--left', default='', metavar='TOPIC', help='left images of a pair')
    parser.add_argument('--right', default='', metavar='TOPIC', help='right images of a pair')
    parser.add_argument('--image', default='', metavar='TOPIC', help='images of one camera')
    parser.add_argument(
        '--seconds', type=float, default=4.0, help='how long to listen (default %(default)g)'
    )
    parser.add_argument(
        '--patience',
        type=float,
        default=6.0,
        metavar='S',
        help='how long to wait for what does not come (default %(default)g)',
    )
    parser.add_argument('--base-frame', default='base_link', help='frame of the robot in TF')
    parser.add_argument(
        '--rate', type=float, default=1.0, metavar='HZ', help='least rate of images (default 1)'
    )
    parser.add_argument(
        '--link', type=float, default=0.0, metavar='MBIT', help='what the link carries [Mbit/s]'
    )
    parser.add_argument(
        '--passive', action='store_true', help='do not wake depth nodes by subscribing to them'
    )
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    parser.add_argument(
        '--save', type=Path, metavar='FILE', help='keep what was seen, to be judged elsewhere'
    )
    parser.add_argument(
        '--from', type=Path, metavar='FILE', dest='facts', help='judge what --save has kept'
    )
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, judge and print."""
    _check(arguments)
    if arguments.facts is not None:
        facts = read_facts(arguments.facts)
    elif importlib.util.find_spec('rclpy') is None:
        print(
            'depth_perception doctor: rclpy is not there; source /opt/ros/DISTRO/setup.bash and '
            'the workspace first (a clone without ROS: ./run exec depth_perception doctor)',
            file=sys.stderr,
        )
        return NO_GRAPH
    else:
        facts = _seen(arguments)
    found = _judged(facts, arguments)
    if arguments.json:
        print(json.dumps(report(facts, found), indent=1))
    else:
        colour = sys.stdout.isatty() and not os.environ.get('NO_COLOR')
        print('\n'.join(lines_of(facts, found, colour=colour)))
    return exit_code(found)


def _judged(facts: Facts, arguments: argparse.Namespace) -> list[Finding]:
    """Return what is wrong.

    Raises:
        RecordingError: If a file holds numbers that no doctor has seen.
    """
    wishes = Wishes(arguments.rate, arguments.link)
    if arguments.facts is None:
        return judge(facts, wishes)
    try:
        return judge(facts, wishes)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise RecordingError(
            f'{arguments.facts} holds what cannot have been seen: {error}'
        ) from error


def _check(arguments: argparse.Namespace) -> None:
    for name in ('seconds', 'patience'):
        if not 0.0 < getattr(arguments, name) <= 600.0:
            raise SettingsError(f'--{name}: {getattr(arguments, name)} is not in (0, 600] s')
    for name in ('rate', 'link'):
        if not 0.0 <= getattr(arguments, name) < 1e6:
            raise SettingsError(f'--{name}: {getattr(arguments, name)} is not in [0, 1e6)')


def _seen(arguments: argparse.Namespace) -> Facts:
    """Return what the program that looks has written.

    Raises:
        DepthPerceptionError: If it failed, with its last words.
    """
    task = 'stereo' if arguments.stereo else 'mono' if arguments.mono else 'any'
    with tempfile.TemporaryDirectory(prefix='depth_perception_doctor_') as folder:
        output = Path(folder) / 'facts.json'
        words = ['--task', task, '--output', str(output)]
        for name in arguments.node:
            words += ['--node', name]
        for name in ('left', 'right', 'image', 'seconds', 'patience', 'base_frame'):
            words += [f'--{name.replace("_", "-")}={getattr(arguments, name)}']
        words += ['--passive'] if arguments.passive else []
        if sys.stderr.isatty():
            print('looking at the graph ...', end='\r', file=sys.stderr, flush=True)
        limit_s = 10.0 * (arguments.seconds + 3.0 * arguments.patience) + _GRACE_S
        log = Path(folder) / 'log'
        with Program('depth_perception.ros.doctor', words, {}, log) as program:
            if not program.wait(limit_s):
                raise DepthPerceptionError(f'the graph was not seen within {limit_s:.0f} s')
            program.check()
        if arguments.save is not None:
            try:
                arguments.save.write_bytes(output.read_bytes())
            except OSError as error:
                raise SettingsError(f'--save {arguments.save}: {error.strerror}') from error
        return read_facts(output)


def lines_of(facts: Facts, found: Sequence[Finding], *, colour: bool) -> Iterator[str]:
    """Yield the lines of the report for people.

    Args:
        facts: What was seen.
        found: What is wrong.
        colour: Whether to use colours.
    """

    def painted(text: str, kind: str) -> str:
        return f'\033[1;{_COLOURS[kind]}m{text}\033[0m' if colour else text

    for subject in facts.subjects:
        topics = ', '.join(
            f'{stream.topic} {_rate_of(stream.arrivals_s)}'
            for stream in subject.streams
            if not stream.is_info
        )
        yield f'looked at {subject.name}: {topics or "no topics are known yet"}'
    for one in found:
        yield ''
        where = ' '.join(dict.fromkeys(text for text in (one.subject, one.where) if text))
        yield f'{painted(one.severity.upper(), one.severity)} {one.id}  {where}'
        yield from _wrapped('seen', one.seen)
        yield from _wrapped('wanted', one.wanted)
        for cure in one.cures:
            yield from _wrapped('do', cure)
    counts = {kind: sum(one.severity == kind for one in found) for kind in SEVERITIES}
    yield ''
    listed = ', '.join(f'{count} {kind}{"s" * (count != 1)}' for kind, count in counts.items())
    healthy = not (counts['error'] or counts['warning'])
    verdict = painted('healthy', 'ok') if healthy else painted('not healthy', 'error')
    yield f'{verdict}: {listed}; {len(CATALOGUE)} kinds of faults, {facts.seconds:.0f} s'


def _rate_of(arrivals_s: Sequence[float]) -> str:
    span_s = arrivals_s[-1] - arrivals_s[0] if arrivals_s else 0.0
    if span_s <= 0.0:
        return f'({len(arrivals_s)} messages)'
    return f'({(len(arrivals_s) - 1) / span_s:.1f} Hz)'


def _wrapped(label: str, text: str) -> list[str]:
    lead = f'  {label + ":":<8}'
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=' ' * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
