"""A scene under construction: meshes with their materials, lights and the camera's pose."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.renderer import shade
from training.renderer.meshes import Mesh
from training.renderer.textures import Pool

Floats = NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True)
class Look:
    """How a thing looks.

    Attributes:
        texture: index into the pool.
        extent_m: size of one repeat of the texture on the surface.
        tint: linear colour (3,) that multiplies the texture.
        flatten: 0 the texture as it is, 1 none of it.
        gloss, shininess: Phong highlights.
        mirror: share of the surroundings reflected when looked at squarely.
        opacity: below 1, what is behind shows through.
        reflected: texture of the surroundings that are reflected.
        emission: light of its own.
    """

    texture: int
    extent_m: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flatten: float = 0.0
    gloss: float = 0.0
    shininess: float = 20.0
    mirror: float = 0.0
    opacity: float = 1.0
    reflected: int = 0
    emission: float = 0.0

    def row(self) -> list[float]:
        """Return the row of the material table but for its last column."""
        return [
            self.texture, *self.tint, self.flatten, self.gloss, self.shininess, self.mirror,
            self.opacity, self.reflected, self.emission, float(self.opacity < 1.0),
        ]  # fmt: skip


@dataclass
class Scene:
    """Meshes in the world, y down.

    Attributes:
        rng: source of all chance.
        pool: textures.
        eye, look_at_rotation: pose of the left camera, X_camera = R^T (X_world - eye).
        outdoor: lit by a sun under a sky.
        hfov_deg: horizontal field of view.
        near_m: least depth at which the disparity is to be the largest, or None: measured.
    """

    rng: Random
    pool: Pool
    eye: Floats = field(default_factory=lambda: np.zeros(3))
    rotation: Floats = field(default_factory=lambda: np.eye(3))
    outdoor: bool = False
    hfov_deg: float = 65.0
    _points: list[Floats] = field(default_factory=list)
    _normals: list[Floats] = field(default_factory=list)
    _uvs: list[Floats] = field(default_factory=list)
    _triangles: list[NDArray[np.int32]] = field(default_factory=list)
    _owners: list[NDArray[np.int32]] = field(default_factory=list)
    _rows: list[list[float]] = field(default_factory=list)
    _count: int = 0

    def add(
        self,
        mesh: Mesh,
        look: Look,
        place: Floats | tuple[float, float, float] = (0.0, 0.0, 0.0),
        rotation: Floats | None = None,
        *,
        casts: bool = True,
    ) -> None:
        """Put a mesh at a place, turned by a rotation; panes never cast shadows."""
        points, normals = mesh.points, mesh.normals
        if rotation is not None:
            points, normals = points @ rotation.T, normals @ rotation.T
        self._points.append(points + np.asarray(place))
        self._normals.append(normals)
        self._uvs.append(mesh.uvs / look.extent_m + self.rng.random(2))
        self._triangles.append(mesh.triangles + self._count)
        self._owners.append(mesh.parts + len(self._rows))
        row = [*look.row(), float(casts and look.opacity >= 1.0)]
        self._rows.extend([row] * (int(mesh.parts.max()) + 1))
        self._count += len(points)

    def look(self, extent_m: float | None = None, **weights: float) -> Look:
        """Draw a look; weights are those of the textures' tags.

        Most surfaces are matt; tints and flattening make many looks of one texture.
        """
        rng = self.rng
        if not weights:
            weights = {
                'plain': 1,
                'natural': 3,
                'pattern': 1.5,
                'print': 1.5,
                'photo': 5,
                'surface': 4,
            }
        chance = rng.random(3)
        tint = np.exp(rng.normal(0, 0.07, 3)) * rng.uniform(0.4, 1.4)
        if chance[0] < 0.1:
            tint = tint * (0.15 + rng.random(3))
        return Look(
            texture=self.pool.pick(rng, **weights),
            extent_m=extent_m or float(np.exp(rng.uniform(np.log(0.15), np.log(2.0)))),
            tint=(float(tint[0]), float(tint[1]), float(tint[2])),
            flatten=float(rng.uniform(0.5, 0.97)) if chance[1] < 0.2 else 0.0,
            gloss=float(rng.uniform(0.1, 0.9)) if chance[2] < 0.3 else 0.0,
            shininess=float(np.exp(rng.uniform(1.5, 5.0))),
            mirror=float(rng.uniform(0.02, 0.25)) if chance[2] < 0.08 else 0.0,
            reflected=self.pool.pick(rng, photo=1, natural=0.2),
        )

    def glass(self) -> Look:
        """Draw the look of a pane: mostly seen through, with reflections."""
        rng = self.rng
        return Look(
            texture=self.pool.pick(rng, plain=3, natural=1),
            tint=(0.6, 0.65, 0.7),
            gloss=0.6,
            shininess=120.0,
            mirror=float(rng.uniform(0.03, 0.3)),
            opacity=float(rng.uniform(0.03, 0.35)),
            reflected=self.pool.pick(rng, photo=1, natural=0.2),
        )

    def mirror(self) -> Look:
        """Draw the look of a mirror or of polished metal."""
        rng = self.rng
        return Look(
            texture=self.pool.pick(rng, plain=1),
            mirror=float(rng.uniform(0.5, 0.9)),
            reflected=self.pool.pick(rng, photo=1, natural=0.2),
        )

    def aim(self, eye: tuple[float, float, float], yaw: float, pitch: float, roll: float) -> None:
        """Place the camera: angles in radians, pitch positive looks down."""
        cy, sy, cp, sp, cr, sr = (
            np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        )  # fmt: skip
        self.eye = np.array(eye, float)
        turn = np.array([(cy, 0, sy), (0, 1, 0), (-sy, 0, cy)])
        tilt = np.array([(1, 0, 0), (0, cp, sp), (0, -sp, cp)])
        bank = np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)])
        self.rotation = turn @ tilt @ bank

    def triangles(self) -> NDArray[np.int32]:
        """Return all triangles (M, 3)."""
        return np.ascontiguousarray(np.concatenate(self._triangles))

    def in_camera(self) -> tuple[Floats, Floats, Floats, NDArray[np.int32], NDArray[np.float64]]:
        """Return points, normals and uvs in the left camera's frame, owners and materials."""
        points = (np.concatenate(self._points) - self.eye) @ self.rotation
        normals = np.concatenate(self._normals) @ self.rotation
        uvs = np.concatenate(self._uvs)
        owners = np.concatenate(self._owners)
        assert len(self._rows[0]) == shade.MATERIAL_COLUMNS
        return (
            np.ascontiguousarray(points), np.ascontiguousarray(normals), uvs, owners,
            np.array(self._rows, np.float64),
        )  # fmt: skip
