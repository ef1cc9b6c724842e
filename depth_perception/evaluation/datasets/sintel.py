"""MPI Sintel: stereo with disparity, depth and camera data.

Source:
    The readmes of the stereo and depth training data and the SDK (`sintel_io.py`): disparity
    [px] = R * 4 + G / 64 + B / 16384; .dpt as float32 [m]; .cam: tag, 9 float64 M (intrinsics)
    and 12 float64 N (3x4, camera from world). Baseline 10 cm; occlusions and outofframe: not 0
    where the right image does not show the pixel.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import DisparityMap, Mask, Pixels
from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.evaluation.datasets.files import (
    first_existing,
    images_in,
    missing,
    read_bytes,
    read_dpt,
    read_image,
    read_unchanged,
    SINTEL_TAG,
)
from depth_perception.evaluation.datasets.sample import Entry, Options, Sample
import numpy as np
from numpy.typing import NDArray

BASELINE_M = 0.10
STEP = 2.0**-14
_PASSES = ('final_left', 'clean_left', 'final', 'clean')  # the first there is taken


def open_sintel(options: Options) -> list[Entry]:
    """Return the frames of the final pass, else of the clean one.

    Raises:
        RecordingError: If there is none.
    """
    for source in (options.source / 'training', options.source):
        for name in _PASSES:
            entries = [
                Entry(path.parent.name, f'{path.parent.name}/{path.stem}',
                      partial(_read, source, path, options))
                for folder in sorted((source / name).glob('*'))
                for path in images_in(folder)
            ]  # fmt: skip
            if entries:
                return entries
    raise missing(options.source, 'Sintel frame', (f'training/{one}/SCENE' for one in _PASSES))


def _read(source: Path, path: Path, options: Options) -> Sample:
    scene, rendered = path.parent.name, path.parent.parent.name
    image = read_image(path)
    height, width = image.shape[:2]
    camera, pose = options.camera(width, height), None
    cam = first_existing(
        source / folder / scene / f'{path.stem}.cam' for folder in ('camdata_left', 'camdata')
    )
    if cam is not None:
        own, pose = read_cam(cam, width, height)
        camera = camera or own
    if camera is None:
        raise CalibrationError(
            f'{scene} has no camdata_left/{scene}/{path.stem}.cam; unpack the depth training data '
            f'into {source}, or give --fx'
        )
    dpt = source / 'depth' / scene / f'{path.stem}.dpt'
    depth = read_dpt(dpt) if dpt.is_file() else None
    right = source / rendered.replace('_left', '_right') / scene / path.name
    if not rendered.endswith('_left') or not right.is_file():
        return Sample(image, camera, depth=depth, map_from_camera=pose)
    disparity = source / 'disparities' / scene / path.name
    baseline_m = BASELINE_M if options.baseline_m is None else options.baseline_m
    rig = rig_from_numbers(camera, baseline_m, options.doffs_px)
    return Sample(
        image,
        rig.left,
        read_image(right),
        rig,
        disparity=read_disparity(disparity) if disparity.is_file() else None,
        disparity_step_px=STEP,
        depth=depth,
        visible_in_both=_visible(source, scene, path.name),
        map_from_camera=pose,
    )


def _visible(source: Path, scene: str, name: str) -> Mask | None:
    paths = [source / folder / scene / name for folder in ('occlusions', 'outofframe')]
    masks: list[Pixels] = [read_unchanged(path) for path in paths if path.is_file()]
    if not masks:
        return None
    if len({mask.shape[:2] for mask in masks}) > 1:
        raise RecordingError(f'the masks of {scene}/{name} have different sizes')
    hidden = [mask.any(axis=-1) if mask.ndim == 3 else mask != 0 for mask in masks]
    visible: Mask = ~np.any(hidden, axis=0)
    return visible


def read_disparity(path: Path) -> DisparityMap:
    """Return (H, W) float32 [px], NaN where all channels are 0.

    Raises:
        RecordingError: If it is not a colour image.
    """
    rgb = read_image(path)
    if rgb.ndim != 3:
        raise RecordingError(f'{path} is grey; disparities are coded in R, G and B')
    values = rgb.astype(np.float64) @ np.array([4.0, 1.0 / 64.0, 1.0 / 16384.0])
    return np.where(values > 0.0, values, np.nan).astype(np.float32)


def read_cam(path: Path, width: int, height: int) -> tuple[PinholeCamera, NDArray[np.float64]]:
    """Return the camera and its (4, 4) pose in the world.

    Raises:
        RecordingError: If it is not a camera file.
    """
    data = read_bytes(path)
    if len(data) < 4 + 21 * 8 or np.frombuffer(data, '<f4', 1)[0] != SINTEL_TAG:
        raise RecordingError(f'{path} is not a Sintel camera file of 172 bytes')
    m = np.frombuffer(data, '<f8', 9, 4).reshape(3, 3)
    camera_from_world = np.eye(4)
    camera_from_world[:3] = np.frombuffer(data, '<f8', 12, 76).reshape(3, 4)
    try:
        pose = np.asarray(np.linalg.inv(camera_from_world), np.float64)
    except np.linalg.LinAlgError as error:
        raise RecordingError(f'{path} holds no pose') from error
    return PinholeCamera(width, height, m[0, 0], m[1, 1], m[0, 2], m[1, 2]), pose
