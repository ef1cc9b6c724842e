"""The floor as it lies in this frame: the pose by TF, refined by what the camera sees.

Convention:
    A plane is q = n / h, with the unit vector n towards the floor and the height h of the camera
    above it (core.ground). A floor pixel with the ray p = (x, y, 1) has the inverse depth q . p,
    and a point Z p lies h (1 - Z q . p) above the floor.

TF knows the height to a centimetre and the tilt to half a degree or so, less on a robot that
pitches when it brakes: at 4 m, half a degree is 3.5 cm. The pixels that agree with the pose
correct it. They count at most as much as `_INDEPENDENT` independent ones, because neighbours err
together, and they cannot pull the plane further than the doubt about the pose allows.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.core.frame import GroundPose
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray
import numpy as np
from numpy.typing import NDArray

_INDEPENDENT = 100.0  # pixels with independent errors that a frame can have, at most
_MOST_POINTS = 1500
_LEAST_POINTS = 40
_GATE = 3.0  # standard deviations within which a pixel may be floor
_TUKEY = 4.685  # 95 % efficient for normal errors
_ROUNDS = 4
_MOST_HEIGHTS = 12.0  # farther floor is too flat to tell from what stands on it
_LEAST_RHO_SHARE = 0.003  # roughness of a floor, of its inverse depth


@dataclass(frozen=True)
class GroundPlane:
    """Where the floor is.

    Attributes:
        q: (3,) float64 [1/m], n / h.
        covariance: (3, 3) float64 [1/m^2], of `q`.
        refined: Whether pixels had a say, or the pose alone.
        pixels: Number of pixels that agree with the plane.
    """

    q: NDArray[np.float64]
    covariance: NDArray[np.float64]
    refined: bool = False
    pixels: int = 0

    @property
    def height_m(self) -> float:
        """Height of the camera above the floor [m]."""
        return 1.0 / float(np.linalg.norm(self.q))

    @property
    def down(self) -> NDArray[np.float64]:
        """(3,) unit vector towards the floor, in the optical frame."""
        return self.q * self.height_m


def plane_of_pose(pose: GroundPose) -> GroundPlane:
    """Return the plane that a pose says there is, with its doubt to first order."""
    cos_p, sin_p = math.cos(pose.pitch_rad), math.sin(pose.pitch_rad)
    cos_r, sin_r = math.cos(pose.roll_rad), math.sin(pose.roll_rad)
    down = np.array([cos_p * sin_r, cos_p * cos_r, sin_p])
    height = pose.height_m
    by_height = -down / height**2
    by_pitch = np.array([-sin_p * sin_r, -sin_p * cos_r, cos_p]) / height
    by_roll = np.array([cos_p * cos_r, -cos_p * sin_r, 0.0]) / height
    slopes = np.stack([by_height, by_pitch, by_roll], axis=1)
    sigmas = np.maximum([pose.height_sigma_m, pose.tilt_sigma_rad, pose.tilt_sigma_rad], 1e-5)
    return GroundPlane(down / height, (slopes * np.square(sigmas)) @ slopes.T)


def fit_ground_plane(
    depth: NDArray[np.float32],
    sigma: NDArray[np.float32],
    ray_x: NDArray[np.float32],
    ray_y: NDArray[np.float32],
    pose: GroundPose,
) -> GroundPlane:
    """Return the floor: the pose, corrected by the pixels that agree with it.

    Robust least squares (Tukey's biweight, reweighted) of 1 / Z on the ray, weighted by sigma,
    with the pose as a prior of its own weight.

    Args:
        depth: (H, W) float32 [m], every few pixels of an image will do; not finite: unknown.
        sigma: (H, W) float32 [m].
        ray_x: (W,) float32, X / Z of the columns.
        ray_y: (H,) float32, Y / Z of the rows.
        pose: Where the floor should be, and how sure that is.

    Returns:
        The plane; that of the pose where too few pixels agree with it.

    Raises:
        ShapeError: If the arrays do not fit together.
    """
    check_shapes(depth=(depth, 'H W'), sigma=(sigma, 'H W'), x=(ray_x, 'W'), y=(ray_y, 'H'))
    prior = plane_of_pose(pose)
    rays, rho, sigma_rho = _offered(depth, sigma, ray_x, ray_y, prior)
    if len(rho) < _LEAST_POINTS:
        return prior
    information = np.linalg.inv(prior.covariance)
    plane: AnyArray = prior.q
    weight: AnyArray = np.ones(len(rho))
    for _ in range(_ROUNDS):
        residual = (rho - rays @ plane) / sigma_rho
        spread = max(1.0, 1.4826 * float(np.median(np.abs(residual))))
        weight = np.square(np.maximum(1.0 - np.square(residual / (_TUKEY * spread)), 0.0))
        agreeing = float(weight.sum())
        if agreeing < _LEAST_POINTS:
            return prior
        share = min(1.0, _INDEPENDENT / agreeing) / spread**2
        weighted = rays * (weight * share / np.square(sigma_rho))[:, None]
        total = information + weighted.T @ rays
        plane = np.linalg.solve(total, information @ prior.q + weighted.T @ rho)
    if not np.all(np.isfinite(plane)) or float(plane @ prior.q) <= 0.0:
        return prior
    covariance: AnyArray = np.linalg.inv(total)
    return GroundPlane(plane, covariance, True, int(np.count_nonzero(weight > 0.1)))


def _offered(
    depth: NDArray[np.float32],
    sigma: NDArray[np.float32],
    ray_x: NDArray[np.float32],
    ray_y: NDArray[np.float32],
    prior: GroundPlane,
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return rays (N, 3), inverse depths and their sigma, of pixels that may be floor."""
    floor = floor_inverse_depth(prior.q, ray_x, ray_y)
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        rho = np.reciprocal(depth)
        doubt = np.maximum(sigma * np.square(rho), _LEAST_RHO_SHARE * rho)
        limit = _GATE * (doubt + _pose_doubt(prior, ray_x, ray_y))
        candidate = np.abs(rho - floor) <= limit
        candidate &= floor * np.float32(prior.height_m * _MOST_HEIGHTS) >= 1.0
    place = np.flatnonzero(candidate & np.isfinite(doubt))
    place = place[:: max(1, len(place) // _MOST_POINTS)]
    row, column = np.divmod(place, depth.shape[1])
    rays = np.stack([ray_x[column], ray_y[row], np.ones(len(place))], axis=1).astype(np.float64)
    return rays, rho.ravel()[place].astype(np.float64), doubt.ravel()[place].astype(np.float64)


def _pose_doubt(
    plane: GroundPlane, ray_x: NDArray[np.float32], ray_y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return sigma of q . p for all rays, (H, W)."""
    c = plane.covariance.astype(np.float32)
    rows = c[1, 1] * np.square(ray_y) + 2.0 * c[1, 2] * ray_y + c[2, 2]
    columns = c[0, 0] * np.square(ray_x) + 2.0 * c[0, 2] * ray_x
    variance = rows[:, None] + columns + (2.0 * c[0, 1] * ray_y)[:, None] * ray_x
    sigma: NDArray[np.float32] = np.sqrt(np.maximum(variance, 0.0), dtype=np.float32)
    return sigma


def floor_inverse_depth(
    q: NDArray[np.float64], ray_x: NDArray[np.float32], ray_y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return q . p, (H, W) float32 [1/m]: inverse depth of the floor, negative above the horizon.

    Args:
        q: (3,) of a plane.
        ray_x: (W,) float32, X / Z of the columns.
        ray_y: (H,) float32, Y / Z of the rows.
    """
    across, along, constant = (np.float32(value) for value in q)
    rho: NDArray[np.float32] = np.add.outer(ray_y * along + constant, ray_x * across)
    return rho


def heights_above(
    plane: GroundPlane,
    depth: NDArray[np.float32],
    sigma: NDArray[np.float32],
    ray_x: NDArray[np.float32],
    ray_y: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how high points lie above the floor, and the sigma of that, (H, W) float32 [m].

    A point moves along its ray by the error of its depth, so sigma_height = h |q . p| sigma_Z; the
    doubt about the plane adds h Z sigma(q . p).

    Args:
        plane: The floor.
        depth: (H, W) float32 [m].
        sigma: (H, W) float32 [m].
        ray_x: (W,) float32, X / Z of the columns.
        ray_y: (H,) float32, Y / Z of the rows.

    Returns:
        Height and its sigma; not finite where `depth` is not.
    """
    base = np.float32(plane.height_m)
    floor = floor_inverse_depth(plane.q, ray_x, ray_y)
    doubt = _pose_doubt(plane, ray_x, ray_y)
    with np.errstate(invalid='ignore', over='ignore'):
        height = floor * depth
        np.subtract(np.float32(1.0), height, out=height)
        height *= base
        floor *= sigma
        doubt *= depth
        sigma_height: NDArray[np.float32] = np.hypot(floor, doubt, dtype=np.float32)
        sigma_height *= base
    return height, sigma_height
