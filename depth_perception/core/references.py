"""Measured points and depth images as references of an image: seen by it, spread, with sigma.

What a sensor beside the camera measures need not be what the camera sees: a laser looks past
edges, and its far points then fall between the near ones in the image. A point counts as hidden
if nearer ones lie close to it on two opposite sides, above and below or to the left and right, as
they do on a surface that covers it. How close is taken from the spacing of the points, which is
why 16 scan lines and a full depth camera are treated alike. Beside an edge, or on a floor, the
nearer points lie on one side only. Points too sparse for a surface (landmarks) hide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.scale_types import References, Values
from depth_perception.core.types import AnyArray, DepthMap
import numpy as np
from numpy.typing import NDArray

MAX_REFERENCES = 2000
"""References per image; more cost time and tell a fit of two numbers nothing new."""
MIN_POINT_M = 0.1
"""Points nearer to the camera than this are no references."""
HIDDEN_RATIO = 0.9
"""Hidden is what has less than this times the inverse depth of what lies around it."""

_PIXELS_ACROSS = 1280  # the z-buffer is not finer than this
_GRID_COLUMNS = 160  # cells across the image in which nearer neighbours are looked for
_REACH_SHARE = 0.04  # of the width: points farther apart than this are no surface
_CANDIDATES = 32768  # points in view that are looked at; of more, an even share
_GOLDEN = np.uint32(2654435769)  # 2^32 / golden ratio: spreads any run of indices evenly
_EDGE_RATIO = 0.1  # bend of inverse depth over two pixels, relative, that makes an edge
_EDGE_PX = 2

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ReferenceNoise:
    """How far measured depths are off: hypot(sigma_m, sigma_relative Z, motion_m).

    Attributes:
        sigma_m: The same at any range [m].
        sigma_relative: Share of the depth.
        motion_m: What may have moved between the stamps of measurement and image [m].
    """

    sigma_m: float = 0.03
    sigma_relative: float = 0.01
    motion_m: float = 0.0

    def sigma_rho(self, depth: Floats, measured_m: Floats | None = None) -> Values:
        """Return sigma_Z / Z^2 [1/m].

        Args:
            depth: (N,) depth along the optical axis [m].
            measured_m: (N,) sigma that the sensor gives [m], wins where it is finite and > 0.
        """
        squared = self.sigma_m**2 + np.square(self.sigma_relative * depth)
        if measured_m is not None:
            with np.errstate(over='ignore', invalid='ignore'):
                given = np.isfinite(measured_m) & (measured_m > 0.0)
                squared = np.where(given, np.square(measured_m), squared)
        return np.asarray(np.sqrt(squared + self.motion_m**2) / np.square(depth), np.float64)


def references_from_points(
    points: Floats,
    camera: PinholeCamera,
    noise: ReferenceNoise,
    *,
    measured_m: Floats | None = None,
    limit: int = MAX_REFERENCES,
) -> References:
    """Return the points that the camera sees, spread evenly over its image.

    Of points in one pixel the nearest counts.

    Args:
        points: (N, 3) in the optical frame of the camera [m]; not finite ones are left out.
        camera: Camera of the image.
        noise: How far the points are off.
        measured_m: (N,) standard deviation of each point [m] where the sensor gives it.
        limit: At most so many references.
    """
    seen = _in_view(points, camera)
    u, v, rho, index = _thinned_at_random(seen)
    shown = _nearest_in_pixel(u, v, rho, camera)
    shown &= ~_hidden(u, v, rho, camera)
    u, v, rho, index = u[shown], v[shown], rho[shown], index[shown]
    chosen = _spread(u, v, camera, limit)
    depth = 1.0 / rho[chosen].astype(np.float64)
    sigma_m = None if measured_m is None else measured_m[index[chosen]].astype(np.float64)
    return References(
        u[chosen].astype(np.float64),
        v[chosen].astype(np.float64),
        1.0 / depth,
        noise.sigma_rho(depth, sigma_m),
    )


def references_from_depth(
    depth: DepthMap, camera: PinholeCamera, noise: ReferenceNoise, limit: int = MAX_REFERENCES
) -> References:
    """Return pixels of a depth image on the grid of the camera, spread evenly.

    Pixels on the edge of something are left out: there, depth cameras mix near and far.

    Args:
        depth: (H, W) float32 [m]; what is not finite or not positive is unknown.
        camera: Camera of the image, of the same size.
        noise: How far the depths are off.
        limit: At most so many references.
    """
    index = known_pixels(depth)
    row, column = np.divmod(index, camera.width)
    kept = _spread(column, row, camera, 2 * limit)
    row, column = row[kept], column[kept]
    whole = ~_on_edge(depth, row, column)
    row, column = row[whole], column[whole]
    kept = _spread(column, row, camera, limit)
    row, column = row[kept], column[kept]
    z = depth[row, column].astype(np.float64)
    return References(
        column.astype(np.float64), row.astype(np.float64), 1.0 / z, noise.sigma_rho(z)
    )


def known_pixels(depth: DepthMap, most: int = _CANDIDATES) -> NDArray[np.intp]:
    """Return the flat indices of known pixels, an even share of them if they are many.

    Args:
        depth: (H, W) float32 [m].
        most: About so many pixels at most.
    """
    flat = depth.ravel()
    with np.errstate(invalid='ignore'):
        index = np.flatnonzero((flat >= MIN_POINT_M) & (flat < np.inf))
    return index[_share(index.size, most)]


def points_of_pixels(
    depth: DepthMap, index: NDArray[np.intp], camera: PinholeCamera
) -> NDArray[np.float32]:
    """Return (N, 3) float32 points [m] of pixels of a depth image, in the frame of its camera."""
    row, column = np.divmod(index, camera.width)
    z = depth.ravel()[index]
    return np.stack([z * camera.ray_x[column], z * camera.ray_y[row], z], axis=1)


def moved_points(points: Floats, pose: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (N, 3) float32 points [m] after a rigid (4, 4) pose."""
    rotation = pose[:3, :3].T.astype(np.float32)
    with np.errstate(over='ignore', invalid='ignore'):
        moved = points.astype(np.float32, copy=False) @ rotation + pose[:3, 3].astype(np.float32)
    return np.asarray(moved, np.float32)


