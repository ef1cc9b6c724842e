"""Pinhole cameras on rectified images.

Convention:
    Optical frame (REP 103): x right, y down, z forward. Pixel (u, v) is (column, row) and pixel
    centres lie at integers, so the image spans u from -0.5 to width - 0.5. A rectified image
    belongs to the projection matrix P, never to K: fx = P[0, 0], cx = P[0, 2] and, for the
    right camera of a pair, P[0, 3] = -fx * baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math

from depth_perception.errors import CalibrationError
import numpy as np
from numpy.typing import NDArray

MAX_SIDE_PX = 16384


@dataclass(frozen=True)
class PinholeCamera:
    """A rectified camera: size [px], focal lengths [px] and principal point [px].

    Raises:
        CalibrationError: If the size is not positive, or the intrinsics are not finite or not
            positive.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_SIDE_PX and 0 < self.height <= MAX_SIDE_PX):
            raise CalibrationError(
                f'camera size is {self.width}x{self.height}; both sides must be '
                f'1 to {MAX_SIDE_PX} px'
            )
        values = {'fx': self.fx, 'fy': self.fy, 'cx': self.cx, 'cy': self.cy}
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if bad:
            raise CalibrationError(
                f'camera intrinsics are not finite: {bad}; calibrate the camera'
            )
        if self.fx <= 0.0 or self.fy <= 0.0:
            raise CalibrationError(
                f'focal lengths are fx={self.fx}, fy={self.fy} px; both must be positive '
                '(all zeros means that the camera is not calibrated)'
            )

    @property
    def K(self) -> NDArray[np.float64]:
        """The 3x3 intrinsic matrix of the rectified image."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view [deg]."""
        left = (self.cx + 0.5) / self.fx
        right = (self.width - 0.5 - self.cx) / self.fx
        return math.degrees(math.atan(left) + math.atan(right))

    def cropped(self, x: int, y: int, width: int, height: int) -> PinholeCamera:
        """Return the camera of the image part that starts at pixel (x, y)."""
        return PinholeCamera(width, height, self.fx, self.fy, self.cx - x, self.cy - y)

    def resized(self, width: int, height: int) -> PinholeCamera:
        """Return the camera of the image stretched to `width` x `height`.

        Convention:
            Pixel centres are at integers, so cx' = (cx + 0.5) * sx - 0.5; cx * sx alone would be
            off by up to half a pixel.
        """
        sx, sy = width / self.width, height / self.height
        return PinholeCamera(
            width,
            height,
            self.fx * sx,
            self.fy * sy,
            (self.cx + 0.5) * sx - 0.5,
            (self.cy + 0.5) * sy - 0.5,
        )

    def binned(self, binning_x: int, binning_y: int) -> PinholeCamera:
        """Return the camera after averaging blocks of binning_x by binning_y pixels."""
        size = self.width // binning_x, self.height // binning_y
        whole = self.cropped(0, 0, size[0] * binning_x, size[1] * binning_y)
        return whole.resized(*size)

    @cached_property
    def ray_x(self) -> NDArray[np.float32]:
        """(W,) float32: X / Z of every column."""
        return ((np.arange(self.width) - self.cx) / self.fx).astype(np.float32)

    @cached_property
    def ray_y(self) -> NDArray[np.float32]:
        """(H,) float32: Y / Z of every row."""
        return ((np.arange(self.height) - self.cy) / self.fy).astype(np.float32)

    @cached_property
    def ray_norm(self) -> NDArray[np.float32]:
        """(H, W) float32: length of the ray (X/Z, Y/Z, 1), i.e. ray distance / z-depth."""
        squared = np.square(self.ray_x)[None, :] + np.square(self.ray_y)[:, None]
        return np.sqrt(squared + np.float32(1.0), dtype=np.float32)


def points_from_depth(depth: NDArray[np.float32], camera: PinholeCamera) -> NDArray[np.float32]:
    """Return (H, W, 3) float32 points [m] in the optical frame of `camera`.

    Args:
        depth: (H, W) float32 [m] along the optical axis; not finite where unknown.
        camera: Camera of the depth image.

    Returns:
        Points, all three coordinates NaN where `depth` is not finite.
    """
    z = np.where(np.isfinite(depth), depth, np.float32(np.nan))
    points = np.empty((*depth.shape, 3), np.float32)
    np.multiply(z, camera.ray_x, out=points[..., 0])
    np.multiply(z, camera.ray_y[:, None], out=points[..., 1])
    points[..., 2] = z
    return points
