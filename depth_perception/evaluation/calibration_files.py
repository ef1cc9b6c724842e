"""Read stereo calibration from the files people have: Middlebury, KITTI, ROS camera_info YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import re
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import CalibrationError
import numpy as np
from numpy.typing import NDArray

# Left and right of the colour cameras, as KITTI spells them, then of the grey ones.
_KITTI_PAIRS = (('P2', 'P3'), ('P_rect_02', 'P_rect_03'), ('P0', 'P1'), ('P_rect_00', 'P_rect_01'))


def rig_from_files(path: Path, width: int, height: int, right: Path | None = None) -> StereoRig:
    """Return the rig that a calibration file describes, for images of the given size.

    Args:
        path: Middlebury calib.txt, KITTI calib file, or the left ROS camera_info as YAML.
        width: Width of the images [px].
        height: Height of the images [px].
        right: The right camera_info, if `path` is one.

    Raises:
        CalibrationError: If the file cannot be read or is none of these, or the camera it
            describes has another size than the images.
    """
    text = _text(path)
    entries = _entries(text)
    if 'cam0' in entries:
        return _middlebury(path, entries, width, height)
    for left_key, right_key in _KITTI_PAIRS:
        if left_key in entries and right_key in entries:
            p_left = _numbers(path, left_key, entries[left_key], 12)
            p_right = _numbers(path, right_key, entries[right_key], 12)
            return rig_from_projections(p_left, p_right, width, height)
    if 'projection_matrix' in text:
        if right is None:
            raise CalibrationError(
                f'{path} holds one camera_info; give the right one with --calib-right'
            )
        return rig_from_projections(
            _camera_info(path, width, height), _camera_info(right, width, height), width, height
        )
    raise CalibrationError(
        f'{path} is not a calibration known here: Middlebury (cam0=, doffs=, baseline=), KITTI '
        '(P2/P3 or P_rect_02/P_rect_03) or ROS camera_info YAML (projection_matrix)'
    )


def camera_from_file(path: Path, width: int, height: int) -> PinholeCamera:
    """Return the (left) camera that a calibration file describes.

    Raises:
        CalibrationError: As `rig_from_files`.
    """
    if 'projection_matrix' in _text(path):
        return _camera(_camera_info(path, width, height), width, height)
    return rig_from_files(path, width, height).left


def rig_from_projections(
    p_left: NDArray[np.float64], p_right: NDArray[np.float64], width: int, height: int
) -> StereoRig:
    """Return the rig of two 3x4 projection matrices that share a reference camera.

    Convention:
        P[0, 3] = fx * x, where x is the position of the reference in the camera [m]: 0 for the
        left of a ROS pair, -fx * baseline for the right; both not 0 for KITTI's colour cameras.
    """
    baseline_m = p_left[0, 3] / p_left[0, 0] - p_right[0, 3] / p_right[0, 0]
    left, right = _camera(p_left, width, height), _camera(p_right, width, height)
    return StereoRig(left, right, float(baseline_m))


def rig_from_numbers(left: PinholeCamera, baseline_m: float, doffs_px: float) -> StereoRig:
    """Return the rig of a left camera, a baseline [m] and the offset c_R - c_L [px]."""
    right = PinholeCamera(left.width, left.height, left.fx, left.fy, left.cx + doffs_px, left.cy)
    return StereoRig(left, right, baseline_m)


def _camera(p: NDArray[np.float64], width: int, height: int) -> PinholeCamera:
    return PinholeCamera(width, height, p[0, 0], p[1, 1], p[0, 2], p[1, 2])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f'cannot read the calibration {path}: {error}') from error


def _entries(text: str) -> dict[str, str]:
    """Return key -> rest of the line of `key=value` and `key: value` lines."""
    found = re.findall(r'^\s*(\w+)\s*[=:]\s*(.+?)\s*$', text, re.MULTILINE)
    return dict(found)


def _numbers(path: Path, key: str, text: str, count: int) -> NDArray[np.float64]:
    try:
        values = [float(word) for word in re.split(r'[\s\[\];,]+', text) if word]
    except ValueError as error:
        raise CalibrationError(f'{path}: {key} is not a list of numbers: {text}') from error
    if len(values) != count:
        raise CalibrationError(f'{path}: {key} has {len(values)} numbers, wanted {count}')
    columns = 4 if count == 12 else 3
    return np.array(values).reshape(-1, columns) if count > 1 else np.array(values)


def _middlebury(path: Path, entries: Mapping[str, str], width: int, height: int) -> StereoRig:
    missing = [key for key in ('cam0', 'baseline') if key not in entries]
    if missing:
        raise CalibrationError(f'{path} lacks {", ".join(missing)}')
    for key, wanted in (('width', width), ('height', height)):
        if key in entries and float(_numbers(path, key, entries[key], 1)[0]) != wanted:
            raise CalibrationError(
                f'{path} is for images of {key} {entries[key]} px, these have {wanted} px'
            )
    k = _numbers(path, 'cam0', entries['cam0'], 9)
    doffs_px = float(_numbers(path, 'doffs', entries.get('doffs', '0'), 1)[0])
    baseline_mm = float(_numbers(path, 'baseline', entries['baseline'], 1)[0])
    left = PinholeCamera(width, height, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    return rig_from_numbers(left, baseline_mm * 1e-3, doffs_px)


def _camera_info(path: Path, width: int, height: int) -> NDArray[np.float64]:
    """Return the projection matrix of a camera_info YAML, as camera_calibration writes it."""
    import yaml

    try:
        content: Any = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise CalibrationError(f'{path} is not YAML: {error}') from error
    try:
        size = int(content['image_width']), int(content['image_height'])
        p = np.array(content['projection_matrix']['data'], np.float64).reshape(3, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(
            f'{path} lacks image_width, image_height or projection_matrix.data (12 numbers)'
        ) from error
    if size != (width, height):
        raise CalibrationError(
            f'{path} is for images of {size[0]}x{size[1]}, these are {width}x{height}'
        )
    return p
