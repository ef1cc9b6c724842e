"""Raw scores of networks on one image: flip, and what it must not take for an error."""

import dataclasses

from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.frame import GroundPose
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.score_runs import FLIP, varied
import numpy as np
import pytest
from score_networks import (
    card_of,
    COLUMN,
    Formula,
    HEIGHT,
    mono,
    PAIR,
    restless,
    scored,
    tilted,
    WIDTH,
)


def test_flip_reveals_an_error_that_sticks_to_the_image_and_averages_it_away():
    found = scored(card_of(), Formula(tilted), mono(51), 'flip')
    error = 0.1 * (COLUMN / (WIDTH - 1) - 0.5)
    u = np.broadcast_to(2.0 * np.abs(error) / PAIR / 0.4, (HEIGHT, WIDTH))
    np.testing.assert_allclose(found.rho, 0.4, rtol=1e-5)
    np.testing.assert_allclose(found.score.values, u, atol=1e-5)
    np.testing.assert_allclose(found.sigma_rho, 0.4 * u, atol=1e-5)
    assert (found.score.name, found.score.domain) == ('flip', 'log_depth')


def test_without_fusion_flip_only_scores():
    card = card_of(scores={'fuse': False})
    found = scored(card, Formula(tilted), mono(51), 'flip')
    plain = tilted(np.full((1, 1, HEIGHT, WIDTH), 0.2))[0, 0]
    np.testing.assert_allclose(1.0 / found.rho, plain, rtol=1e-5)


def test_network_that_ignores_its_input_has_no_flip_score_where_it_is_symmetric():
    def prejudice(x):
        o = 2.0 + np.abs(COLUMN - 29.5)
        o[5] += 1.0  # and not in column 54
        return np.broadcast_to(o, (1, 1, HEIGHT, WIDTH)).astype(np.float32)

    u = scored(card_of(), Formula(prejudice), mono(51), 'flip').score.values
    assert (u[:, [5, 54]] > 0.01).all()
    assert not np.delete(u, [5, 54], axis=1).any()


def test_flipped_scene_is_flipped_back():
    red = np.random.default_rng(0).integers(20, 250, (HEIGHT, WIDTH))
    found = scored(card_of(), Formula(lambda x: 1.0 / x[:, :1]), mono(red), 'flip')
    np.testing.assert_allclose(found.score.values, 0.0, atol=1e-5)
    np.testing.assert_allclose(found.rho, red / 255.0, rtol=1e-5)


@pytest.mark.parametrize('kind', ['inv_depth_affine', 'depth_affine'])
def test_another_scale_and_shift_is_no_error_of_an_affine_network(kind):
    red = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH))
    red[0, 0], red[0, -1] = 250, 10  # gain 3 and shift 7 in the plain run
    scale = Scale(Rung.REFERENCES, s=1.0 / 3.0, t=-7.0 / 3.0)
    found = scored(card_of(kind), Formula(restless), mono(red), 'flip', scale=scale)
    np.testing.assert_allclose(found.score.values, 0.0, atol=2e-5)
    wrong = scored(card_of(kind), Formula(lambda x: restless(x, 0.4)), mono(red), 'flip',
                   scale=scale)  # fmt: skip
    assert wrong.score.values[:, [0, -1]].mean() > 0.04
    assert wrong.score.values[:, 28:32].mean() < 0.01


def test_scale_of_a_network_without_shift_is_aligned_too():
    def loud(x):
        return x[:, :1] * (3.0 if x[0, 0, 0, 0] > x[0, 0, 0, -1] else 1.7)

    red = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH))
    red[0, 0], red[0, -1] = 250, 10
    scale = Scale(Rung.REFERENCES, s=3.0)
    found = scored(card_of('depth_scale'), Formula(loud), mono(red), 'flip', scale=scale)
    np.testing.assert_allclose(found.score.values, 0.0, atol=1e-5)


def test_runs_of_a_metric_network_are_corrected_like_the_first():
    found = scored(card_of(), Formula(tilted), mono(51), 'flip', scale=Scale(Rung.FILTERED, s=1.5))
    np.testing.assert_allclose(found.rho, 0.6, rtol=1e-5)
    error = np.abs(0.1 * (COLUMN / (WIDTH - 1) - 0.5))
    np.testing.assert_allclose(found.score.values[3], 2.0 * error / PAIR / 0.4, atol=1e-5)


def test_rays_and_intrinsics_are_those_of_the_mirrored_camera():
    inputs = [
        {'tensor': 'x', 'from': 'left'},
        {'tensor': 'k', 'from': 'intrinsics'},
        {'tensor': 'rays', 'from': 'rays'},
    ]
    card = card_of(inputs=inputs, resize={'policy': 'stretch', 'size': [22, 30]})
    backend = Formula(lambda x, **_: x[:, :1] + 1.0, ('x', 'k', 'rays'))
    backend.inputs = tuple(
        dataclasses.replace(spec, shape=(1, 3, 3)) if spec.name == 'k' else spec
        for spec in backend.inputs
    )
    scored(card, backend, mono(51), 'flip')
    usual, turned = backend.feeds
    # cx = 25 is 12.25 at half size, its mirror image 59 - 25 = 34 is 16.75 = 29 - 12.25.
    assert usual['k'][0, 0, 2] == pytest.approx(12.25)
    assert turned['k'][0, 0, 2] == pytest.approx(16.75)
    np.testing.assert_allclose(turned['rays'][0, 0], -usual['rays'][0, 0, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(turned['rays'][0, 1:], usual['rays'][0, 1:, :, ::-1], atol=1e-6)


def test_roll_of_the_floor_changes_its_sign_in_the_mirror():
    pose = GroundPose(1.0, 0.2, 0.1)
    plan = plan_resize(card_of().resize, WIDTH, HEIGHT)
    usual = Preparation(mono(51), plan, card_of().resize, pose)
    turned = varied(usual, FLIP)
    assert turned.ground == GroundPose(1.0, 0.2, -0.1)
    floors = [ground_inverse_depth(p.camera, 1.0, 0.2, p.ground.roll_rad) for p in (usual, turned)]
    np.testing.assert_allclose(floors[1], floors[0][:, ::-1], atol=1e-6)
