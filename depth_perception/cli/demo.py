"""depth_perception demo: real pictures through the real nodes, and a page of what came out."""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import os
from pathlib import Path
import platform
import shutil
import sys
import tempfile
import time
from typing import Any

import depth_perception
from depth_perception.cli.demo_data import motorcycle_folder
from depth_perception.cli.demo_picture import overview_of
from depth_perception.cli.demo_report import Findings, html_of, summary_of
from depth_perception.cli.demo_run import COMMON_PARAMETERS, Plan, play
from depth_perception.cli.infer import add_camera_arguments, rig_from_arguments
from depth_perception.errors import DepthPerceptionError, RecordingError, SettingsError
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.pictures import depth_mm_from_depth, read_picture, write_image
from depth_perception.evaluation.playback import (
    diagnostics_of,
    find_streams,
    Published,
    read_given,
    read_published,
)
from depth_perception.evaluation.ply import points_of, write_ply
from depth_perception.evaluation.rendered import rendered_scene
from depth_perception.evaluation.scenes import (
    GroundPose,
    motorcycle_scene,
    Scene,
    write_recording,
)
from depth_perception.inference.cards import load_card

FRAMES, RATE_HZ = 40, 4.0
LONGEST_S = 20.0  # of the user's own recording: its output is about 20 MB per second


class Progress:
    """Prints what happens, with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._passing = sys.stderr.isatty()

    @property
    def passed_s(self) -> float:
        """Time since the start [s]."""
        return time.monotonic() - self._started

    def tell(self, text: str) -> None:
        """Print a line."""
        start = '\r\033[K' if self._passing else ''
        print(f'{start}[demo {self.passed_s:5.1f} s] {text}', file=sys.stderr, flush=True)

    def passing(self, text: str) -> None:
        """Print what the next line replaces; nothing where lines cannot be replaced."""
        if self._passing:
            line = f'\r\033[K[demo {self.passed_s:5.1f} s] {text}'
            print(line, end='', file=sys.stderr, flush=True)


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'demo', help='play real photographs through the nodes, and show what they publish'
    )
    pair = parser.add_argument_group('your own rectified pair')
    pair.add_argument('--left', type=Path)
    pair.add_argument('--right', type=Path)
    add_camera_arguments(pair)
    pair.add_argument('--calib-right', type=Path, help='the right ROS camera_info')
    pair.add_argument('--baseline', '--baseline-m', dest='baseline_m', type=float, metavar='M')
    pair.add_argument('--doffs', type=float, default=0.0, help='cx right minus cx left [px]')
    parser.add_argument(
        '--bag', type=Path, help=f'your own rosbag2; its first {LONGEST_S:g} s are played'
    )
    ground = parser.add_argument_group('the floor, for the mono node on your own pictures')
    ground.add_argument('--camera-height-m', type=float, help='height above the floor [m]')
    ground.add_argument('--pitch-deg', type=float, default=0.0, help='tilt below the horizon')
    ground.add_argument('--roll-deg', type=float, default=0.0)
    parser.add_argument('--model', default='', help='id or card that the stereo node runs')
    parser.add_argument('--no-mono', action='store_true', help='without the mono node')
    parser.add_argument('--out', type=Path, default=Path('out'), help='folder of the results')
    parser.add_argument('--keep', action='store_true', help='keep recordings and logs in --out')
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo.

    Raises:
        SettingsError: If the options contradict each other.
        RecordingError: If the recording or pictures cannot be used, or --out cannot be written.
        DepthPerceptionError: If a program fails, or no node published any depth.
    """
    _check_together(arguments)
    progress = Progress()
    remarks: list[str] = []
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix='.run-', dir=arguments.out))
    except OSError as error:
        raise RecordingError(f'cannot write into {arguments.out}: {error}') from error
    try:
        found = _found(arguments, scratch, progress, remarks)
        _write(arguments.out, found, scratch, progress)
        if arguments.keep:
            kept = arguments.out / 'recordings'
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(scratch, kept)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if all(published is None for published in found.published.values()):
        raise DepthPerceptionError('no node published any depth; run again with --keep, and read '
                                   f'the logs in {arguments.out / "recordings"}')  # fmt: skip
    return 0


