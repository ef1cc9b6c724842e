"""The yardsticks of the mono network, held to maps whose score is known."""

from __future__ import annotations

import numpy as np
import pytest

from training.mono.validate import abs_rel, Frame, frames, plane, score, sigma_ranks

V, U = np.mgrid[0:48, 0:64].astype(np.float64)
SLANTED = 0.2 + 0.004 * U + 0.009 * V


def test_an_affine_map_of_the_truth_is_perfect():
    depth = 1.0 / SLANTED
    assert abs_rel(3.0 * SLANTED + 7.0, depth, 10.0) == pytest.approx(0.0, abs=1e-9)


def test_a_constant_scores_what_the_mean_inverse_depth_scores():
    depth = np.where(U < 32, 1.0, 2.0)
    depth[:, :3] = 0.0  # no truth there
    inverse = np.where(depth > 0, 1.0 / np.maximum(depth, 0.1), 0.0)
    mean = 1.0 / inverse[depth > 0].mean()
    wanted = (np.abs(mean - depth) / np.maximum(depth, 0.1))[depth > 0].mean()
    assert abs_rel(np.ones_like(depth), depth, 10.0) == pytest.approx(wanted, rel=1e-9)


def test_truth_beyond_the_cap_does_not_count():
    depth = 1.0 / SLANTED
    far = np.where(V > 40, 50.0, depth)
    assert abs_rel(SLANTED, far, 10.0) == pytest.approx(0.0, abs=1e-9)
    assert abs_rel(SLANTED, far, 80.0) > 0.05


def test_the_plane_is_exact_on_a_plane_and_ignores_holes():
    depth = 1.0 / SLANTED
    depth[10:20, 5:9] = 0.0
    np.testing.assert_allclose(plane(depth, 10.0), SLANTED, rtol=1e-9)


def test_the_plane_does_not_see_a_box_in_front_of_it():
    depth = 1.0 / SLANTED
    depth[20:30, 20:40] *= 0.5
    assert abs_rel(plane(depth, 10.0), depth, 10.0) > 0.03


def test_sigma_is_judged_by_the_order_of_the_errors():
    noise = np.random.default_rng(1).normal(size=SLANTED.shape) * np.linspace(0.001, 0.05, 64)
    depth = 1.0 / SLANTED
    found = sigma_ranks(SLANTED + noise, np.abs(noise), depth, 10.0)
    assert found > 0.8  # the fit moves a little
    assert sigma_ranks(SLANTED + noise, -np.abs(noise), depth, 10.0) == pytest.approx(-found)


def test_sets_are_averaged_by_frame_and_by_set():
    depth = 1.0 / SLANTED
    bumpy = depth * np.where((U // 8 + V // 8) % 2 == 0, 1.0, 1.3)
    image = np.zeros((48, 64, 3), np.uint8)
    pictures = [
        Frame('a', '0', image, depth),
        Frame('a', '1', image, depth),
        Frame('b', '0', image, bumpy),
        Frame('c (outdoors)', '0', image, bumpy),
    ]
    found = score(None, pictures)
    bad = abs_rel(plane(bumpy, 10.0), bumpy, 10.0)
    assert found['a'] == pytest.approx(0.0, abs=1e-9)
    assert found['b'] == pytest.approx(bad)
    assert found['indoor frames'] == pytest.approx(bad / 3)
    assert found['indoor sets'] == pytest.approx(bad / 2)


def test_the_planar_prior_on_the_real_frames(shared_dir):
    pytest.importorskip('cv2')
    found = score(None, list(frames(shared_dir)))
    wanted = {'kinect': 0.193, 'tum': 0.316, 'middlebury': 0.118, 'indoor sets': 0.209}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=0.001)
