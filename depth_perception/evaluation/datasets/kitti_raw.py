"""KITTI raw drives and the depth maps made from them.

Source:
    The readmes of the raw data and depth devkits (cvlibs.net/datasets/kitti). Depth: PNG of
    16 bits, value / 256 m, 0 unknown. Drives: DATE/calib_*.txt and
    DATE/DRIVE/{image_02,image_03,velodyne_points}/data with timestamps.txt; the depth data has
    DRIVE/proj_depth/groundtruth/image_02.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
import re

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.datasets.files import (
    first_existing,
    images_in,
    missing,
    read_bytes,
    read_image,
    read_numbers,
    read_scaled,
)
from depth_perception.evaluation.datasets.kitti import read_velodyne, STEP
from depth_perception.evaluation.datasets.kitti_calibration import (
    camera_from_velodyne,
    camera_of,
    read_calibration,
    rig_of,
)
from depth_perception.evaluation.datasets.sample import Entry, Lidar, Options, Sample

_TRUTH = Path('proj_depth', 'groundtruth', 'image_02')


def open_kitti_raw(options: Options) -> list[Entry]:
    """Return every frame of the drives below the source, with its time of exposure.

    Raises:
        RecordingError: If there is no drive.
    """
    entries = [entry for drive in _drives(options.source) for entry in _frames(drive, options)]
    if not entries:
        raise missing(options.source, 'KITTI raw drive', ('DATE/DRIVE/image_02/data',))
    return entries


def open_kitti_depth(options: Options) -> list[Entry]:
    """Return the frames that have a depth map: the selected validation images, or drives.

    Raises:
        RecordingError: If there is none.
    """
    for source in (options.source, options.source / 'val_selection_cropped',
                   options.source / 'depth_selection' / 'val_selection_cropped'):  # fmt: skip
        images = images_in(source / 'image')
        if images and (source / 'groundtruth_depth').is_dir():
            return [
                Entry(path.stem, path.stem, partial(_read_selected, source, path, options))
                for path in images
            ]
    entries = [
        entry
        for drive in _drives(options.source)
        for entry in _frames(drive, options, only_with_truth=True)
    ]
    if not entries:
        raise missing(
            options.source,
            'frame with a KITTI depth map',
            ('image and groundtruth_depth (the selected validation images)',
             f'DRIVE/image_02/data beside DRIVE/{_TRUTH.as_posix()} (merge the raw data into it)'),
        )  # fmt: skip
    return entries


def _drives(source: Path) -> list[Path]:
    """Return the folders of drives at any depth."""
    return sorted({path.parent.parent for path in source.rglob('image_02/data')})


def _frames(drive: Path, options: Options, *, only_with_truth: bool = False) -> list[Entry]:
    images = images_in(drive / 'image_02' / 'data')
    stamps = _stamps(drive / 'image_02' / 'timestamps.txt', options)
    truths = _truth_folder(drive, options.source)
    entries = []
    for path in images:
        truth = None if truths is None else truths / f'{path.stem}.png'
        truth = truth if truth is not None and truth.is_file() else None
        if truth is None and only_with_truth:
            continue
        number = int(path.stem) if path.stem.isdigit() else len(stamps)
        stamp_ns = stamps[number] if number < len(stamps) else None
        read = partial(_read_frame, drive, path, truth, options)
        entries.append(Entry(drive.name, f'{drive.name}/{path.stem}', read, stamp_ns))
    return entries


def _truth_folder(drive: Path, source: Path) -> Path | None:
    """Return the depth maps of a drive: inside it, or in train/ or val/ of the depth data."""
    places = [drive / _TRUTH, *(source / part / drive.name / _TRUTH for part in ('train', 'val'))]
    return first_existing(places)


def _stamps(path: Path, options: Options) -> list[int]:
    """Return the stamps [ns] of timestamps.txt; its local time is taken for UTC."""
    if not path.is_file():
        options.remark('no timestamps.txt', path.parent.parent.name)
        return []
    stamps = []
    for line in read_bytes(path).decode('ascii', 'replace').splitlines():
        parts = re.fullmatch(r'(\d+-\d+-\d+ \d+:\d+:\d+)(?:\.(\d{1,9}))?\s*', line)
        if parts is None:
            break
        time = datetime.strptime(f'{parts.group(1)} +0000', '%Y-%m-%d %H:%M:%S %z')
        seconds = int(time.timestamp())
        stamps.append(seconds * 10**9 + int((parts.group(2) or '0').ljust(9, '0')))
    return stamps


def _read_frame(drive: Path, path: Path, truth: Path | None, options: Options) -> Sample:
    image = read_image(path)
    height, width = image.shape[:2]
    places = (drive.parent, drive, options.source / drive.name[:10])
    cameras = first_existing(place / 'calib_cam_to_cam.txt' for place in places)
    if cameras is None:
        raise CalibrationError(
            f'{drive.name} has no calib_cam_to_cam.txt; looked in '
            f'{", ".join(map(str, places))}; '
            'unpack the calibration of its date there'
        )
    numbers = read_calibration(cameras)
    depth = None if truth is None else read_scaled(truth, STEP)
    lidar = None
    scan = drive / 'velodyne_points' / 'data' / f'{path.stem}.bin'
    laser = cameras.with_name('calib_velo_to_cam.txt')
    if scan.is_file() and laser.is_file():
        both = {**numbers, **read_calibration(laser)}
        lidar = Lidar(read_velodyne(scan), camera_from_velodyne(both, 2))
    else:
        options.remark('frames without a laser scan or calib_velo_to_cam.txt', drive.name)
    right = drive / 'image_03' / 'data' / path.name
    if not right.is_file():
        camera = options.camera(width, height) or camera_of(numbers, 2, width, height)
        return Sample(image, camera, depth=depth, lidar=lidar)
    rig = options.rig(width, height) or rig_of(numbers, 2, width, height)
    return Sample(image, rig.left, read_image(right), rig, depth=depth, lidar=lidar)


def _read_selected(source: Path, path: Path, options: Options) -> Sample:
    """Read one of the selected images, whose intrinsics are 3x3 in a file of their own."""
    image = read_image(path)
    height, width = image.shape[:2]
    camera = options.camera(width, height)
    if camera is None:
        k = read_numbers(source / 'intrinsics' / f'{path.stem}.txt').ravel()
        if k.size != 9:
            raise RecordingError(f'the intrinsics of {path.stem} have {k.size} numbers, not 9')
        camera = PinholeCamera(width, height, k[0], k[4], k[2], k[5])
    name = path.stem.replace('_image_', '_groundtruth_depth_', 1)
    truth = source / 'groundtruth_depth' / f'{name}.png'
    return Sample(image, camera, depth=read_scaled(truth, STEP))
