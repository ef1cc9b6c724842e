"""Alignment, fusion and spread of several readings: closed forms and invariances."""

import math

from depth_perception.core.score_variants import (
    aligned,
    alignment,
    fused_pair,
    median_and_spread,
    mixture,
    pair_sigma,
)
from depth_perception.errors import ShapeError
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


def plane(values):
    return np.array(values, np.float32)


def test_alignment_is_least_squares():
    # Line through (0, 1), (1, 3), (2, 4): slope 1.5, intercept 7/6.
    a, b = alignment(plane([[0.0, 1.0, 2.0]]), plane([[1.0, 3.0, 4.0]]), 'affine')
    assert (a, b) == pytest.approx((1.5, 7.0 / 6.0))
    # Through the origin: (3 + 8) / 5.
    a, b = alignment(plane([[0.0, 1.0, 2.0]]), plane([[1.0, 3.0, 4.0]]), 'scale')
    assert (a, b) == pytest.approx((2.2, 0.0))
    assert alignment(plane([[5.0]]), plane([[7.0]]), 'none') == (1.0, 0.0)


def test_unknown_pixels_do_not_count_in_an_alignment():
    values, target = plane([[0.0, np.nan, 1.0, 9.0]]), plane([[1.0, 50.0, 3.0, np.nan]])
    assert alignment(values, target, 'affine') == pytest.approx((2.0, 1.0))
    found = aligned(values, target, 'affine')
    np.testing.assert_allclose(found, [[1.0, np.nan, 3.0, 19.0]], rtol=1e-6)


def test_flat_reading_becomes_the_mean_of_the_target():
    flat = np.full((2, 3), 0.1, np.float32)
    target = plane([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])
    np.testing.assert_allclose(aligned(flat, target, 'affine'), 4.0, rtol=1e-6)
    assert math.isnan(alignment(flat * np.nan, target, 'affine')[0])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 100.0),
    st.floats(-50.0, 50.0),
)
def test_scores_of_affine_readings_do_not_depend_on_their_scale_and_shift(seed, gain, shift):
    random = np.random.default_rng(seed)
    target = random.uniform(0.1, 1.0, (12, 17)).astype(np.float32)
    other = (target + random.normal(0.0, 0.05, target.shape)).astype(np.float32)
    disguised = (gain * other.astype(np.float64) + gain * shift).astype(np.float32)
    plain = pair_sigma(target, aligned(other, target, 'affine'))
    np.testing.assert_allclose(
        pair_sigma(target, aligned(disguised, target, 'affine')), plain, atol=2e-4
    )


def test_sigma_of_a_pair_is_that_of_independent_errors():
    random = np.random.default_rng(1)
    one, other = random.normal(5.0, 0.3, (2, 300, 400)).astype(np.float32)
    assert pair_sigma(one, other).mean() == pytest.approx(0.3, rel=0.01)
    np.testing.assert_allclose(
        pair_sigma(plane([[1.0]]), plane([[3.0]])), math.sqrt(math.pi), rtol=1e-6
    )


def test_pair_is_averaged_where_both_are_known():
    main, other = plane([[1.0, 2.0, np.nan]]), plane([[3.0, np.nan, 4.0]])
    np.testing.assert_array_equal(fused_pair(main, other), plane([[2.0, 2.0, np.nan]]))


def test_border_blend_is_that_of_monodepth():
    # x/W = 0, 0.05, 0.075, 0.1, 0.5, 0.925, 1: weight of the mirrored answer at the left is
    # 1 - clip(20 (x/W - 0.05), 0, 1) = 1, 1, 0.5, 0 and half of all else stays the mean.
    main, other = np.zeros((2, 41), np.float32), np.ones((2, 41), np.float32)
    fused = fused_pair(main, other, border=True)[1]
    at = [0, 2, 3, 4, 20, 37, 38, 40]
    np.testing.assert_allclose(fused[at], [1, 1, 0.75, 0.5, 0.5, 0.25, 0, 0], atol=1e-6)


def test_variance_of_a_mixture_averages_the_variances():
    means = np.array([1.0, 2.0, 6.0]).reshape(3, 1, 1)
    sigmas = np.array([0.3, 0.6, 1.2]).reshape(3, 1, 1)
    mean, sigma = mixture(means, sigmas)
    assert float(mean[0, 0]) == pytest.approx(3.0)
    # Var = (4 + 1 + 9) / 3; mean of squares = (0.09 + 0.36 + 1.44) / 3, not their sum.
    assert float(sigma[0, 0]) ** 2 == pytest.approx(14.0 / 3.0 + 0.63, rel=1e-6)
    assert float(mixture(means)[1][0, 0]) ** 2 == pytest.approx(14.0 / 3.0, rel=1e-6)


def test_mixture_and_median_leave_out_what_is_unknown():
    stack = np.array([[1.0, 5.0], [np.nan, np.nan], [3.0, np.nan]]).reshape(3, 1, 2)
    mean, sigma = mixture(stack)
    np.testing.assert_allclose(mean, [[2.0, np.nan]])
    np.testing.assert_allclose(sigma, [[1.0, np.nan]])
    middle, spread = median_and_spread(stack)
    np.testing.assert_allclose(middle, [[2.0, np.nan]])
    np.testing.assert_allclose(spread, [[1.4826, np.nan]], rtol=1e-6)


@pytest.mark.parametrize('count', [2, 3, 4, 5, 6])
def test_median_and_spread_are_those_of_numpy(count):
    random = np.random.default_rng(count)
    stack = random.normal(0.0, 1.0, (count, 9, 11))
    stack[random.random(stack.shape) < 0.2] = np.nan
    many = np.isfinite(stack).sum(axis=0) >= 2
    middle, spread = median_and_spread(stack)
    wanted = np.nanmedian(stack[:, many], axis=0)
    np.testing.assert_allclose(middle[many], wanted, rtol=1e-5, atol=1e-6)
    wanted = 1.4826 * np.nanmedian(np.abs(stack[:, many] - wanted), axis=0)
    np.testing.assert_allclose(spread[many], wanted, rtol=1e-4, atol=1e-5)
    assert np.isnan(middle[~many]).all()


def test_readings_of_different_sizes_are_refused():
    with pytest.raises(ShapeError):
        aligned(np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32), 'affine')
