"""The floor as the camera sees it, against planes known exactly."""

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.ground_fit import fit_ground_plane, heights_above, plane_of_pose
import numpy as np
import pytest

CAMERA = PinholeCamera(160, 120, 130.0, 128.0, 79.0, 55.0)
TRUTH = GroundPose(0.62, math.radians(13.0), math.radians(1.5))
GUESS = GroundPose(0.60, math.radians(12.0), 0.0, 0.02, math.radians(1.0))


def floor_seen(sigma_px=0.2, seed=0, pose=TRUTH):
    """Return depth and sigma of a floor seen by a stereo camera of 6 px m."""
    rho = ground_inverse_depth(CAMERA, pose.height_m, pose.pitch_rad, pose.roll_rad)
    sigma_rho = sigma_px / (130.0 * 0.05)
    noisy = rho + np.random.default_rng(seed).normal(0.0, sigma_rho, rho.shape)
    noisy[(rho < 0.1) | (noisy < 0.05)] = np.nan
    depth = (1.0 / noisy).astype(np.float32)
    return depth, (sigma_rho * depth**2).astype(np.float32)


def fitted(depth, sigma, pose=GUESS):
    return fit_ground_plane(depth, sigma, CAMERA.ray_x, CAMERA.ray_y, pose)


def angle_deg(plane, pose=TRUTH):
    return math.degrees(math.acos(min(1.0, float(plane.down @ plane_of_pose(pose).down))))


def test_plane_of_a_pose_is_that_of_core_ground():
    plane = plane_of_pose(TRUTH)
    rho = ground_inverse_depth(CAMERA, TRUTH.height_m, TRUTH.pitch_rad, TRUTH.roll_rad)
    x, y = CAMERA.ray_x[30], CAMERA.ray_y[100]
    assert plane.q @ [x, y, 1.0] == pytest.approx(rho[100, 30], rel=1e-5)
    assert plane.height_m == pytest.approx(0.62)
    # The doubt is that of differences: pitch turns n about the camera's x.
    more = plane_of_pose(GroundPose(0.62, TRUTH.pitch_rad + TRUTH.tilt_sigma_rad, TRUTH.roll_rad))
    along = (more.q - plane.q) / np.linalg.norm(more.q - plane.q)
    assert along @ plane.covariance @ along == pytest.approx(
        np.sum(np.square(more.q - plane.q)), rel=0.1
    )


def test_pixels_correct_height_and_tilt():
    plane = fitted(*floor_seen())
    assert plane.refined
    assert angle_deg(plane_of_pose(GUESS)) > 1.5
    assert angle_deg(plane) < 0.3
    assert plane.height_m == pytest.approx(0.62, abs=0.006)
    prior = plane_of_pose(GUESS).covariance
    assert np.all(np.diag(plane.covariance) < np.diag(prior))


def test_boxes_and_holes_do_not_move_the_floor():
    depth, sigma = floor_seen()
    depth[40:90, 20:60] = np.minimum(depth[40:90, 20:60], 1.4)  # a box
    depth[90:110, 90:120] += 1.5  # a reflection
    plane = fitted(depth, sigma)
    assert angle_deg(plane) < 0.6
    assert plane.height_m == pytest.approx(0.62, abs=0.01)


@pytest.mark.parametrize('unknown', [np.nan, np.inf, -np.inf])
def test_without_floor_the_pose_stands(unknown):
    depth = np.full((120, 160), unknown, np.float32)
    sigma = np.full((120, 160), np.nan, np.float32)
    depth[5:25] = 3.0  # a wall above the horizon, alone
    sigma[5:25] = 0.05
    plane = fitted(depth, sigma)
    assert not plane.refined
    np.testing.assert_array_equal(plane.q, plane_of_pose(GUESS).q)


def test_the_doubt_about_the_pose_bounds_the_correction():
    sure = GroundPose(0.60, math.radians(12.0), 0.0, 1e-4, math.radians(0.01))
    plane = fitted(*floor_seen(), pose=sure)
    assert angle_deg(plane, sure) < 0.1
    assert plane.height_m == pytest.approx(0.60, abs=0.002)


def test_heights_and_their_sigma():
    depth, sigma = floor_seen(sigma_px=1e-6)
    plane = plane_of_pose(TRUTH)
    depth[60, 80] = 2.0
    sigma[60, 80] = 0.1
    height, doubt = heights_above(plane, depth, sigma, CAMERA.ray_x, CAMERA.ray_y)
    assert np.nanmax(np.abs(np.delete(height, 60, axis=0))) < 1e-3
    point = 2.0 * np.array([CAMERA.ray_x[80], CAMERA.ray_y[60], 1.0])
    assert height[60, 80] == pytest.approx(0.62 - plane.down @ point, abs=1e-4)
    by_depth = abs(plane.down @ point) / 2.0 * 0.1
    tilt = math.radians(0.5) * 2.0  # at 2 m, half a degree is 1.7 cm
    assert doubt[60, 80] == pytest.approx(math.hypot(by_depth, tilt, 0.01), rel=0.1)


def test_neighbours_err_together_so_more_of_them_say_no_more():
    depth, sigma = floor_seen()
    few = np.full_like(depth, np.nan)
    few[::5, ::5] = depth[::5, ::5]
    many, some = fitted(depth, sigma), fitted(few, sigma)
    assert many.pixels > 3 * some.pixels > 300
    ratio = np.diag(some.covariance) / np.diag(many.covariance)
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)
