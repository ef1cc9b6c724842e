"""Raw scores of several runs, and how all scores become one."""

import dataclasses

from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.frame import Surroundings
from depth_perception.core.scale_types import References
from depth_perception.errors import ModelError
from depth_perception.inference.scores import ScoreSet
import numpy as np
import pytest
from score_networks import (
    card_of,
    COLUMN,
    Formula,
    HEIGHT,
    mono,
    noisy,
    noisy_card,
    pair,
    scored,
    stereo_scores,
    tilted,
    WIDTH,
)


def test_augmentations_give_the_median_and_its_spread():
    # Depth is 1 / red: gamma 1.25 and 0.8 change it, the mirror image does not; sizes neither.
    found = scored(card_of(), Formula(lambda x: 1.0 / x[:, :1]), mono(102), 'tta')
    rho, dark, bright = 102 / 255, np.rint(255 * 0.4**1.25) / 255, np.rint(255 * 0.4**0.8) / 255
    answers = np.array([rho, rho, rho, rho, dark, bright])  # plain, flip, two sizes, two gammas
    np.testing.assert_allclose(found.rho, np.median(answers), rtol=1e-5)
    spread = 1.4826 * np.median(np.abs(answers - rho)) / rho
    np.testing.assert_allclose(found.score.values, spread, atol=1e-6)
    chosen = card_of(scores={'augmentations': ['darker', 'brighter']})
    found = scored(chosen, Formula(lambda x: 1.0 / x[:, :1]), mono(102), 'tta')
    middle = min(rho - dark, bright - rho)
    np.testing.assert_allclose(found.score.values, 1.4826 * middle / rho, rtol=1e-5)


def test_sizes_are_whole_multiples_and_left_out_where_the_network_has_one_size():
    resize = {'policy': 'stretch', 'size': [32, 64], 'multiple': 8}
    card = card_of(resize=resize, scores={'augmentations': ['smaller', 'larger', 'darker']})
    backend = Formula(lambda x: x[:, :1] + 1.0)
    scored(card, backend, mono(102), 'tta')
    sizes = [feeds['x'].shape[2:] for feeds in backend.feeds]
    assert sizes == [(32, 64), (24, 48), (40, 80), (32, 64)]
    fixed = Formula(lambda x: x[:, :1] + 1.0, side=32)
    assert ScoreSet(card, fixed, 'tta').runs == 1
    only = card_of(resize=resize, scores={'augmentations': ['smaller']})
    with pytest.raises(ModelError, match='no augmentation is left'):
        ScoreSet(only, fixed, 'tta')


@pytest.mark.parametrize(('batch', 'calls'), [(None, [1, 3]), (1, [1, 1, 1, 1])])
def test_further_runs_go_in_one_batch_where_the_network_takes_one(batch, calls):
    card = card_of(scores={'augmentations': ['flip', 'darker', 'brighter']})
    backend = Formula(lambda x: x[:, :1] + 0.1, batch=batch)
    random = np.random.default_rng(0).integers(20, 250, (HEIGHT, WIDTH))
    found = scored(card, backend, mono(random), 'tta')
    assert [len(feeds['x']) for feeds in backend.feeds] == calls
    alone = scored(card, Formula(lambda x: x[:, :1] + 0.1), mono(random), 'tta')
    np.testing.assert_array_equal(found.score.values, alone.score.values)


def test_batch_that_is_answered_once_is_refused():
    card = card_of(scores={'augmentations': ['flip', 'darker']})
    backend = Formula(lambda x: x[:1, :1] + 0.1, batch=None)
    with pytest.raises(ModelError, match='no row for each of 2 images'):
        scored(card, backend, mono(51), 'tta')


def test_monte_carlo_is_the_spread_of_the_draws():
    backend = noisy()
    found = scored(noisy_card(), backend, mono(51, stamp_ns=7), 'monte_carlo')
    draws = np.exp(-0.5 - 0.01 * np.stack([feeds['n'][0, 0] for feeds in backend.feeds]))
    assert len(draws) == 5
    np.testing.assert_allclose(found.rho, draws.mean(axis=0), rtol=1e-5)
    u = draws.std(axis=0) / draws.mean(axis=0)
    np.testing.assert_allclose(found.score.values, u, rtol=1e-3)
    again = scored(noisy_card(), noisy(), mono(51, stamp_ns=7), 'monte_carlo')
    np.testing.assert_array_equal(again.rho, found.rho)
    other = scored(noisy_card(), noisy(), mono(51, stamp_ns=8), 'monte_carlo')
    assert not np.array_equal(other.rho, found.rho)


