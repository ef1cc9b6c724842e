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
            known = (depth > 0.0) & (depth < np.inf)
        np.copyto(depth, np.float32(np.nan), where=~known)
        past, score = self._past, None
        variance = np.full_like(depth, np.nan)
        if past is not None and past.camera == camera and past.depth.shape == depth.shape:
            square, variance = _reprojected(depth, past, camera, fixed_from_camera)
            new = np.isnan(variance)
            variance *= np.float32(self._memory)
            variance += np.float32(1.0 - self._memory) * square
            np.copyto(variance, square, where=new)
            if np.count_nonzero(np.isfinite(variance)) >= _FEWEST:
                score = np.sqrt(variance)
        self._past = _Past(depth, variance, camera, fixed_from_camera.copy())
        return score


def _reprojected(
    depth: Map, past: _Past, camera: PinholeCamera, fixed_from_camera: Pose
) -> tuple[Map, Map]:
    """Return r^2 and the mean of r^2 so far, both at the pixels of this frame; NaN unknown."""
    height, width = depth.shape
    past_from_now = np.linalg.inv(past.fixed_from_camera) @ fixed_from_camera
    now_from_past = np.linalg.inv(past_from_now)
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        column, row, z = (_coordinate(past_from_now, axis, camera, depth) for axis in range(3))
        _project(column, z, camera.fx, camera.cx)
        _project(row, z, camera.fy, camera.cy)
        inside = (column > -0.5) & (column < width - 0.5) & (z > 0.0)
        inside &= (row > -0.5) & (row < height - 0.5)
        outside = ~inside
        np.rint(row, out=row)
        row *= np.float32(width)
        row += np.rint(column, out=column)  # whole numbers, which float32 holds to 2^24
        np.copyto(row, np.float32(0.0), where=outside)
        index = row.astype(np.intp)
        square = _coordinate(now_from_past, 2, camera, past.depth).take(index)
        square -= depth
        square /= depth
        np.clip(square, -_LARGEST, _LARGEST, out=square)
        np.square(square, out=square)
    before = past.variance.take(index)
    for values in (square, before):
        np.copyto(values, np.float32(np.nan), where=outside)
    return square, before


def _project(place: Map, z: Map, focal_px: float, centre_px: float) -> None:
    """Turn X or Y of points, in its memory, into the column or row among every 4th."""
    place /= z
    place *= np.float32(focal_px / STRIDE_PX)
    place += np.float32((centre_px - STRIDE_PX // 2) / STRIDE_PX)


def _coordinate(transform: AnyArray, axis: int, camera: PinholeCamera, depth: Map) -> Map:
    """Return one coordinate, in another frame, of the points at every 4th pixel."""
    x, y, z, shift = transform[axis].tolist()
    part = slice(STRIDE_PX // 2, None, STRIDE_PX)
    across = (x * camera.ray_x[part].astype(np.float64) + z).astype(np.float32)
    down = (y * camera.ray_y[part].astype(np.float64)).astype(np.float32)
    values: Map = np.add.outer(down, across)
    values *= depth
    values += np.float32(shift)
    return values
