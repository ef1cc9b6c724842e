"""DisparityImage messages to disparity and depth."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

from depth_perception.core.camera import MAX_SIDE_PX
from depth_perception.core.types import DepthMap, DisparityMap
from depth_perception.errors import FrameError
from depth_perception.messages.images import float_rows
import numpy as np


@dataclass(frozen=True)
class DisparityContent:
    """What a DisparityImage says.

    Attributes:
        adjusted: (H, W) float32 [px], NaN where there is no match. Adjusted for the offset of the
            principal points, d + doffs, so that Z = f T / adjusted.
        focal_px: Focal length f [px].
        baseline_m: Distance T of the cameras [m].
    """

    adjusted: DisparityMap
    focal_px: float
    baseline_m: float

    @property
    def depth(self) -> DepthMap:
        """(H, W) float32 depth [m], NaN unknown; +Inf where the disparity is 0."""
        with np.errstate(divide='ignore'):
            depth = np.float32(self.focal_px * self.baseline_m) / self.adjusted
        depth[depth < 0.0] = np.nan
        return np.asarray(depth, np.float32)


def disparity_from_message(msg: Any, max_side_px: int = MAX_SIDE_PX) -> DisparityContent:
    """Return the disparity of a stereo_msgs/DisparityImage.

    A pixel counts if it is finite and lies in [min_disparity, max_disparity + 1], as matchers
    refine the last whole disparity upwards; publishers mark the others by a value below
    min_disparity, or by a huge one. Where the two bounds are equal (some publishers leave them 0)
    every positive value counts.

    Args:
        msg: A message from anywhere; nothing in it is trusted.
        max_side_px: Larger images are refused.

    Raises:
        FrameError: If the image is not 32FC1 or is cut off, or f and T are not positive.
    """
    focal_px, baseline_m = float(msg.f), float(msg.t)
    if not (0.0 < focal_px < math.inf and 0.0 < abs(baseline_m) < math.inf):
        raise FrameError(
            'calibration',
            f'disparity image has f = {focal_px:g} and T = {baseline_m:g}; both must be known to '
            'get depth from it',
        )
    values = float_rows(msg.image, max_side_px).copy()
    low, high = float(msg.min_disparity), float(msg.max_disparity)
    with np.errstate(invalid='ignore'):
        known = np.isfinite(values)
        known &= (values >= low) & (values <= high + 1.0) if low < high else values > 0.0
    values[~known] = np.nan
    return DisparityContent(values, focal_px, abs(baseline_m))


def depth_from_disparity_message(msg: Any, max_side_px: int = MAX_SIDE_PX) -> DepthMap:
    """Return the depth [m] of a stereo_msgs/DisparityImage, NaN unknown.

    Raises:
        FrameError: As of `disparity_from_message`.
    """
    return disparity_from_message(msg, max_side_px).depth
