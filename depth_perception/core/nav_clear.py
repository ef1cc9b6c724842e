"""Ends of rays through free space, for a costmap to clear by.

Costmaps clear along the line from the camera to each point, and only for finite points. So each
ray gets an end: `clear_sigmas` sigma before what it hits, at the clearing range where it hits
nothing (sky), and where it leaves the height of the robot. What is beyond is not known to be free.

A 2-D costmap clears all heights by one ray: the ray over a low box to the wall behind would
clear the box. So no ray passes the nearest obstacle of its column of the image, nor a part of it
that is unknown and could hide one.

A ray into the unknown (an even sky, for a matcher) ends where what is seen below it ends: things
stand on the floor, so what is unknown stands no nearer.
"""

from __future__ import annotations

from depth_perception.core.ground_fit import floor_inverse_depth, GroundPlane
from depth_perception.core.nav_points import NavCloud
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import NavView, OBSTACLE, UNKNOWN
import numpy as np
from numpy.typing import NDArray

_ROW_STEP = 2  # rows of the view per ray: 8 cm at 5 m and 60 degrees, below a voxel's height
_LEAST_RAY_M = 0.1

_Field = NDArray[np.float32]


def clearing_ends(view: NavView, rules: NavRules) -> NavCloud | None:
    """Return the ends of the rays through free space.

    Args:
        view: The frame.
        rules: How far and how boldly to clear.

    Returns:
        The ends, with the uncertainty of what they stop before (0 where they stop by
        themselves) and their height; None if the frame says too little to be published.
    """
    if view.known_share < rules.least_known:
        return None
    rows = slice(_ROW_STEP // 2, None, _ROW_STEP)
    ray_y = view.ray_y[rows]
    depth, sigma = view.depth[rows], view.sigma[rows]
    length = np.sqrt(np.add.outer(np.square(ray_y) + 1.0, np.square(view.ray_x)))
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        own = np.where(depth == np.inf, depth, depth - np.float32(rules.clear_sigmas) * sigma)
        limit, beyond = _limits(view, rows, length, rules)
        end = np.minimum(np.where(np.isnan(depth), beyond, own), limit)  # NaN stays NaN
        usable = np.isfinite(end) & (end * length > _LEAST_RAY_M)
    row, column = np.nonzero(usable)
    z = end[usable]
    points = np.stack([view.ray_x[column] * z, ray_y[row] * z, z], axis=1)
    doubt = np.where(own[usable] <= z, sigma[usable], np.float32(0.0))
    height: _Field | None = None
    if view.plane is not None:
        height = (view.plane.height_m * (1.0 - points @ view.plane.q)).astype(np.float32)
    return NavCloud(points.astype(np.float32), doubt.astype(np.float32), height)


def _limits(view: NavView, rows: slice, length: _Field, rules: NavRules) -> tuple[_Field, _Field]:
    """Return the depth at which rays end at the latest, and those into the unknown [m].

    Args:
        view: The frame.
        rows: Rows of the view that have rays.
        length: (rays, C) float32, length of the rays per depth.
        rules: How far to clear.

    Returns:
        Two fields, (rays, C) float32 [m]; the second is NaN where nothing is known below.
    """
    if view.plane is None:
        limit = np.float32(rules.clear_range_m) / length
        return limit, np.full_like(limit, np.nan)
    down = _downwards(view.plane, view.ray_x, view.ray_y[rows])  # per depth
    along = np.sqrt(np.maximum(np.square(length) - np.square(down), np.float32(1e-6)))
    base = _rows_known_below(view)
    free = view.distance * (1.0 - rules.clear_sigmas * view.sigma / view.depth)
    free[view.depth == np.inf] = np.inf
    beyond = np.take_along_axis(free, base[rows], axis=0)
    if not rules.clear_unknown:
        beyond[:] = np.nan
    far = np.full(len(view.ray_x), rules.clear_range_m, np.float32)
    if rules.clear_columns:
        far = np.minimum(far, _nearest_obstacle(view, free))
        if rules.hidden_height_m > 0.0:
            far = np.minimum(far, _nearest_hidden(view, base, rules.hidden_height_m))
    above = np.float32(max(0.0, rules.max_height_m - view.plane.height_m))
    rising = np.where(down < 0.0, above / np.maximum(-down, np.float32(1e-6)), np.inf)
    return np.minimum(far / along, rising), beyond / along


def _rows_known_below(view: NavView) -> NDArray[np.intp]:
    """Return the row of the nearest known sample at or below each, the last row if none is."""
    last = len(view.ray_y) - 1
    unknown = view.labels == UNKNOWN
    lowest = np.where(unknown, last, np.arange(last + 1)[:, None])
    return np.minimum.accumulate(lowest[::-1], axis=0)[::-1]


def _nearest_obstacle(view: NavView, free: _Field) -> _Field:
    """Return the distance up to which a column is free of obstacles, (C,) float32 [m]."""
    blocked = np.where(view.labels == OBSTACLE, free, np.inf)
    blocked[view.depth == -np.inf] = 0.0
    nearest: _Field = np.maximum(blocked.min(axis=0), 0.0).astype(np.float32)
    return nearest


def _nearest_hidden(view: NavView, base: NDArray[np.intp], hidden_m: float) -> _Field:
    """Return the distance of the first place where an obstacle could hide, (C,) float32 [m].

    A run of unknown samples in a column hides an obstacle that stands where the run begins, on
    the floor, and is as high as the ray at the end of the run passes over that place.

    Args:
        view: The frame, with a floor.
        base: (R, C) of `_rows_known_below`.
        hidden_m: How high such an obstacle is, at least [m].
    """
    assert view.plane is not None
    plane = view.plane
    down = _downwards(plane, view.ray_x, view.ray_y)
    squared = np.add.outer(np.square(view.ray_y) + 1.0, np.square(view.ray_x))
    along = np.sqrt(np.maximum(squared - np.square(down), np.float32(1e-6)))
    floor = np.where(down > 0.0, plane.height_m * along / np.maximum(down, 1e-6), np.inf)
    begin = np.take_along_axis(floor, base, axis=0)
    passes = plane.height_m - begin * down / along
    hides = (view.labels == UNKNOWN) & (passes >= hidden_m) & np.isfinite(begin)
    nearest: _Field = np.where(hides, begin, np.inf).min(axis=0).astype(np.float32)
    return nearest


def _downwards(plane: GroundPlane, ray_x: _Field, ray_y: _Field) -> _Field:
    """Return n . p: how far a ray comes down per depth, (R, C) float32."""
    return np.float32(plane.height_m) * floor_inverse_depth(plane.q, ray_x, ray_y)
