"""The inverse depth that a flat floor has in the image of a camera above it.

Convention:
    `pitch` is the tilt of the optical axis below the horizon; `roll` turns the camera about its
    optical axis, clockwise as seen from behind it, so that its right side comes down. The unit
    vector towards the floor in the optical frame is then
    n = (cos pitch sin roll, cos pitch cos roll, sin pitch), and a floor point at depth Z along the
    ray p = (x, y, 1) fulfils Z (n . p) = h: 1 / Z = (n . p) / h, linear in the pixel. Without
    roll, Z = h / (y cos pitch + sin pitch), and the horizon is the row cy - fy tan(pitch).
"""

from __future__ import annotations

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import InverseDepthMap, SigmaMap
import numpy as np


def ground_inverse_depth(
    camera: PinholeCamera, height_m: float, pitch_rad: float, roll_rad: float = 0.0
) -> InverseDepthMap:
    """Return the inverse depth of a flat floor.

    Args:
        camera: Camera above the floor.
        height_m: Height of its optical centre above the floor [m], positive.
        pitch_rad: Tilt of the optical axis below the horizon [rad].
        roll_rad: Rotation about the optical axis [rad], clockwise seen from behind.

    Returns:
        (H, W) float32 [1/m]; 0 on the horizon, negative above it.
    """
    across = math.cos(pitch_rad) * math.sin(roll_rad) / height_m
    down = math.cos(pitch_rad) * math.cos(roll_rad) / height_m
    rows = camera.ray_y * np.float32(down) + np.float32(math.sin(pitch_rad) / height_m)
    rho: InverseDepthMap = np.add(
        rows[:, None], camera.ray_x * np.float32(across), dtype=np.float32
    )
    return rho


def ground_sigma(
    rho: InverseDepthMap,
    camera: PinholeCamera,
    height_m: float,
    height_sigma_m: float,
    tilt_sigma_rad: float,
) -> SigmaMap:
    """Return the share of sigma_rho that comes from the pose of the camera above the floor.

    First order in height and tilt: (rho sigma_h / h)^2 + (sigma_tilt / h)^2 (1 + x^2). The second
    term is |d rho / d pitch| = |cos pitch - y sin pitch| / h and |d rho / d roll| = |x| / h for a
    camera that looks nearly level, where y sin(pitch) is small against 1.

    Args:
        rho: (H, W) float32 [1/m], inverse depth that was made from the floor.
        camera: Camera of the image.
        height_m: Height of the optical centre [m].
        height_sigma_m: Its standard deviation [m].
        tilt_sigma_rad: Standard deviation of pitch and of roll [rad].

    Returns:
        (H, W) float32 [1/m]; NaN where `rho` is.
    """
    tilt = np.square(np.float32(tilt_sigma_rad / height_m)) * (1.0 + np.square(camera.ray_x))
    sigma: SigmaMap = np.sqrt(
        np.square(rho * np.float32(height_sigma_m / height_m)) + tilt, dtype=np.float32
    )
    return sigma