def test_monte_carlo_of_a_network_without_chance_is_refused():
    with pytest.raises(ModelError, match='all runs of the network give the same answer'):
        scored(noisy_card(), noisy(lambda x, n: x[:, :1] + 0.3 + 0.0 * n), mono(51), 'monte_carlo')


def test_own_variances_are_averaged_over_the_draws():
    confidence = {'tensor': 'c', 'meaning': 'sigma', 'domain': 'log_depth'}
    card = dataclasses.replace(noisy_card(3), confidence=card_of(confidence=confidence).confidence)
    backend = noisy(lambda x, n: (x[:, :1] + 0.3 + 0.1 * n, np.abs(n)))
    backend.outputs = tuple(dataclasses.replace(backend.outputs[0], name=name) for name in 'oc')
    found = scored(card, backend, mono(51), 'confidence,monte_carlo')
    draws = np.stack([feeds['n'][0, 0] for feeds in backend.feeds])
    means = np.exp(-0.5 - 0.1 * draws)
    variance = np.square(means.std(axis=0) / means.mean(axis=0)) + np.square(draws).mean(axis=0)
    np.testing.assert_allclose(found.score.values, np.sqrt(variance), rtol=1e-3)


def test_sources_add_like_errors_that_do_not_know_of_each_other():
    red = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH))
    backend = Formula(lambda x: 1.0 / x[:, :1])
    alone = [
        scored(card_of(), backend, mono(red), name).score.values for name in ('edge', 'range')
    ]
    both = scored(card_of(), backend, mono(red), 'range, edge')
    np.testing.assert_allclose(both.score.values, np.hypot(*alone), rtol=1e-5)
    assert both.score.name == 'range+edge'
    np.testing.assert_allclose(alone[1], 0.02 * 255.0 / red, rtol=1e-4)


def test_edge_and_range_of_disparity_are_in_pixels():
    left = 20.0 + np.rint(COLUMN / 2.0) / 8.0
    found = stereo_scores(pair(left, left), 'edge', edge_px=2.0)
    slope = np.abs(np.gradient(np.rint(8.0 * left) / 8.0))
    np.testing.assert_allclose(found.score.values[:, 30:-1], np.broadcast_to(
        2.0 * slope, (HEIGHT, WIDTH))[:, 30:-1], atol=1e-4)  # fmt: skip
    found = stereo_scores(pair(left, left), 'range', range_per_m=0.01)
    # c Z of D = f b / Z pixels is c f b everywhere.
    np.testing.assert_allclose(found.score.values[:, 30:], 0.01 * 22.5, rtol=1e-4)


def test_residual_needs_references_and_shows_the_bias_of_the_scene():
    backend = Formula(lambda x: 1.0 / x[:, :1])
    alone = scored(card_of(uncertainty={'relative_floor': 0.15}), backend, mono(102), 'residual')
    np.testing.assert_allclose(alone.score.values, 0.15)  # the floor in its place
    np.testing.assert_allclose(alone.sigma_rho, 0.15 * 0.4, rtol=1e-4)  # which was there before
    random = np.random.default_rng(0)
    u, v = random.uniform(0, WIDTH - 1, 200), random.uniform(0, HEIGHT - 1, 200)
    known = Surroundings(references=References(u, v, np.full(200, 0.44), np.zeros(200)))
    found = scored(card_of(), backend, mono(102, surroundings=known), 'residual')
    np.testing.assert_allclose(found.score.values, 0.1 * 1.2533, rtol=1e-3)


def test_temporal_needs_a_past_and_a_pose_and_forgets_at_reset():
    card, backend = card_of(), Formula(lambda x: 1.0 / x[:, :1])
    scores = ScoreSet(card, backend, 'temporal')
    posed = Surroundings(fixed_from_camera=np.eye(4))
    first, second = mono(102, surroundings=posed), mono(128, surroundings=posed)
    assert not scored(card, backend, first, scores=scores).score.values.any()
    found = scored(card, backend, second, scores=scores)
    np.testing.assert_allclose(found.score.values, abs(255 / 128 - 2.5) * 128 / 255, rtol=1e-4)
    scores.reset()
    assert not scored(card, backend, first, scores=scores).score.values.any()


