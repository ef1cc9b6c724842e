"""Depth over time: what is averaged, what starts anew, and what sigma may claim afterwards."""

from __future__ import annotations

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.temporal import TemporalFilter
from depth_perception.core.temporal_motion import MotionFilter
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

NAN = np.float32(np.nan)


def fused(values, sigma=0.1, weight=0.75):
    memory, out = TemporalFilter(), []
    for value in values:
        rho = np.array([[value]], np.float32)
        sigmas = np.where(np.isnan(rho), NAN, np.float32(sigma))
        out.append([float(x[0, 0]) for x in memory.fuse(rho, sigmas, weight)])
    return np.array(out)


def test_temporal_mean_follows_its_weight():
    assert_allclose(fused([1.0, 1.2, 1.2])[:, 0], [1.0, 1.05, 1.0875], rtol=1e-6)
    assert_allclose(fused([1.0, 1.2, 1.2])[:, 1], 0.1, rtol=1e-6)


def test_temporal_mean_starts_anew_after_a_jump():
    # 3 sigma of the difference is 3 * 0.1 * sqrt 2 = 0.424
    assert_allclose(fused([1.0, 1.42])[1, 0], 1.105, rtol=1e-6)
    assert_allclose(fused([1.0, 1.43])[1, 0], 1.43, rtol=1e-6)


def test_temporal_mean_never_shows_the_past_for_the_present():
    values = fused([1.0, np.nan, 1.2])
    assert np.isnan(values[1]).all()
    assert_allclose(values[2], [1.2, 0.1], rtol=1e-6)


def test_temporal_memory_is_its_own_and_forgets_on_reset_and_size_change():
    memory = TemporalFilter()
    rho, sigma = np.full((2, 3), 1.0, np.float32), np.full((2, 3), 0.1, np.float32)
    memory.fuse(rho, sigma, 0.5)
    rho += 0.2
    assert_allclose(memory.fuse(rho, sigma, 0.5)[0], 1.1, rtol=1e-6)
    memory.reset()
    assert_allclose(memory.fuse(rho, sigma, 0.5)[0], 1.2, rtol=1e-6)
    assert memory.fuse(rho[:1], sigma[:1], 0.5)[0].shape == (1, 3)


CAMERA = PinholeCamera(70, 53, 60.0, 64.0, 33.0, 25.0)  # more than one block of rows
STEP_NS = 100_000_000
WAY_SIGMA, RATE_SIGMA = 0.05, 0.02  # as documented


def pose(x=0.0, y=0.0, z=0.0, yaw=0.0, pitch=0.0):
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    made = np.eye(4)
    made[:3, :3] = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
        [[1, 0, 0], [0, cp, -sp], [0, sp, cp]]
    )
    made[:3, 3] = x, y, z
    return made


def flat(value, camera=CAMERA):
    return np.full((camera.height, camera.width), value, np.float32)


def steps(frames, correlation=0.25, camera=CAMERA, step_ns=STEP_NS):
    memory = MotionFilter()
    return [
        memory.fuse(rho, sigma, camera, where, index * step_ns, correlation)
        for index, (rho, sigma, where) in enumerate(frames)
    ]


def test_a_wall_that_comes_nearer_is_fused_with_what_it_must_be_now():
    # 4 m away, then 3 m: rho 0.25 -> 1/3 and its sigma times (4/3)^2.
    frames = [(flat(0.25), flat(0.006), pose()), (flat(0.34), flat(0.02), pose(z=1.0))]
    first, second = steps(frames)
    assert_array_equal(first[0], frames[0][0])
    assert_array_equal(first[1], frames[0][1])
    carried, growth = 0.006 * 16.0 / 9.0, (4.0 / 3.0) ** 4
    past = 0.75 * 0.006**2 * growth
    past += 0.34**4 * WAY_SIGMA**2 + (0.34 * RATE_SIGMA * 0.1) ** 2
    now = 0.75 * 0.02**2
    share = now / (now + past)
    rho = 0.34 + share * (1.0 / 3.0 - 0.34)
    common = 0.02 + share * (carried - 0.02)
    sigma = np.sqrt(0.25 * common**2 + past * now / (past + now))
    assert_allclose(second[0][20:30, 30:40], rho, rtol=1e-5)
    assert_allclose(second[1][20:30, 30:40], sigma, rtol=1e-5)
    assert sigma < 0.02