_Seen = tuple[AnyArray, AnyArray, AnyArray, AnyArray]  # u, v, rho, index of the point


def _in_view(points: Floats, camera: PinholeCamera) -> _Seen:
    """Return column, row, inverse depth and index of the points inside the image."""
    z = points[:, 2]
    with np.errstate(all='ignore'):
        index = np.flatnonzero((z >= MIN_POINT_M) & (z < np.inf))
        rho = 1.0 / z[index]
        u = points[index, 0] * rho * points.dtype.type(camera.fx) + points.dtype.type(camera.cx)
        v = points[index, 1] * rho * points.dtype.type(camera.fy) + points.dtype.type(camera.cy)
        inside = (u > -0.5) & (u < camera.width - 0.5)
        inside &= (v > -0.5) & (v < camera.height - 0.5) & (rho > 0.0)
    return u[inside], v[inside], rho[inside], index[inside]


def _share(count: int, most: int) -> AnyArray:
    """Return a slice or (count,) bool that keeps about `most`, spread evenly over the indices."""
    if count <= most:
        return np.ones(count, bool)
    return _scattered(count) < np.uint32(min(most / count, 1.0) * 0xFFFFFFFF)


def _scattered(count: int) -> NDArray[np.uint32]:
    """Return (count,) numbers of which any range holds an even share of the indices."""
    return np.arange(count, dtype=np.uint32) * _GOLDEN


def _thinned_at_random(seen: _Seen) -> _Seen:
    u, v, rho, index = seen
    if u.size <= _CANDIDATES:
        return seen
    kept = _share(u.size, _CANDIDATES)
    return u[kept], v[kept], rho[kept], index[kept]


def _nearest_per(place: AnyArray, rho: AnyArray, places: int) -> AnyArray:
    """Return (places,) the greatest inverse depth of each place, 0 where there is none."""
    nearest = np.zeros(places, rho.dtype)
    for _ in range(4):  # the last one written stays, so few rounds do, without sorting
        beaten = rho > nearest[place]
        if not beaten.any():
            return nearest
        place, rho = place[beaten], rho[beaten]
        nearest[place] = rho
    np.maximum.at(nearest, place, rho)
    return nearest