def test_what_another_run_does_not_see_gets_the_score_of_the_worst_pixels():
    card = card_of(output={'range_m': [0.1, 4.0]})

    def short(x):
        o = np.full_like(x[:, :1], 2.0)
        mirrored = x[0, 0, 0, 0] < x[0, 0, 0, -1]
        o[..., :10] = 9.0 if mirrored else 2.0
        o[..., 30:] = 2.5 if mirrored else 2.0
        return o

    found = scored(card, Formula(short), mono(np.linspace(255, 0, WIDTH)), 'flip')
    u = found.score.values
    assert np.isfinite(u).all()
    np.testing.assert_allclose(u[:, 50:], u[:, :30].max(), rtol=1e-5)
    np.testing.assert_allclose(found.rho[:, 50:], 0.5, rtol=1e-6)


def test_far_and_negative_inverse_depth_stays_what_it_is():
    card = card_of('inv_depth_affine')
    red = np.full((HEIGHT, WIDTH), 100)
    red[:, :20] = 0
    frame, scale = mono(red), Scale(Rung.REFERENCES, s=1.0, t=-100 / 255)
    for setting in ('edge', 'range', 'flip', 'edge,range'):
        found = scored(card, Formula(lambda x: x[:, :1]), frame, setting, scale=scale)
        assert np.isfinite(found.rho).all()
        assert np.isfinite(found.sigma_rho).all()
        assert np.isfinite(found.score.values).all()


def test_what_the_network_says_is_joined_without_the_floor_of_the_card():
    confidence = {'tensor': 'c', 'meaning': 'sigma', 'domain': 'depth'}
    card = card_of(confidence=confidence, uncertainty={'relative_floor': 0.3})
    backend = Formula(lambda x: (x[:, :1] + 2.0, 0.5 + x[:, :1]), outputs=('o', 'c'))
    for setting in ('confidence', 'none'):
        assert scored(card, backend, mono(51), setting).score is None  # left to the estimator
    found = scored(card, backend, mono(51), 'confidence,range')
    np.testing.assert_allclose(found.score.values, np.hypot(0.7 / 2.2, 0.044), rtol=1e-4)
    # Sigma was that of the network and the floor, which is more.
    np.testing.assert_allclose(found.sigma_rho * 2.2, np.hypot(0.7 / 2.2, 0.3), rtol=1e-4)
    alone = scored(card, backend, mono(51), 'range')
    np.testing.assert_allclose(alone.score.values, 0.044, rtol=1e-4)


@pytest.mark.parametrize(
    ('setting', 'words'),
    [
        ('flip,colour', "no source 'colour'; there are ensemble"),
        ('lr', 'lr needs a stereo pair'),
        ('photometric, edge', 'photometric needs a stereo pair'),
        ('ensemble', 'scores.ensemble lists no model'),
    ],
)
def test_sources_that_cannot_be_are_refused(setting, words):
    with pytest.raises(ModelError, match=words):
        ScoreSet(card_of(), Formula(tilted), setting)


def test_setting_wins_over_the_card():
    card = card_of(sources=['edge', 'range'])
    assert ScoreSet(card, Formula(tilted), '').names == ('edge', 'range')
    assert ScoreSet(card, Formula(tilted), 'none').names == ()
    assert ScoreSet(card, Formula(tilted), 'flip, flip').names == ('flip',)


def test_guesses_step_aside_where_the_error_is_measured():
    rng = np.random.default_rng(4)
    red = rng.integers(60, 200, (HEIGHT, WIDTH))
    u, v = rng.uniform(0.0, WIDTH - 1.0, 60), rng.uniform(0.0, HEIGHT - 1.0, 60)
    around = Surroundings(references=References(u, v, np.full(60, 0.5), np.full(60, 0.001)))
    backend = Formula(lambda x: 1.0 / x[:, :1])
    guessed, measured, alone = (
        scored(card_of(), backend, mono(red, surroundings=known), sources)
        for known, sources in (
            (Surroundings(), 'edge,range,residual'),
            (around, 'edge,range,residual'),
            (around, 'residual'),
        )
    )
    assert measured.score.name == guessed.score.name == 'edge+range+residual'
    np.testing.assert_array_equal(measured.score.values, alone.score.values)
    assert not np.array_equal(guessed.score.values, measured.score.values)
