"""depth_perception convert: a public data set, or your own folder, as a bag."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import math
from pathlib import Path
import sys
import time
from typing import Any

from depth_perception.cli.infer import add_camera_arguments
from depth_perception.errors import SettingsError
from depth_perception.evaluation.datasets.convert import convert, reasons
from depth_perception.evaluation.datasets.formats import entries_of, FORMATS
from depth_perception.evaluation.datasets.sample import Options

_DRAW_S = 0.1  # least time between two states of the progress line
_NAMED = 3  # scenes named in a remark


def register(subparsers: Any) -> None:
    """Add the verb."""
    titles = '\n'.join(f'  {name:<13} {one.title}' for name, one in FORMATS.items())
    parser = subparsers.add_parser(
        'convert',
        help='turn a data set, or a folder of images, into a bag with ground truth',
        description=f'Turn a data set into a rosbag2 (mcap).\n\nformats:\n{titles}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('format', choices=FORMATS, metavar='FORMAT')
    parser.add_argument('source', type=Path, metavar='SOURCE', help='root folder of the data')
    parser.add_argument('--out', type=Path, required=True, metavar='BAG', help='new folder')
    parser.add_argument(
        '--scene', nargs='+', default=[], metavar='NAME', help='only these scenes or drives'
    )
    parser.add_argument('--limit', type=int, metavar='N', help='at most N frames')
    parser.add_argument(
        '--rate',
        type=float,
        metavar='HZ',
        help='frames per second; default: the stamps of the data set, else 10',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an existing --out')
    camera = parser.add_argument_group('calibration, in place of that of the data set')
    add_camera_arguments(camera)
    camera.add_argument('--calib-right', type=Path, help='the right ROS camera_info')
    camera.add_argument('--baseline-m', type=float, help='distance of the cameras [m]')
    camera.add_argument('--doffs', type=float, default=0.0, help='cx right minus cx left [px]')
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was written, what was assumed and what was left out."""
    _check(arguments)
    options = Options(
        source=arguments.source,
        calib=arguments.calib,
        calib_right=arguments.calib_right,
        intrinsics=_intrinsics(arguments),
        baseline_m=arguments.baseline_m,
        doffs_px=arguments.doffs,
    )
    entries = entries_of(arguments.format, options, arguments.scene, arguments.limit)
    line = _Line()
    try:
        summary = convert(
            entries,
            arguments.out,
            arguments.rate,
            overwrite=arguments.overwrite,
            progress=line.show,
        )
    finally:
        line.clear()
    for remark, scenes in options.remarks.items():
        print(f'note: {_named(scenes)}{remark}', file=sys.stderr)
    for reason, count in reasons(summary):
        print(f'skipped {count}: {reason}', file=sys.stderr)
    print(
        f'{arguments.out}: {summary.written} frames, {summary.with_truth} with ground truth, '
        f'{len(summary.skipped)} skipped'
    )
    return 0


def _named(scenes: Sequence[str]) -> str:
    """Return the first scenes that a remark is about."""
    names = [scene for scene in scenes if scene]
    if not names:
        return ''
    more = len(names) - _NAMED
    return ', '.join(names[:_NAMED]) + (f' and {more} more: ' if more > 0 else ': ')


def _check(arguments: argparse.Namespace) -> None:
    if arguments.limit is not None and arguments.limit < 1:
        raise SettingsError(f'--limit is {arguments.limit}; wanted at least 1')
    rate_hz = arguments.rate
    if rate_hz is not None and not 0.001 <= rate_hz <= 1e6:
        raise SettingsError(f'--rate is {rate_hz} Hz; wanted 0.001 to 1e6')


def _intrinsics(arguments: argparse.Namespace) -> tuple[float, float, float, float] | None:
    if arguments.fx is None:
        return None
    fy, cx, cy = (
        math.nan if value is None else float(value)
        for value in (arguments.fy, arguments.cx, arguments.cy)
    )
    return float(arguments.fx), fy, cx, cy


class _Line:
    """One line on stderr with the time to go; nothing where lines cannot be replaced."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._drawn = 0.0
        self._is_live = sys.stderr.isatty()

    def show(self, done: int, total: int, name: str) -> None:
        now = time.monotonic()
        if not self._is_live or now - self._drawn < _DRAW_S:
            return
        self._drawn = now
        left_s = (now - self._start) / done * (total - done) if done else math.nan
        to_go = f', {left_s:.0f} s to go' if done else ''
        text = f'\r\033[K{done} of {total}{to_go}: {name}'
        print(text, end='', file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._drawn:
            print('\r\033[K', end='', file=sys.stderr, flush=True)
