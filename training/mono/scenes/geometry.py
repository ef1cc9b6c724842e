"""Triangles, materials and the ray caster behind the furnished rooms.

Everything is metres, y up. A ``Mesh`` carries its own texture coordinates and normals per
corner, so meshes can be joined without looking at how they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

MIP_LEVELS = 6
TEXTURE_SIDE = 256


@dataclass
class Mesh:
    """Triangles of one object.

    Attributes:
        corners: (F, 3, 3) float32 positions [m].
        uv: (F, 3, 2) float32 texture coordinates, 1 = one repeat.
        normals: (F, 3, 3) float32 unit normals.
        material: (F,) int32 index into the ``Materials`` of the scene.
    """

    corners: np.ndarray
    uv: np.ndarray
    normals: np.ndarray
    material: np.ndarray

    def moved(self, offset: np.ndarray, yaw: float = 0.0) -> Mesh:
        """Returns the mesh turned by ``yaw`` [rad] about y, then shifted by ``offset`` [m]."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
        return Mesh(
            (self.corners @ turn.T + np.asarray(offset, np.float32)).astype(np.float32),
            self.uv,
            (self.normals @ turn.T).astype(np.float32),
            self.material,
        )

    def scaled(self, factor: np.ndarray | float) -> Mesh:
        """Returns the mesh stretched by ``factor`` (one number, or one per axis)."""
        factor = np.asarray(factor, np.float32) * np.ones(3, np.float32)
        normals = self.normals / factor
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
        return Mesh((self.corners * factor), self.uv, normals.astype(np.float32), self.material)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lowest and highest corner, (3,) each [m]."""
        flat = self.corners.reshape(-1, 3)
        return flat.min(0), flat.max(0)


def join(meshes: list[Mesh]) -> Mesh:
    """Returns all triangles of ``meshes`` as one mesh."""
    return Mesh(
        np.concatenate([m.corners for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.material for m in meshes]),
    )


def flat_normals(corners: np.ndarray) -> np.ndarray:
    """Returns (F, 3, 3) normals that are the same at the three corners of a triangle."""
    n = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    n /= np.linalg.norm(n, axis=-1, keepdims=True) + 1e-12
    return np.repeat(n[:, None], 3, axis=1).astype(np.float32)


def quad(points: np.ndarray, material: int, repeat_m: float = 1.0, shift: float = 0.0) -> Mesh:
    """Returns the rectangle through four ``points`` (4, 3), textured once per ``repeat_m``."""
    p = np.asarray(points, np.float32)
    w = np.linalg.norm(p[1] - p[0]) / repeat_m
    h = np.linalg.norm(p[3] - p[0]) / repeat_m
    t = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32) + shift
    order = np.array([[0, 1, 2], [0, 2, 3]])
    corners = p[order]
    return Mesh(corners, t[order], flat_normals(corners), np.full(2, material, np.int32))


def box(size: np.ndarray, material: int, repeat_m: float = 1.0, shift: float = 0.0) -> Mesh:
    """Returns a box of ``size`` (3,) [m] that stands on y = 0, centred in x and z."""
    x, y, z = np.asarray(size, np.float32) / np.array([2, 1, 2], np.float32)
    a = np.array(
        [[-x, 0, -z], [x, 0, -z], [x, 0, z], [-x, 0, z],
         [-x, y, -z], [x, y, -z], [x, y, z], [-x, y, z]], np.float32)  # fmt: skip
    sides = [(3, 2, 6, 7), (1, 0, 4, 5), (2, 1, 5, 6), (0, 3, 7, 4), (7, 6, 5, 4), (0, 1, 2, 3)]
    return join([quad(a[list(s)], material, repeat_m, shift) for s in sides])


def lathe(profile: np.ndarray, material: int, steps: int = 20) -> Mesh:
    """Returns the body of revolution of ``profile`` (N, 2) of radius and height [m]."""
    angle = np.linspace(0, 2 * np.pi, steps + 1, dtype=np.float32)
    r, y = np.asarray(profile, np.float32).T
    ring = np.stack(
        [r[:, None] * np.cos(angle), np.repeat(y[:, None], steps + 1, 1),
         r[:, None] * np.sin(angle)], -1)  # fmt: skip
    u = np.linspace(0, 2, steps + 1, dtype=np.float32)
    v = np.linspace(0, 1, len(r), dtype=np.float32)
    uv = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), -1)
    i, j = np.meshgrid(np.arange(len(r) - 1), np.arange(steps), indexing='ij')
    i, j = i.ravel(), j.ravel()
    quads = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
    pos = np.stack([ring[q] for q in quads], 1)
    tex = np.stack([uv[q] for q in quads], 1)
    corners = np.concatenate([pos[:, [0, 1, 2]], pos[:, [0, 2, 3]]])
    coords = np.concatenate([tex[:, [0, 1, 2]], tex[:, [0, 2, 3]]])
    keep = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
                          axis=-1) > 1e-12  # fmt: skip
    corners, coords = corners[keep], coords[keep]
    mean = corners.mean(1)
    normals = flat_normals(corners)
    outward = np.sum(normals[:, 0] * (mean * [1, 0, 1]), -1) < 0
    normals[outward] *= -1
    return Mesh(corners, coords, normals, np.full(len(corners), material, np.int32))


@dataclass
class Materials:
    """All colours and textures of a scene, with mip levels in one flat array.

    Attributes:
        colour: linear RGB that multiplies the texture.
        gloss: share of mirror-like light, 0..1.
        emission: radiance that the surface sends out, linear RGB.
    """

    colour: list[np.ndarray] = field(default_factory=list)
    gloss: list[float] = field(default_factory=list)
    emission: list[np.ndarray] = field(default_factory=list)
    _texture: list[int] = field(default_factory=list)
    _pixels: list[np.ndarray] = field(default_factory=list)
    _known: dict[int, int] = field(default_factory=dict)

    def add(
        self,
        colour: np.ndarray,
        texture: np.ndarray | None = None,
        gloss: float = 0.0,
        emission: np.ndarray | None = None,
    ) -> int:
        """Adds a material.

        Args:
            colour: (3,) linear RGB in 0..1.
            texture: (H, W, 3) uint8 sRGB, or None for a plain colour.
            gloss: 0..1.
            emission: (3,) linear RGB radiance, or None.

        Returns:
            Its index.
        """
        index = -1
        if texture is not None:
            index = self._known.get(id(texture), -1)
            if index < 0:
                index = len(self._pixels)
                self._pixels.append(texture)
                self._known[id(texture)] = index
        self.colour.append(np.asarray(colour, np.float32))
        self.gloss.append(gloss)
        self.emission.append(np.zeros(3, np.float32) if emission is None else emission)
        self._texture.append(index)
        return len(self.colour) - 1

    def packed(self) -> PackedMaterials:
        """Returns the form that ``PackedMaterials.sample`` looks up."""
        import cv2

        offset, side, flat, start = [], [], [], 1
        for image in self._pixels:
            levels = []
            for level in range(MIP_LEVELS):
                s = TEXTURE_SIDE >> level
                levels.append(cv2.resize(image, (s, s), interpolation=cv2.INTER_AREA))
            starts = []
            for level in levels:
                starts.append(start)
                start += level.shape[0] * level.shape[1]
                flat.append(level.reshape(-1, 3))
            offset.append(starts)
            side.append([level.shape[0] for level in levels])
        white = np.full((1, 3), 255, np.uint8)
        texture = np.array(self._texture)
        offset_a = np.array([[0] * MIP_LEVELS, *offset], np.int64)[texture + 1]
        side_a = np.array([[1] * MIP_LEVELS, *side], np.int64)[texture + 1]
        return PackedMaterials(
            np.concatenate([white, *flat]), offset_a, side_a, np.stack(self.colour),
            np.array(self.gloss, np.float32), np.stack(self.emission).astype(np.float32),
        )  # fmt: skip


LINEAR = (np.arange(256) / 255.0).astype(np.float32) ** np.float32(2.2)


@dataclass
class PackedMaterials:
    """What ``Materials.packed`` gives: see there."""

    pixels: np.ndarray
    offset: np.ndarray
    side: np.ndarray
    colour: np.ndarray
    gloss: np.ndarray
    emission: np.ndarray

    def sample(self, material: np.ndarray, uv: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Returns (N, 3) linear albedo at ``uv`` (N, 2) of ``material`` (N,), mip ``level``."""
        level = np.clip(level.astype(np.int64), 0, MIP_LEVELS - 1)
        side = self.side[material, level]
        x = np.floor((uv[:, 0] % 1.0) * side).astype(np.int64) % side
        y = np.floor((1.0 - uv[:, 1] % 1.0) * side).astype(np.int64) % side
        index = self.offset[material, level] + y * side + x
        return LINEAR[self.pixels[index]] * self.colour[material]


