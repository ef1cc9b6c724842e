"""Does this frame say the same as the one before, moved by the known motion of the camera?"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import AnyArray, InverseDepthMap
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Pose = NDArray[np.float64]

STRIDE_PX = 4
_LARGEST = 1.0  # relative; a greater difference is another surface, and says no more
_FEWEST = 16


@dataclass(frozen=True)
class _Past:
    """What is remembered of a frame, at every 4th pixel."""

    depth: Map
    variance: Map
    camera: PinholeCamera
    fixed_from_camera: Pose


class TemporalScore:
    """Temporal reprojection: r = |Z_t(p) - T Z_{t-1}(p')| / Z_t, and the mean of r^2 over time.

    p' is where the point at p was in the frame before, by the known motion; T Z_{t-1}(p') is the
    depth that the earlier estimate at p' has for this camera. The mean of r^2 fades with
    `memory`, and moves along with the scene. What moves by itself disagrees, and should.

    Args:
        memory: Weight of the past, 0..1.
    """

    def __init__(self, memory: float = 0.7) -> None:
        self._memory = memory
        self._past: _Past | None = None

    def reset(self) -> None:
        """Forget the past."""
        self._past = None

    def step(
        self, rho: InverseDepthMap, camera: PinholeCamera, fixed_from_camera: Pose | None
    ) -> Map | None:
        """Return the score of a frame, and remember it.

        Args:
            rho: (H, W) float32 [1/m]; NaN unknown.
            camera: Of the frame.
            fixed_from_camera: (4, 4) float64 pose of the optical frame in a frame that stands
                still [m]; None: not known, the past is forgotten.

        Returns:
            (h, w) float32 relative sigma at every 4th pixel (from the third on); NaN where the
            past did not see the point. None without a past.
        """
        if fixed_from_camera is None or not np.isfinite(fixed_from_camera).all():
            self._past = None
            return None
        offset = STRIDE_PX // 2
        with np.errstate(divide='ignore', invalid='ignore'):
            depth = np.reciprocal(rho[offset::STRIDE_PX, offset::STRIDE_PX])
        depth[~(depth > 0.0) | np.isinf(depth)] = np.nan
        past, score = self._past, None
        variance = np.full_like(depth, np.nan)
        if past is not None and past.camera == camera and past.depth.shape == depth.shape:
            square, before = _reprojected(depth, past, camera, fixed_from_camera)
            variance = np.where(
                np.isnan(before),
                square,
                np.float32(self._memory) * before + np.float32(1.0 - self._memory) * square,
            )
            if np.count_nonzero(np.isfinite(variance)) >= _FEWEST:
                score = np.sqrt(variance)
        self._past = _Past(depth, variance, camera, fixed_from_camera.copy())
        return score


def _reprojected(
    depth: Map, past: _Past, camera: PinholeCamera, fixed_from_camera: Pose
) -> tuple[Map, Map]:
    """Return r^2 and the mean of r^2 so far, both at the pixels of this frame; NaN unknown."""
    offset = STRIDE_PX // 2
    ray_x, ray_y = camera.ray_x[offset::STRIDE_PX], camera.ray_y[offset::STRIDE_PX, None]
    past_from_now = np.linalg.inv(past.fixed_from_camera) @ fixed_from_camera
    x, y, z = _moved(past_from_now, ray_x * depth, ray_y * depth, depth, rows=3)
    with np.errstate(divide='ignore', invalid='ignore'):
        column = (x / z * np.float32(camera.fx) + np.float32(camera.cx - offset)) / STRIDE_PX
        row = (y / z * np.float32(camera.fy) + np.float32(camera.cy - offset)) / STRIDE_PX
        inside = (column > -0.5) & (column < depth.shape[1] - 0.5) & (z > 0.0)
        inside &= (row > -0.5) & (row < depth.shape[0] - 0.5)
    at_column, at_row = (
        np.rint(np.where(inside, place, 0.0)).astype(np.intp) for place in (column, row)
    )
    index = at_row * depth.shape[1] + at_column
    there: Map = past.depth.ravel()[index]
    now_from_past = np.linalg.inv(past_from_now)
    rays = ray_x[at_column] * there, ray_y[at_row, 0] * there
    (expected,) = _moved(now_from_past, *rays, there, rows=1)
    with np.errstate(divide='ignore', invalid='ignore'):
        square = np.square(np.minimum(np.abs(depth - expected) / depth, np.float32(_LARGEST)))
    square[~inside] = np.nan
    before = past.variance.ravel()[index]
    before[~inside] = np.nan
    return square.astype(np.float32), before


def _moved(transform: AnyArray, x: Map, y: Map, z: Map, rows: int) -> list[AnyArray]:
    """Return the last `rows` coordinates of points in another frame."""
    matrix = transform.astype(np.float32)
    return [m[0] * x + m[1] * y + m[2] * z + m[3] for m in matrix[3 - rows : 3]]
