"""Lens distortion, and the maps that undo it.

Convention:
    A raw pixel belongs to K and D, a rectified one to P; R turns the raw camera's axes into the
    rectified camera's. The maps say for every rectified pixel where it lies in the raw image, in
    pixels whose centres are at integers, which is what cv2.remap wants.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from types import MappingProxyType

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import CalibrationError
import numpy as np
from numpy.typing import NDArray

OUTSIDE_PX = -3e4  # where a map points when the raw camera cannot see the direction

_COEFFICIENTS = MappingProxyType(
    {'plumb_bob': (4, 5), 'rational_polynomial': (8,), 'equidistant': (4,)}
)


@dataclass(frozen=True)
class LensModel:
    """A raw camera: its pinhole part (K and size) and its distortion.

    Attributes:
        camera: Size, focal lengths and principal point of the raw image.
        distortion: plumb_bob (k1, k2, p1, p2[, k3]); rational_polynomial (k1, k2, p1, p2, k3,
            k4, k5, k6); equidistant (k1, k2, k3, k4).
        model: Name of the model as in sensor_msgs/CameraInfo.

    Raises:
        CalibrationError: If the model is not known, or the coefficients do not fit it.
    """

    camera: PinholeCamera
    distortion: tuple[float, ...]
    model: str

    def __post_init__(self) -> None:
        if self.model not in _COEFFICIENTS:
            raise CalibrationError(
                f'distortion model is {self.model!r}, known are {", ".join(_COEFFICIENTS)}; '
                'calibrate with one of these, or rectify before'
            )
        if not all(math.isfinite(value) for value in self.distortion):
            raise CalibrationError(
                f'distortion {self.distortion} is not finite; calibrate the camera'
            )
        counts = _COEFFICIENTS[self.model]
        if len(self.distortion) not in counts and any(self.distortion[max(counts) :]):
            self._refuse_count(counts)
        if len(self.distortion) not in counts and 0 < len(self.distortion) < max(counts):
            self._refuse_count(counts)

    def _refuse_count(self, counts: tuple[int, ...]) -> None:
        raise CalibrationError(
            f'{self.model} has {" or ".join(map(str, counts))} coefficients, got '
            f'{len(self.distortion)}: {self.distortion}; check the calibration file'
        )

    def _padded(self) -> list[float]:
        count = max(_COEFFICIENTS[self.model])
        return [*self.distortion[:count], *[0.0] * (8 - len(self.distortion[:count]))]

    def distorted(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixels (u, v) where the lens puts the directions (x, y, 1).

        Args:
            x: Any shape, X / Z in the raw camera.
            y: Same shape, Y / Z.
        """
        bend = self._equidistant if self.model == 'equidistant' else self._rational
        x_bent, y_bent = bend(x, y)
        camera = self.camera
        return camera.fx * x_bent + camera.cx, camera.fy * y_bent + camera.cy

    def _rational(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        k1, k2, p1, p2, k3, k4, k5, k6 = self._padded()
        r2 = x * x + y * y
        radial = (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        xy = x * y
        return (
            x * radial + 2.0 * p1 * xy + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * xy,
        )

    def _equidistant(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        k1, k2, k3, k4 = self._padded()[:4]
        radius = np.hypot(x, y)
        theta = np.arctan(radius)
        t2 = theta * theta
        theta_bent = theta * (1.0 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
        factor = np.ones_like(radius)
        np.divide(theta_bent, radius, out=factor, where=radius > 1e-12)
        return x * factor, y * factor


def rectification_map(
    lens: LensModel, R: NDArray[np.float64], camera_out: PinholeCamera
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where every pixel of the rectified image lies in the raw image.

    Args:
        lens: The raw camera.
        R: (3, 3) rotation, rectified camera from raw camera.
        camera_out: The rectified camera.

    Returns:
        map_u, map_v: each (H, W) float32 [px] on the grid of `camera_out`; far outside the raw
        image where the direction lies behind the raw camera.
    """
    map_u = np.empty((camera_out.height, camera_out.width), np.float32)
    map_v = np.empty_like(map_u)
    x = (np.arange(camera_out.width) - camera_out.cx) / camera_out.fx
    raw_from_rectified = np.asarray(R, np.float64).T
    for row in range(camera_out.height):
        y = (row - camera_out.cy) / camera_out.fy
        ray = raw_from_rectified @ np.vstack([x, np.full_like(x, y), np.ones_like(x)])
        seen = ray[2] > 1e-9
        depth = np.where(seen, ray[2], 1.0)
        with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
            u, v = lens.distorted(ray[0] / depth, ray[1] / depth)
        seen &= (np.abs(u) < -OUTSIDE_PX) & (np.abs(v) < -OUTSIDE_PX)
        map_u[row] = np.where(seen, u, OUTSIDE_PX)
        map_v[row] = np.where(seen, v, OUTSIDE_PX)
    return map_u, map_v
