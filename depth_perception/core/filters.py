"""Filters in image space: range, speckles and flying pixels."""

from __future__ import annotations

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DepthMap, InverseDepthMap, Mask, SigmaMap
import numpy as np
from numpy.typing import NDArray

_ROWS_PER_BLOCK = 32  # rows whose temporaries stay in the cache; a multiple of the cell
_CELL = 4  # side of the cells over which the noise of a surface is taken [px]


def range_masks(
    inverse_depth: InverseDepthMap, min_depth_m: float, max_depth_m: float
) -> tuple[Mask, Mask]:
    """Return the masks (too near, too far) of a range of depth.

    Args:
        inverse_depth: (H, W) float32 [1/m]; NaN is in neither mask, 0 and below are too far.
        min_depth_m: Nearest depth inside [m].
        max_depth_m: Farthest depth inside [m].
    """
    with np.errstate(invalid='ignore'):
        too_near: Mask = inverse_depth > np.float32(1.0 / min_depth_m)
        too_far: Mask = inverse_depth < np.float32(1.0 / max_depth_m)
    return too_near, too_far


def speckle_mask(
    inverse_depth: InverseDepthMap, max_relative_jump: float, min_area_px: int
) -> Mask:
    """Return the pixels of connected patches smaller than `min_area_px`.

    Two neighbours (up, down, left, right) belong together where
    |a - b| <= max_relative_jump * max(|a|, |b|).

    Args:
        inverse_depth: (H, W) float32 [1/m]; NaN belongs to no patch.
        max_relative_jump: Relative jump of inverse depth that separates two patches.
        min_area_px: Patches of fewer pixels are speckles.

    Returns:
        (H, W) bool; false where `inverse_depth` is not finite.
    """
    height, width = check_shapes(inverse_depth=(inverse_depth, 'H W')).values()
    joined = np.zeros((height, width), np.bool_)
    joined[:, 1:] = _joined(inverse_depth[:, :-1], inverse_depth[:, 1:], max_relative_jump)
    starts = np.flatnonzero(~joined)  # a run is a stretch of joined pixels in one row
    lengths = np.diff(starts, append=height * width)
    runs = np.repeat(np.arange(starts.size, dtype=np.int32), lengths).reshape(height, width)
    below = _joined(inverse_depth[:-1], inverse_depth[1:], max_relative_jump)
    # Where both rows go on to the right, the edge repeats the one before it.
    below[:, 1:] &= ~(below[:, :-1] & joined[:-1, 1:] & joined[1:, 1:])
    root = _connected(starts.size, runs[:-1][below], runs[1:][below])
    area = np.bincount(root, weights=lengths, minlength=starts.size)
    small = area[root] < min_area_px
    mask: Mask = np.repeat(small, lengths).reshape(height, width)
    mask &= np.isfinite(inverse_depth)
    return mask


def _joined(
    first: NDArray[np.float32], second: NDArray[np.float32], max_relative_jump: float
) -> Mask:
    with np.errstate(invalid='ignore'):
        limit = np.maximum(np.abs(first), np.abs(second))
        limit *= np.float32(max_relative_jump)
        difference = np.subtract(first, second)
        together: Mask = np.abs(difference, out=difference) <= limit
    return together


