"""Meshes in metres: boxes, lathed and extruded bodies, tubes, height fields, leaves.

The frame is that of a camera: x right, y down, z forward; what stands has its top at -y.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Random = np.random.Generator


class Mesh(NamedTuple):
    """Triangles (M, 3) of points (N, 3) [m] with normals (N, 3), uvs (N, 2) [m], parts (M,)."""

    points: Floats
    normals: Floats
    uvs: Floats
    triangles: NDArray[np.int32]
    parts: NDArray[np.int32]


_FACES = (  # normal, along u, along v
    ((0, 0, -1), (1, 0, 0), (0, 1, 0)),
    ((0, 0, 1), (-1, 0, 0), (0, 1, 0)),
    ((-1, 0, 0), (0, 0, -1), (0, 1, 0)),
    ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((0, -1, 0), (1, 0, 0), (0, 0, -1)),
    ((0, 1, 0), (1, 0, 0), (0, 0, 1)),
)


@lru_cache(maxsize=1)
def _unit_box() -> tuple[Floats, Floats, Floats, Floats, NDArray[np.int32], NDArray[np.int32]]:
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    frames = np.array(_FACES, float)
    points = (
        frames[:, None, 0]
        + corners[:, :1] * frames[:, None, 1]
        + corners[:, 1:] * frames[:, None, 2]
    )
    normals = np.repeat(frames[:, 0], 4, axis=0)
    triangles = (np.arange(6)[:, None, None] * 4 + np.array([(0, 1, 2), (0, 2, 3)])).reshape(-1, 3)
    uvs = np.tile(corners, (6, 1))
    along = np.repeat(np.abs(frames[:, 1:]), 4, axis=0)
    return (
        points.reshape(-1, 3) / 2, normals, uvs / 2, along,
        triangles.astype(np.int32), np.repeat(np.arange(6, dtype=np.int32), 2),
    )  # fmt: skip


def box(width: float, height: float, depth: float) -> Mesh:
    """Make a box about the origin; its faces are parts 0 to 5."""
    points, normals, uvs, along, triangles, parts = _unit_box()
    size = np.array([width, height, depth])
    return Mesh(points * size, normals, uvs * (along @ size), triangles, parts)


def quad(width: float, height: float) -> Mesh:
    """Make a rectangle about the origin that faces -z."""
    c = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)
    triangles = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    normals = np.tile((0.0, 0.0, -1.0), (4, 1))
    return Mesh(np.c_[c, np.zeros(4)], normals, c, triangles, np.zeros(2, np.int32))


@lru_cache(maxsize=64)
def _lattice(rows: int, columns: int) -> NDArray[np.int32]:
    i, j = np.mgrid[: rows - 1, : columns - 1]
    a = (i * columns + j).ravel()
    b = a + columns
    return np.concatenate([np.c_[a, a + 1, b], np.c_[a + 1, b + 1, b]]).astype(np.int32)


def surface(points: Floats, uvs: Floats) -> Mesh:
    """Join a lattice of points (rows, columns, 3) with uvs (rows, columns, 2), smoothly shaded."""
    rows, columns = points.shape[:2]
    u = np.empty_like(points)
    v = np.empty_like(points)
    u[:, 1:-1] = points[:, 2:] - points[:, :-2]
    u[:, 0], u[:, -1] = points[:, 1] - points[:, 0], points[:, -1] - points[:, -2]
    v[1:-1] = points[2:] - points[:-2]
    v[0], v[-1] = points[1] - points[0], points[-1] - points[-2]
    if rows > 2 and columns > 2 and np.allclose(points[:, 0], points[:, -1]):
        u[:, 0] = u[:, -1] = points[:, 1] - points[:, -2]  # closed around
    n = np.empty_like(points)
    n[..., 0] = u[..., 1] * v[..., 2] - u[..., 2] * v[..., 1]
    n[..., 1] = u[..., 2] * v[..., 0] - u[..., 0] * v[..., 2]
    n[..., 2] = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    n /= np.sqrt((n * n).sum(-1, keepdims=True)) + 1e-12
    triangles = _lattice(rows, columns)
    return Mesh(
        points.reshape(-1, 3), n.reshape(-1, 3), uvs.reshape(-1, 2), triangles,
        np.zeros(len(triangles), np.int32),
    )  # fmt: skip


def lathe(radii: Floats, heights: Floats, sides: int = 16) -> Mesh:
    """Turn a profile about the y axis: radii at heights (top first: heights grow upwards)."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    shape = (len(radii), sides + 1)
    points = np.empty((*shape, 3))
    points[..., 0] = radii[:, None] * np.cos(angle)
    points[..., 1] = -heights[:, None]
    points[..., 2] = radii[:, None] * np.sin(angle)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(radii), np.diff(heights)))])
    uvs = np.empty((*shape, 2))
    uvs[..., 0] = angle * max(radii.max(), 1e-6)
    uvs[..., 1] = along[:, None]
    return surface(points, uvs)


