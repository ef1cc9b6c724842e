"""A rendered scene with exact truth, for machines without the photographs.

Boxes on a floor before a wall, cast ray by ray; the texture is a function of the point in the
world, so that both cameras see the same surface.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import AnyArray, DepthMap, Pixels
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.evaluation.scenes import GroundPose, Scene
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FOCAL_PX, BASELINE_M = 640, 480, 520.0, 0.12
CAMERA_HEIGHT_M = 1.0
WALL_Z_M = 6.0


@dataclass(frozen=True)
class _Box:
    """An axis-aligned box in the frame of the left camera [m], and its colour."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    rgb: tuple[float, float, float]


_FLOOR_Y = CAMERA_HEIGHT_M
_BOXES = (
    _Box((-30.0, _FLOOR_Y, 0.0), (30.0, _FLOOR_Y + 1.0, 40.0), (0.55, 0.52, 0.48)),
    _Box((-30.0, -30.0, WALL_Z_M), (30.0, 30.0, WALL_Z_M + 1.0), (0.66, 0.70, 0.74)),
    _Box((-1.3, 0.25, 2.4), (-0.5, _FLOOR_Y, 3.0), (0.80, 0.36, 0.24)),
    _Box((0.35, -0.35, 3.2), (0.95, _FLOOR_Y, 3.9), (0.24, 0.46, 0.70)),
    _Box((1.1, 0.55, 1.9), (1.6, _FLOOR_Y, 2.4), (0.86, 0.68, 0.24)),
    _Box((-0.3, -0.9, 4.6), (-0.05, _FLOOR_Y, 4.9), (0.36, 0.58, 0.36)),
)


def rendered_scene() -> Scene:
    """Return the rendered scene; the camera looks level, one metre above the floor."""
    left = PinholeCamera(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 319.5, 219.5)
    picture_left, truth = rendered_view(left)
    picture_right, _ = rendered_view(left, shifted(np.eye(4), BASELINE_M))
    return Scene(
        name='Rendered boxes',
        origin='Rendered here, with exact depth, because the photographs could not be fetched.',
        left=picture_left,
        right=picture_right,
        rig=rig_from_numbers(left, BASELINE_M, 0.0),
        truth=truth,
        ground=GroundPose(CAMERA_HEIGHT_M, 0.0),
    )


def shifted(pose: NDArray[np.float64], x_m: float) -> NDArray[np.float64]:
    """Return the (4, 4) pose of a camera `x_m` to the right of another one."""
    moved = pose.copy()
    moved[:3, 3] += pose[:3, 0] * x_m
    return moved


def rendered_view(
    camera: PinholeCamera, pose: NDArray[np.float64] | None = None
) -> tuple[Pixels, DepthMap]:
    """Return the picture that a camera takes of the scene, and its depth [m].

    Args:
        camera: The camera.
        pose: (4, 4) of its optical frame in that of `rendered_scene`; None: the same.
    """
    colour, depth = _cast(camera, np.eye(4) if pose is None else pose)
    return np.clip(colour * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8), depth


def _cast(
    camera: PinholeCamera, pose: NDArray[np.float64]
) -> tuple[NDArray[np.float64], DepthMap]:
    ray = np.empty((camera.height, camera.width, 3))
    ray[..., 0], ray[..., 1] = camera.ray_x, camera.ray_y[:, None]
    ray[..., 2] = 1.0
    ray = ray @ pose[:3, :3].T  # still 1 along the optical axis: its length counts depth
    origin = pose[:3, 3]
    depth = np.full(ray.shape[:2], np.inf)
    colour = np.zeros(ray.shape)
    for number, box in enumerate(_BOXES):
        with np.errstate(divide='ignore', invalid='ignore'):
            first = (np.array(box.low) - origin) / ray
            second = (np.array(box.high) - origin) / ray
        enter = np.minimum(first, second)
        entered = enter.max(axis=-1)
        hit = (entered > 0.0) & (entered <= np.maximum(first, second).min(axis=-1))
        hit &= entered < depth
        depth[hit] = entered[hit]
        points = origin + ray[hit] * entered[hit, None]
        shade = np.array([0.75, 1.1, 0.95])[enter[hit].argmax(axis=-1)]
        texture = _texture(points + 17.0 * number)
        colour[hit] = np.array(box.rgb) * (shade * texture)[:, None]
    return colour, depth.astype(np.float32)


def _texture(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return brightness, around 1, of points [m]: smooth noise of three sizes."""
    brightness = np.ones(len(points))
    for size_m, strength in ((0.4, 0.25), (0.1, 0.3), (0.03, 0.35)):
        brightness += strength * (_noise(points / size_m) - 0.5)
    return brightness


def _noise(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return noise in 0..1 that is random at whole coordinates and smooth between them."""
    cell = np.floor(points).astype(np.int64)
    part = points - cell
    part = part * part * (3.0 - 2.0 * part)
    total = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(np.array(corner) == 1, part, 1.0 - part).prod(axis=-1)
        total += weight * _hashed(cell + np.array(corner))
    return total


def _hashed(cells: AnyArray) -> NDArray[np.float64]:
    """Return a number in 0..1 for each whole (x, y, z)."""
    x, y, z = (cells[..., i].astype(np.uint64) for i in range(3))
    mixed = x * np.uint64(73856093) ^ y * np.uint64(19349663) ^ z * np.uint64(83492791)
    mixed = (mixed ^ (mixed >> np.uint64(13))) * np.uint64(1274126177)
    return np.asarray((mixed >> np.uint64(16)) & np.uint64(0xFFFF), np.float64) / 65535.0
