"""Lights, their shadows, and the exposure of the pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.renderer import raster, shade
from training.renderer.scene import Scene

Floats = NDArray[np.float64]
_SHADOW_SIZE = 384


def _warm(rng: np.random.Generator, bright: float, spread: float = 0.12) -> Floats:
    return np.asarray(bright * np.exp(rng.normal(0, spread, 3)))


def light(scene: Scene) -> Floats:
    """Draw the table of lights, in the left camera's frame."""
    rng = scene.rng
    table = np.zeros((shade.LIGHT_ROWS, 3))
    contrast = rng.random()
    sun = rng.normal(size=3) * (1.0, 0.0, 1.0) + np.array([0, rng.uniform(0.5, 2.5), 0])
    table[shade.SUN] = sun / np.linalg.norm(sun) @ scene.rotation
    table[shade.SUN_COLOUR] = _warm(rng, 0.2 + 1.3 * contrast)
    ambient = 0.25 + 0.6 * (1 - contrast)
    table[shade.ABOVE] = _warm(rng, ambient)
    table[shade.BELOW] = _warm(rng, ambient * rng.uniform(0.3, 0.9))
    reach = 12.0 if scene.outdoor else 2.0
    place = np.array([rng.uniform(-1, 1), -rng.uniform(0.5, 2), rng.uniform(0, 2)]) * (
        reach,
        1.0,
        reach,
    )
    table[shade.LAMP] = place @ scene.rotation
    table[shade.LAMP_COLOUR] = _warm(rng, rng.uniform(0, 3) * (rng.random() < 0.6))
    table[shade.UP] = np.array([0.0, -1.0, 0.0]) @ scene.rotation
    table[shade.SKY_LOW] = _warm(rng, rng.uniform(0.5, 1.2))
    table[shade.SKY_HIGH] = np.array([0.25, 0.45, 0.9]) * rng.uniform(0.3, 1.2)
    table[shade.HAZE] = table[shade.SKY_LOW]
    textured = rng.random() < 0.5
    texture = scene.pool.pick(rng, natural=1, photo=3) if textured else -1
    haze = 1.0 / rng.uniform(30, 300) if scene.outdoor and rng.random() < 0.5 else 0.0
    table[shade.MISC] = (texture, haze, 0.0)
    return table


def shadows(
    scene: Scene,
    points: Floats,
    triangles: NDArray[np.int32],
    casts: NDArray[np.bool_],
    lights: Floats,
) -> tuple[NDArray[np.float32], Floats]:
    """Draw the sun's depth map over what is near, and set the bias; the map is 1 x 1 for none."""
    if scene.rng.random() < 0.3:
        return np.full((1, 1), 1e30, np.float32), np.zeros((3, 4))
    ahead = lights[shade.SUN]
    aside = np.cross(ahead, (0.31, 0.11, 0.94))
    aside /= np.linalg.norm(aside)
    frame = np.stack([aside, np.cross(ahead, aside), ahead])
    ahead_of_us = points[points[:, 2] > 0]
    seen = ahead_of_us if len(ahead_of_us) else points
    flat = seen @ frame.T
    low, high = np.quantile(flat[:, :2], 0.03, axis=0), np.quantile(flat[:, :2], 0.97, axis=0)
    grow = 0.15 * (high - low) + 1e-3
    low, scale = low - grow, (_SHADOW_SIZE - 1) / (high - low + 2 * grow)
    to_shadow = np.zeros((3, 4))
    to_shadow[:, :3] = frame
    to_shadow[:2] *= scale[:, None]
    to_shadow[:2, 3] = -low * scale
    depth = np.full((_SHADOW_SIZE, _SHADOW_SIZE), 1e30, np.float32)
    mapped = points @ to_shadow[:, :3].T + to_shadow[:, 3]
    raster.shadow_map(mapped, triangles, casts, depth)
    lights[shade.MISC, 2] = 1.5 / float(scale.min())
    return depth, to_shadow


def expose(
    rng: np.random.Generator, left: NDArray[np.float32], right: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Turn linear colours of both views into pictures with one gain and one tone curve."""
    grey = left.mean(axis=2)
    target = rng.uniform(0.12, 0.42)
    bright = float(np.quantile(grey[::4, ::4], 0.95))
    gain = np.float32(
        min(target / max(float(grey.mean()), 1e-4), rng.uniform(0.9, 2.4) / max(bright, 1e-4))
    )
    knee = np.float32(rng.uniform(0.0, 1.0))

    def develop(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
        x = linear * gain
        x = x * (1 + knee * np.float32(0.3)) / (1 + knee * x * np.float32(0.5))
        np.clip(x, 0, 1, out=x)
        return np.asarray(np.sqrt(x) * np.float32(255) + np.float32(0.5)).astype(np.uint8)

    return develop(left), develop(right)
