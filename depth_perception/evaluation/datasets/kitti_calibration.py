"""Calibration files of KITTI: projections of the four cameras, and the way from the laser.

Source:
    The readme and `devkit/matlab` of the raw data, stereo and object devkits. P_rect (or P) is
    3x4 and maps the rectified frame of camera 0 to pixels; with P = K [I | t] the optical frame of
    camera i lies at x_i = x_0 + t. The laser: x_0 = R_rect_00 (R | T)_velo_to_cam x_velo.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import CalibrationError
from depth_perception.evaluation.calibration_files import rig_from_projections
import numpy as np
from numpy.typing import NDArray

Numbers = Mapping[str, NDArray[np.float64]]


def read_calibration(*paths: Path) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of every `key: numbers` line of the files together.

    Raises:
        CalibrationError: If a file cannot be read.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding='utf-8').splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CalibrationError(f'cannot read the calibration {path}: {error}') from error
        for line in lines:
            key, _, rest = line.partition(':')
            try:
                found[key.strip()] = np.array([float(word) for word in rest.split()])
            except ValueError:  # a date
                continue
    return found


def projection(numbers: Numbers, camera: int) -> NDArray[np.float64]:
    """Return the (3, 4) projection of a rectified camera, 0 to 3.

    Raises:
        CalibrationError: If the files lack it.
    """
    for key in (f'P_rect_{camera:02d}', f'P{camera}'):
        if key in numbers and numbers[key].size == 12:
            return numbers[key].reshape(3, 4)
    raise CalibrationError(f'the calibration lacks P{camera} or P_rect_{camera:02d} (12 numbers)')


def camera_of(numbers: Numbers, camera: int, width: int, height: int) -> PinholeCamera:
    """Return a rectified camera.

    Raises:
        CalibrationError: If the files lack it.
    """
    p = projection(numbers, camera)
    return PinholeCamera(width, height, p[0, 0], p[1, 1], p[0, 2], p[1, 2])


def rig_of(numbers: Numbers, left: int, width: int, height: int) -> StereoRig:
    """Return the pair of the cameras `left` and `left` + 1.

    Raises:
        CalibrationError: If the files lack one.
    """
    return rig_from_projections(
        projection(numbers, left), projection(numbers, left + 1), width, height
    )


def camera_from_velodyne(numbers: Numbers, camera: int) -> NDArray[np.float64]:
    """Return the (4, 4) transform from the laser to the optical frame of a rectified camera.

    Raises:
        CalibrationError: If the files lack a part of it.
    """
    p = projection(numbers, camera)
    camera_from_0 = np.eye(4)
    camera_from_0[:3, 3] = np.linalg.solve(p[:, :3], p[:, 3])
    rectified_from_0 = np.eye(4)
    rectified_from_0[:3, :3] = _one_of(numbers, ('R0_rect', 'R_rect_00', 'R_rect'), 9)
    velodyne = np.eye(4)
    if 'R' in numbers and 'T' in numbers:  # calib_velo_to_cam.txt of the raw data
        velodyne[:3, :3] = _one_of(numbers, ('R',), 9)
        velodyne[:3, 3] = _one_of(numbers, ('T',), 3).ravel()
    else:
        velodyne[:3] = _one_of(numbers, ('Tr_velo_to_cam', 'Tr_velo_cam'), 12)
    transform: NDArray[np.float64] = camera_from_0 @ rectified_from_0 @ velodyne
    return transform


def _one_of(numbers: Numbers, keys: tuple[str, ...], count: int) -> NDArray[np.float64]:
    for key in keys:
        if key in numbers and numbers[key].size == count:
            return numbers[key].reshape(3, -1)
    raise CalibrationError(f'the calibration lacks {" or ".join(keys)} ({count} numbers)')
