"""Depth to the compressedDepth wire format of compressed_depth_image_transport.

Convention:
    A header {int32 format = 0, float32 A, float32 B}, then 16-bit codes as PNG, or as RVL after
    their width and height. Of 32FC1 the codes are inverse depth (`core.depth_units`), of 16UC1
    they are the millimetres themselves, with A and B zero.
"""

from __future__ import annotations

from array import array
from typing import Any

from depth_perception.core.depth_units import (
    inverse_depth_codes,
    inverse_depth_coefficients,
    millimetres_from_depth,
)
from depth_perception.core.rvl import rvl_from_codes
from depth_perception.core.types import DepthMap
from depth_perception.messages.compressed import DEPTH_HEADER, DEPTH_SIZE, opencv
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

_INVERSE_DEPTH = 0
# The standard decoder takes an image that is smaller still, such as one without any depth, for a
# damaged one; what follows the last run it does not look at.
_RVL_PIXELS_PER_BYTE = 5


def compressed_depth_from_depth(
    depth: DepthMap,
    header: Any,
    depth_max_m: float = 10.0,
    depth_quantization: float = 100.0,
    png_level: int = 1,
    coding: str = 'png',
) -> CompressedImage:
    """Return the compressedDepth message of a 32FC1 depth image.

    The inverse depth is off by up to 1 / (2 A). NaN, -Inf, +Inf and whatever lies outside the
    range that 16 bits can hold become 0, which readers decode to NaN.

    Args:
        depth: (H, W) float32 [m].
        header: std_msgs/Header of the image.
        depth_max_m: Farthest depth that is kept [m].
        depth_quantization: q; the greater, the finer, and the farther the nearest depth.
        png_level: Effort of the PNG, 0 to 9.
        coding: 'png' or 'rvl'.

    Raises:
        BackendUnavailableError: If PNG is asked for and OpenCV is not installed.
    """
    codes = inverse_depth_codes(depth, depth_max_m, depth_quantization)
    coefficients = inverse_depth_coefficients(depth_max_m, depth_quantization)
    return _message(codes, header, '32FC1', coefficients, png_level, coding)


def compressed_millimetres_from_depth(
    depth: DepthMap, header: Any, depth_max_m: float, png_level: int = 1, coding: str = 'png'
) -> CompressedImage:
    """Return the compressedDepth message of a 16UC1 depth image; see the other one.

    Args:
        depth: (H, W) float32 [m].
        header: std_msgs/Header of the image.
        depth_max_m: Farther depth becomes 0 [m].
        png_level: Effort of the PNG, 0 to 9.
        coding: 'png' or 'rvl'.

    Raises:
        BackendUnavailableError: If PNG is asked for and OpenCV is not installed.
    """
    codes = millimetres_from_depth(depth)
    codes[codes > depth_max_m * 1e3] = 0
    return _message(codes, header, '16UC1', (0.0, 0.0), png_level, coding)


def _message(
    codes: NDArray[np.uint16],
    header: Any,
    encoding: str,
    coefficients: tuple[float, float],
    png_level: int,
    coding: str,
) -> CompressedImage:
    data = array('B', DEPTH_HEADER.pack(_INVERSE_DEPTH, *coefficients))
    if coding == 'rvl':
        height, width = codes.shape
        body = DEPTH_SIZE.pack(width, height) + rvl_from_codes(codes)
        data.frombytes(body.ljust(-(-codes.size // _RVL_PIXELS_PER_BYTE), b'\0'))
    else:
        cv2 = opencv()
        _, png = cv2.imencode('.png', codes, [cv2.IMWRITE_PNG_COMPRESSION, png_level])
        data.frombytes(memoryview(png).cast('B'))
    message = CompressedImage(header=header, format=f'{encoding}; compressedDepth {coding}')
    message.data = data
    return message
