"""Points that a costmap may mark: few, finite, sure of themselves and seen more than once.

A point is published if its sample is an obstacle by height, within range, with a sigma that the
gate lets through, beside others of its kind, and if it was seen before where it is now: in the
views of earlier frames, along the way of the camera where that is known, else at the same pixel.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import DROP, NavView, OBSTACLE
from depth_perception.core.types import Mask
import numpy as np
from numpy.typing import NDArray

NAV_FIELDS = ('x', 'y', 'z', 'uncertainty', 'height')
"""Fields of the clouds, all float32; without `height` where the floor is not known."""

_GATE = 3.0  # standard deviations by which two sights of one point may differ
_MAX_GAP_NS = 2_000_000_000  # an older sight says nothing of the present
_TABLE_BITS = 16
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

_Field = NDArray[np.float32]


@dataclass(frozen=True)
class NavCloud:
    """Points for navigation, in the optical frame.

    Attributes:
        points: (N, 3) float32 [m], all finite.
        uncertainty: (N,) float32 [m], standard deviation of z.
        height: (N,) float32 [m] above the floor; None where the floor is not known.
    """

    points: _Field
    uncertainty: _Field
    height: _Field | None

    def values(self) -> _Field:
        """Return (N, 5) float32, the columns named by NAV_FIELDS; (N, 4) without height."""
        columns = [self.points, self.uncertainty[:, None]]
        if self.height is not None:
            columns.append(self.height[:, None])
        return np.concatenate(columns, axis=1, dtype=np.float32)


@dataclass(frozen=True)
class _Sight:
    """What was seen of obstacles in one frame; depth is NaN where there was none."""

    depth: _Field
    sigma: _Field
    ray_x: _Field
    ray_y: _Field
    stamp_ns: int
    fixed_from_camera: NDArray[np.float64] | None


class NavPoints:
    """Makes points for navigation; remembers the last few frames."""

    def __init__(self) -> None:
        self._sights: deque[_Sight] = deque()

    def reset(self) -> None:
        """Forget earlier frames."""
        self._sights.clear()

    def points(self, view: NavView, rules: NavRules) -> NavCloud | None:
        """Return the points of one frame.

        Args:
            view: The frame.
            rules: Which points there are.

        Returns:
            The points, perhaps none; None if the frame says too little to say that there are
            none, and nothing should be published.
        """
        if view.known_share < rules.least_known:
            return None
        candidates = obstacles_of(view, rules)
        place = np.flatnonzero(candidates)
        sight = _sight_of(view, candidates)
        earlier = self._earlier(sight, rules.of_frames)
        self._sights.append(sight)
        if rules.seen_frames > 1:
            seen = np.ones(len(place), np.uint8)
            for past in earlier:
                seen += _seen_again(place, sight, past, rules.voxel_m)
            place = place[seen >= rules.seen_frames]
        return _cloud_of(view, place, rules)

    def _earlier(self, sight: _Sight, of_frames: int) -> list[_Sight]:
        """Return the sights that count beside this one, after forgetting all others."""
        sights = self._sights
        if sights and not 0 < sight.stamp_ns - sights[-1].stamp_ns <= _MAX_GAP_NS:
            sights.clear()
        if sights and not (
            np.array_equal(sights[-1].ray_x, sight.ray_x)
            and np.array_equal(sights[-1].ray_y, sight.ray_y)
        ):
            sights.clear()
        while len(sights) > max(0, of_frames - 1):
            sights.popleft()
        return list(sights)


def obstacles_of(view: NavView, rules: NavRules) -> Mask:
    """Return the samples that are obstacles by this frame alone, (R, C) bool."""
    found = view.labels == OBSTACLE
    if rules.drop_m > 0.0:
        found |= view.labels == DROP
    with np.errstate(invalid='ignore'):
        found &= view.distance <= np.float32(rules.max_range_m)
        found &= view.distance >= np.float32(rules.min_range_m)
        if rules.max_sigma_m > 0.0:
            found &= view.sigma <= np.float32(rules.max_sigma_m)
        if rules.max_sigma_relative > 0.0:
            found &= view.sigma <= view.depth * np.float32(rules.max_sigma_relative)
    return _supported(found, rules.support)


def _supported(found: Mask, support: int) -> Mask:
    """Return the samples that have `support` of their kind among them and their 8 neighbours."""
    if support <= 1:
        return found
    padded = np.zeros((found.shape[0] + 2, found.shape[1] + 2), np.uint8)
    padded[1:-1, 1:-1] = found
    across = padded[:, :-2] + padded[:, 1:-1]
    across += padded[:, 2:]
    count = across[:-2] + across[1:-1]
    count += across[2:]
    supported: Mask = count >= support
    supported &= found
    return supported


def _sight_of(view: NavView, candidates: Mask) -> _Sight:
    depth = np.where(candidates, view.depth, np.float32(np.nan))
    return _Sight(depth, view.sigma, view.ray_x, view.ray_y, view.stamp_ns, view.fixed_from_camera)


def _seen_again(
    place: NDArray[np.intp], now: _Sight, past: _Sight, tolerance_m: float
) -> NDArray[np.bool_]:
    """Return which samples, given by flat index, an earlier frame saw where they are now."""
    z = now.depth.ravel()[place]
    sigma = now.sigma.ravel()[place]
    there = place
    inside = np.ones(len(place), bool)
    if now.fixed_from_camera is not None and past.fixed_from_camera is not None:
        row, column = np.divmod(place, now.depth.shape[1])
        points = np.stack([now.ray_x[column] * z, now.ray_y[row] * z, z])
        past_from_now = np.linalg.inv(past.fixed_from_camera) @ now.fixed_from_camera
        x, y, z = (past_from_now[:3, :3] @ points + past_from_now[:3, 3:]).astype(np.float32)
        with np.errstate(invalid='ignore', divide='ignore'):
            column, in_x = _nearest(x / z, past.ray_x)
            row, in_y = _nearest(y / z, past.ray_y)
        inside = in_x & in_y & (z > 0.0)
        there = row * past.depth.shape[1] + column
    before, sigma_before = past.depth.ravel()[there], past.sigma.ravel()[there]
    with np.errstate(invalid='ignore'):
        limit = np.maximum(np.float32(tolerance_m), _GATE * np.hypot(sigma, sigma_before))
        inside &= np.abs(before - z) <= limit
    return inside


def _nearest(rays: _Field, grid: _Field) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the nearest place of each ray on an even grid of rays, and whether it is on it."""
    pitch = float(grid[1] - grid[0]) if len(grid) > 1 else 1.0
    place = np.rint((rays - grid[0]) / np.float32(pitch))
    inside = (place >= 0.0) & (place <= len(grid) - 1)
    return np.where(inside, place, 0.0).astype(np.intp), inside


