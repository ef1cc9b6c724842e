"""Depth to the compressedDepth wire format."""

from __future__ import annotations

from array import array
from typing import Any

from depth_perception.core.types import DepthMap
from depth_perception.messages.compressed import DEPTH_HEADER, opencv
import numpy as np
from sensor_msgs.msg import CompressedImage

_INVERSE_DEPTH = 0
_MAX_CODE = 65535.0


def compressed_depth_from_depth(
    depth: DepthMap,
    header: Any,
    depth_max_m: float = 10.0,
    depth_quantization: float = 100.0,
    png_level: int = 1,
) -> CompressedImage:
    """Return the compressedDepth message of a 32FC1 depth image.

    The wire format holds v = A / z + B in 16 bits with A = q (q + 1) and B = 1 - A / depth_max;
    we round v, so the inverse depth is off by up to 1 / (2 A). NaN, -Inf, +Inf and whatever lies
    outside the range that 16 bits can hold become 0, which readers decode to NaN: the format has
    no other special value.

    Args:
        depth: (H, W) float32 [m].
        header: std_msgs/Header of the image.
        depth_max_m: Farthest depth that is kept [m].
        depth_quantization: q above; the greater, the finer, and the farther the nearest depth.
        png_level: Effort of the PNG, 0 to 9.

    Raises:
        BackendUnavailableError: If OpenCV is not installed.
    """
    cv2 = opencv()
    a = depth_quantization * (depth_quantization + 1.0)
    b = 1.0 - a / depth_max_m
    with np.errstate(divide='ignore', over='ignore'):
        codes = np.divide(np.float32(a), depth, dtype=np.float32)
    codes += np.float32(b + 0.5)
    fits = (depth > 0.0) & (depth <= depth_max_m) & (codes >= 1.0) & (codes < _MAX_CODE + 1.0)
    codes[~fits] = 0.0
    options = [cv2.IMWRITE_PNG_COMPRESSION, png_level]
    _, png = cv2.imencode('.png', codes.astype(np.uint16), options)
    data = array('B', DEPTH_HEADER.pack(_INVERSE_DEPTH, a, b))
    data.frombytes(memoryview(png).cast('B'))
    message = CompressedImage(header=header, format='32FC1; compressedDepth png')
    message.data = data
    return message
