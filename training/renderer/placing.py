"""Poses and forms that several kinds of scenes draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.renderer.meshes import yaw
from training.renderer.scene import Scene

Floats = NDArray[np.float64]
UPRIGHT = np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0)], float)
"""Stands a height field up, its heights towards the camera."""
FLAT = np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)], float)
"""Lays a quad down, facing up."""


def angles(scene: Scene, pitch: float = 0.0, spread: float = 0.12) -> tuple[float, float, float]:
    """Draw yaw, pitch and roll [rad]; one camera in ten is held askew."""
    rng = scene.rng
    roll = rng.normal(0, 0.03) if rng.random() < 0.9 else rng.normal(0, 0.3)
    return float(rng.normal(0, spread)), float(pitch + rng.normal(0, spread)), float(roll)


def bumps(scene: Scene, rows: int, columns: int, height: float) -> Floats:
    """Return smooth random heights (rows, columns) whose spread is height."""
    rng = scene.rng
    coarse = rng.normal(0, height, (5, 5))
    i, j = np.linspace(0, 3.999, rows), np.linspace(0, 3.999, columns)
    a, b = (i - i.astype(int))[:, None], (j - j.astype(int))[None]
    a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
    p, q = i.astype(int)[:, None], j.astype(int)[None]
    out = (1 - a) * ((1 - b) * coarse[p, q] + b * coarse[p, q + 1])
    return np.asarray(out + a * ((1 - b) * coarse[p + 1, q] + b * coarse[p + 1, q + 1]))


def slanted(scene: Scene, spread: float) -> Floats:
    """Draw a rotation that slants what faces the camera, by spread [rad]."""
    a, b = scene.rng.normal(0, spread, 2)
    ca, sa = np.cos(a), np.sin(a)
    return np.asarray(yaw(b) @ np.array([(1, 0, 0), (0, ca, -sa), (0, sa, ca)]))