def _check_together(arguments: argparse.Namespace) -> None:
    if arguments.bag is not None and (arguments.left or arguments.right):
        raise SettingsError('give either --bag or --left and --right')
    if (arguments.left is None) != (arguments.right is None):
        raise SettingsError('a pair needs both --left and --right')
    _model(arguments)


def _scene(arguments: argparse.Namespace, progress: Progress, remarks: list[str]) -> Scene:
    """Return the user's pair, else the photographs, else the rendered scene."""
    if arguments.left is not None:
        left, right = read_picture(arguments.left), read_picture(arguments.right)
        if left.shape != right.shape:
            raise RecordingError(
                f'{arguments.left} is {left.shape[1]}x{left.shape[0]} but {arguments.right} is '
                f'{right.shape[1]}x{right.shape[0]}; a rectified pair has one size'
            )
        rig = rig_from_arguments(arguments, left.shape[1], left.shape[0])
        origin = f'Your own pair: {arguments.left.name} and {arguments.right.name}.'
        return Scene(arguments.left.stem, origin, left, right, rig, None, _ground(arguments))
    try:
        progress.passing('looking for the photographs')
        return motorcycle_scene(motorcycle_folder())
    except DepthPerceptionError as error:
        progress.tell(f'the photographs cannot be had ({error}); rendering a scene instead')
        remarks.append(
            'The photographs could not be fetched, so this is a rendered scene: easier than the '
            f'real world. Reason: {error}'
        )
        return rendered_scene()


def _model(arguments: argparse.Namespace) -> str:
    """Return what the node is told; a wrong name is refused before anything is started."""
    if not arguments.model:
        return ''
    load_card(arguments.model)
    is_file = arguments.model.endswith(('.yaml', '.yml'))
    return str(Path(arguments.model).resolve()) if is_file else str(arguments.model)


def _ground(arguments: argparse.Namespace) -> GroundPose | None:
    if arguments.camera_height_m is None:
        return None
    return GroundPose(arguments.camera_height_m, arguments.pitch_deg, arguments.roll_deg)


def _found(
    arguments: argparse.Namespace, scratch: Path, progress: Progress, remarks: list[str]
) -> Findings:
    """Play, record and judge."""
    if arguments.bag is None:
        scene = _scene(arguments, progress, remarks)
        bag, name, origin, ground = scratch / 'played', scene.name, scene.origin, scene.ground
        write_recording(bag, scene, FRAMES, RATE_HZ)
        seconds = FRAMES / RATE_HZ
        origin += (
            f' Played as a recording of {FRAMES} frames at {RATE_HZ:g} Hz, each with its own '
            'sensor noise and exposure.'
        )
        progress.tell(f'recording of {name} is ready: {FRAMES} frames at {RATE_HZ:g} Hz')
    else:
        bag, name, origin = arguments.bag, arguments.bag.stem, f'Your recording {arguments.bag}.'
        ground, seconds = _ground(arguments), LONGEST_S
    if arguments.no_mono:
        ground = None
    elif ground is None:
        remarks.append(
            'The mono node was not started: its model takes the scale from the floor. Give '
            '--camera-height-m and --pitch-deg.'
        )
    with Recording(bag) as recording:
        streams = find_streams(recording)
        given = read_given(recording, streams)
        seconds = min(seconds, recording.duration_s + 1.0)
    plan = Plan(bag, streams, ground, seconds, scratch, _model(arguments))
    if not plan.nodes:
        raise RecordingError(
            f'{bag} has one camera only; for the mono node give --camera-height-m and --pitch-deg'
        )
    facts = play(plan, progress.passing)
    progress.tell('judging what was published')
    published, diagnostics = {}, {}
    with Recording(plan.recorded) as recording:
        for node in plan.nodes:
            published[node] = read_published(recording, f'/{node}', given)
            diagnostics[node] = diagnostics_of(recording, f'{node}_depth_node')
    silent = [node for node in plan.nodes if published[node] is None]
    remarks += [f'The {node} node published no depth.' for node in silent]
    return Findings(
        name,
        origin,
        replace(given, frames=round(min(given.frames, seconds * max(given.rate_hz, 1.0)))),
        published,
        diagnostics,
        remarks,
        _ground_in_words(ground, arguments),
        _facts() | facts,
    )


