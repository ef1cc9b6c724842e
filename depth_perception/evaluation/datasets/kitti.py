"""KITTI stereo 2012 and 2015, and the object data.

Source:
    The readmes of the stereo, stereo/scene flow and object devkits (cvlibs.net/datasets/kitti).
    Disparity: PNG of 16 bits, value / 256 px, 0 unknown; disp_occ has all pixels, disp_noc those
    that the other camera sees too. Velodyne: little-endian float32 x, y, z [m], reflectance.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import Mask
from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.datasets.files import (
    first_existing,
    image_at,
    images_in,
    missing,
    read_bytes,
    read_image,
    read_scaled,
)
from depth_perception.evaluation.datasets.kitti_calibration import (
    camera_from_velodyne,
    camera_of,
    read_calibration,
    rig_of,
)
from depth_perception.evaluation.datasets.sample import Entry, Lidar, Options, Sample
import numpy as np
from numpy.typing import NDArray

STEP = 1.0 / 256.0
_STEREO = (  # left, right, first camera, truths (all pixels, seen by both)
    ('image_2', 'image_3', 2, ('disp_occ_0', 'disp_occ'), ('disp_noc_0', 'disp_noc')),
    ('image_0', 'image_1', 0, ('disp_occ_0', 'disp_occ'), ('disp_noc_0', 'disp_noc')),
)


def open_kitti_stereo(options: Options) -> list[Entry]:
    """Return the pairs with ground truth (*_10) of a training or testing folder.

    Raises:
        RecordingError: If there is none.
    """
    for source in (options.source, options.source / 'training'):
        for layout in _STEREO:
            left = [p for p in images_in(source / layout[0]) if not p.stem.endswith('_11')]
            if left and (source / layout[1]).is_dir():
                return [
                    Entry(
                        path.stem, path.stem, partial(_read_stereo, source, path, layout, options)
                    )
                    for path in left
                ]
    raise missing(
        options.source, 'KITTI stereo folder', (f'{one[0]} and {one[1]}' for one in _STEREO)
    )


def _read_stereo(
    source: Path,
    path: Path,
    layout: tuple[str, str, int, tuple[str, ...], tuple[str, ...]],
    options: Options,
) -> Sample:
    _, right_folder, first_camera, occ_folders, noc_folders = layout
    left = read_image(path)
    right = read_image(source / right_folder / path.name)
    rig = _stereo_rig(source, path.stem, first_camera, left.shape, options)
    occ = first_existing(source / folder / f'{path.stem}.png' for folder in occ_folders)
    noc = first_existing(source / folder / f'{path.stem}.png' for folder in noc_folders)
    truth = occ or noc
    visible: Mask | None = None
    if noc is not None:
        visible = np.isfinite(read_scaled(noc, STEP))
    if truth is None:
        options.remark(f'no ground truth ({", ".join(occ_folders)}) for some frames')
    return Sample(
        left,
        rig.left,
        right,
        rig,
        disparity=None if truth is None else read_scaled(truth, STEP),
        disparity_step_px=STEP,
        visible_in_both=visible,
    )


def _stereo_rig(
    source: Path, stem: str, first_camera: int, shape: tuple[int, ...], options: Options
) -> StereoRig:
    given = options.rig(shape[1], shape[0])
    if given is not None:
        return given
    number = stem.partition('_')[0]
    places = [source / folder / f'{number}.txt' for folder in ('calib', 'calib_cam_to_cam')]
    path = first_existing(places)
    if path is None:
        raise CalibrationError(
            f'no calibration of {stem}; looked for calib/{number}.txt and '
            f'calib_cam_to_cam/{number}.txt in {source}; unpack the calibration files there, or '
            'give --calib FILE'
        )
    return rig_of(read_calibration(path), first_camera, shape[1], shape[0])


def open_kitti_object(options: Options) -> list[Entry]:
    """Return the frames of the object data, with their laser scans if they are there.

    Raises:
        RecordingError: If there is none.
    """
    for source in (options.source, options.source / 'training'):
        images = images_in(source / 'image_2')
        if images and (source / 'calib').is_dir():
            return [
                Entry(path.stem, path.stem, partial(_read_object, source, path, options))
                for path in images
            ]
    raise missing(options.source, 'KITTI object folder', ('image_2', 'calib', 'velodyne'))


def _read_object(source: Path, path: Path, options: Options) -> Sample:
    image = read_image(path)
    height, width = image.shape[:2]
    numbers = read_calibration(source / 'calib' / f'{path.stem}.txt')
    scan = source / 'velodyne' / f'{path.stem}.bin'
    lidar = None
    if scan.is_file():
        lidar = Lidar(read_velodyne(scan), camera_from_velodyne(numbers, 2))
    else:
        options.remark('no laser scan (velodyne) for some frames')
    right = image_at(source / 'image_3', path.stem)
    if right is None:
        camera = options.camera(width, height) or camera_of(numbers, 2, width, height)
        return Sample(image, camera, lidar=lidar)
    rig = options.rig(width, height) or rig_of(numbers, 2, width, height)
    return Sample(image, rig.left, read_image(right), rig, lidar=lidar)


def read_velodyne(path: Path) -> NDArray[np.float32]:
    """Return (N, 4) float32: x, y, z [m] in the frame of the laser, reflectance 0 to 1.

    Raises:
        RecordingError: If the file cannot be read, or is cut off.
    """
    data = read_bytes(path)
    if not data or len(data) % 16:
        raise RecordingError(f'{path} has {len(data)} bytes, wanted 16 for each point')
    return np.frombuffer(data, '<f4').reshape(-1, 4).astype(np.float32)