def by_points(past, motion, now, correlation):
    """Fuse pixel by pixel, with points in space and a numerical derivative."""
    (rho_a, sigma_a, from_a), (rho_b, sigma_b, from_b) = (
        tuple(np.float64(part) for part in frame) for frame in (past, now)
    )
    inverse = np.linalg.inv(CAMERA.K)
    a_from_b = np.linalg.inv(from_a) @ from_b
    out = rho_b.copy(), sigma_b.copy()

    def seen_now(u, v, rho):
        point = inverse @ [u, v, 1.0] / rho
        return 1.0 / (np.linalg.inv(a_from_b) @ [*point, 1.0])[2]

    for v, u in np.ndindex(rho_b.shape):
        point = a_from_b @ [*(inverse @ [u, v, 1.0] / rho_b[v, u]), 1.0]
        place = CAMERA.K @ point[:3]
        x, y = (round(float(c)) for c in place[:2] / place[2])
        if not (place[2] > 0.0 and 0 <= x < CAMERA.width and 0 <= y < CAMERA.height):
            continue
        before = seen_now(x, y, rho_a[y, x])
        slope = (seen_now(x, y, rho_a[y, x] + 1e-6) - seen_now(x, y, rho_a[y, x] - 1e-6)) / 2e-6
        single = sigma_b[v, u]
        fresh = (1.0 - correlation) * single**2
        aged = (1.0 - correlation) * (sigma_a[y, x] * slope) ** 2
        aged += rho_b[v, u] ** 4 * motion + (rho_b[v, u] * RATE_SIGMA * 0.1) ** 2
        if (before - rho_b[v, u]) ** 2 > 9.0 * (aged + fresh):
            continue
        share = fresh / (fresh + aged)
        out[0][v, u] += share * (before - rho_b[v, u])
        common = single + share * (sigma_a[y, x] * slope - single)
        out[1][v, u] = np.sqrt(correlation * common**2 + aged * fresh / (aged + fresh))
    return out


def test_any_motion_agrees_with_points_in_space():
    rng = np.random.default_rng(8)
    waves = np.add.outer(np.sin(np.arange(53) / 7.0), np.cos(np.arange(70) / 5.0))
    rho = (0.5 + 0.1 * waves + rng.normal(0, 0.004, waves.shape)).astype(np.float32)
    sigma = rng.uniform(0.01, 0.03, rho.shape).astype(np.float32)
    way = pose(0.07, -0.03, 0.11, 0.05, -0.08)
    frames = [(rho, sigma, pose(yaw=0.4)), (rho + np.float32(0.01), sigma, pose(yaw=0.4) @ way)]
    got = steps(frames, 0.4)[1]
    moved = WAY_SIGMA**2 * (0.07**2 + 0.03**2 + 0.11**2)
    wanted = by_points(frames[0], moved, frames[1], 0.4)
    fused = got[1] != sigma
    assert 0.3 < fused.mean() < 0.7
    off = np.abs(got[0] - wanted[0]) > 1e-5  # half a pixel may round either way
    assert off.mean() < 0.002
    assert_allclose(got[1][~off], wanted[1][~off], rtol=2e-4)


