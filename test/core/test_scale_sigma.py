"""Sigma of inverse depth and depth against Monte Carlo, and what is invalid."""

from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.scale_sigma import (
    depth_with_sigma,
    metric_depth,
    metric_inverse_depth,
    scaled_output,
)
from hypothesis import assume, given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest

DRAWS = 200_000
NORMAL = np.random.default_rng(7).standard_normal((3, DRAWS))
NORMAL -= NORMAL.mean(axis=1, keepdims=True)
NORMAL = np.linalg.solve(np.linalg.cholesky(np.cov(NORMAL)), NORMAL)  # white to the last digit


def scale_of(s, t, s_sigma, t_sigma, correlation, **extra):
    cross = correlation * s_sigma * t_sigma
    covariance = ((s_sigma**2, cross), (cross, t_sigma**2))
    return Scale(extra.pop('rung', Rung.REFERENCES), s, t, covariance, **extra)


def half_width(values):
    low, high = np.percentile(values, (15.8655, 84.1345))
    return 0.5 * (high - low)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.floats(0.02, 1.5),
    st.floats(-0.5, 0.5),
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.5),
    st.floats(-0.95, 0.95),
    st.floats(0.0, 0.25),
)
def test_agrees_with_monte_carlo_over_the_stated_domain(rho, t, s_share, t_share, r, o_share):
    s = 0.013
    assume(rho - t > 0.01)
    scale = scale_of(s, t, s_share * s, t_share * rho, r)
    o, o_sigma = (rho - t) / s, o_share * rho / s
    got, sigma = metric_inverse_depth(
        np.full((1, 1), o, np.float32), np.full((1, 1), o_sigma, np.float32), scale
    )
    assume(np.isfinite(sigma[0, 0]))
    assume(sigma[0, 0] > 1e-4 * rho)
    s_draws = s + s_share * s * NORMAL[0]
    t_draws = t + t_share * rho * (r * NORMAL[0] + np.sqrt(1.0 - r * r) * NORMAL[1])
    draws = s_draws * (o + o_sigma * NORMAL[2]) + t_draws
    assert got[0, 0] == pytest.approx(rho, rel=1e-4)
    assert sigma[0, 0] == pytest.approx(half_width(draws), rel=0.03)
    _, depth_sigma = depth_with_sigma(got, sigma)
    assert depth_sigma[0, 0] == pytest.approx(half_width(1.0 / draws), rel=0.03)


@pytest.mark.parametrize('share', [0.05, 0.18, 0.299])
def test_depth_sigma_is_exact_for_normal_inverse_depth(share):
    rho = np.full((1, 1), 0.25, np.float32)
    depth, sigma = depth_with_sigma(rho, share * rho)
    assert depth[0, 0] == 4.0
    assert sigma[0, 0] == pytest.approx(half_width(4.0 / (1.0 + share * NORMAL[0])), rel=0.005)


def test_far_limit_is_invalid_and_never_clamped():
    scale = scale_of(0.1, 0.0, 0.0, 0.0, 0.0)
    output = np.array([[2.0, 2.0, -1.0, 0.0, np.nan]], np.float32)
    sigma_output = np.array([[0.58, 0.62, 0.1, 0.1, 0.1]], np.float32)
    rho, sigma = metric_inverse_depth(output, sigma_output, scale)
    assert np.isfinite(rho).tolist() == [[True, False, False, False, False]]
    assert (np.isfinite(rho) == np.isfinite(sigma)).all()
    assert sigma[0, 0] == pytest.approx(0.058)


def test_a_doubtful_scale_costs_only_the_pixels_that_it_makes_doubtful():
    # s is known to 60 %, but s and t err together: at o = 5 the inverse depth is sure.
    scale = scale_of(0.1, 0.5, 0.06, 0.3, -0.9999)
    output = np.array([[5.0, 15.0]], np.float32)
    rho, sigma = scaled_output(output, 0.0, scale)
    assert sigma[0, 0] < 0.01
    assert sigma[0, 1] == pytest.approx(0.6, rel=0.01)
    rho, _ = metric_inverse_depth(output, 0.0, scale)
    assert np.isfinite(rho).tolist() == [[True, False]]


def test_products_of_errors_are_counted_and_bounded():
    # sigma_s / s = 0.5, so the product has a fifth of the variance that s and o alone bring ...
    scale = scale_of(0.1, 0.2, 0.05, 0.0, 0.0)
    _, sigma = scaled_output(np.array([[0.0, 40.0]], np.float32), 1.0, scale)
    assert np.isinf(sigma[0, 0])  # ... where nothing else is added
    expected = np.sqrt((0.1**2 + 0.05**2) + (0.05 * 40.0) ** 2)
    assert sigma[0, 1] == pytest.approx(expected, rel=1e-6)


