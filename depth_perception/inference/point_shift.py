"""The shift along z that an affine point map lacks, solved from known intrinsics.

A network that predicts points up to a shift along z shows each pixel along the ray
(f x / (z + t), f y / (z + t)); with the focal length known, t is what makes these rays those of
the camera (MoGe, Wang et al. 2025).
"""

from __future__ import annotations

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import AnyArray
from depth_perception.errors import ModelError
import numpy as np

_GRID = 64
_STEPS = 10


def z_shift(
    x: AnyArray, y: AnyArray, z: AnyArray, usable: AnyArray, camera: PinholeCamera
) -> float:
    """Return t that minimises the distance of (x, y) / (z + t) from the rays of the camera.

    Args:
        x: (H, W) x of the points, any unit.
        y: (H, W) y of the points.
        z: (H, W) z of the points, up to a shift.
        usable: (H, W) bool.
        camera: Camera of the (H, W) grid.

    Raises:
        ModelError: If fewer than 16 points are usable, or no shift brings them before the camera.
    """
    rows = np.unique(np.linspace(0, z.shape[0] - 1, _GRID).round().astype(int))
    columns = np.unique(np.linspace(0, z.shape[1] - 1, _GRID).round().astype(int))
    pick = np.ix_(rows, columns)
    ok = usable[pick]
    if int(ok.sum()) < 16:
        raise ModelError('the point map has fewer than 16 usable points to solve its shift from')
    points = np.stack([x[pick][ok], y[pick][ok]]).astype(np.float64)
    depth = z[pick][ok].astype(np.float64)
    rays = np.stack(
        [
            np.broadcast_to(camera.ray_x[columns], ok.shape)[ok],
            np.broadcast_to(camera.ray_y[rows][:, None], ok.shape)[ok],
        ]
    ).astype(np.float64)
    shift = float(np.sum(rays * (points - rays * depth)) / np.sum(rays * rays))
    shift = max(shift, 1e-3 - float(depth.min()))
    for _ in range(_STEPS):
        total = depth + shift
        residual = points / total - rays
        slope = -points / np.square(total)
        step = -float(np.sum(slope * residual) / max(np.sum(slope * slope), 1e-12))
        shift = max(shift + step, 1e-3 - float(depth.min()))
    if not np.isfinite(shift):
        raise ModelError('the shift of the point map cannot be solved')
    return shift