def ball(radius: float, sides: int = 18) -> Mesh:
    """Make a sphere about the origin."""
    a = np.linspace(np.pi / 2, -np.pi / 2, sides // 2 + 1)
    return lathe(radius * np.maximum(np.cos(a), 1e-4), radius * np.sin(a), sides)


def cylinder(radius: float, height: float, sides: int = 14) -> Mesh:
    """Make a closed cylinder about the origin, its axis along y."""
    h = height / 2
    r = np.array([1e-4, 1, 1, 1, 1, 1e-4]) * radius
    return lathe(r, np.array([h, h, h * 0.999, -h * 0.999, -h, -h]), sides)


def tube(path: Floats, radius: float | Floats, sides: int = 5) -> Mesh:
    """Make a tube about a path (N, 3)."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True) + 1e-9
    aside = np.cross(ahead, np.where(np.abs(ahead[:, 1:2]) > 0.9, (1.0, 0, 0), (0, 1.0, 0)))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True) + 1e-9
    third = np.cross(ahead, aside)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[None, :, None]
    wide = np.broadcast_to(radius, len(path))[:, None, None]
    points = path[:, None] + wide * (
        np.cos(angle) * aside[:, None] + np.sin(angle) * third[:, None]
    )
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    uvs = np.empty((*points.shape[:2], 2))
    uvs[..., 0] = angle[0, :, 0] * wide.max()
    uvs[..., 1] = along[:, None]
    return surface(points, uvs)


def prism(outline: Floats, depth: float) -> Mesh:
    """Extrude an outline (N, 2), star-shaped about the origin, along z."""
    n = len(outline)
    ring = np.concatenate([outline, outline[:1]])
    front = np.c_[np.r_[outline, [[0.0, 0.0]]], np.full(n + 1, -depth / 2)]
    back = front * (1, 1, -1)
    i = np.arange(n)
    fan = np.c_[i, (i + 1) % n, np.full(n, n)]
    edge = np.diff(ring, axis=0)
    sideways = np.c_[edge[:, 1], -edge[:, 0], np.zeros(n)]
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True) + 1e-12
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(edge, axis=1))])
    near = np.c_[ring, np.full(n + 1, -depth / 2)]
    wall = np.stack([near[:-1], near[1:], near[1:] * (1, 1, -1), near[:-1] * (1, 1, -1)], axis=1)
    zero, deep = np.zeros(n), np.full(n, depth)
    start, stop = along[:-1], along[1:]
    wall_uv = np.stack(
        [np.c_[start, zero], np.c_[stop, zero], np.c_[stop, deep], np.c_[start, deep]], axis=1
    )
    first = 2 * (n + 1) + 4 * i
    walls = np.concatenate(
        [np.c_[first, first + 1, first + 2], np.c_[first, first + 2, first + 3]]
    )
    flat = np.tile((0.0, 0.0, -1.0), (n + 1, 1))
    return Mesh(
        np.concatenate([front, back, wall.reshape(-1, 3)]),
        np.concatenate([flat, -flat, np.repeat(sideways, 4, axis=0)]),
        np.concatenate([front[:, :2], back[:, :2], wall_uv.reshape(-1, 2)]),
        np.concatenate([fan, fan + n + 1, walls]).astype(np.int32),
        np.repeat(np.array([0, 1, 2], np.int32), (n, n, 2 * n)),
    )


def leaves(places: Floats, size: float, rng: Random) -> Mesh:
    """Put a small four-cornered leaf, turned at random, on each of places (N, 3)."""
    n = len(places)
    a = rng.normal(size=(n, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(a, rng.normal(size=(n, 3)))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    s = size * rng.uniform(0.5, 1.5, (n, 1))
    points = np.stack(
        [places - a * s, places + b * s * 0.4, places + a * s, places - b * s * 0.4], axis=1
    )
    normals = np.repeat(np.cross(a, b), 4, axis=0)
    uvs = np.tile(np.array([(0, 0.5), (0.5, 1), (1, 0.5), (0.5, 0)]) * size * 2, (n, 1))
    uvs += np.repeat(rng.random((n, 2)), 4, axis=0)
    i = np.arange(n) * 4
    triangles = np.concatenate([np.c_[i, i + 1, i + 2], np.c_[i, i + 2, i + 3]]).astype(np.int32)
    return Mesh(points.reshape(-1, 3), normals, uvs, triangles, np.zeros(2 * n, np.int32))


def field(width: float, depth: float, heights: Floats) -> Mesh:
    """Make a height field (rows, columns) [m, upwards] over a rectangle in x and z."""
    rows, columns = heights.shape
    z, x = np.mgrid[depth / 2 : -depth / 2 : rows * 1j, -width / 2 : width / 2 : columns * 1j]
    return surface(np.stack([x, -heights, z], axis=-1), np.stack([x, -z], axis=-1))


def turned(mesh: Mesh, rotation: Floats, place: Floats) -> Mesh:
    """Rotate a mesh and put it at a place."""
    return mesh._replace(
        points=mesh.points @ rotation.T + place, normals=mesh.normals @ rotation.T
    )


def joined(meshes: list[Mesh]) -> Mesh:
    """Join meshes into one of several parts."""
    offsets = np.cumsum([0] + [len(m.points) for m in meshes[:-1]])
    firsts = np.cumsum([0] + [int(m.parts.max()) + 1 for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.points for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uvs for m in meshes]),
        np.concatenate([m.triangles + o for m, o in zip(meshes, offsets, strict=True)]).astype(
            np.int32
        ),
        np.concatenate([m.parts + f for m, f in zip(meshes, firsts, strict=True)]).astype(
            np.int32
        ),
    )


def yaw(angle: float) -> Floats:
    """Return the rotation about the y axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([(c, 0, s), (0, 1, 0), (-s, 0, c)])


def any_rotation(rng: Random) -> Floats:
    """Return a rotation drawn evenly from all (a random unit quaternion)."""
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ]
    )
