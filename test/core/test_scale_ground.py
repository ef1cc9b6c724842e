"""Scale from the floor: where it is looked for, what is refused, what doubt in the pose does."""

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.scale_ground import fit_ground, ground_references, in_depth
from depth_perception.core.scale_types import References, Rejected, Rejection
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = PinholeCamera(320, 200, 240.0, 260.0, 150.0, 90.0)
POSE = GroundPose(1.4, math.radians(12.0), math.radians(-5.0), 0.0, 0.0)
WALL_M = 9.0


def world(pose=POSE, camera=CAMERA):
    """Return the inverse depth of a floor with a wall behind it."""
    floor = ground_inverse_depth(camera, pose.height_m, pose.pitch_rad, pose.roll_rad)
    return np.maximum(floor, 1.0 / WALL_M).astype(np.float64)


def test_references_lie_on_the_floor_low_in_the_middle():
    references = ground_references(CAMERA, POSE)
    assert 500 < len(references) < 1200
    assert references.u.min() >= 64
    assert references.u.max() <= 256
    assert references.v.min() >= 110
    floor = ground_inverse_depth(CAMERA, POSE.height_m, POSE.pitch_rad, POSE.roll_rad)
    at = references.v.astype(int), references.u.astype(int)
    np.testing.assert_allclose(references.rho, floor[at], rtol=1e-5)
    assert (references.rho > 1.0 / (8.0 * 1.4)).all()
    np.testing.assert_allclose(references.sigma_rho, 0.01 * references.rho)


@given(
    height=st.floats(0.2, 2.5),
    pitch=st.floats(0.0, 35.0),
    roll=st.floats(-15.0, 15.0),
    s=st.floats(0.01, 50.0),
    t=st.floats(-0.2, 0.2),
)
@settings(max_examples=40, deadline=None)
def test_scale_and_shift_are_found_from_any_pose(height, pitch, roll, s, t):
    pose = GroundPose(height, math.radians(pitch), math.radians(roll), 0.0, 0.0)
    rho = world(pose)
    found = fit_ground((rho - t) / s, CAMERA, pose)
    if isinstance(found, Rejected):  # the floor ends too near, behind it is the wall
        assert np.mean(rho[110:, 64:256] > 1.001 / WALL_M) < 0.8
        return
    made = found.s * (rho - t) / s + found.t
    np.testing.assert_allclose(made[150, 160], rho[150, 160], rtol=0.01)


def test_factor_alone_and_depth_domain():
    rho = world()
    factor = fit_ground(rho / 0.3, CAMERA, POSE, affine=False)
    assert (factor.s, factor.t) == (pytest.approx(0.3, rel=0.002), 0.0)
    depth = fit_ground((1.0 / rho + 2.0) / 5.0, CAMERA, POSE, depth_domain=True)
    assert (depth.s, depth.t) == pytest.approx((5.0, -2.0), rel=0.01)


def test_camera_that_looks_up_sees_no_floor():
    found = fit_ground(world(), CAMERA, GroundPose(1.4, math.radians(-60.0)))
    assert found.reason is Rejection.NO_REFERENCES
    assert 'sees no floor nearer than 11.2 m' in found.text


def test_wall_before_the_camera_is_no_floor():
    across = np.linspace(0.3, 0.6, 320)
    found = fit_ground(np.tile(across, (200, 1)), CAMERA, POSE)
    assert isinstance(found, Rejected)
    assert 'no floor was found' in found.text


def test_side_slope_is_refused_for_networks_without_a_shift():
    leaning = world(GroundPose(1.4, math.radians(12.0), math.radians(14.0)))
    found = fit_ground(leaning, CAMERA, POSE, affine=False)
    assert isinstance(found, Rejected)


def test_boxes_on_the_floor_are_left_out():
    rho = world()
    rho[140:, 70:130] = 0.9
    found = fit_ground(rho / 0.3, CAMERA, POSE)
    assert found.s * rho[190, 200] / 0.3 + found.t == pytest.approx(rho[190, 200], rel=0.01)


def test_a_hole_in_the_floor_does_not_tilt_it():
    rho = world()
    rho[120:, 190:] *= 0.3
    found = fit_ground(rho / 0.3, CAMERA, POSE)
    assert found.s * rho[190, 100] / 0.3 + found.t == pytest.approx(rho[190, 100], rel=0.01)


@pytest.mark.parametrize('domain', ['affine', 'factor', 'depth'])
@pytest.mark.parametrize('name', ['height', 'pitch'])
def test_doubt_about_the_pose_agrees_with_other_poses(name, domain):
    """The fits of many wrong poses scatter as the covariance of one says, at a floor pixel."""
    how = {'affine': domain != 'factor', 'depth_domain': domain == 'depth'}
    sigma = {'height': 0.07, 'pitch': math.radians(0.5)}[name]
    believed = GroundPose(
        1.4,
        POSE.pitch_rad,
        POSE.roll_rad,
        sigma if name == 'height' else 0.0,
        sigma if name == 'pitch' else 0.0,
    )
    output = 1.0 / (0.3 * world()) if domain == 'depth' else world() / 0.3
    generator = np.random.default_rng(1)
    made = []
    for error in generator.normal(0.0, sigma, 60):
        pose = GroundPose(
            1.4 + (error if name == 'height' else 0.0),
            POSE.pitch_rad + (error if name == 'pitch' else 0.0),
            POSE.roll_rad,
        )
        fit = fit_ground(output, CAMERA, pose, **how)
        made.append(fit.s * output[160, 150] + fit.t)
    fit = fit_ground(output, CAMERA, believed, **how)
    o = np.array([output[160, 150], 1.0])
    expected = math.sqrt(o @ fit.covariance @ o)
    assert np.std(made) == pytest.approx(expected, rel=0.25)


def test_references_in_depth():
    given_references = References([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [0.5, -1.0, 0.2], [0.05] * 3)
    made = in_depth(given_references)
    np.testing.assert_allclose(made.u, [1.0, 3.0])
    np.testing.assert_allclose(made.rho, [2.0, 5.0])
    np.testing.assert_allclose(made.sigma_rho, [0.2, 1.25])
