"""depth_perception nav2-config: configuration of Nav2 and MoveIt for this camera and node."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.inference.nav2_files import (
    camera_of,
    EXAMPLE_CAMERA,
    SETTINGS,
    settings_of,
    texts_of,
)
from depth_perception.inference.nav2_texts import FILES


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'nav2-config', help='YAML for costmaps, collision monitor and MoveIt, for your camera'
    )
    parser.add_argument('task', choices=[*SETTINGS], help='which node')
    parser.add_argument(
        '--camera-info',
        type=Path,
        help='YAML of `ros2 topic echo --once .../camera_info`, or of camera_calibration; '
        f'without it {EXAMPLE_CAMERA.width}x{EXAMPLE_CAMERA.height} and '
        f'{EXAMPLE_CAMERA.hfov_deg:.0f} degrees are assumed',
    )
    parser.add_argument('--params', type=Path, help='parameter file of the node')
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='any parameter of the node; repeatable',
    )
    parser.add_argument('--namespace', default='', help='namespace of the node')
    parser.add_argument('--rate', type=float, default=10.0, help='frames per second [Hz]')
    parser.add_argument('--only', choices=[*FILES], help='print this one file')
    parser.add_argument('--out', type=Path, help='folder for all files')
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Write or print the files."""
    if (arguments.out is None) == (arguments.only is None):
        raise SettingsError('give --out FOLDER, or --only FILE to print one')
    settings = settings_of(arguments.task, arguments.params, arguments.set)
    camera = EXAMPLE_CAMERA
    if arguments.camera_info is not None:
        camera = camera_of(arguments.camera_info)
    texts = texts_of(settings, camera, arguments.namespace, arguments.rate)
    if arguments.camera_info is None:
        print('no --camera-info: an example camera is assumed', file=sys.stderr)
    if arguments.only is not None:
        print(texts[arguments.only], end='')
        return 0
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (arguments.out / name).write_text(text, encoding='utf-8')
            print(arguments.out / name)
    except OSError as error:
        raise SettingsError(f'--out {arguments.out}: {error}') from error
    return 0
