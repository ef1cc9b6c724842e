from __future__ import annotations

from depth_perception.core.matching import photometric_sigma
from depth_perception.inference.matcher_score import cues, error_score, textureless, WEIGHTS
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

cv2 = pytest.importorskip('cv2')
NAN = np.float32(np.nan)


def noise_image(height, width, seed=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def scene(height=60, width=120, d=6):
    """The right image shows left pixel u at u - d; the disparity is right everywhere but there."""
    wide = noise_image(height, width + d)
    left, right = wide[:, :width].copy(), wide[:, d:].copy()
    disparity = np.full((height, width), d, np.float32)
    return left, right, disparity, np.zeros((height, width), np.float32)


def test_every_cue_has_a_weight_and_is_finite():
    left, right, disparity, difference = scene(31, 47)
    disparity[5:9, 10:20] = NAN
    found = cues(cv2, left, right, disparity, difference)
    assert {*found, 'constant'} == set(WEIGHTS)
    for name, cue in found.items():
        assert cue.dtype == np.float32, name
        assert cue.shape in ((16, 24), ()), name
        assert np.isfinite(cue).all(), name


def test_near_falls_with_the_distance_to_a_hole_and_to_a_jump():
    left, right, disparity, difference = scene()
    disparity[:, 40:44] = NAN
    disparity[:, 90:] = 9.0
    near = cues(cv2, left, right, disparity, difference)['near'][15]
    assert near[20] == near[21] == 1.0  # columns 40 and 42: the hole
    # OpenCV's distances are 4.5 % short along rows.
    assert_allclose(-6.0 * np.log(near[[26, 31]]), [10.0, 20.0], rtol=0.05)
    assert near[44] == near[45] == 1.0  # columns 88 and 90, on both sides of the jump
    assert -6.0 * np.log(near[50]) == pytest.approx(10.0, rel=0.05)


def test_farther_sees_what_lies_behind_but_not_before():
    left, right, disparity, difference = scene()
    disparity[:, 60:] = 8.0
    farther = cues(cv2, left, right, disparity, difference)['farther'][15]
    assert_array_equal(farther[[29, 30, 31, 32]], [0.0, 2.0, 2.0, 0.0])
    disparity[:, 60:] = 30.0
    assert cues(cv2, left, right, disparity, difference)['farther'][15, 30] == 3.0


def test_margin_is_high_where_only_the_match_fits_and_negative_beside_it():
    left, right, disparity, difference = scene()
    inner = np.s_[5:-5, 10:-10]
    fitting = cues(cv2, left, right, disparity, difference)['margin'][inner]
    assert (fitting == 3.0).all()  # the cost of the match is 0
    beside = cues(cv2, left, right, disparity + 1.0, difference)['margin'][inner]
    assert np.median(beside) < -0.9


def test_doubt_and_failures_come_from_the_left_right_difference():
    left, right, disparity, difference = scene()
    difference[:, 60:] = 0.25
    difference[:15] = 7.0
    disparity[:15] = NAN
    found = cues(cv2, left, right, disparity, difference)
    assert_allclose(found['doubt'][24, [10, 50]], np.log([0.01, 0.25]), rtol=1e-4)
    assert_allclose(found['failures'], np.log(8 / 30 + 0.01), rtol=1e-4)  # 8 of 30 grid rows
    without = cues(cv2, left, right, disparity, None)
    assert_allclose(without['doubt'], np.log(0.12), rtol=1e-5)
    assert_allclose(without['failures'], np.log(0.05), rtol=1e-5)


def test_contrast_is_the_spread_of_the_grey_levels():
    left = np.zeros((40, 40), np.uint8)
    left[:, ::4] = 100  # every second pixel of the grid
    zero = np.zeros((40, 40), np.float32)
    contrast = cues(cv2, left, left, zero, zero)['contrast'][10, 10]
    assert contrast == pytest.approx(np.log(1.0 + 100.0 * np.sqrt(0.24)), rel=1e-4)


def test_the_score_is_the_formula():
    left, right, disparity, difference = scene()
    difference[20, 40], difference[21, 40] = 0.5, 4.0
    disparity[44, 60] = NAN
    score = error_score(cv2, left, right, disparity, difference)
    found = cues(cv2, left, right, disparity, difference)
    at = {name: cue[10, 20] if cue.ndim else cue for name, cue in found.items()}
    exponent = WEIGHTS['constant'] + sum(WEIGHTS[name] * float(cue) for name, cue in at.items())
    base = np.hypot(np.exp(exponent), photometric_sigma(left)[20, 40])
    assert score[20, 40] == pytest.approx(base * 1.85, rel=0.01)
    assert score[21, 40] == pytest.approx(base * 2.7, rel=0.01)  # the difference counts to 1 px
    assert_array_equal(np.isnan(score), np.isnan(disparity))
    assert score.dtype == np.float32


def test_weak_texture_is_worth_its_photometric_sigma():
    # A slope of one level per 32 px: nothing but rounding noise (0.3 levels) decides.
    left = np.tile((np.arange(256) // 32).astype(np.uint8), (40, 1))
    zero = np.zeros(left.shape, np.float32)
    score = error_score(cv2, left, left, zero, zero)
    sharp = error_score(cv2, noise_image(40, 256), noise_image(40, 256), zero, zero)
    photometric = photometric_sigma(left)[20, 64]
    assert photometric > 0.1
    assert score[20, 64] > photometric
    assert score[20, 48] == 20.0  # no texture at all: the most a score can be
    assert np.median(sharp) < 0.3


def test_without_a_left_right_check_there_is_a_score():
    left, right, disparity, _ = scene(33, 57)
    disparity[3, 5] = NAN
    score = error_score(cv2, left, right, disparity, None)
    assert score.shape == (33, 57)
    assert_array_equal(np.isnan(score), np.isnan(disparity))


@pytest.mark.parametrize('shape', [(16, 16), (17, 31), (1, 1), (2, 5)])
def test_small_images_and_images_without_any_match(shape):
    left = noise_image(*shape)
    nothing = np.full(shape, NAN, np.float32)
    assert np.isnan(error_score(cv2, left, left, nothing, nothing)).all()
    zero = np.zeros(shape, np.float32)
    assert np.isfinite(error_score(cv2, left, left, zero, zero)).all()


def test_textureless_is_where_the_photometric_sigma_is_infinite():
    grey = np.full((30, 50), 90, np.uint8)
    grey[12, 33] = 91
    assert_array_equal(textureless(cv2, grey, 9), np.isinf(photometric_sigma(grey, 9, 0.3)))
    assert textureless(cv2, grey, 9).sum() < grey.size
    assert textureless(cv2, grey[:, :2], 9).all()
