from __future__ import annotations

from depth_perception.core.matching import (
    box_sum,
    intensity_noise,
    left_right_difference,
    photometric_sigma,
    support_fraction,
)
from depth_perception.errors import ShapeError
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

NAN = np.nan


def brute_box_sum(values, window):
    half = window // 2
    padded = np.pad(values.astype(np.float64), half)
    height, width = values.shape
    return np.array(
        [
            [padded[v : v + window, u : u + window].sum() for u in range(width)]
            for v in range(height)
        ]
    )


@pytest.mark.parametrize('window', [1, 3, 5, 7, 9, 15])
def test_box_sum_equals_the_definition(window):
    values = np.random.default_rng(1).normal(size=(11, 8)).astype(np.float32)
    assert_allclose(box_sum(values, window), brute_box_sum(values, window), atol=1e-5)


@pytest.mark.parametrize('window', [0, 4, -3])
def test_box_sum_refuses_windows_without_a_centre(window):
    with pytest.raises(ShapeError, match='odd'):
        box_sum(np.zeros((4, 4), np.float32), window)


def test_left_right_difference_reads_the_right_image_at_u_minus_d():
    left = np.array([[NAN, NAN, 2.0, 1.5, 3.0, NAN]], np.float32)
    right = np.array([[2.25, 2.5, 9.0, 9.0, NAN, NAN]], np.float32)
    # u=2 -> 0: |2 - 2.25|; u=3 -> 1.5 -> rounds to 2: |1.5 - 9|; u=4 -> 1: |3 - 2.5|
    expected = [[NAN, NAN, 0.25, 7.5, 0.5, NAN]]
    assert_array_equal(left_right_difference(left, right), np.array(expected, np.float32))


def test_a_swapped_sign_makes_a_difference():
    left = np.full((4, 20), 3.0, np.float32)
    assert_array_equal(left_right_difference(left, left)[:, 3:], 0.0)
    assert_array_equal(left_right_difference(left, -left)[:, 3:], 6.0)
    assert_array_equal(left_right_difference(-left, left)[:, :17], 6.0)


def test_matches_outside_the_right_image_are_not_consistent():
    left = np.array([[1.0, 1.0, -1.0, -1.0]], np.float32)
    right = np.array([[1.0, 1.0, -1.0, -1.0]], np.float32)
    difference = left_right_difference(left, right)
    assert_array_equal(difference, np.array([[NAN, 0.0, 0.0, NAN]], np.float32))


def test_left_right_wants_one_shape():
    with pytest.raises(ShapeError, match='right'):
        left_right_difference(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32))


def test_support_counts_only_inside_the_image():
    valid = np.ones((6, 7), bool)
    assert_allclose(support_fraction(valid, 5), 1.0)
    valid[:, 3:] = False
    # Centre column 2 sees columns 0..4, of which 0..2 are true; column 0 sees 0..2, all true.
    assert_allclose(support_fraction(valid, 5)[3], [1, 0.75, 0.6, 0.4, 0.2, 0, 0], atol=1e-6)


def test_intensity_noise_finds_the_noise_on_a_slope():
    rng = np.random.default_rng(2)
    slope = np.linspace(40.0, 200.0, 320)[None, :] + np.zeros((240, 1))
    noisy = np.rint(slope + rng.normal(0.0, 2.5, slope.shape)).astype(np.uint8)
    assert intensity_noise(noisy) == pytest.approx(2.5, rel=0.08)
    assert intensity_noise(np.full((50, 60), 7, np.uint8)) == 0.3
    assert intensity_noise(np.zeros((2, 2), np.uint8)) == 0.3


def test_photometric_sigma_of_a_ramp():
    ramp = np.broadcast_to(np.arange(0, 240, 6, dtype=np.uint8), (20, 40))  # dI/dx = 6
    sigma = photometric_sigma(ramp, window=5, sigma_intensity=2.0)
    expected = np.sqrt(2 * 2.0**2 / (25 * 6.0**2) + (1 / (16 * np.sqrt(12))) ** 2)
    assert sigma.dtype == np.float32
    assert_allclose(sigma[5:15, 5:35], expected, rtol=1e-5)


def test_photometric_sigma_is_infinite_without_texture():
    stripes = np.zeros((30, 30), np.uint8)
    stripes[::2] = 200  # varies only along y: says nothing about disparity
    assert np.isposinf(photometric_sigma(stripes)).all()


def test_photometric_sigma_predicts_the_error_of_a_least_squares_shift():
    rng = np.random.default_rng(3)
    phase = np.arange(60) * 0.35
    clean = 120 + 60 * np.sin(phase)[None, :] + np.zeros((9, 1))
    gradient = 60 * 0.35 * np.cos(phase)[None, :] + np.zeros((9, 1))
    part = np.s_[:, 26:35]
    noise = rng.normal(0.0, 3.0, (2, 2000, 9, 60))
    difference = (noise[0] - noise[1])[:, :, 26:35]
    shifts = (difference * gradient[part]).sum((1, 2)) / (gradient[part] ** 2).sum()
    predicted = photometric_sigma(np.rint(clean).astype(np.uint8), 9, 3.0)[4, 30]
    rounding = 1 / (16 * np.sqrt(12))
    assert predicted == pytest.approx(np.hypot(shifts.std(), rounding), rel=0.06)