def test_what_comes_out_from_behind_and_what_moves_starts_anew():
    # A board at 1 m before a wall at 4 m; the camera steps 0.1 m to the right.
    def view(left_px):
        rho = flat(0.25)
        rho[10:40, left_px : left_px + 20] = 1.0
        return rho

    frames = [(view(30), flat(0.01), pose()), (view(24), flat(0.01), pose(x=0.1))]
    rho, sigma = steps(frames)[1]
    assert_allclose(rho, frames[1][0], atol=1e-6)
    fused = sigma < 0.0099
    assert fused[10:40, 24:44].all()  # the board, found 6 px beside
    assert fused[10:40, 4:23].all()
    assert not fused[10:40, 45:48].any()  # was hidden by the board: 4 px wide
    assert not fused[:, 69:].any()  # was outside the image
    assert_array_equal(sigma[10:40, 45:48], np.float32(0.01))


def test_unknown_pixels_stay_unknown_and_known_ones_need_a_known_past():
    frames = [(flat(0.25), flat(0.01), pose()) for _ in range(3)]
    frames[1][0][5, 6], frames[1][1][5, 6] = NAN, NAN
    frames[2][1][7, 8], frames[1][1][9, 8] = -0.01, 0.0  # no answers, see Postprocessor
    _, second, third = steps(frames)
    assert np.isnan([second[0][5, 6], second[1][5, 6]]).all()
    assert np.isfinite(second[0]).sum() == second[0].size - 1
    assert third[1][5, 6] == np.float32(0.01)
    assert third[1][5, 7] < 0.009
    assert third[1][7, 8] == np.float32(-0.01)
    assert second[1][9, 8] == 0.0
    assert third[1][9, 8] == np.float32(0.01)


@pytest.mark.parametrize('correlation', [0.0, 0.3, 0.9])
def test_sigma_is_honest_when_errors_repeat_and_never_below_what_they_share(correlation):
    rng = np.random.default_rng(3)
    size = CAMERA.height, CAMERA.width
    shared = rng.normal(0.0, 0.02 * np.sqrt(correlation), size)
    frames = []
    for _ in range(12):
        error = shared + rng.normal(0.0, 0.02 * np.sqrt(1.0 - correlation), size)
        frames.append(((0.5 + error).astype(np.float32), flat(0.02), pose()))
    rho, sigma = steps(frames, correlation)[-1]
    assert np.mean(np.abs(rho - 0.5) < sigma) == pytest.approx(0.683, abs=0.03)
    assert sigma.min() > 0.02 * np.sqrt(correlation)
    assert np.median(sigma) < 0.02 * np.sqrt(correlation + 0.1)


@pytest.mark.parametrize('step_ns', [0, 1_000_000_000])
def test_a_recent_past_counts(step_ns):
    frames = [(flat(0.25), flat(0.01), pose())] * 2
    assert (steps(frames, step_ns=step_ns)[1][1] < 0.01).all()


@pytest.mark.parametrize('step_ns', [-1, 1_000_000_001])
def test_an_old_past_and_one_yet_to_come_do_not_count(step_ns):
    frames = [(flat(0.25), flat(0.01), pose())] * 2
    assert_array_equal(steps(frames, step_ns=step_ns)[1][1], flat(0.01))


def test_memory_is_of_one_camera_and_forgets_on_reset():
    memory = MotionFilter()
    rho, sigma = flat(0.25), flat(0.01)
    memory.fuse(rho, sigma, CAMERA, pose(), 0, 0.5)
    rho += 0.004  # the memory is its own
    assert_allclose(memory.fuse(rho, sigma, CAMERA, pose(), 1, 0.5)[0], 0.252, rtol=1e-5)
    other = PinholeCamera(70, 53, 61.0, 64.0, 33.0, 25.0)
    assert_array_equal(memory.fuse(rho, sigma, other, pose(), 2, 0.5)[1], sigma)
    memory.reset()
    assert_array_equal(memory.fuse(rho, sigma, other, pose(), 3, 0.5)[1], sigma)


def test_a_pose_that_is_not_finite_fuses_nothing():
    frames = [(flat(0.25), flat(0.01), pose(x=np.nan)), (flat(0.25), flat(0.01), pose())]
    assert_array_equal(steps(frames)[1][1], flat(0.01))
