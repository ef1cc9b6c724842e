"""Light and cameras for the furnished rooms: what a view looks like, and its exact depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.mono.scenes.geometry import Hits, Scene

BOUNCE_DIVISOR = 4
BOUNCE_RAYS = 6


@dataclass
class Lamp:
    """A flat light: ``centre`` plus two half ``sides`` (2, 3) [m], linear RGB ``power``.

    ``facing`` (3,) is its normal, or zeros for a bulb that shines everywhere.
    """

    centre: np.ndarray
    sides: np.ndarray
    facing: np.ndarray
    power: np.ndarray


@dataclass
class Camera:
    """A pinhole camera.

    Attributes:
        position: (3,) [m].
        turn: (3, 3) rows are right, down and forward in the room's axes.
        focal_px: focal length [px].
        width: columns.
        height: rows.
    """

    position: np.ndarray
    turn: np.ndarray
    focal_px: float
    width: int
    height: int

    def rays(self, jitter: np.ndarray, step: int = 1) -> np.ndarray:
        """Returns (H/step * W/step, 3) unit directions, ``jitter`` (2,) [px] off the centre."""
        v, u = np.mgrid[0 : self.height : step, 0 : self.width : step].astype(np.float32)
        half = (step - 1) / 2
        x = (u + half + jitter[0] - (self.width - 1) / 2) / self.focal_px
        y = (v + half + jitter[1] - (self.height - 1) / 2) / self.focal_px
        d = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ self.turn
        return (d / np.linalg.norm(d, axis=-1, keepdims=True)).astype(np.float32)


def look(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Returns the rows right, down, forward of a camera; angles [rad], pitch up positive."""
    f = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross(f, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(f, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, -s * right + c * down, f]).astype(np.float32)


@dataclass
class Surface:
    """What rays see: point, normal towards the viewer, albedo, gloss and own light."""

    point: np.ndarray
    normal: np.ndarray
    albedo: np.ndarray
    gloss: np.ndarray
    emission: np.ndarray


def surface(scene: Scene, hits: Hits, origin: np.ndarray, direction: np.ndarray,
            pixel_angle: float) -> Surface:  # fmt: skip
    """Looks up the surface at ``hits``; rays that met nothing get face 0 far away."""
    face = np.maximum(hits.face, 0)
    distance = np.where(hits.face < 0, 100.0, hits.distance)[:, None].astype(np.float32)
    bary = hits.bary[:, :, None].astype(np.float32)
    mesh = scene.mesh
    normal = np.einsum('nij,ni->nj', mesh.normals[face], hits.bary.astype(np.float32))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    away = np.sum(normal * direction, -1) > 0
    normal = np.where(away[:, None], -normal, normal)
    uv = (mesh.uv[face] * bary).sum(1)
    material = mesh.material[face]
    side = scene.materials.side[material, 0]
    footprint = distance[:, 0] * pixel_angle * scene.repeats_per_m[face] * side
    level = np.log2(np.maximum(footprint, 1e-6)) + 0.5
    albedo = scene.materials.sample(material, uv, np.maximum(level, 0))
    emission = scene.materials.emission[material] * albedo
    return Surface(origin + direction * distance, normal, np.clip(albedo, 0.01, 0.9),
                   scene.materials.gloss[material], emission)  # fmt: skip