@dataclass
class Hits:
    """Where rays met the scene; arrays of the N rays, ``face`` < 0 where nothing was met."""

    distance: np.ndarray
    face: np.ndarray
    bary: np.ndarray


class Scene:
    """A mesh with its materials, ready for rays."""

    def __init__(self, mesh: Mesh, materials: PackedMaterials) -> None:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        self.mesh, self.materials = mesh, materials
        self._scene = rtcore_scene.EmbreeScene()
        corners = np.ascontiguousarray(mesh.corners, np.float32)
        self._keep = TriangleMesh(self._scene, corners)
        edge = corners[:, 1:] - corners[:, :1]
        area = np.linalg.norm(np.cross(edge[:, 0], edge[:, 1]), axis=-1) + 1e-12
        t = mesh.uv[:, 1:] - mesh.uv[:, :1]
        uv_area = np.abs(t[:, 0, 0] * t[:, 1, 1] - t[:, 0, 1] * t[:, 1, 0])
        self.repeats_per_m = np.sqrt(uv_area / area).astype(np.float32)

    def cast(self, origin: np.ndarray, direction: np.ndarray) -> Hits:
        """Casts rays from ``origin`` (N, 3) along unit ``direction`` (N, 3)."""
        out = self._scene.run(
            np.ascontiguousarray(origin, np.float32),
            np.ascontiguousarray(direction, np.float32),
            output=True,
        )
        bary = np.stack([1 - out['u'] - out['v'], out['u'], out['v']], -1)
        return Hits(out['tfar'], out['primID'], bary)

    def blocked(self, origin: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Tells for every pair of points (N, 3) whether something stands between them."""
        to = target - origin
        far = np.linalg.norm(to, axis=-1)
        hit = self.cast(origin, to / (far[:, None] + 1e-9))
        return (hit.face >= 0) & (hit.distance < far - 0.02)
