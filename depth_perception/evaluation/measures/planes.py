"""How flat a wall is in a depth image, and whether it stands where the truth has it.

Convention:
    Points are in the optical frame of the camera (x right, y down, z forward) [m].
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import AnyArray, DepthMap, Mask
from depth_perception.evaluation.measures.clouds import known_pixels, points_of
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

_TRIED = 4_000
_FITTED = 20_000
_TRIALS = 200
_REFITS = 3


@dataclass(frozen=True)
class Plane:
    """A plane n . p = offset_m in the optical frame.

    Attributes:
        normal: (3,) unit vector that points away from the camera, so that `offset_m` >= 0.
        offset_m: Distance of the camera to the plane [m].
        inliers: (H, W) bool, the pixels on it.
    """

    normal: NDArray[np.float64]
    offset_m: float
    inliers: Mask


def dominant_plane(
    depth: DepthMap, camera: PinholeCamera, mask: Mask, *, tolerance: float = 0.02
) -> Plane | None:
    """Return the plane on which most points of `mask` lie.

    RANSAC on at most 4000 of its points with a fixed seed, so that the same image has the same
    plane; then three times total least squares on the inliers among at most 20 000.

    Args:
        depth: (H, W) [m]; not finite where unknown.
        camera: Camera of the image.
        mask: (H, W) bool, where to look.
        tolerance: How far inliers may be from the plane, as a share of their depth.

    Returns:
        The plane; None if fewer than 3 points are known, or they have no plane.

    Raises:
        ShapeError: If the sizes differ.
    """
    known = known_pixels(depth, mask, camera)
    found = _ransac(points_of(depth, known, camera, _TRIED), tolerance)
    if found is None:
        return None
    points = points_of(depth, known, camera, _FITTED)
    for _ in range(_REFITS):
        near = _near(points, *found, tolerance)
        if np.count_nonzero(near) < 3:
            break
        found = _least_squares(points[near])
    off = _off_plane(depth, known, camera, *found)
    with np.errstate(invalid='ignore'):
        return Plane(*found, np.abs(off) < tolerance * depth)


def _off_plane(
    depth: AnyArray,
    known: Mask,
    camera: PinholeCamera,
    normal: NDArray[np.float64],
    offset_m: float,
) -> NDArray[np.float64]:
    """Return (H, W) signed distances [m] of the points to a plane, NaN where not known."""
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    along = (normal[0] * x + normal[2]) + (normal[1] * y)[:, None]
    return np.asarray(np.where(known, depth, NAN) * along - offset_m)


def _rms(depth: AnyArray, known: Mask, camera: PinholeCamera, plane: Plane) -> float:
    off = _off_plane(depth, known, camera, plane.normal, plane.offset_m)
    return float(np.sqrt(np.nanmean(np.square(off))))


def _near(
    points: NDArray[np.float64], normal: NDArray[np.float64], offset_m: float, tolerance: float
) -> Mask:
    return np.asarray(np.abs(points @ normal - offset_m) < tolerance * points[:, 2])


def _ransac(
    points: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.float64], float] | None:
    """Return (normal, offset) of the plane through three points that has the most inliers."""
    if len(points) < 3:
        return None
    picks = np.random.default_rng(0).integers(0, len(points), (_TRIALS, 3))
    a, b, c = points[picks[:, 0]], points[picks[:, 1]], points[picks[:, 2]]
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-9 * np.square(a[:, 2])
    if not usable.any():
        return None
    normals = normals[usable] / lengths[usable, None]
    offsets = np.einsum('ij,ij->i', normals, a[usable])
    distances = np.abs(normals @ points.T - offsets[:, None])
    best = int(np.argmax(np.count_nonzero(distances < tolerance * points[:, 2], axis=1)))
    return _towards(normals[best], float(offsets[best]))


def _least_squares(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return (normal, offset) of the plane with the least squared distances."""
    centre = points.mean(axis=0)
    off = points - centre
    _, vectors = np.linalg.eigh((off[:, :, None] * off[:, None, :]).sum(axis=0))
    normal = vectors[:, 0]
    return _towards(normal, float(normal @ centre))


def _towards(normal: NDArray[np.float64], offset: float) -> tuple[NDArray[np.float64], float]:
    return (-normal, -offset) if offset < 0.0 else (normal, offset)


def plane_rms_m(depth: DepthMap, camera: PinholeCamera, mask: Mask) -> float:
    """Return how flat the depth is: the RMS distance of all points to their plane [m].

    The plane is the dominant one; the mean is over all known pixels of `mask`, which should
    therefore hold a flat surface and nothing else. NaN if there is no plane.

    Raises:
        ShapeError: If the sizes differ.
    """
    plane = dominant_plane(depth, camera, mask)
    if plane is None:
        return NAN
    return _rms(depth, known_pixels(depth, mask, camera), camera, plane)


def plane_normal(depth: DepthMap, camera: PinholeCamera, mask: Mask) -> NDArray[np.float64] | None:
    """Return the (3,) unit normal of the dominant plane, away from the camera; None without one.

    Raises:
        ShapeError: If the sizes differ.
    """
    plane = dominant_plane(depth, camera, mask)
    return None if plane is None else plane.normal


def angle_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the angle of two unit normals [deg], 0..90: a plane has no front."""
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(a, b))), abs(float(a @ b))))


def wall_angle_deg(depth: DepthMap, truth: DepthMap, mask: Mask, camera: PinholeCamera) -> float:
    """Return the angle between the dominant planes of prediction and truth [deg], 0..90.

    The truth says where its plane is; the prediction is asked for its plane there. NaN if either
    has none.

    Raises:
        ShapeError: If the sizes differ.
    """
    return plane_measures(depth, truth, mask, camera)['wall_angle_deg']


def plane_measures(
    depth: DepthMap, truth: DepthMap, mask: Mask, camera: PinholeCamera, least_share: float = 0.1
) -> dict[str, float]:
    """Return the figures of the flattest thing in sight.

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m].
        mask: (H, W) bool, where the truth counts.
        camera: Camera of both images.
        least_share: The plane must hold this share of the known truth, lest the figures be about
            a chance alignment.

    Returns:
        plane_rms_m: `plane_rms_m` of the prediction where the truth lies on its dominant plane.
        wall_angle_deg: Angle between the two planes [deg].

        NaN if there is no such plane.

    Raises:
        ShapeError: If the sizes differ.
    """
    nothing = {'plane_rms_m': NAN, 'wall_angle_deg': NAN}
    known = known_pixels(truth, mask, camera)
    wall = dominant_plane(truth, camera, known)
    if wall is None or np.count_nonzero(wall.inliers) < least_share * np.count_nonzero(known):
        return nothing
    plane = dominant_plane(depth, camera, wall.inliers)
    if plane is None:
        return nothing
    on_wall = known_pixels(depth, wall.inliers, camera)
    return {
        'plane_rms_m': _rms(depth, on_wall, camera, plane),
        'wall_angle_deg': angle_deg(plane.normal, wall.normal),
    }
