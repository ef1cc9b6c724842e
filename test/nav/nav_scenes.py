"""Rooms with known obstacles, rendered for a camera on a robot.

World: x forward, y left, z up, the floor at z = 0 (REP 103); the camera stands above the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.core.frame import GroundPose, Picture, StereoFrame, Surroundings
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np

HEIGHT_M, PITCH_RAD, BASELINE_M = 0.6, math.radians(12.0), 0.12
CAMERA = PinholeCamera(320, 240, 260.0, 260.0, 159.5, 119.5)
PERIOD_NS = 100_000_000
PIXEL_NOISE = 2.0  # standard deviation of the sensor [grey levels]


@dataclass(frozen=True)
class Box:
    """An upright box: centre on the floor, size [m], and its contrast."""

    x: float
    y: float
    width: float
    height: float
    depth: float = 0.3
    z: float = 0.0
    contrast: float = 1.0

    @property
    def low(self):
        return np.array([self.x, self.y - self.width / 2, self.z])

    @property
    def high(self):
        return np.array([self.x + self.depth, self.y + self.width / 2, self.z + self.height])


@dataclass(frozen=True)
class Room:
    """Boxes, a wall and a mirror-like patch on an endless floor, under the sky."""

    boxes: tuple[Box, ...] = ()
    wall_x: float = 0.0  # 0: no wall
    wall_height: float = 1.0
    gloss: tuple[float, float, float, float] | None = None  # x from, to, y from, to
    contrast: float = 1.0  # of the floor
    holes: tuple[float, float] | None = None  # from, to: the floor is 0.5 m lower there (in x)

    def without(self, box: Box) -> Room:
        return replace(self, boxes=tuple(other for other in self.boxes if other is not box))

    @property
    def solids(self):
        wall = Box(self.wall_x, 0.0, 40.0, self.wall_height)
        return [*self.boxes, *([wall] if self.wall_x else [])]


def pose_of(height_m=HEIGHT_M, pitch_rad=PITCH_RAD, x=0.0, y=0.0, yaw=0.0):
    """Return the pose of the optical frame in the world, (4, 4)."""
    level = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    c, s = math.cos(pitch_rad), math.sin(pitch_rad)
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
    cy, sy = math.cos(yaw), math.sin(yaw)
    turn = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ level @ tilt
    pose[:3, 3] = x, y, height_m
    return pose


def render(room: Room, camera: PinholeCamera = CAMERA, pose=None):
    """Return the picture (H, W) float [grey levels] and its depth (H, W) float32 [m]."""
    pose = pose_of() if pose is None else pose
    ray = np.empty((camera.height, camera.width, 3))
    ray[..., 0], ray[..., 1], ray[..., 2] = camera.ray_x, camera.ray_y[:, None], 1.0
    ray = (ray @ pose[:3, :3].T).reshape(-1, 3)
    origin = np.broadcast_to(pose[:3, 3], ray.shape)
    grey, depth = _cast(room, origin, ray)
    if room.gloss is not None:
        hit = origin + ray * np.where(np.isfinite(depth), depth, 0.0)[:, None]
        x0, x1, y0, y1 = room.gloss
        shiny = np.isfinite(depth) & (np.abs(hit[:, 2]) < 1e-6)
        shiny &= (hit[:, 0] > x0) & (hit[:, 0] < x1) & (hit[:, 1] > y0) & (hit[:, 1] < y1)
        mirrored = ray[shiny] * [1.0, 1.0, -1.0]
        reflection, _ = _cast(room, hit[shiny] + [0.0, 0.0, 1e-9], mirrored)
        grey[shiny] = 0.35 * grey[shiny] + 0.65 * reflection
    shape = camera.height, camera.width
    return grey.reshape(shape), depth.reshape(shape).astype(np.float32)


def _cast(room, origin, ray):
    depth = np.full(len(ray), np.inf)
    up = np.clip(ray[:, 2] / np.linalg.norm(ray, axis=1), 0.0, 1.0)
    grey = 215.0 - 40.0 * up  # an even sky
    with np.errstate(divide='ignore', invalid='ignore'):
        floor = -origin[:, 2] / ray[:, 2]
        deep = (-0.5 - origin[:, 2]) / ray[:, 2]
    if room.holes is not None:
        with np.errstate(invalid='ignore'):
            there = origin[:, 0] + floor * ray[:, 0]
            inside = (there > room.holes[0]) & (there < room.holes[1])
        floor = np.where(inside, deep, floor)
    down = (floor > 0.0) & np.isfinite(floor)
    depth[down] = floor[down]
    for number, box in enumerate(room.solids):
        with np.errstate(divide='ignore', invalid='ignore'):
            first, second = (box.low - origin) / ray, (box.high - origin) / ray
        enter = np.minimum(first, second).max(axis=1)
        hit = (enter > 1e-6) & (enter <= np.maximum(first, second).min(axis=1)) & (enter < depth)
        depth[hit] = enter[hit]
        points = origin[hit] + ray[hit] * enter[hit, None]
        grey[hit] = 95.0 + 60.0 * box.contrast * _texture(points + 31.0 * (number + 1))
        down &= ~hit
    points = origin[down] + ray[down] * depth[down, None]
    grey[down] = 125.0 + 70.0 * room.contrast * _texture(points)
    return grey, depth


def _texture(points):
    """Return noise around 0 of several sizes, a function of the place only."""
    total = np.zeros(len(points))
    for size_m, strength in ((0.5, 0.3), (0.12, 0.5), (0.04, 0.6), (0.015, 0.5)):
        scaled = points / size_m
        cell = np.floor(scaled).astype(np.int64)
        part = scaled - cell
        part = part * part * (3.0 - 2.0 * part)
        value = np.zeros(len(points))
        for corner in np.ndindex(2, 2, 2):
            weight = np.where(np.array(corner) == 1, part, 1.0 - part).prod(axis=1)
            value += weight * _hashed(cell + np.array(corner))
        total += strength * (2.0 * value - 1.0)
    return total


def _hashed(cells):
    x, y, z = (cells[:, i].astype(np.uint64) for i in range(3))
    mixed = x * np.uint64(73856093) ^ y * np.uint64(19349663) ^ z * np.uint64(83492791)
    mixed = (mixed ^ (mixed >> np.uint64(13))) * np.uint64(1274126177)
    return ((mixed >> np.uint64(16)) & np.uint64(0xFFFF)).astype(float) / 65535.0


class StereoCamera:
    """The default model on rendered pairs with fresh sensor noise in every frame."""

    def __init__(self, seed=0, camera=CAMERA, **settings):
        self.camera = camera
        self.rig = rig_from_numbers(camera, BASELINE_M, 0.0)
        self.estimator = open_estimator(StereoEstimatorSettings(**settings))
        self.random = np.random.default_rng(seed)
        self.stamp_ns = PERIOD_NS
        self._rendered = {}

    def views(self, room: Room, pose=None):
        pose = pose_of() if pose is None else pose
        key = room, pose.tobytes()
        if key not in self._rendered:
            right = pose.copy()
            right[:3, 3] += pose[:3, 0] * BASELINE_M
            self._rendered[key] = [render(room, self.camera, p)[0] for p in (pose, right)]
        return self._rendered[key]

    def frame(self, room: Room, pose=None, surroundings=None):
        pictures = []
        for grey in self.views(room, pose):
            noisy = grey + self.random.normal(0.0, PIXEL_NOISE, grey.shape)
            pictures.append(Picture(np.clip(noisy + 0.5, 0, 255).astype(np.uint8), 'grey'))
        self.stamp_ns += PERIOD_NS
        known = Surroundings(ground=ground_pose()) if surroundings is None else surroundings
        return StereoFrame(*pictures, self.rig, self.stamp_ns, 'camera', known)

    def estimate(self, room: Room, pose=None) -> DepthEstimate:
        return self.estimator.estimate(self.frame(room, pose))


def ground_pose(height_m=HEIGHT_M, pitch_rad=PITCH_RAD):
    return GroundPose(height_m, pitch_rad)


def perfect_estimate(depth, sigma, camera=CAMERA, stamp_ns=0) -> DepthEstimate:
    """Return an estimate of a depth map with a given sigma."""
    depth = depth.astype(np.float32)
    valid = np.isfinite(depth)
    sigma = np.where(valid, sigma, np.nan).astype(np.float32)
    return DepthEstimate(depth, sigma, valid, camera, Scale(Rung.STEREO), stamp_ns, 'camera')