def test_a_stored_prior_is_judged_by_what_the_pixel_adds():
    scale = scale_of(0.1, 0.0, 0.03, 0.0, 0.0, rung=Rung.PRIOR, sigma_relative=0.3)
    output = np.full((1, 2), 5.0, np.float32)
    rho, sigma = metric_inverse_depth(output, np.array([[1.0, 1.6]]), scale)
    assert np.isfinite(rho).tolist() == [[True, False]]
    expected = np.sqrt(0.3**2 + (1.0 + 0.3**2) * 0.2**2)  # the product of both errors, too
    assert sigma[0, 0] / rho[0, 0] == pytest.approx(expected, rel=1e-4)


def test_sigma_doubles_where_the_references_do_not_reach():
    scale = scale_of(0.1, 0.0, 0.001, 0.0, 0.0)
    output = np.array([[1.9, 2.1, 7.9, 8.1]], np.float32)
    _, inside = metric_inverse_depth(output, 0.05, scale)
    _, sigma = metric_inverse_depth(output, 0.05, scale, (2.0, 8.0))
    np.testing.assert_allclose(sigma / inside, [[2.0, 1.0, 1.0, 2.0]], rtol=1e-6)


def test_strongly_correlated_covariance_does_not_cancel():
    # o near 1e4: [o 1] C [o 1]^T is 1e-4 of its parts, which float32 about o = 0 would lose.
    scale = scale_of(1e-4, -0.5, 1e-5, 0.1, -0.999999)  # sigma_s / s is 0.1
    output = np.array([[1.0e4, 1.02e4]], np.float32)
    _, sigma = metric_inverse_depth(output, 0.0, scale)
    (ss, cross), (_, tt) = scale.covariance
    o = output.astype(np.float64)
    np.testing.assert_allclose(sigma, np.sqrt(ss * o * o + 2.0 * cross * o + tt), rtol=1e-4)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_depth_in_one_go_equals_the_two_steps(dtype):
    generator = np.random.default_rng(3)
    output = generator.uniform(-5.0, 80.0, (150, 40)).astype(dtype)
    output[3, 4] = np.nan
    scale = scale_of(0.013, -0.07, 5e-4, 0.01, -0.6)
    wanted = depth_with_sigma(*metric_inverse_depth(output, 2.0, scale, (10.0, 70.0)))
    got = metric_depth(output, 2.0, scale, (10.0, 70.0))
    np.testing.assert_array_equal(got, wanted)
    assert got[0].dtype == got[1].dtype == np.float32
    assert 0.5 < np.isfinite(got[0]).mean() < 0.95


def test_part_of_the_scale_is_told_apart():
    scale = scale_of(0.1, 0.2, 0.01, 0.03, -0.5)
    output = np.array([[1.0, 5.0, 40.0]], np.float32)
    shared = np.empty((1, 3), np.float32)
    _, sigma = scaled_output(output, 0.3, scale, (0.0, 10.0), 0.05, shared)
    o = output.astype(np.float64)
    common = np.sqrt((0.01 * o) ** 2 + 2.0 * (-0.5 * 0.01 * 0.03) * o + 0.03**2)
    wide = np.array([[1.0, 1.0, 2.0]])
    np.testing.assert_allclose(shared, wide * common, rtol=1e-5)
    own = (0.1**2 + 0.01**2) * 0.3**2 + (0.05 * (0.1 * o + 0.2)) ** 2
    np.testing.assert_allclose(sigma, wide * np.sqrt(own + common**2), rtol=1e-5)


@pytest.mark.parametrize('bounds', [(2.0, np.inf), (-np.inf, 8.0), (2.0, 8.0), (-1.0, 99.0)])
def test_sigma_doubles_on_the_side_that_is_not_covered_in_any_block_of_rows(bounds):
    scale = scale_of(0.1, 0.2, 0.01, 0.03, -0.5)
    output = np.full((150, 3), 5.0, np.float32)
    output[70], output[140] = (1.9, np.nan, 2.0), (8.0, 8.1, np.nan)
    shared, single = np.empty_like(output), np.empty_like(output)
    _, sigma = scaled_output(output, 0.0, scale, bounds, 0.05, shared)
    _, inside = scaled_output(output, 0.0, scale, (-np.inf, np.inf), 0.05, single)
    factor = np.where((output < bounds[0]) | (output > bounds[1]), 2.0, 1.0)
    np.testing.assert_allclose(sigma, factor * inside, rtol=1e-6)
    np.testing.assert_allclose(shared, factor * single, rtol=1e-6)
