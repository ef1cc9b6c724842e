"""Depth and confidence in the units that other drivers publish.

Convention:
    Millimetres: uint16, 0 invalid, as REP 118 has it for `image_raw`.
    Error percent: 1..100, a probability of error; 1 is the best, 100 "not to be trusted", as the
    ZED SDK defines its confidence.
    Inverse depth codes: uint16 v = A / Z + B with A = q (q + 1) and B = 1 - A / depth_max, 0
    invalid, as compressed_depth_image_transport stores float depth.
"""

from __future__ import annotations

from depth_perception.core.types import DepthMap
import numpy as np
from numpy.typing import NDArray

_MAX_MILLIMETRES = 65535.0
_MAX_CODE = 65535.0


def millimetres_from_depth(depth: DepthMap) -> NDArray[np.uint16]:
    """Return (H, W) uint16 [mm], rounded; 0 where depth is not finite or does not fit 16 bits.

    Args:
        depth: (H, W) float32 [m].
    """
    scaled = np.multiply(depth, np.float32(1000.0))
    np.rint(scaled, out=scaled)
    fits = (scaled > 0.0) & (scaled <= _MAX_MILLIMETRES)
    scaled[~fits] = 0.0
    return scaled.astype(np.uint16)


def error_percent_from_confidence(confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W) float32 in 1..100: the probability [%] that a depth is wrong.

    Args:
        confidence: (H, W) float32 in 0..1, the probability that the depth is right; 0 where there
            is none.
    """
    percent: NDArray[np.float32] = np.subtract(np.float32(1.0), confidence, dtype=np.float32)
    percent *= np.float32(100.0)
    return np.clip(percent, np.float32(1.0), np.float32(100.0), out=percent)


def inverse_depth_coefficients(
    depth_max_m: float, depth_quantization: float
) -> tuple[float, float]:
    """Return A and B of v = A / Z + B.

    Args:
        depth_max_m: Farthest depth that is kept [m].
        depth_quantization: q above; the greater, the finer, and the farther the nearest depth.
    """
    a = depth_quantization * (depth_quantization + 1.0)
    return a, 1.0 - a / depth_max_m


def inverse_depth_codes(
    depth: DepthMap, depth_max_m: float, depth_quantization: float
) -> NDArray[np.uint16]:
    """Return (H, W) uint16 v = A / Z + B, rounded, so that 1 / Z is off by up to 1 / (2 A).

    NaN, -Inf, +Inf and whatever lies outside the range that 16 bits can hold become 0: the code
    has no other special value.

    Args:
        depth: (H, W) float32 [m].
        depth_max_m: Farthest depth that is kept [m].
        depth_quantization: q of the coefficients.
    """
    a, b = inverse_depth_coefficients(depth_max_m, depth_quantization)
    with np.errstate(divide='ignore', over='ignore'):
        codes = np.divide(np.float32(a), depth, dtype=np.float32)
    codes += np.float32(b + 0.5)
    fits = (depth > 0.0) & (depth <= depth_max_m) & (codes >= 1.0) & (codes < _MAX_CODE + 1.0)
    codes[~fits] = 0.0
    return codes.astype(np.uint16)
