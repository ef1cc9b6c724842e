"""A rectified stereo rig, and what links disparity, inverse depth and depth.

Convention:
    d = u_left - u_right >= 0 on the left image. With principal points c_L and c_R,
    u_L = f X / Z + c_L and u_R = f (X - b) / Z + c_R, hence
    Z = f b / (d + doffs) with doffs = c_R - c_L = P_R[0, 2] - P_L[0, 2] and
    b = -P_R[0, 3] / P_R[0, 0] > 0 (the right camera lies at +x of the left one).
    The sign of doffs is that of the Middlebury calibration files.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.scale_types import References
from depth_perception.core.types import DepthMap, DisparityMap, InverseDepthMap, SigmaMap
from depth_perception.errors import CalibrationError
import numpy as np


@dataclass(frozen=True)
class StereoRig:
    """Two rectified cameras side by side: `right` lies `baseline_m` to the right of `left`.

    Raises:
        CalibrationError: If the sizes, focal lengths or rows disagree, or the baseline is not
            positive.
    """

    left: PinholeCamera
    right: PinholeCamera
    baseline_m: float

    def __post_init__(self) -> None:
        left, right = self.left, self.right
        if (left.width, left.height) != (right.width, right.height):
            raise CalibrationError(
                f'left camera is {left.width}x{left.height} but right is '
                f'{right.width}x{right.height}; a rectified pair has one size'
            )
        for name in ('fx', 'fy'):
            a, b = getattr(left, name), getattr(right, name)
            if abs(a - b) > 1e-3 * a:
                raise CalibrationError(
                    f'{name} is {a:.3f} px on the left but {b:.3f} px on the right; '
                    'the pair is not rectified'
                )
        if abs(left.cy - right.cy) > 0.5:
            raise CalibrationError(
                f'cy is {left.cy:.2f} px on the left but {right.cy:.2f} px on the right; '
                'the rows do not correspond, the pair is not rectified'
            )
        if not math.isfinite(self.baseline_m) or self.baseline_m == 0.0:
            raise CalibrationError(
                f'baseline is {self.baseline_m} m; the right camera_info must hold '
                'P[3] = -fx * baseline'
            )
        if self.baseline_m < 0.0:
            raise CalibrationError(
                f'baseline is {self.baseline_m:.4f} m: left and right are swapped; '
                'exchange the topics (the right P[3] must be negative)'
            )

    @property
    def doffs_px(self) -> float:
        """Offset of the principal points, c_R - c_L [px]."""
        return self.right.cx - self.left.cx

    @property
    def focal_baseline(self) -> float:
        """The product fx * baseline [px m]: Z = focal_baseline / (d + doffs)."""
        return self.left.fx * self.baseline_m

    def resized(self, width: int, height: int) -> StereoRig:
        """Return the rig of both images stretched to `width` x `height`."""
        return StereoRig(
            self.left.resized(width, height), self.right.resized(width, height), self.baseline_m
        )


def inverse_depth_from_disparity(disparity: DisparityMap, rig: StereoRig) -> InverseDepthMap:
    """Return rho = (d + doffs) / (f b) [1/m], NaN where `disparity` is NaN."""
    rho: InverseDepthMap = np.add(disparity, np.float32(rig.doffs_px), dtype=np.float32)
    rho *= np.float32(1.0 / rig.focal_baseline)
    return rho


def depth_from_disparity(disparity: DisparityMap, rig: StereoRig) -> DepthMap:
    """Return depth Z = f b / (d + doffs) along the optical axis.

    Args:
        disparity: (H, W) float32 [px] of the left image; NaN where there is no match.
        rig: The calibrated pair the disparity was measured in.

    Returns:
        (H, W) float32 [m]; NaN where there is no match, +Inf where d + doffs <= 0.
    """
    total = np.add(disparity, np.float32(rig.doffs_px), dtype=np.float32)
    with np.errstate(divide='ignore', invalid='ignore'):
        depth: DepthMap = np.divide(np.float32(rig.focal_baseline), total, dtype=np.float32)
    depth[total <= 0.0] = np.inf
    return depth


def disparity_from_depth(depth: DepthMap, rig: StereoRig) -> DisparityMap:
    """Return d = f b / Z - doffs [px]; NaN where `depth` is NaN, -doffs where it is +Inf."""
    with np.errstate(divide='ignore', invalid='ignore'):
        disparity: DisparityMap = np.divide(
            np.float32(rig.focal_baseline), depth, dtype=np.float32
        )
    disparity -= np.float32(rig.doffs_px)
    return disparity


def stereo_references(
    disparity: DisparityMap, sigma_disparity: SigmaMap, rig: StereoRig, count: int
) -> References:
    """Return matches of a pair as measured points of the left image.

    rho = (d + doffs) / (f b) and sigma_rho = sigma_d / (f b), the same at every depth.

    Args:
        disparity: (H, W) float32 [px], NaN unmatched.
        sigma_disparity: (H, W) float32 [px].
        rig: The pair.
        count: Number of matches wanted, spread evenly over the matched pixels.
    """
    width = disparity.shape[1]
    matched = np.flatnonzero(np.isfinite(disparity) & np.isfinite(sigma_disparity))
    if matched.size > count:
        matched = matched[np.linspace(0, matched.size - 1, count).astype(np.intp)]
    d = disparity.ravel()[matched].astype(np.float64)
    sigma = sigma_disparity.ravel()[matched].astype(np.float64)
    rho = (d + rig.doffs_px) / rig.focal_baseline
    return References(matched % width, matched // width, rho, sigma / rig.focal_baseline)
