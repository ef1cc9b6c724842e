"""Stereo pairs of random scenes with exact truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.renderer import raster, shade
from training.renderer.kinds import KINDS
from training.renderer.lights import expose, light, shadows
from training.renderer.scene import Scene
from training.renderer.textures import load, Pool

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """A rectified pair and its truth; arrays are (H, W) or (H, W, 3).

    Attributes:
        left, right: uint8 RGB, without any fault of a camera.
        disparity: float32 of the left view [px], x_right = x_left - disparity; 0 for sky.
        right_disparity: the same of the right view.
        depth: float32 of the left view [m], inf for sky.
        occluded: left pixels that the right camera does not see, or that leave its frame; of the
            sky too.
        sky: left pixels with nothing in them.
        glass: left pixels whose truth is a pane that lets what is behind it through, or a mirror.
        focal_px, cx, cy, baseline_m: the cameras.
        kind: of the scene.
        textures: name of the pool.
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    disparity: Floats
    right_disparity: Floats
    depth: Floats
    occluded: Mask
    sky: Mask
    glass: Mask
    focal_px: float
    cx: float
    cy: float
    baseline_m: float
    kind: str
    textures: str


@dataclass(frozen=True)
class Camera:
    """Both cameras of a pair: size, focal length and principal point [px]."""

    width: int
    height: int
    focal_px: float
    cx: float
    cy: float


class View:
    """Buffers of a camera at two samples per pixel: pixel (i, j) is sample (2 i + 1, 2 j + 1)."""

    def __init__(self, world: World, offset_m: float) -> None:
        camera = world.camera
        focal, cx, cy = camera.focal_px, camera.cx, camera.cy
        self.camera = np.array([focal, cx + 0.5, cy + 0.5, offset_m, 2.0])
        self.shading = np.array([focal, cx, cy, offset_m])
        shape = (2 * camera.height + 1, 2 * camera.width + 1)
        self.inverses = np.empty((len(world.triangles), 3, 3))
        raster.invert(world.points, world.triangles, offset_m, self.inverses)
        self.solid = self._draw(world, ~world.is_glass, shape)
        self.glass = self._draw(world, world.is_glass, shape)
        front = self.glass[0] > self.solid[0]
        self.inverse_z = np.where(front, self.glass[0], self.solid[0])[1::2, 1::2].copy()
        self.index = np.where(front, self.glass[1], self.solid[1])[1::2, 1::2].copy()

    def _draw(
        self, world: World, wanted: Mask, shape: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        inverse_z, index = np.zeros(shape), np.full(shape, -1, np.int32)
        if wanted.any():
            raster.visible(
                world.points, world.triangles, self.inverses, wanted, self.camera, inverse_z, index
            )
        return inverse_z, index

    def colours(self, world: World) -> Floats:
        """Return linear colours (H, W, 3)."""
        out = np.zeros((world.camera.height, world.camera.width, 3), np.float32)
        pool = world.pool
        buffers = (*self.solid, *self.glass)
        shade.shade(world.tables, pool.data, pool.size, self.inverses, self.shading, buffers, out)
        return out


class World:
    """A finished scene in the left camera's frame."""

    def __init__(self, scene: Scene, camera: Camera) -> None:
        self.camera, self.pool = camera, scene.pool
        points, normals, uvs, owners, materials = scene.in_camera()
        self.points, self.triangles = points, scene.triangles()
        self.is_glass = materials[owners, shade.GLASS] > 0
        self.unsure = self.is_glass | (materials[owners, shade.MIRROR] > 0.3)
        lights = light(scene)
        shadow, to_shadow = shadows(
            scene, points, self.triangles, materials[owners, shade.CASTS] > 0, lights
        )
        self.tables = (normals, uvs, self.triangles, owners, materials, lights, shadow, to_shadow)


def _baseline(view: View, rng: np.random.Generator, camera: Camera, largest_px: float) -> float:
    """Draw the largest disparity of the sample and return the baseline that gives it [m]."""
    seen = view.inverse_z[view.inverse_z > 0]
    nearest = float(np.quantile(seen, 0.995)) if seen.size else 1.0
    low, high = 0.04 * camera.width, min(0.36 * camera.width, largest_px)
    if rng.random() < 0.12:
        low = 0.012 * camera.width  # far scenes
    wanted = float(np.exp(rng.uniform(np.log(low), np.log(max(high, low * 1.01)))))
    return wanted / (camera.focal_px * nearest)


def render(
    seed: int,
    width: int,
    height: int,
    *,
    max_disparity_px: float = 192.0,
    kind: str | None = None,
    textures: str | None = None,
) -> Pair:
    """Render a random pair, the same for the same seed, size, pool and versions of libraries.

    Args:
        seed: of all chance.
        width: of the images [px].
        height: of the images [px].
        max_disparity_px: upper limit of what the nearest things (but for half a percent) have.
        kind: one of KINDS, or None for any.
        textures: folder of a pool, as textures.load takes it.
    """
    rng = np.random.default_rng(seed)
    pool: Pool = load(textures)
    names = list(KINDS)
    shares = np.array([KINDS[name][0] for name in names])
    drawn = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    name = kind or drawn
    scene = Scene(rng, pool)
    KINDS[name][1](scene)
    centre = ((width - 1) / 2, (height - 1) / 2)
    camera = Camera(
        width,
        height,
        width / 2 / float(np.tan(np.radians(scene.hfov_deg) / 2)),
        centre[0] + float(rng.normal(0, 0.02)) * width,
        centre[1] + float(rng.normal(0, 0.02)) * height,
    )
    return render_scene(scene, camera, max_disparity_px=max_disparity_px, kind=name)


def render_scene(
    scene: Scene,
    camera: Camera,
    *,
    baseline_m: float | None = None,
    max_disparity_px: float = 192.0,
    kind: str = 'own',
) -> Pair:
    """Render a pair of one's own scene; without a baseline, one is drawn as render does."""
    world = World(scene, camera)
    first = View(world, 0.0)
    baseline = baseline_m or _baseline(first, scene.rng, camera, max_disparity_px)
    second = View(world, baseline)
    left, right = expose(scene.rng, first.colours(world), second.colours(world))
    shift = camera.focal_px * baseline
    sky = first.index < 0
    occluded = raster.hidden(
        first.inverse_z, first.index, second.index, second.inverses, first.shading, shift
    )
    with np.errstate(divide='ignore'):
        depth = (1.0 / first.inverse_z).astype(np.float32)
    return Pair(
        left, right,
        (shift * first.inverse_z).astype(np.float32),
        (shift * second.inverse_z).astype(np.float32),
        depth, occluded, sky, world.unsure[first.index] & ~sky,
        camera.focal_px, camera.cx, camera.cy, baseline, kind, scene.pool.name,
    )  # fmt: skip
