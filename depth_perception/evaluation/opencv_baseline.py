"""What every stereo model is measured against: OpenCV's semi-global matcher, its holes filled."""

from __future__ import annotations

from depth_perception.core.types import DisparityMap, Pixels
from depth_perception.evaluation.measures.stereo import background_interpolated
from depth_perception.evaluation.pictures import opencv
import numpy as np

_BLOCK = 5


def opencv_filled(left: Pixels, right: Pixels, planes: int, mode: int = 0) -> DisparityMap:
    """Return a disparity for every pixel.

    The images are padded to the left, so that all columns are searched; holes are filled from the
    background as KITTI's devkit does it.

    Args:
        left: (H, W, 3) uint8 RGB.
        right: Likewise.
        planes: Disparities searched, from 0; a multiple of 16.
        mode: Of OpenCV: 0 five paths, 1 eight, 2 three.

    Returns:
        (H, W) float32 [px]; NaN only if nothing was matched at all.
    """
    cv2 = opencv()
    costs = 8 * _BLOCK * _BLOCK, 32 * _BLOCK * _BLOCK
    matcher = cv2.StereoSGBM_create(0, planes, _BLOCK, *costs, 1, 0, 10, 100, 2, mode)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (left, right)]
    grey = [cv2.copyMakeBorder(image, 0, 0, planes, 0, cv2.BORDER_REPLICATE) for image in grey]
    disparity = matcher.compute(*grey)[:, planes:].astype(np.float32) / np.float32(16.0)
    disparity[disparity < 0.0] = np.nan
    return background_interpolated(disparity)
