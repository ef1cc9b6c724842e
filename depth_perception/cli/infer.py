"""depth_perception infer: depth of one image or pair, from the shell, without ROS."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from depth_perception.cli.infer_output import write_results
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import CalibrationError
from depth_perception.evaluation.calibration_files import (
    camera_from_file,
    rig_from_files,
    rig_from_numbers,
)
from depth_perception.evaluation.pictures import read_picture
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
from depth_perception.settings import settings_with


def register(subparsers: Any) -> None:
    """Add the verb and its two tasks."""
    parser = subparsers.add_parser('infer', help='depth of one image or one stereo pair')
    tasks = parser.add_subparsers(dest='task', required=True, metavar='TASK')
    stereo = tasks.add_parser('stereo', help='a rectified pair')
    stereo.add_argument('--left', type=Path, required=True)
    stereo.add_argument('--right', type=Path, required=True)
    stereo.add_argument('--calib-right', type=Path, help='the right ROS camera_info')
    stereo.add_argument('--baseline-m', type=float, help='distance of the cameras [m]')
    stereo.add_argument(
        '--doffs', type=float, default=0.0, help='cx of the right camera minus the left [px]'
    )
    stereo.set_defaults(func=run_stereo)
    mono = tasks.add_parser('mono', help='one rectified image')
    mono.add_argument('--image', type=Path, required=True)
    mono.add_argument('--camera-height-m', type=float, help='height above the floor [m]')
    mono.add_argument('--pitch-deg', type=float, help='tilt below the horizon [deg]')
    mono.add_argument('--roll-deg', type=float, help='rotation about the optical axis [deg]')
    mono.set_defaults(func=run_mono)
    for task in (stereo, mono):
        _add_common(task)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_camera_arguments(parser)
    parser.add_argument('--model', default='auto', help='id or path of a model card')
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='any parameter of the node, see `depth_perception settings`; repeatable',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for the results')


def add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what describes a (left) camera."""
    parser.add_argument(
        '--calib', type=Path, help='Middlebury calib.txt, KITTI calib, or ROS camera_info YAML'
    )
    parser.add_argument('--fx', type=float, help='focal length [px]')
    parser.add_argument('--fy', type=float, help='[px]; default: fx')
    parser.add_argument('--cx', type=float, help='principal point [px]; default: (W - 1) / 2')
    parser.add_argument('--cy', type=float, help='principal point [px]; default: (H - 1) / 2')


def camera_from_arguments(arguments: argparse.Namespace, width: int, height: int) -> PinholeCamera:
    """Return the (left) camera that the options describe.

    Raises:
        CalibrationError: If neither --calib nor --fx is given, or what they say cannot be.
    """
    if arguments.calib is not None:
        return camera_from_file(arguments.calib, width, height)
    if arguments.fx is None:
        raise CalibrationError('the focal length is not known: give --calib FILE or --fx PX')
    fy = arguments.fx if arguments.fy is None else arguments.fy
    cx = (width - 1) / 2 if arguments.cx is None else arguments.cx
    cy = (height - 1) / 2 if arguments.cy is None else arguments.cy
    return PinholeCamera(width, height, arguments.fx, fy, cx, cy)


def rig_from_arguments(arguments: argparse.Namespace, width: int, height: int) -> StereoRig:
    """Return the rig that the options describe.

    Raises:
        CalibrationError: If neither --calib nor --fx and the baseline are given, or what they
            say cannot be.
    """
    if arguments.calib is not None:
        return rig_from_files(arguments.calib, width, height, arguments.calib_right)
    camera = camera_from_arguments(arguments, width, height)
    if arguments.baseline_m is None:
        raise CalibrationError(
            'the distance of the two cameras is not known: give --calib FILE or --baseline-m M'
        )
    return rig_from_numbers(camera, arguments.baseline_m, arguments.doffs)


def run_stereo(arguments: argparse.Namespace) -> int:
    """Estimate the depth of a pair, and write the results."""
    left, right = read_picture(arguments.left), read_picture(arguments.right)
    rig = rig_from_arguments(arguments, left.shape[1], left.shape[0])
    frame = StereoFrame(Picture(left, 'rgb'), Picture(right, 'rgb'), rig)
    return _run(StereoEstimatorSettings(model=arguments.model), frame, arguments)


def run_mono(arguments: argparse.Namespace) -> int:
    """Estimate the depth of an image, and write the results."""
    image = read_picture(arguments.image)
    camera = camera_from_arguments(arguments, image.shape[1], image.shape[0])
    given = {
        'ground__camera_height_m': arguments.camera_height_m,
        'ground__pitch_deg': arguments.pitch_deg,
        'ground__roll_deg': arguments.roll_deg,
    }
    settings = replace(
        MonoEstimatorSettings(model=arguments.model),
        **{name: value for name, value in given.items() if value is not None},
    )
    return _run(settings, MonoFrame(Picture(image, 'rgb'), camera), arguments)


def _run(
    settings: MonoEstimatorSettings | StereoEstimatorSettings,
    frame: MonoFrame | StereoFrame,
    arguments: argparse.Namespace,
) -> int:
    whole = replace(settings, tensorrt__while_building='wait')  # there is only one frame
    settings = settings_with(whole, arguments.set)
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame)
        facts = {
            'model': estimator.card.id,
            'licence': estimator.card.artifact.licence,
            'backend': estimator.backend.name,
            'backend_reason': estimator.backend.description,
        }
    line = write_results(arguments.out, frame, estimate, settings, facts)
    print(line)
    return 0
