"""Temporal reprojection of planes whose depth is known in closed form."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.score_temporal import STRIDE_PX, TemporalScore
import numpy as np
import pytest

CAMERA = PinholeCamera(160, 96, 120.0, 100.0, 70.0, 50.0)


def pose(x=0.0, y=0.0, z=0.0, yaw=0.0):
    matrix = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    matrix[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    matrix[:3, 3] = x, y, z
    return matrix


def wall(distance, fixed_from_camera):
    """Return the inverse depth of the plane z = distance of the fixed frame."""
    rays = np.stack(
        [*np.meshgrid(CAMERA.ray_x.astype(float), CAMERA.ray_y.astype(float)),
         np.ones((96, 160))], -1)  # fmt: skip
    along = rays @ fixed_from_camera[2, :3]
    return (along / (distance - fixed_from_camera[2, 3])).astype(np.float32)


@pytest.mark.parametrize(
    'motion', [{'z': 0.4}, {'x': 0.5, 'y': -0.2}, {'yaw': 0.1, 'x': 0.1, 'z': 0.2}]
)
def test_still_wall_seen_from_a_moving_camera_has_no_score(motion):
    score, moved = TemporalScore(), pose(**motion)
    assert score.step(wall(3.0, pose()), CAMERA, pose()) is None
    found = score.step(wall(3.0, moved), CAMERA, moved)
    assert found.shape == (96 // STRIDE_PX, 160 // STRIDE_PX)
    assert np.isfinite(found).mean() > 0.6
    # The past is read at the nearest 4th pixel; along a turned wall that is up to 2 px off.
    assert np.nanmax(found) < (2e-6 if 'yaw' not in motion else 0.01)


def test_score_is_the_relative_difference_in_the_camera_of_now():
    # 0.4 m forward, the wall should be at 2.6 m; it is told at 2.5: |2.5 - 2.6| / 2.5.
    score, moved = TemporalScore(), pose(z=0.4)
    score.step(wall(3.0, pose()), CAMERA, pose())
    found = score.step(np.full((96, 160), 1.0 / 2.5, np.float32), CAMERA, moved)
    np.testing.assert_allclose(found[np.isfinite(found)], 0.04, rtol=1e-4)


def test_wrong_sign_of_the_motion_would_show():
    score, back = TemporalScore(), pose(z=-0.4)
    score.step(wall(3.0, pose()), CAMERA, pose())
    found = score.step(wall(2.6, pose()), CAMERA, back)  # told 2.6 m where 3.4 m is right
    np.testing.assert_allclose(np.nanmedian(found), 0.8 / 2.6, rtol=1e-4)


def test_squares_are_averaged_over_time():
    score = TemporalScore(memory=0.75)
    depths = [2.0, 2.2, 2.0, 2.5]
    found = [score.step(np.full((96, 160), 1.0 / z, np.float32), CAMERA, pose()) for z in depths]
    mean = (0.2 / 2.2) ** 2
    for z, before, step in zip(depths[2:], depths[1:], found[2:], strict=False):
        mean = 0.75 * mean + 0.25 * ((z - before) / z) ** 2
        np.testing.assert_allclose(step, np.sqrt(mean), rtol=1e-4)


def test_what_the_past_did_not_see_is_unknown():
    score, moved = TemporalScore(), pose(x=1.0)  # 40 px at 3 m: the right quarter is new
    score.step(wall(3.0, pose()), CAMERA, pose())
    found = score.step(wall(3.0, moved), CAMERA, moved)
    assert np.isnan(found[:, -10:]).all()
    assert np.isfinite(found[:, :-10]).all()


@pytest.mark.parametrize('break_with', ['no pose', 'nan pose', 'reset', 'camera', 'size'])
def test_a_break_starts_anew(break_with):
    score, rho = TemporalScore(), wall(3.0, pose())
    score.step(rho, CAMERA, pose())
    camera = CAMERA
    if break_with == 'no pose':
        assert score.step(rho, CAMERA, None) is None
    if break_with == 'nan pose':
        assert score.step(rho, CAMERA, np.full((4, 4), np.nan)) is None
    if break_with == 'reset':
        score.reset()
    if break_with == 'camera':
        camera = PinholeCamera(160, 96, 121.0, 100.0, 70.0, 50.0)
    if break_with == 'size':
        camera = CAMERA.resized(80, 48)
        rho = rho[::2, ::2]
    assert score.step(rho, camera, pose()) is None
    assert score.step(rho, camera, pose()) is not None


def test_unknown_and_infinite_depth_has_no_score():
    score, rho = TemporalScore(), wall(3.0, pose())
    rho[:40], rho[40:60] = np.nan, 0.0
    score.step(rho, CAMERA, pose())
    found = score.step(rho, CAMERA, pose())
    assert np.isnan(found[:15]).all()
    assert (found[15:] == 0.0).all()