def direct(scene: Scene, lamps: list[Lamp], at: Surface, view: np.ndarray,
           rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Returns irradiance and highlight (N, 3) at the surface, one shadow ray per lamp."""
    light = np.zeros_like(at.point)
    shine = np.zeros_like(at.point)
    start = at.point + at.normal * 0.004
    for lamp in lamps:
        spread = rng.uniform(-1, 1, (len(start), 2)).astype(np.float32)
        target = lamp.centre + spread @ lamp.sides
        to = target - start
        square = np.sum(to * to, -1) + 0.02
        to /= np.sqrt(square)[:, None]
        cos = np.maximum(np.sum(to * at.normal, -1), 0)
        if np.any(lamp.facing):
            cos = cos * np.maximum(-(to @ lamp.facing), 0)
        arrive = np.where(cos > 1e-4, cos / square, 0)
        seen = arrive > 1e-4
        if seen.any():
            seen[seen] = ~scene.blocked(start[seen], target[seen])
        part = (arrive * seen)[:, None] * lamp.power
        light += part
        half = to - view
        half /= np.linalg.norm(half, axis=-1, keepdims=True) + 1e-9
        peak = np.maximum(np.sum(half * at.normal, -1), 0) ** 40
        shine += part * (peak * at.gloss * 8)[:, None]
    return light, shine


def bounced(scene: Scene, lamps: list[Lamp], camera: Camera, ambient: np.ndarray,
            rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """Returns the light of one bounce, (H, W, 3), found coarsely and smoothed along surfaces."""
    import cv2

    rays = camera.rays(np.zeros(2), BOUNCE_DIVISOR)
    rows, columns = camera.height // BOUNCE_DIVISOR, camera.width // BOUNCE_DIVISOR
    origin = np.broadcast_to(camera.position, rays.shape)
    hits = scene.cast(origin, rays)
    at = surface(scene, hits, origin, rays, BOUNCE_DIVISOR / camera.focal_px)
    total = np.zeros_like(at.point)
    for _ in range(BOUNCE_RAYS):
        d = at.normal + _sphere(len(rays), rng)
        d /= np.linalg.norm(d, axis=-1, keepdims=True) + 1e-9
        start = at.point + at.normal * 0.004
        hit = scene.cast(start, d)
        there = surface(scene, hit, start, d, 0.05)
        light, _ = direct(scene, lamps, there, d, rng)
        total += there.albedo * (light + ambient) + there.emission
    total /= BOUNCE_RAYS
    image = _smooth(total.reshape(rows, columns, 3), at.normal.reshape(rows, columns, 3),
                    at.point.reshape(rows, columns, 3), 3, 0.08)  # fmt: skip
    size = (camera.width, camera.height)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def _sphere(count: int, rng: np.random.Generator) -> np.ndarray:
    d = rng.normal(size=(count, 3)).astype(np.float32)
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


def _smooth(light: np.ndarray, normal: np.ndarray, point: np.ndarray, pad: int,
            near_m: float) -> np.ndarray:  # fmt: skip
    """Averages over (2 pad + 1)^2 neighbours that lie on the same plane to ``near_m`` [m]."""
    total, weights = np.zeros_like(light), np.zeros(light.shape[:2], np.float32)

    def padded(a: np.ndarray) -> np.ndarray:
        return np.pad(a, ((pad, pad), (pad, pad), (0, 0)), 'edge')

    light_p, normal_p, point_p = padded(light), padded(normal), padded(point)
    rows, columns = weights.shape
    for dy in range(2 * pad + 1):
        for dx in range(2 * pad + 1):
            window = (slice(dy, dy + rows), slice(dx, dx + columns))
            off = np.abs(np.sum((point_p[window] - point) * normal, -1))
            same = np.maximum(np.sum(normal_p[window] * normal, -1), 0) ** 4
            w = same * np.exp(-((off / near_m) ** 2)) + 1e-4
            total += w[..., None] * light_p[window]
            weights += w
    return total / weights[..., None]


def render(scene: Scene, lamps: list[Lamp], camera: Camera, ambient: np.ndarray,
           rng: np.random.Generator, samples: int = 3,
           ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Renders one view.

    Args:
        scene: what is there.
        lamps: direct light.
        camera: where from.
        ambient: (3,) light from everywhere, linear RGB.
        rng: source of every random number.
        samples: rays per pixel.

    Returns:
        Linear RGB (H, W, 3) float32 in arbitrary units, and z-depth (H, W) float32 [m] of the
        pixel centres, 0 where nothing was met.
    """
    shape = (camera.height, camera.width)
    colour, light, extra = np.zeros((3, shape[0] * shape[1], 3), np.float32)
    for k in range(samples):
        rays = camera.rays(rng.uniform(-0.5, 0.5, 2) if k else np.zeros(2))
        origin = np.broadcast_to(camera.position, rays.shape)
        at = surface(scene, scene.cast(origin, rays), origin, rays, 1 / camera.focal_px)
        arriving, shine = direct(scene, lamps, at, rays, rng)
        colour += at.albedo / samples
        light += arriving / samples
        extra += (shine + at.emission) / samples
        glossy = np.flatnonzero(at.gloss > 0.05)
        if len(glossy):
            extra[glossy] += _mirrored(scene, at, rays, glossy, ambient) / samples
        if k == 0:
            first = at
    smooth = _smooth(light.reshape(*shape, 3), first.normal.reshape(*shape, 3),
                     first.point.reshape(*shape, 3), 2, 0.02)  # fmt: skip
    light = smooth + bounced(scene, lamps, camera, ambient, rng) + 0.15 * ambient
    image = colour.reshape(*shape, 3) * light + extra.reshape(*shape, 3)
    rays = camera.rays(np.zeros(2))
    hits = scene.cast(np.broadcast_to(camera.position, rays.shape), rays)
    z = hits.distance * (rays @ camera.turn[2])
    depth = np.where((hits.face >= 0) & (z < 80), z, 0).astype(np.float32)
    return image, depth.reshape(shape)


def _mirrored(scene: Scene, at: Surface, rays: np.ndarray, where: np.ndarray,
              ambient: np.ndarray) -> np.ndarray:  # fmt: skip
    """Returns a faint mirror image for the glossy rays ``where``, without shadows."""
    n, d = at.normal[where], rays[where]
    cos = -np.sum(d * n, -1)
    out = d + 2 * cos[:, None] * n
    start = at.point[where] + n * 0.004
    there = surface(scene, scene.cast(start, out), start, out, 0.01)
    share = at.gloss[where] * (0.08 + 0.9 * np.clip(1 - cos, 0, 1) ** 4)
    return share[:, None] * (there.albedo * (ambient * 2 + 0.3) + there.emission)
