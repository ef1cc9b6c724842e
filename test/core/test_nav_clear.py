"""Where clearing rays end."""

from dataclasses import replace
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.core.frame import GroundPose
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.nav_clear import clearing_ends
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import view_of
import numpy as np
import pytest

CAMERA = PinholeCamera(320, 240, 260.0, 260.0, 159.5, 119.5)
PITCH = math.radians(12.0)
POSE = GroundPose(0.6, PITCH, 0.0, 1e-4, 1e-5)
RULES = NavRules()
DOWN = np.array([0.0, math.cos(PITCH), math.sin(PITCH)])


def floor():
    rho = ground_inverse_depth(CAMERA, 0.6, PITCH)
    with np.errstate(divide='ignore'):
        return np.where(rho > 0.02, 1.0 / rho, np.inf).astype(np.float32)


def ends_of(depth, rules=RULES, sigma=0.05, pose=POSE):
    valid = np.isfinite(depth)
    sigma = np.where(valid, sigma, np.nan).astype(np.float32)
    made = DepthEstimate(depth, sigma, valid, CAMERA, Scale(Rung.STEREO))
    return clearing_ends(view_of(made, rules, pose), rules)


def distances(points):
    return np.sqrt(np.sum(points**2, axis=1) - (points @ DOWN) ** 2)


def within(points, left, right):
    """Return the points whose pixels lie between two columns."""
    u = points[:, 0] / points[:, 2] * CAMERA.fx + CAMERA.cx
    return points[(u >= left) & (u <= right)]


def test_sky_and_far_floor_are_cut_off_at_the_range_and_the_height():
    ends = ends_of(floor())
    assert np.isfinite(ends.values()).all()
    away = distances(ends.points)
    assert away.max() == pytest.approx(5.5, abs=1e-3)
    sky = ends.points[ends.points @ DOWN < -0.1]
    assert len(sky) > 500
    low = ends_of(floor(), replace(RULES, max_height_m=1.0))
    assert ends.height.max() > 1.5
    assert low.height.max() == pytest.approx(1.0, abs=1e-3)  # there a ray leaves the height
    np.testing.assert_allclose(ends.height, 0.6 - ends.points @ DOWN, atol=2e-3)


def test_rays_end_some_sigma_before_what_they_hit():
    depth = np.full((240, 320), 3.0, np.float32)
    for sigmas in (0.0, 1.0, 3.0):
        ends = ends_of(depth, replace(RULES, clear_sigmas=sigmas, clear_columns=False))
        hit = ends.points[ends.uncertainty > 0.0]
        np.testing.assert_allclose(hit[:, 2], 3.0 - 0.05 * sigmas, rtol=1e-5)
    np.testing.assert_allclose(ends.uncertainty[ends.uncertainty > 0.0], 0.05)


def boxed():
    depth = floor()
    depth[110:150, 140:180] = np.minimum(depth[110:150, 140:180], 1.5)  # sky and floor behind
    return depth


def test_no_ray_passes_the_nearest_obstacle_of_its_column():
    points = within(ends_of(boxed()).points, 142, 177)
    assert distances(points).max() <= 1.5
    beside = within(ends_of(boxed()).points, 200, 240)
    assert distances(beside).max() > 5.0
    free = replace(RULES, clear_columns=False)
    over = within(ends_of(boxed(), free).points, 142, 177)
    assert distances(over).max() > 5.0


def test_no_ray_passes_what_could_hide_an_obstacle():
    depth = boxed()
    depth[depth == 1.5] = np.nan  # the box is there, but the matcher lost it
    points = within(ends_of(depth).points, 142, 177)
    base = 0.6 / math.tan(math.atan2(150 - 119.5, 260.0) + PITCH)  # where the floor ends
    assert distances(points).max() <= base + 0.05
    trusting = replace(RULES, hidden_height_m=0.0)
    assert distances(within(ends_of(depth, trusting).points, 142, 177)).max() > 5.0
    depth[110:150, 140:180] = floor()[110:150, 140:180]
    depth[120:124, 140:180] = np.nan  # too narrow to hide 0.2 m at that distance
    assert distances(within(ends_of(depth).points, 142, 177)).max() > 5.0


def test_a_ray_into_the_unknown_ends_where_what_is_below_it_ends():
    depth = floor()
    depth[:118] = np.nan  # an even sky
    depth[60:118] = 4.0  # a wall
    high = lambda points: points[points @ DOWN < -0.55]  # noqa: E731  # over the wall
    points = within(high(ends_of(depth).points), 140, 180)
    assert len(points) > 50
    assert 3.8 < distances(points).max() <= 4.1
    assert not len(high(ends_of(depth, replace(RULES, clear_unknown=False)).points))


def test_unknown_above_the_sky_is_as_free_as_the_sky():
    depth = floor()
    depth[:30] = np.nan
    top = lambda ends: ends.points[ends.points[:, 1] / ends.points[:, 2] < -0.36]  # noqa: E731
    assert len(top(ends_of(depth))) == len(top(ends_of(floor()))) > 500


def test_too_near_clears_nothing_in_its_column_and_blind_frames_are_silent():
    depth = floor()
    depth[200:210, 100:140] = -np.inf
    assert not len(within(ends_of(depth).points, 102, 137))
    assert ends_of(np.full((240, 320), np.nan, np.float32)) is None


def test_without_floor_rays_are_cut_off_by_their_length():
    ends = ends_of(floor(), pose=None)
    assert ends.height is None
    assert np.linalg.norm(ends.points, axis=1).max() == pytest.approx(5.5, abs=1e-3)
