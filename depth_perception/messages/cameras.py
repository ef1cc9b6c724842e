"""CameraInfo messages to cameras.

Convention:
    K, D, R and P belong to the full sensor; roi is a window of it in full-resolution pixels, and
    binning comes after the window. The window applies to P as it is, whatever roi.do_rectify
    says, because that is what image_geometry does and image_proc publishes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.distortion import LensModel
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import CalibrationError, SettingsError
import numpy as np
from numpy.typing import NDArray

_TRANSPORTS = ('compressed', 'compressedDepth', 'theora')


def camera_from_info(info: Any, role: str = 'camera') -> PinholeCamera:
    """Return the camera of the rectified image, from P, binning and roi.

    Args:
        info: The camera_info of the image.
        role: What to call the camera in messages, e.g. 'left'.

    Raises:
        CalibrationError: If the camera is not calibrated, or roi and binning do not fit the size.
    """
    P = _projection(info, role)
    return _windowed(info, role, (P[0, 0], P[1, 1], P[0, 2], P[1, 2]))


def rig_from_infos(left_info: Any, right_info: Any) -> StereoRig:
    """Return the rig of a rectified pair.

    The baseline is the difference of the two -P[3] / P[0], so that pairs whose P refer to a third
    camera (KITTI) are right too; usually the left P[3] is 0.

    Raises:
        CalibrationError: If a camera is not calibrated, the pair is not rectified, left and right
            are swapped, or there is no baseline.
    """
    left, right = camera_from_info(left_info, 'left'), camera_from_info(right_info, 'right')
    p_left, p_right = _projection(left_info, 'left'), _projection(right_info, 'right')
    seen = f'P[3] is {p_left[0, 3]:g} on the left and {p_right[0, 3]:g} on the right'
    if p_left[1, 3] != p_right[1, 3]:
        raise CalibrationError(
            f'P[7] is {p_left[1, 3]:g} on the left and {p_right[1, 3]:g} on the right: the '
            'cameras lie one above the other; rectify them as a horizontal pair'
        )
    baseline_m = float(p_left[0, 3] / p_left[0, 0] - p_right[0, 3] / p_right[0, 0])
    if baseline_m == 0.0:
        raise CalibrationError(
            f'{seen}: there is no baseline; the right camera_info must hold '
            'P[3] = -fx * baseline; calibrate the pair as a stereo camera'
        )
    if baseline_m < 0.0:
        raise CalibrationError(
            f'{seen}: left and right are swapped (the right P[3] must be negative); '
            'exchange the topics'
        )
    return StereoRig(left, right, baseline_m)


def info_key(info: Any) -> Hashable:
    """Return what is equal for two camera_infos exactly if they describe the same camera.

    The header does not count. Cheap enough to notice a changed calibration at every frame.
    """
    roi = info.roi
    return (
        info.width,
        info.height,
        info.distortion_model,
        info.d.tobytes(),
        info.k.tobytes(),
        info.r.tobytes(),
        info.p.tobytes(),
        info.binning_x,
        info.binning_y,
        (roi.x_offset, roi.y_offset, roi.width, roi.height, roi.do_rectify),
    )


def lens_from_info(info: Any, role: str = 'camera') -> LensModel:
    """Return the lens of the raw image, from K, D, binning and roi.

    Raises:
        CalibrationError: If K is not usable, or the distortion model is not known.
    """
    K = np.asarray(info.k, np.float64).reshape(3, 3)
    if not K.any():
        raise CalibrationError(
            f'{role} camera_info has K all zeros: the camera is not calibrated; calibrate it'
        )
    camera = _windowed(info, role, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    return LensModel(camera, tuple(float(value) for value in info.d), info.distortion_model)


def rectifying_rotation(info: Any, role: str = 'camera') -> NDArray[np.float64]:
    """Return R as (3, 3) float64: rectified camera from raw camera; identity if it is all zeros.

    Raises:
        CalibrationError: If R is not a rotation.
    """
    R = np.asarray(info.r, np.float64).reshape(3, 3)
    if not R.any():
        return np.eye(3)
    with np.errstate(invalid='ignore', over='ignore'):
        orthogonal = bool(np.abs(R @ R.T - np.eye(3)).max() < 1e-3)
    if not orthogonal or np.linalg.det(R) < 0.0:
        raise CalibrationError(
            f'{role} camera_info has R = {R.ravel().tolist()}, which is not a rotation; '
            'calibrate the camera'
        )
    return R


def rectification_needed(info: Any, topic: str, input_rectified: str) -> bool:
    """Return whether images of `topic` must be rectified here before they belong to P.

    Args:
        info: The camera_info of the images.
        topic: Resolved name of the image topic.
        input_rectified: 'yes', 'no' or 'auto' as in the parameter of that name.

    Raises:
        CalibrationError: In 'auto', if topic and camera_info contradict each other.
        SettingsError: If `input_rectified` is something else.
    """
    if input_rectified not in {'auto', 'yes', 'no'}:
        raise SettingsError(f'input_rectified: {input_rectified!r} is not one of auto, yes, no')
    if input_rectified != 'auto':
        return input_rectified == 'no'
    distortion = [float(value) for value in info.d]
    if not any(distortion):
        return False
    names = [name for name in topic.split('/') if name and name not in _TRANSPORTS]
    if not names or 'rect' not in names[-1]:
        return True
    raise CalibrationError(
        f'topic {topic} is named as rectified, but its camera_info has distortion {distortion}, '
        'which describes a raw image; image_proc repeats the camera_info of the driver, so if '
        'the image is rectified set input_rectified:=yes, else remap to the raw image topic'
    )


def _projection(info: Any, role: str) -> NDArray[np.float64]:
    P = np.asarray(info.p, np.float64).reshape(3, 4)
    if not P.any():
        raise CalibrationError(
            f'{role} camera_info has P all zeros: the camera is not calibrated; calibrate it, '
            'or for a single rectified camera publish P = [K | 0]'
        )
    if not np.isfinite(P).all():
        raise CalibrationError(
            f'{role} camera_info has P = {P.ravel().tolist()}, which is not finite; '
            'calibrate the camera'
        )
    return P


def _windowed(
    info: Any, role: str, intrinsics: tuple[float, float, float, float]
) -> PinholeCamera:
    """Return the camera of the window and binning, from fx, fy, cx, cy of the full sensor."""
    roi = info.roi
    try:
        camera = PinholeCamera(info.width, info.height, *(float(value) for value in intrinsics))
        if any((roi.x_offset, roi.y_offset, roi.width, roi.height)):
            _check_window(info)
            camera = camera.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)
        if info.binning_x > 1 or info.binning_y > 1:
            camera = camera.binned(max(info.binning_x, 1), max(info.binning_y, 1))
    except CalibrationError as error:
        raise CalibrationError(f'{role} camera_info: {error}') from error
    return camera


def _check_window(info: Any) -> None:
    roi = info.roi
    fits_x = 0 < roi.width <= info.width - roi.x_offset
    fits_y = 0 < roi.height <= info.height - roi.y_offset
    if not (fits_x and fits_y):
        raise CalibrationError(
            f'roi is {roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset}), which does '
            f'not lie in the full {info.width}x{info.height}; width and height must be those '
            'of the whole sensor, or roi all zeros'
        )
