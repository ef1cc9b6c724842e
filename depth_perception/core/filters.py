"""Filters in image space: range, speckles, flying pixels, and a mean over time."""

from __future__ import annotations

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DepthMap, InverseDepthMap, Mask, SigmaMap
import numpy as np
from numpy.typing import NDArray

_ROWS_PER_BLOCK = 32  # rows whose temporaries stay in the cache


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
    depth: DepthMap, camera: PinholeCamera, relative_jump: float, grazing_angle_deg: float
) -> Mask:
    """Return the pixels that hang in the air between a near and a far surface.

    Matchers and networks draw a slope across a depth edge. A pixel on such a slope is nearer than
    its neighbour on one side and farther than the one on the other side, both by more than a
    limit: `relative_jump` of its depth, or the step of a surface that is seen at the grazing
    angle, whichever is smaller. A clean edge has its jump on one side only and stays. So does a
    floor: seen from height h at depth Z its grazing angle is about atan(h / Z).

    Convention:
        A surface that meets the viewing ray at angle a changes by
        dZ / Z = 1 / (f tan(a) (1 + x^2)) per pixel, x = X / Z along the direction of the step.

    Args:
        depth: (H, W) float32 [m]; a pixel with a NaN neighbour in a direction is not judged in
            that direction.
        camera: Camera of the depth image.
        relative_jump: Relative change of depth from pixel to pixel that makes an edge.
        grazing_angle_deg: Surfaces seen at a smaller angle are taken for an edge [deg].

    Returns:
        (H, W) bool, true only where `depth` is finite.
    """
    height, width = depth.shape
    tangent = math.tan(math.radians(grazing_angle_deg))
    jump = np.float32(relative_jump)
    column_limit = np.minimum(1.0 / (camera.fx * tangent * (1.0 + camera.ray_x**2)), jump)
    row_limit = np.minimum(1.0 / (camera.fy * tangent * (1.0 + camera.ray_y**2)), jump)
    column_limit = column_limit.astype(np.float32)[1:-1]
    row_limit = row_limit.astype(np.float32)[:, None]
    mask = np.zeros((height, width), np.bool_)
    with np.errstate(invalid='ignore'):
        for top in range(0, height, _ROWS_PER_BLOCK):
            bottom = min(top + _ROWS_PER_BLOCK, height)
            block = depth[top:bottom]
            if width > 2:
                steps = block[:, 1:] - block[:, :-1]
                limit = block[:, 1:-1] * column_limit
                mask[top:bottom, 1:-1] = _on_slope(steps[:, :-1], steps[:, 1:], limit)
            first, last = max(top, 1), min(bottom, height - 1)
            if first < last:
                steps = depth[first : last + 1] - depth[first - 1 : last]
                limit = depth[first:last] * row_limit[first:last]
                mask[first:last] |= _on_slope(steps[:-1], steps[1:], limit)
    return mask


def _on_slope(
    before: NDArray[np.float32], after: NDArray[np.float32], limit: NDArray[np.float32]
) -> Mask:
    """Return where both steps rise by more than the limit, or both fall."""
    slope: Mask = np.minimum(before, after) > limit
    slope |= np.maximum(before, after) < np.negative(limit, out=limit)
    return slope


class TemporalFilter:
    """Running mean of inverse depth per pixel, for cameras that stand still.

    A pixel starts anew when it was unknown, or when it changed by more than `reset_sigmas`
    standard deviations, so that what moves is not smeared. An unknown pixel stays unknown: the
    past is never shown in place of the present.

    Args:
        reset_sigmas: Change, in standard deviations of the difference, that starts a pixel anew.
    """

    def __init__(self, reset_sigmas: float = 3.0) -> None:
        self._reset_sigmas = reset_sigmas
        self._past: tuple[InverseDepthMap, SigmaMap] | None = None

    def reset(self) -> None:
        """Forget the past."""
        self._past = None

    def fuse(
        self, rho: InverseDepthMap, sigma_rho: SigmaMap, weight: float
    ) -> tuple[InverseDepthMap, SigmaMap]:
        """Return the mean of now and the past, and its standard deviation.

        The sigmas are averaged like the values, because the errors of a matcher on an unchanged
        scene are nearly the same in every frame: a mean over time calms the noise but does not
        make the depth truer.

        Args:
            rho: (H, W) float32 [1/m]; NaN unknown.
            sigma_rho: (H, W) float32 [1/m]; NaN unknown.
            weight: Weight of the past, 0..1.

        Returns:
            New inverse depth and sigma. They are also the memory: do not write to them.
        """
        check_shapes(rho=(rho, 'H W'), sigma_rho=(sigma_rho, 'H W'))
        if self._past is None or self._past[0].shape != rho.shape:
            self._past = rho.copy(), sigma_rho.copy()
            return self._past
        past_rho, past_sigma = self._past
        with np.errstate(invalid='ignore'):
            change = np.subtract(past_rho, rho)
            limit = np.square(past_sigma)
            limit += np.square(sigma_rho)
            limit *= np.float32(self._reset_sigmas**2)
            steady = np.square(change) <= limit
        share = steady * np.float32(weight)
        mean = np.where(steady, rho + share * change, rho)
        sigma = np.where(steady, sigma_rho + share * (past_sigma - sigma_rho), sigma_rho)
        self._past = mean, sigma
        return self._past
