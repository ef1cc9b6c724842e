"""A coarse view of one estimate for navigation: every few pixels, with heights above the floor.

Costmaps have cells of 5 cm; an image has a pixel every 2 mm at 1 m. One pixel in every `step` by
`step` is enough, and keeps the work and the clouds small. Pixels are taken as they are, never
averaged: the mean of two surfaces lies on neither.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import GroundPose
from depth_perception.core.ground_fit import fit_ground_plane, GroundPlane, heights_above
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.ramps import ramp_heights
from depth_perception.core.types import Mask
import numpy as np
from numpy.typing import NDArray

UNKNOWN, GROUND, OBSTACLE, OVERHEAD, DROP, SKY = range(6)
"""What a sample is: see `NavView.labels`."""

_Field = NDArray[np.float32]


@dataclass(frozen=True)
class NavView:
    """Samples of one estimate.

    Attributes:
        depth: (R, C) float32 [m]; NaN unknown, +Inf beyond range, -Inf too near.
        sigma: (R, C) float32 [m]; NaN where `depth` is not finite.
        ray_x: (C,) float32, X / Z of the columns.
        ray_y: (R,) float32, Y / Z of the rows.
        distance: (R, C) float32 [m] from the camera, over the floor where that is known.
        plane: The floor; None if it is not known.
        height: (R, C) float32 [m] above the floor, or above a ramp on it; None without floor.
        height_sigma: (R, C) float32 [m], of `height`; None without floor.
        labels: (R, C) uint8: UNKNOWN, GROUND, OBSTACLE, OVERHEAD, DROP or SKY. Without floor all
            that has a depth is an OBSTACLE.
        pixels: Number of pixels of the whole image.
        stamp_ns: Time of the image [ns].
        fixed_from_camera: (4, 4) float64 pose in a frame that stands still; None: not known.
    """

    depth: _Field
    sigma: _Field
    ray_x: _Field
    ray_y: _Field
    distance: _Field
    plane: GroundPlane | None
    height: _Field | None
    height_sigma: _Field | None
    labels: NDArray[np.uint8]
    pixels: int
    stamp_ns: int
    fixed_from_camera: NDArray[np.float64] | None

    @property
    def known_share(self) -> float:
        """Share of the samples that say something: a depth, or that there is none in range."""
        return float(np.count_nonzero(self.labels != UNKNOWN)) / self.labels.size


def view_of(
    estimate: DepthEstimate,
    rules: NavRules,
    ground: GroundPose | None = None,
    fixed_from_camera: NDArray[np.float64] | None = None,
) -> NavView:
    """Return the view that clouds for navigation are made of.

    Args:
        estimate: Depth and sigma of one frame.
        rules: What is an obstacle.
        ground: Where the floor should be; the frame corrects it. None: not known.
        fixed_from_camera: (4, 4) pose of the optical frame in a frame that stands still.
    """
    camera = estimate.camera
    part, across = _samples(camera, rules)
    depth = np.ascontiguousarray(estimate.depth[part, across])
    sigma = np.ascontiguousarray(estimate.sigma[part, across])
    ray_x, ray_y = camera.ray_x[across], camera.ray_y[part]
    plane = height = height_sigma = None
    length = np.add.outer(np.square(ray_y), np.square(ray_x))
    length += np.float32(1.0)
    with np.errstate(invalid='ignore', over='ignore'):
        distance = np.square(depth)
        distance *= length
        if ground is not None:
            plane = fit_ground_plane(depth, sigma, ray_x, ray_y, ground)
            height, height_sigma = heights_above(plane, depth, sigma, ray_x, ray_y)
            distance -= np.square(np.float32(plane.height_m) - height)
            np.maximum(distance, np.float32(0.0), out=distance)
        np.sqrt(distance, out=distance)
    if height is not None and height_sigma is not None and rules.max_slope_deg > 0.0:
        slope = math.tan(math.radians(rules.max_slope_deg))
        height = height - ramp_heights(height, distance, rules.min_height_m, slope)
    return NavView(
        depth=depth,
        sigma=sigma,
        ray_x=ray_x,
        ray_y=ray_y,
        distance=distance,
        plane=plane,
        height=height,
        height_sigma=height_sigma,
        labels=_labels(depth, height, height_sigma, rules),
        pixels=estimate.depth.size,
        stamp_ns=estimate.stamp_ns,
        fixed_from_camera=fixed_from_camera,
    )


def grid_camera(camera: PinholeCamera, rules: NavRules) -> PinholeCamera:
    """Return the camera whose pixels are the samples of a view."""
    part, across = _samples(camera, rules)
    return PinholeCamera(
        len(camera.ray_x[across]),
        len(camera.ray_y[part]),
        camera.fx / across.step,
        camera.fy / part.step,
        (camera.cx - across.start) / across.step,
        (camera.cy - part.start) / part.step,
    )


def _samples(camera: PinholeCamera, rules: NavRules) -> tuple[slice, slice]:
    """Return the rows and the columns of an image that a view takes."""
    step = max(1, round(camera.width / rules.columns))
    return (
        slice(min(step // 2, camera.height - 1), None, step),
        slice(min(step // 2, camera.width - 1), None, step),
    )


def _labels(
    depth: _Field, height: _Field | None, height_sigma: _Field | None, rules: NavRules
) -> NDArray[np.uint8]:
    known: Mask = np.isfinite(depth)
    labels = np.zeros(depth.shape, np.uint8)
    labels[depth == np.inf] = SKY
    if height is None or height_sigma is None:
        labels[known] = OBSTACLE
        return labels
    with np.errstate(invalid='ignore'):
        doubt = height_sigma * np.float32(rules.height_sigmas)
        above = height - doubt > np.float32(rules.min_height_m)
        labels += known * np.uint8(GROUND)
        labels += above * np.uint8(OBSTACLE - GROUND)
        labels += (height > np.float32(rules.max_height_m)) * above * np.uint8(OVERHEAD - OBSTACLE)
        if rules.drop_m > 0.0:
            labels[height + doubt < np.float32(-rules.drop_m)] = DROP
    return labels