def _cloud_of(view: NavView, place: NDArray[np.intp], rules: NavRules) -> NavCloud:
    row, column = np.divmod(place, view.depth.shape[1])
    z = view.depth.ravel()[place]
    points = np.stack([view.ray_x[column] * z, view.ray_y[row] * z, z], axis=1)
    height = None if view.height is None else view.height.ravel()[place]
    if rules.drop_m > 0.0 and height is not None and view.plane is not None:
        dropped = view.labels.ravel()[place] == DROP
        _lift(points, height, dropped, view, rules)
    kept = one_per_voxel(points, rules.voxel_m)
    most = max(1, int(rules.most_share * view.pixels))
    kept = kept[:: -(-len(kept) // most)] if len(kept) > most else kept
    return NavCloud(
        np.ascontiguousarray(points[kept], np.float32),
        view.sigma.ravel()[place][kept],
        None if height is None else height[kept],
    )


def _lift(
    points: _Field, height: _Field, dropped: NDArray[np.bool_], view: NavView, rules: NavRules
) -> None:
    """Move drops to where their ray leaves the floor, and up to where costmaps mark, in place.

    A point below the floor would be dropped by the height band of the costmap, and lies beyond
    the edge that the robot must not pass.
    """
    assert view.plane is not None
    share = 1.0 / (points[dropped] @ view.plane.q)
    points[dropped] *= share[:, None].astype(np.float32)
    up_m = 0.5 * (rules.min_height_m + rules.max_height_m)
    points[dropped] -= (up_m * view.plane.down).astype(np.float32)
    height[dropped] = up_m


def one_per_voxel(points: _Field, voxel_m: float) -> NDArray[np.intp]:
    """Return the indices of one point per voxel (rarely two), in rising order.

    A table with one slot per hash decides; two voxels in one slot both keep their points.

    Args:
        points: (N, 3) float32 [m].
        voxel_m: Side of a voxel [m].
    """
    if not len(points):
        return np.zeros(0, np.intp)
    cells = np.floor(points * np.float32(1.0 / voxel_m)).astype(np.int64)
    cells &= (1 << 21) - 1
    key = (cells[:, 0] << 42 | cells[:, 1] << 21 | cells[:, 2]).astype(np.uint64)
    slot = (key * _FACTOR >> np.uint64(64 - _TABLE_BITS)).astype(np.intp)
    table = np.zeros(1 << _TABLE_BITS, np.intp)
    index = np.arange(len(points))
    table[slot] = index
    winner = table[slot]
    return np.flatnonzero((winner == index) | (key[winner] != key))