def _connected(
    count: int, first: NDArray[np.int32], second: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return for each of `count` nodes the least node that edges connect it to.

    Every round hooks the root at the far end of an edge to a smaller root, then lets all nodes
    jump to their root; edges inside one tree are done. Whichever of several edges wins a root,
    the others still stand in the next round.
    """
    parent = np.arange(count, dtype=np.int32)
    while first.size:
        low, high = np.minimum(first, second), np.maximum(first, second)
        parent[high] = low
        while True:
            grandparent = parent[parent]
            if np.array_equal(grandparent, parent):
                break
            parent = grandparent
        first, second = parent[first], parent[second]
        open_edges = first != second
        first, second = first[open_edges], second[open_edges]
    return parent


def flying_pixel_mask(
    depth: DepthMap,
    camera: PinholeCamera,
    relative_jump: float,
    grazing_angle_deg: float,
    sigma: SigmaMap | None = None,
    sigmas: float = 2.0,
) -> Mask:
    """Return the pixels that hang in the air between a near and a far surface.

    Matchers and networks draw a slope across a depth edge. A pixel on such a slope is nearer than
    its neighbour on one side and farther than the one on the other side, both by more than a
    limit: `relative_jump` of its depth, or the step of a surface that is seen at the grazing
    angle, whichever is smaller. A clean edge has its jump on one side only and stays. So does a
    floor: seen from height h at depth Z its grazing angle is about atan(h / Z).

    Far away, noise alone makes steps of that size. Where sigma is given, a step must also exceed
    `sigmas` standard deviations of the difference of two pixels of the surfaces beside it: those
    of the least relative sigma within some 6 pixels. The sigma of the slope itself is of no use,
    because most scores rise with the slope and would excuse it.

    Convention:
        A surface that meets the viewing ray at angle a changes by
        dZ / Z = 1 / (f tan(a) (1 + x^2)) per pixel, x = X / Z along the direction of the step.

    Args:
        depth: (H, W) float32 [m]; a pixel with a NaN neighbour in a direction is not judged in
            that direction.
        camera: Camera of the depth image.
        relative_jump: Relative change of depth from pixel to pixel that makes an edge.
        grazing_angle_deg: Surfaces seen at a smaller angle are taken for an edge [deg].
        sigma: (H, W) float32 [m] of `depth`; None: steps of any significance count.
        sigmas: Significance of a step, in standard deviations of the difference.

    Returns:
        (H, W) bool, true only where `depth` is finite.
    """
    height, width = depth.shape
    limits = _step_limits(camera, relative_jump, grazing_angle_deg)
    noise = np.zeros((-(-height // _CELL), 1), np.float32)
    if sigma is not None:
        noise = _surface_noise(depth, sigma) * np.float32(math.sqrt(2.0) * sigmas)
    mask = np.zeros((height, width), np.bool_)
    with np.errstate(invalid='ignore'):
        for top in range(0, height, _ROWS_PER_BLOCK):
            bottom = min(top + _ROWS_PER_BLOCK, height)
            cells = noise[top // _CELL : -(-bottom // _CELL)]
            columns, rows = limits[0], limits[1][top:bottom]
            if bool(np.any(cells > limits[2])):
                level = _spread_out(cells, bottom - top, width)
                columns, rows = np.fmax(columns, level), np.fmax(rows, level)
            if width > 2:
                steps = depth[top:bottom, 1:] - depth[top:bottom, :-1]
                limit = depth[top:bottom, 1:-1] * columns[..., 1:-1]
                mask[top:bottom, 1:-1] = _on_slope(steps[:, :-1], steps[:, 1:], limit)
            first, last = max(top, 1), min(bottom, height - 1)
            if first < last:
                steps = depth[first : last + 1] - depth[first - 1 : last]
                limit = depth[first:last] * rows[first - top : last - top]
                mask[first:last] |= _on_slope(steps[:-1], steps[1:], limit)
    return mask


def _step_limits(
    camera: PinholeCamera, relative_jump: float, grazing_angle_deg: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], np.float32]:
    """Return the relative step to the next column (W,), to the next row (H, 1), and the least."""
    tangent = math.tan(math.radians(grazing_angle_deg))
    along_row = 1.0 / (camera.fx * tangent * (1.0 + camera.ray_x**2))
    along_column = 1.0 / (camera.fy * tangent * (1.0 + camera.ray_y**2))
    columns = np.minimum(along_row, relative_jump).astype(np.float32)
    rows = np.minimum(along_column, relative_jump).astype(np.float32)[:, None]
    return columns, rows, min(columns.min(), rows.min())


def _surface_noise(depth: DepthMap, sigma: SigmaMap) -> NDArray[np.float32]:
    """Return the least sigma / depth of every cell of 4x4 pixels and the 8 cells about it.

    Returns:
        (ceil(H / 4), ceil(W / 4)) float32; NaN where none of the pixels is known.
    """
    with np.errstate(invalid='ignore'):
        relative = sigma / depth
    rows, columns = (-(-size // _CELL) for size in depth.shape)
    missing = rows * _CELL - depth.shape[0], columns * _CELL - depth.shape[1]
    if any(missing):
        relative = np.pad(relative, ((0, missing[0]), (0, missing[1])), constant_values=np.nan)
    for _ in range(2):  # rows, then columns
        parts = [relative[place::_CELL] for place in range(_CELL)]
        least = np.full((parts[0].shape[0] + 2, parts[0].shape[1]), np.nan, np.float32)
        middle = least[1:-1]
        for part in parts:
            np.fmin(middle, part, out=middle)
        relative = np.fmin(np.fmin(least[:-2], least[2:]), middle).T
    return np.ascontiguousarray(relative)


def _spread_out(cells: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return (height, width) pixels of cells of 4x4 pixels."""
    pixels = np.empty((cells.shape[0], _CELL, cells.shape[1], _CELL), np.float32)
    pixels[:] = cells[:, None, :, None]
    return pixels.reshape(cells.shape[0] * _CELL, -1)[:height, :width]


def _on_slope(
    before: NDArray[np.float32], after: NDArray[np.float32], limit: NDArray[np.float32]
) -> Mask:
    """Return where both steps rise by more than the limit, or both fall."""
    slope: Mask = np.minimum(before, after) > limit
    slope |= np.maximum(before, after) < np.negative(limit, out=limit)
    return slope
