"""Raw scores of stereo networks: flip with swapped images, and left against right."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.scores import ScoreSet
import numpy as np
import pytest
from score_networks import (
    card_of,
    COLUMN,
    Formula,
    PAIR,
    pair,
    scored,
    STEREO,
    stereo_scores,
    told,
    WIDTH,
)


def test_stereo_flip_runs_the_swapped_mirrored_pair():
    right = 5.0 + (COLUMN >= 30) * 0.5
    found = stereo_scores(pair(np.full(WIDTH, 5.0), right), 'flip')
    # Left column u is right column u - 5, where the right answer is 5.5 from u = 35 on.
    u = found.score.values
    np.testing.assert_allclose(u[:, 6:35], 0.0, atol=1e-5)
    np.testing.assert_allclose(u[:, 35:], 0.5 / PAIR, rtol=1e-4)
    np.testing.assert_allclose(found.disparity.values[:, 35:], 5.25, rtol=1e-5)
    np.testing.assert_allclose(found.rho[:, 35:], (5.25 + 3.0) / 22.5, rtol=1e-5)
    np.testing.assert_allclose(found.sigma_rho[:, 35:], 0.5 / PAIR / 22.5, rtol=1e-4)
    assert found.score.domain == 'disparity_px'


def test_surfaces_that_disagree_are_scored_but_not_averaged():
    found = stereo_scores(pair(np.full(WIDTH, 5.0), np.full(WIDTH, 9.0)), 'flip')
    np.testing.assert_allclose(found.disparity.values[:, 6:], 5.0, rtol=1e-5)
    np.testing.assert_allclose(found.score.values[:, 6:], 4.0 / PAIR, rtol=1e-4)


@pytest.mark.parametrize(('limit', 'known'), [(1.0, False), (2.0, True)])
def test_left_right_check_makes_pixels_unknown(limit, known):
    right = 5.0 + (COLUMN >= 30) * 1.5
    found = stereo_scores(pair(np.full(WIDTH, 5.0), right), 'lr', lr_limit_px=limit)
    np.testing.assert_allclose(found.score.values[:, 6:35], 0.0, atol=1e-5)
    # In the last column the right answer points beyond the left image.
    assert np.isfinite(found.rho[:, 35:-1]).all() == known
    assert np.isfinite(found.disparity.values[:, 35:]).any() == known
    if known:
        np.testing.assert_allclose(found.score.values[:, 35:-1], 1.5, rtol=1e-4)


def test_flip_and_left_right_share_a_run():
    card = card_of('disparity_px', **STEREO)
    backend = Formula(told, ('x', 'y'))
    scores = ScoreSet(card, backend, 'lr,flip')
    assert scores.runs == 1
    scored(card, backend, pair(np.full(WIDTH, 5.0), np.full(WIDTH, 5.5)), scores=scores)
    assert len(backend.feeds) == 2


def test_real_matcher_finds_the_same_disparity_in_the_mirrored_swapped_pair():
    from depth_perception.inference.estimator import open_estimator
    from depth_perception.parameters import StereoEstimatorSettings

    pytest.importorskip('onnxruntime')
    random = np.random.default_rng(5)
    wide = random.integers(0, 256, (80, 240)).astype(np.uint8)
    left, right = (Picture(wide[:, i : i + 200].copy(), 'grey') for i in (9, 16))  # d = 7
    camera = PinholeCamera(200, 80, 120.0, 120.0, 99.5, 39.5)
    frame = StereoFrame(left, right, StereoRig(camera, camera, 0.1))
    settings = StereoEstimatorSettings(
        model='window-stereo', threads=1, uncertainty__sources='flip'
    )
    with open_estimator(settings) as estimator:
        found = estimator.estimate(frame)
    inside = np.s_[10:-10, 20:-20]
    assert np.isfinite(found.depth[inside]).mean() > 0.95
    assert np.nanmedian(found.disparity.values[inside]) == pytest.approx(7.0, abs=0.02)
    assert np.nanpercentile(found.score.values[inside], 90) < 0.05
