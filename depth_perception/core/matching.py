"""What tells good stereo matches from bad ones.

A matcher always finds something. Three things say whether it is worth believing: the right image
agrees (left-right check), the neighbourhood was matched too (support), and the texture is stronger
than the noise (photometric sigma).

Convention:
    d = u_left - u_right. Disparities of the left image sit on its pixels, those of the right
    image on the right one's: the match of left pixel u is right pixel u - d.
"""

from __future__ import annotations

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DisparityMap, Mask, Pixels, SigmaMap
from depth_perception.errors import ShapeError
import numpy as np
from numpy.typing import NDArray

STEP_PX = 1.0 / 16.0  # sub-pixel step of semi-global matching
MAX_NOISE = 3.0  # grey levels; above it is texture that was taken for noise


def box_sum(values: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Return the sum over the `window` x `window` square around every pixel.

    Outside the image counts as zero. Sums of 2, 4, 8 ... pixels are built from each other, so a
    NaN spoils only its own squares and float32 loses nothing, unlike with cumulative sums.

    Args:
        values: (H, W) float32.
        window: Side of the square [px], odd.

    Returns:
        (H, W) float32.

    Raises:
        ShapeError: If `window` is not odd and positive.
    """
    if window < 1 or window % 2 == 0:
        raise ShapeError(f'window must be odd and positive, got {window}')
    half = window // 2
    height, width = values.shape
    padded = np.zeros((height + 2 * half, width + 2 * half), np.float32)
    padded[half : half + height, half : half + width] = values
    return _run_sum(_run_sum(padded.T, window, width).T, window, height)


def _run_sum(values: NDArray[np.float32], window: int, count: int) -> NDArray[np.float32]:
    """Return `count` sums of `window` consecutive rows."""
    total: NDArray[np.float32] | None = None
    power, doubled, start, rest = 1, values, 0, window
    while rest:
        if rest & 1:
            part = doubled[start : start + count]
            total = part if total is None else total + part
            start += power
        rest >>= 1
        if rest:
            doubled = doubled[:-power] + doubled[power:]
            power *= 2
    assert total is not None
    return total


def left_right_difference(left: DisparityMap, right: DisparityMap) -> NDArray[np.float32]:
    """Return |d_left(u) - d_right(u - d_left(u))|, the right one read at the nearest pixel.

    Args:
        left: (H, W) float32 [px], disparity of the left image; NaN where there is no match.
        right: (H, W) float32 [px], disparity of the right image, positive like the left one.

    Returns:
        (H, W) float32 [px]; NaN where either has no match or the match is outside the image.

    Raises:
        ShapeError: If the two differ in shape.
    """
    sizes = check_shapes(left=(left, 'H W'), right=(right, 'H W'))
    height, width = sizes['H'], sizes['W']
    column = np.arange(width, dtype=np.float32) - left
    with np.errstate(invalid='ignore'):
        inside = (column >= -0.5) & (column < width - 0.5)
    column[~inside] = 0.0
    index = np.rint(column).astype(np.intp)
    np.clip(index, 0, width - 1, out=index)
    index += np.arange(height, dtype=np.intp)[:, None] * width
    difference: NDArray[np.float32] = np.take(right, index)
    difference -= left
    np.abs(difference, out=difference)
    difference[~inside] = np.nan
    return difference


def support_fraction(valid: Mask, window: int = 9) -> NDArray[np.float32]:
    """Return the fraction of true pixels in the square around every pixel, 0..1.

    Only pixels inside the image count. Wrong matches that survive a left-right check come in
    ragged patches at occlusions and in weak texture, right ones come in full surfaces.

    Args:
        valid: (H, W) bool.
        window: Side of the square [px], odd.
    """
    fraction = box_sum(valid.astype(np.float32), window)
    height, width = valid.shape
    fraction /= _inside_count(height, window)[:, None] * _inside_count(width, window)
    return fraction


def _inside_count(length: int, window: int) -> NDArray[np.float32]:
    """Return how many of the `window` pixels around each position lie inside the image."""
    half, position = window // 2, np.arange(length)
    last = np.minimum(position + half, length - 1)
    return (last - np.maximum(position - half, 0) + 1).astype(np.float32)


def intensity_noise(grey: Pixels) -> float:
    """Return a robust standard deviation of the image noise [grey levels], at least 0.3.

    The median of a 3x3 operator that cancels planes and edges along x and y (Immerkaer), on every
    second pixel of every fourth row. Strong texture looks like noise to it: see `MAX_NOISE`. The
    floor is the rounding to whole grey levels.
    """
    if min(grey.shape) < 3:
        return 0.3
    rows = np.arange(1, grey.shape[0] - 1, 4)
    above, middle, below = (grey[rows + shift].astype(np.float32) for shift in (-1, 0, 1))
    vertical = above - 2.0 * middle + below
    response = vertical[:, :-2:2] - 2.0 * vertical[:, 1:-1:2] + vertical[:, 2::2]
    return max(0.3, float(np.median(np.abs(response))) / (0.6745 * 6.0))


def photometric_sigma(
    left_grey: Pixels, window: int = 9, sigma_intensity: float | None = None
) -> SigmaMap:
    """Return how well the texture pins the disparity down: one standard deviation [px].

    Convention:
        sigma_d^2 = 2 sigma_I^2 / sum_w (dI/dx)^2 + (step / sqrt 12)^2: least squares on a window
        in two equally noisy images, and the rounding to the matcher's sub-pixel step.

    Args:
        left_grey: (H, W) uint8.
        window: Side of the window [px], odd.
        sigma_intensity: Noise of the image [grey levels]; None estimates it from the image.

    Returns:
        (H, W) float32 [px]; +Inf where the window has no texture at all.
    """
    check_shapes(left_grey=(left_grey, 'H W'))
    if sigma_intensity is None:
        sigma_intensity = min(intensity_noise(left_grey), MAX_NOISE)
    levels = left_grey.astype(np.float32)
    squared = np.zeros_like(levels)
    if levels.shape[1] > 2:
        np.subtract(levels[:, 2:], levels[:, :-2], out=squared[:, 1:-1])
        np.square(squared, out=squared)
    energy = box_sum(squared, window)  # of differences over 2 px, hence 4 times (dI/dx)^2
    with np.errstate(divide='ignore'):
        variance = np.divide(np.float32(8.0 * sigma_intensity**2), energy, out=energy)
    variance += np.float32(STEP_PX**2 / 12.0)
    sigma: SigmaMap = np.sqrt(variance, out=variance)
    return sigma