def _ground_in_words(ground: GroundPose | None, arguments: argparse.Namespace) -> str:
    if ground is None:
        return ''
    source = (
        'as given on the command line'
        if arguments.left or arguments.bag
        else 'which a robot knows from its TF tree; here it was fitted beforehand to the floor '
        'of the ground truth'
    )
    return (
        f'It is told that the camera stands {ground.height_m:g} m above the floor, tilted '
        f'{ground.pitch_deg:g} degrees down and {ground.roll_deg:g} degrees sideways, {source}.'
    )


def _facts() -> dict[str, str]:
    parameters = ', '.join(f'{name} = {value}' for name, value in COMMON_PARAMETERS.items())
    return {
        'package': f'depth_perception {depth_perception.__version__}, Python '
        f'{platform.python_version()}',
        'machine': f'{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores',
        'parameters': f'as they ship, but {parameters}',
    }


def _write(out: Path, found: Findings, scratch: Path, progress: Progress) -> None:
    """Write page, summary, cloud and depth image."""
    best = found.published.get('stereo') or found.published.get('mono')
    if best is not None:
        given = found.given
        points = points_of(best.depth, best.sigma, given.picture, given.camera)
        write_ply(out / 'cloud.ply', points)
        write_image(out / 'depth.png', depth_mm_from_depth(best.depth))
        write_image(out / 'overview.jpg', overview_of(given, best))
    found.facts.update(_cloud_fact(scratch))
    found.facts['whole demo'] = f'{progress.passed_s:.0f} s'
    summary = json.dumps(summary_of(found), indent=2, allow_nan=False)
    (out / 'summary.json').write_text(summary + '\n', encoding='utf-8')
    page = out / 'index.html'
    page.write_text(html_of(found), encoding='utf-8')
    for name, published in found.published.items():
        if published is not None:
            progress.tell(_line(name, published))
    progress.tell(
        f'open {page} in a browser; beside it: summary.json, overview.jpg, cloud.ply, depth.png'
    )


def _line(name: str, published: Published) -> str:
    latency = published.latency_percentiles_ms()
    parts = [f'{name}: {published.frames} frames', f'{published.rate_hz:.1f} Hz']
    if 'depth' in published.figures:
        depth = published.figures['depth']
        parts.append(f'AbsRel {100 * depth["abs_rel"]:.2f} %')
        parts.append(f'coverage {100 * depth["coverage"]:.0f} %')
    if name == 'stereo' and 'disparity' in published.figures:
        parts.append(f'bad-2.0 {100 * published.figures["disparity"]["bad_2"]:.1f} %')
    parts.append(f'latency {latency["p50"]:.0f} ms (p95 {latency["p95"]:.0f} ms)')
    return ', '.join(parts)


def _cloud_fact(scratch: Path) -> dict[str, str]:
    """Return what is in the clouds that were recorded."""
    clouds = scratch / 'clouds'
    if not clouds.is_dir():
        return {}
    with Recording(clouds) as recording:
        shapes = []
        for topic in sorted(recording.types):
            if not recording.count(topic):
                continue  # it was there, but nothing came in time
            cloud = recording.first(topic)
            fields = ', '.join(field.name for field in cloud.fields)
            shapes.append(f'{topic}: {cloud.width} x {cloud.height} points ({fields})')
    return {'clouds': '; '.join(shapes)} if shapes else {}
