"""Mirror images of frames, and the answers to them brought back.

Convention:
    Column u becomes W - 1 - u, so cx becomes W - 1 - cx. A mirrored pair is swapped as well: the
    mirror image of the right camera lies to the left. With u_L' = W - 1 - u_R and
    u_R' = W - 1 - u_L the disparity u_L' - u_R' = u_L - u_R stays, and so does doffs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import overload

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, NOTHING_KNOWN, Picture, StereoFrame
from depth_perception.core.matching import left_right_difference
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, DisparityMap
import numpy as np
from numpy.typing import NDArray


def mirrored_camera(camera: PinholeCamera) -> PinholeCamera:
    """Return the camera of the mirror image."""
    cx = camera.width - 1.0 - camera.cx
    return PinholeCamera(camera.width, camera.height, camera.fx, camera.fy, cx, camera.cy)


def mirrored_rig(rig: StereoRig) -> StereoRig:
    """Return the rig of the mirror images, left and right swapped."""
    return StereoRig(mirrored_camera(rig.right), mirrored_camera(rig.left), rig.baseline_m)


@overload
def mirrored_frame(frame: MonoFrame) -> MonoFrame: ...
@overload
def mirrored_frame(frame: StereoFrame) -> StereoFrame: ...
def mirrored_frame(frame: MonoFrame | StereoFrame) -> MonoFrame | StereoFrame:
    """Return the mirror image of a frame; a pair is swapped, too.

    Nothing is known of its surroundings: references and poses are not mirrored.
    """
    if isinstance(frame, StereoFrame):
        return replace(
            frame,
            left=_mirrored_picture(frame.right),
            right=_mirrored_picture(frame.left),
            rig=mirrored_rig(frame.rig),
            surroundings=NOTHING_KNOWN,
        )
    return replace(
        frame,
        image=_mirrored_picture(frame.image),
        camera=mirrored_camera(frame.camera),
        surroundings=NOTHING_KNOWN,
    )


def mirrored_map(values: AnyArray) -> AnyArray:
    """Return a map with its columns in reverse order, in memory of its own."""
    return np.ascontiguousarray(values[:, ::-1])


def read_at_match(disparity: DisparityMap, right: AnyArray) -> NDArray[np.float32]:
    """Return right(u - d(u)): a map of the right image on the grid of the left one.

    Args:
        disparity: (H, W) float32 [px] of the left image; NaN where there is no match.
        right: (H, W) float32 map of the right image; NaN unknown.

    Returns:
        (H, W) float32, straight between the two nearest columns; NaN where either is unknown or
        the match lies outside.
    """
    height, width = disparity.shape
    column = np.arange(width, dtype=np.float32) - disparity
    with np.errstate(invalid='ignore'):
        inside = (column >= 0.0) & (column <= width - 1.0)
    column[~inside] = 0.0
    first = np.minimum(column.astype(np.intp), max(width - 2, 0))
    share = column - first
    index = first + np.arange(height, dtype=np.intp)[:, None] * width
    flat = np.ascontiguousarray(right, np.float32).ravel()
    before, after = flat[index], flat[np.minimum(index + 1, flat.size - 1)]
    values: NDArray[np.float32] = np.where(share > 0.0, before + share * (after - before), before)
    values[~inside] = np.nan
    return values


def checked_left_right(
    left: DisparityMap, right: DisparityMap, limit_px: float
) -> NDArray[np.float32]:
    """Return the left-right difference [px]; NaN where it is above the limit: occluded or wrong.

    Args:
        left: (H, W) float32 [px], disparity of the left image.
        right: (H, W) float32 [px], disparity of the right image.
        limit_px: Greatest difference of a match.
    """
    difference = left_right_difference(left, right)
    with np.errstate(invalid='ignore'):
        difference[difference > np.float32(limit_px)] = np.nan
    return difference


def _mirrored_picture(picture: Picture) -> Picture:
    return Picture(np.ascontiguousarray(picture.pixels[:, ::-1]), picture.order)