def _nearest_in_pixel(u: AnyArray, v: AnyArray, rho: AnyArray, camera: PinholeCamera) -> AnyArray:
    """Return (N,) bool: the nearest in its pixel, or block of pixels of a large image."""
    place, shape = _places(u, v, camera, max(1, camera.width // _PIXELS_ACROSS))
    return np.asarray(rho >= _nearest_per(place, rho, shape[0] * shape[1])[place])


def _places(
    u: AnyArray, v: AnyArray, camera: PinholeCamera, cell_px: int
) -> tuple[AnyArray, tuple[int, int]]:
    """Return the (N,) flat cell of each point, and the (rows, columns) of cells."""
    shape = -(-camera.height // cell_px), -(-camera.width // cell_px)
    scale = u.dtype.type(1.0 / cell_px)
    column = np.minimum(((u + 0.5) * scale).astype(np.int32), shape[1] - 1)
    row = np.minimum(((v + 0.5) * scale).astype(np.int32), shape[0] - 1)
    return row * np.int32(shape[1]) + column, shape


def _hidden(u: AnyArray, v: AnyArray, rho: AnyArray, camera: PinholeCamera) -> AnyArray:
    """Return (N,) bool: nearer points lie around it, close together enough for a surface."""
    cell_px = max(1, round(camera.width / _GRID_COLUMNS))
    place, shape = _places(u, v, camera, cell_px)
    grid = _nearest_per(place, rho, shape[0] * shape[1]).reshape(shape)
    most = max(1, round(_REACH_SHARE * camera.width / cell_px))
    across, down = _spacing(grid), _spacing(grid.T)
    if min(across, down) > most:
        return np.zeros(rho.size, bool)
    across, down = min(across, most), min(down, most)
    beside = _between(grid, across, down // 2)
    above = _between(grid.T, down, across // 2).T
    around = np.maximum(beside, above).ravel()
    return np.asarray(rho < around[place] * np.float32(HIDDEN_RATIO))


def _spacing(grid: AnyArray) -> int:
    """Return how many cells are typical from one measured cell of a row to the next."""
    row, column = np.nonzero(grid)
    gaps = np.diff(column)[np.diff(row) == 0]
    if not gaps.size:
        return int(grid.shape[1])
    typical = float(np.median(gaps))
    return 1 if typical <= 1.0 else int(np.ceil(1.25 * typical))


def _between(grid: AnyArray, reach: int, aside: int) -> AnyArray:
    """Return what lies to the left and to the right of each cell: the farther of the nearest.

    On a plane, inverse depth is linear, so that of two points on opposite sides one is not nearer
    than what is between them. Where rows are far apart, rows above on one side count with rows
    below on the other.

    Args:
        grid: (R, C) inverse depth, 0 where there is no point.
        reach: So many cells to each side.
        aside: So many rows up and down.

    Returns:
        (R, C) inverse depth, less what a plane may differ by within a cell.
    """
    left, right = _sides(grid, reach)
    between = np.minimum(left, right)
    if aside:
        left_up, right_up = _sides(_raised(grid, aside), reach)
        left_down, right_down = _sides(_raised(grid[::-1], aside)[::-1], reach)
        np.maximum(between, np.minimum(left_up, right_down), out=between)
        np.maximum(between, np.minimum(left_down, right_up), out=between)
    up, down = grid[:-2], grid[2:]
    slope = np.where((up > 0.0) & (down > 0.0), np.abs(down - up), np.float32(0.0))
    between[1:-1] -= np.float32(0.5) * slope
    return between


def _sides(grid: AnyArray, reach: int) -> tuple[AnyArray, AnyArray]:
    """Return the nearest within `reach` cells to the left and to the right of each cell."""
    cells = grid.shape[1]
    nearest = np.zeros((grid.shape[0], cells + 2 * reach), grid.dtype)
    nearest[:, reach:-reach] = grid
    span = 1  # over so many cells from each one on, by doubling
    while span < reach:
        step = min(span, reach - span)
        nearest = np.maximum(nearest[:, :-step], nearest[:, step:])
        span += step
    return nearest[:, :cells], nearest[:, reach + 1 : reach + 1 + cells]


def _raised(grid: AnyArray, reach: int) -> AnyArray:
    """Return the nearest of each cell and the `reach` ones above it."""
    raised = grid.copy()
    for shift in range(1, min(reach, grid.shape[0] - 1) + 1):
        np.maximum(raised[shift:], grid[:-shift], out=raised[shift:])
    return raised


def _on_edge(depth: DepthMap, row: AnyArray, column: AnyArray) -> AnyArray:
    """Return (N,) bool: inverse depth bends sharply here; on a plane it does not bend at all."""
    height, width = depth.shape
    here = 1.0 / depth[row, column]
    edge = np.zeros(row.size, bool)
    with np.errstate(divide='ignore', invalid='ignore'):
        for down, across in ((0, _EDGE_PX), (_EDGE_PX, 0)):
            before = depth[np.maximum(row - down, 0), np.maximum(column - across, 0)]
            after = depth[
                np.minimum(row + down, height - 1), np.minimum(column + across, width - 1)
            ]
            bend = np.abs(1.0 / before + 1.0 / after - 2.0 * here)
            edge |= bend > _EDGE_RATIO * here
    return edge


def _spread(u: AnyArray, v: AnyArray, camera: PinholeCamera, limit: int) -> AnyArray:
    """Return the indices of at most `limit` points, as many as can be from every tile alike."""
    if u.size <= limit:
        return np.arange(u.size)
    side_px = max(1.0, np.sqrt(camera.width * camera.height / (0.5 * limit)))
    columns = int(camera.width / side_px) + 1
    tile = ((v + 0.5) / side_px).astype(np.int64) * columns + ((u + 0.5) / side_px).astype(
        np.int64
    )
    order = np.argsort(tile * (1 << 32) + _scattered(u.size))
    tile = tile[order]
    first = np.flatnonzero(np.append(True, tile[1:] != tile[:-1]))
    counts = np.diff(np.append(first, tile.size))
    rank = np.arange(tile.size) - np.repeat(first, counts)
    share = _share_of_each(counts, limit)
    chosen = order[rank < share]
    more, room = order[rank == share], limit - chosen.size
    more = more[np.arange(room) * more.size // room] if more.size > room else more
    return np.sort(np.concatenate([chosen, more]))


def _share_of_each(counts: AnyArray, limit: int) -> int:
    """Return the greatest number that all tiles may give without exceeding `limit` together."""
    ordered = np.sort(counts)
    given = np.concatenate([[0], np.cumsum(ordered)[:-1]])  # by the tiles that have less
    each = (limit - given) // np.arange(ordered.size, 0, -1)
    fits = np.flatnonzero(each < ordered)
    return int(each[fits[0]]) if fits.size else int(ordered[-1])
