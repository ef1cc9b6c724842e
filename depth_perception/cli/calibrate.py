"""depth_perception calibrate: make sigma of a model honest, on your robot's own recordings."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys
from typing import Any

from depth_perception.cli.evaluate import (
    add_inputs,
    add_masks,
    INTERRUPTED,
    options_given,
    request_from,
    SOME_FAILED,
)
from depth_perception.cli.progress import Progress
from depth_perception.errors import SettingsError
from depth_perception.evaluation.calibrate import ALL_PIXELS, calibrate, Calibrated, Sampling
from depth_perception.evaluation.calibrate_page import (
    comparison_rows,
    formula,
    group_rows,
    page_of,
    text_table,
    UNITS,
    write_page,
)
from depth_perception.evaluation.calibrate_unit import TruthSigma
from depth_perception.evaluation.evaluate import Means
from depth_perception.evaluation.plan import make_plan, Request
from depth_perception.inference.calibration_file import write_calibration
from depth_perception.inference.cards import load_card
from depth_perception.inference.sigma import NO_CALIBRATION

SUFFIX = '.sigma.yaml'
LEAST, MOST = 10_000, 20_000_000
_NOT_ASKED = {'align': 'online', 'groups': 'depth', 'ranges': '0,5', 'detail_every': 0}
"""What an evaluation asks beside, and this has no use for."""
EPILOG = """exit codes: 0 done; 2 nothing could be calibrated, or an option is wrong; 3 done, but
some bags or runs failed and were left out; 130 after ctrl-C (nothing is written)"""


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'calibrate',
        help='fit the sigma of a model on recorded bags with ground truth',
        description=(
            "Replay bags through the node's estimator, compare with the ground truth in the bag, "
            'fit the curve from raw score to one standard deviation, judge it on bags held out '
            'of the fit, and write a calibration file and a page with pictures beside it. See '
            'docs/calibrate.md.'
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'bags', nargs='+', type=Path, metavar='BAG', help='rosbag2; two or more places'
    )
    parser.add_argument(
        '--model',
        default='auto',
        metavar='CARD[,NAME=VALUE...]',
        help='id or path of a model card, with parameters; default: %(default)s',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar=f'FILE{SUFFIX}',
        help=f'calibration file; default: MODEL{SUFFIX} in this folder',
    )
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='parameter of the model, see `depth_perception settings`; repeatable',
    )
    add_inputs(parser)
    add_masks(parser.add_argument_group('pixels that count'))
    _add_own(parser)
    parser.set_defaults(func=run, **_NOT_ASKED)


def _add_own(parser: argparse.ArgumentParser) -> None:
    truth = parser.add_argument_group('how well the truth is known (1 sigma; added in quadrature)')
    for name, unit, text in (
        ('m', 'M', 'of depth [m], e.g. 0.02 of a laser'),
        ('percent', 'P', 'of depth, in percent of it'),
        ('px', 'PX', 'of a truth recorded as disparity [px]'),
    ):
        truth.add_argument(
            f'--truth-sigma-{name}', type=float, default=0.0, metavar=unit, help=text
        )
    group = parser.add_argument_group('running')
    group.add_argument(
        '--pixels',
        type=int,
        default=ALL_PIXELS,
        metavar='N',
        help='pixels used of all bags together, evenly spread; default: %(default)s',
    )
    group.add_argument(
        '--workers', type=int, default=1, metavar='N', help='processes side by side; 0: one a core'
    )
    group.add_argument('--scheduler', metavar='tcp://HOST:PORT', help='an existing Dask cluster')


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, write the file and the page, and print the figures."""
    sampling, means = _checked(arguments)
    request = _request(arguments)
    out = arguments.out or Path(f'{load_card(request.models[0].card).id}{SUFFIX}')
    _check_out(out)
    plan = make_plan(request)
    units = [unit for unit in plan.units if unit.truth.kind != 'none']
    if units:  # else the one error below says it
        for what, problem in plan.problems.items():
            print(f'left out: {what}: {problem}', file=sys.stderr)
    names = [f'{unit.bag_name} {unit.camera.image}' for unit in units]
    try:
        with Progress(names, [unit.expected for unit in units]) as progress:
            done = calibrate(
                request,
                plan,
                means,
                command=_command(arguments),
                sampling=sampling,
                on_event=progress.hear,
            )
    except KeyboardInterrupt:
        print('interrupted: nothing was written', file=sys.stderr)
        return INTERRUPTED
    picture = out.with_name(out.name.removesuffix('.yaml') + '.html')
    write_page(picture, page_of(done, out.name))
    write_calibration(done.file, out)
    _tell(done, out, picture, told=plan.problems)
    return SOME_FAILED if done.failed else 0


def _request(arguments: argparse.Namespace) -> Request:
    """Return what an evaluation would be asked, without the calibration there may be."""
    asked = argparse.Namespace(**vars(arguments))
    asked.model, asked.out = [arguments.model], Path()
    asked.set = [*arguments.set, f'uncertainty.calibration_file={NO_CALIBRATION}']
    return request_from(asked)


def _command(arguments: argparse.Namespace) -> list[str]:
    """Return the command line, for the provenance."""
    fixed = tuple(f'--{name}=' for name in _NOT_ASKED)
    options = [text for text in options_given(arguments) if not text.startswith(fixed)]
    return ['calibrate', *map(str, arguments.bags), *options]


def _checked(arguments: argparse.Namespace) -> tuple[Sampling, Means]:
    given = [getattr(arguments, f'truth_sigma_{name}') for name in ('m', 'percent', 'px')]
    if not all(0.0 <= value < 1e6 for value in given):
        raise SettingsError('--truth-sigma-m, -percent and -px want numbers of 0 or more')
    if not LEAST <= arguments.pixels <= MOST:
        raise SettingsError(f'--pixels is {arguments.pixels}; wanted {LEAST} to {MOST}')
    means = Means(arguments.workers or len(os.sched_getaffinity(0)), arguments.scheduler)
    if means.workers < 0:
        raise SettingsError(f'--workers is {means.workers}; wanted 0 or more')
    truth_sigma = TruthSigma(given[0], given[1] / 100.0, given[2])
    return Sampling(truth_sigma, arguments.pixels), means


def _check_out(path: Path) -> None:
    if not path.name.endswith(SUFFIX):
        raise SettingsError(f'--out is {path}; a calibration file is called *{SUFFIX}')
    if not path.parent.is_dir():
        raise SettingsError(f'--out: there is no folder {path.parent}')


def _tell(done: Calibrated, out: Path, picture: Path, told: Any) -> None:
    for what, why in done.failed.items():
        if what not in told:
            print(f'left out: {what}: {why}', file=sys.stderr)
    for text in done.warnings:
        print(f'warning: {text}', file=sys.stderr)
    file = done.file
    frames = sum(bag.frames for bag in file.provenance.bags)
    print(
        f'{file.model}: score {file.score!r} to sigma [{UNITS[file.domain]}], '
        f'{formula(done.found.curve)}'
    )
    print(
        f'{len(file.provenance.bags)} bags, {frames} frames, {done.found.held_out.pixels} pixels; '
        f'chosen: {"power law" if file.form == "power" else "table"}\n'
    )
    print(text_table(comparison_rows(done)))
    print()
    print(text_table(group_rows(done)))
    print(f'\ncalibration: {out}\npictures: {picture}')
    print(
        f'use it: uncertainty.calibration_file:={out.resolve()}, or in the card: '
        f'uncertainty: {{calibration: {out.name}}} with the file beside it'
    )
