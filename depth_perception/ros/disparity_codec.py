"""stereo_msgs/DisparityImage with every field filled.

Convention:
    The values are pre-adjusted for the offset of the principal points, d + doffs, so that
    Z = f t / d holds for everybody who reads only the message. Pixels without a match hold
    `invalid_value`, finite, negative and below min_disparity, because readers test either way.
"""

from __future__ import annotations

from typing import Any

from depth_perception.core.estimate import Disparity
from depth_perception.ros.image_codec import ImageWriter
import numpy as np
from sensor_msgs.msg import RegionOfInterest
from stereo_msgs.msg import DisparityImage


def invalid_value(min_disparity_px: float) -> float:
    """Return the value [px] of pixels without a match, for the least adjusted disparity."""
    return min(0.0, min_disparity_px) - 1.0


class DisparityWriter:
    """Writes a stream of disparity images into one message, whose buffer is reused.

    The message is valid until the next write: publish it (which serialises it) before.
    """

    def __init__(self) -> None:
        self._message = DisparityImage()
        self._image = ImageWriter('32FC1')

    def write(self, disparity: Disparity, header: Any) -> DisparityImage:
        """Return the message with the values of `disparity`.

        Args:
            disparity: Unadjusted values [px], NaN where there is no match.
            header: std_msgs/Header of the left image.
        """
        message, rig = self._message, disparity.rig
        doffs_px = rig.doffs_px
        least_px = disparity.min_px + doffs_px
        adjusted = np.add(disparity.values, np.float32(doffs_px), dtype=np.float32)
        np.fmax(adjusted, np.float32(invalid_value(least_px)), out=adjusted)  # NaN never wins
        message.header = header
        message.image = self._image.write(adjusted, header)
        message.f = rig.left.fx
        message.t = rig.baseline_m
        message.min_disparity = least_px
        message.max_disparity = disparity.max_px + doffs_px
        message.delta_d = disparity.step_px
        margin_px = min(disparity.margin_px, rig.left.width)
        message.valid_window = RegionOfInterest(
            x_offset=margin_px, width=rig.left.width - margin_px, height=rig.left.height
        )
        return message
