"""The truth of the renderer, held to what geometry says about scenes made by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('numba', reason='the renderer needs numba')

from training.renderer import Camera, render_scene
from training.renderer.meshes import ball, box, quad, turned, yaw
from training.renderer.placing import FLAT
from training.renderer.scene import Look, Scene
from training.renderer.textures import procedural_pool

CAMERA = Camera(96, 64, 90.0, 46.3, 33.1)
X, Y = np.meshgrid(np.arange(96), np.arange(64))


@pytest.fixture(scope='module')
def pool():
    return procedural_pool(size=64, seed=3)


def scene_of(pool, *parts):
    """Make a scene of (mesh, place, rotation) with matt textures."""
    scene = Scene(np.random.default_rng(5), pool)
    for k, (mesh, place, rotation) in enumerate(parts):
        scene.add(mesh, Look(texture=5 + 3 * k, extent_m=1.5), place, rotation)
    return scene


def test_a_slanted_wall_has_the_disparity_of_its_plane(pool):
    rotation = yaw(0.4) @ np.array([(1, 0, 0), (0, 0.8, -0.6), (0, 0.6, 0.8)])
    scene = scene_of(pool, (quad(90, 90), (0, 0, 3.0), rotation))
    pair = render_scene(scene, CAMERA, baseline_m=0.2)
    normal = rotation @ (0, 0, 1)
    ray = np.stack([(X - 46.3) / 90, (Y - 33.1) / 90, np.ones(X.shape)], axis=-1)
    inverse_depth = ray @ normal / (normal @ (0, 0, 3.0))
    assert not pair.sky.any()
    np.testing.assert_allclose(pair.disparity, 90 * 0.2 * inverse_depth, atol=1e-4)
    np.testing.assert_allclose(pair.disparity * pair.depth, 90 * 0.2, rtol=1e-6)
    plane = np.c_[X.ravel(), Y.ravel(), np.ones(X.size)]
    fit = np.linalg.lstsq(plane, pair.disparity.ravel().astype(float), rcond=None)[0]
    assert np.abs(plane @ fit - pair.disparity.ravel()).max() < 1e-3
    leaves_the_frame = X - pair.disparity < -0.5
    np.testing.assert_array_equal(pair.occluded, leaves_the_frame)


def test_a_floor_that_runs_under_the_camera_is_cut_at_the_horizon(pool):
    scene = scene_of(pool, (turned(quad(4000, 4000), FLAT, np.zeros(3)), (0, 1.2, 0), None))
    pair = render_scene(scene, CAMERA, baseline_m=0.1)
    below = (Y - 33.1) > 0.1
    np.testing.assert_array_equal(pair.sky, ~below)
    expected = 0.1 * (Y - 33.1) / 1.2
    np.testing.assert_allclose(pair.disparity[below], expected[below], atol=1e-4)
    assert (pair.disparity[pair.sky] == 0).all()
    assert np.isinf(pair.depth[pair.sky]).all()


def test_what_a_card_hides_is_what_brute_force_finds(pool):
    wall, card = (quad(90, 90), (0, 0, 4.0), None), (quad(0.5, 0.4), (0.1, 0.05, 1.5), None)
    pair = render_scene(scene_of(pool, wall, card), CAMERA, baseline_m=0.31)
    near, far = 90 * 0.31 / 1.5, 90 * 0.31 / 4.0
    left, right = 46.3 + 90 * np.array([0.1 - 0.25, 0.1 + 0.25]) / 1.5
    top, bottom = 33.1 + 90 * np.array([0.05 - 0.2, 0.05 + 0.2]) / 1.5
    rows = (top <= Y) & (bottom >= Y)
    on_card = rows & (left <= X) & (right >= X)
    there = X - np.where(on_card, near, far)
    behind = rows & ~on_card & (left - near <= there) & (there <= right - near)
    outside = there < -0.5
    np.testing.assert_allclose(pair.disparity, np.where(on_card, near, far), atol=1e-4)
    np.testing.assert_array_equal(pair.occluded, behind | outside)
    assert 200 < behind.sum() < on_card.sum()


def test_a_ball_is_round_and_both_views_agree(pool):
    scene = scene_of(pool, (ball(0.5, 96), (0.05, -0.02, 2.0), None))
    pair = render_scene(scene, CAMERA, baseline_m=0.15)
    ray = np.stack([(X - 46.3) / 90, (Y - 33.1) / 90, np.ones(X.shape)], axis=-1)
    a, b = (ray**2).sum(-1), ray @ (0.05, -0.02, 2.0)
    root = b**2 - a * (0.05**2 + 0.02**2 + 4.0 - 0.25)
    inside = root > 0.02
    depth = (b - np.sqrt(np.maximum(root, 0))) / a
    np.testing.assert_allclose(pair.depth[inside], depth[inside], atol=4e-3)
    seen = inside & ~pair.occluded
    there = X[seen] - pair.disparity[seen]
    beside = pair.right_disparity[Y[seen], np.rint(there).astype(int)]
    assert np.abs(beside - pair.disparity[seen]).max() < 1.2
    assert np.median(np.abs(beside - pair.disparity[seen])) < 0.05


def test_the_right_picture_warped_by_the_truth_is_the_left_one(pool):
    rotation = yaw(0.3)
    wall, crate = (
        (quad(90, 90), (0, 0, 3.0), rotation),
        (box(0.6, 0.5, 0.4), (0, 0, 1.6), yaw(0.7)),
    )
    pair = render_scene(scene_of(pool, wall, crate), CAMERA, baseline_m=0.12)

    def error(disparity):
        there = np.clip(X - disparity, 0, 94.999)
        low = there.astype(int)
        a = (there - low)[..., None]
        warped = (1 - a) * pair.right[Y, low] + a * pair.right[Y, low + 1]
        return np.abs(warped - pair.left)[~pair.occluded]

    exact = error(pair.disparity)
    assert np.median(exact) < 2.0
    assert exact.mean() < 0.6 * min(error(pair.disparity + s).mean() for s in (-0.7, 0.7))


def test_the_truth_of_a_pane_is_the_pane_and_its_look_lets_through(pool):
    wall = (quad(90, 90), (0, 0, 4.0), None)
    bare = render_scene(scene_of(pool, wall), CAMERA, baseline_m=0.2)
    scene = scene_of(pool, wall)
    scene.add(quad(1, 1), Look(texture=0, opacity=0.15), (0, 0, 2.0))
    pair = render_scene(scene, CAMERA, baseline_m=0.2)
    np.testing.assert_allclose(pair.disparity[pair.glass], 90 * 0.2 / 2.0, atol=1e-4)
    np.testing.assert_allclose(pair.disparity[~pair.glass], 90 * 0.2 / 4.0, atol=1e-4)
    inside = (slice(20, 45), slice(30, 60))
    assert pair.glass[inside].all()
    alike = np.corrcoef(pair.left[inside].ravel(), bare.left[inside].ravel())[0, 1]
    assert 0.6 < alike < 0.99999
