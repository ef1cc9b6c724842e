"""Propagation against Monte Carlo, and the meaning of confidence."""

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import depth_from_disparity, StereoRig
from depth_perception.core.uncertainty import (
    confidence_from_sigma,
    sigma_depth_from_inverse_depth,
)
import numpy as np
import pytest

CAMERA = PinholeCamera(8, 6, 700.0, 700.0, 4.0, 3.0)
RIG = StereoRig(CAMERA, CAMERA, 0.12)


def _sigma_depth(disparity: float, sigma: float) -> float:
    depth = np.array([[RIG.focal_baseline / disparity]], np.float32)
    sigma_rho = np.array([[sigma / RIG.focal_baseline]], np.float32)
    return float(sigma_depth_from_inverse_depth(depth, sigma_rho)[0, 0])


@pytest.mark.parametrize('disparity', [40.0, 2.5, 1.4, 0.84])
def test_sigma_of_depth_is_half_the_central_68_percent_of_monte_carlo(disparity):
    # sigma_d / d = 0.6 %, 10 %, 18 % and 30 %. The standard deviation of 1 / d would be 4 % larger
    # at 10 %, because its upper tail is long; coverage is what a sigma promises.
    sigma = 0.25
    rng = np.random.default_rng(3)
    noisy = rng.normal(disparity, sigma, (1, 400_000)).astype(np.float32)
    low, high = np.percentile(depth_from_disparity(noisy, RIG), [15.865, 84.135])
    assert _sigma_depth(disparity, sigma) == pytest.approx(float(high - low) / 2.0, rel=0.01)


def test_sigma_grows_with_the_square_of_the_depth():
    # f b = 84: Z = 2.1 m at 40 px; k = 0.25 / 40.
    share = 0.25 / 40.0
    assert _sigma_depth(40.0, 0.25) == pytest.approx(2.1 * share / (1.0 - share**2))


def test_sigma_stays_finite_where_nothing_can_be_known():
    assert _sigma_depth(1.0, 2.0) == pytest.approx(84.0 * 2.0 / 0.75)


@pytest.mark.parametrize('relative_sigma', [0.02, 0.0328, 0.05, 0.1, 0.25])
def test_confidence_is_the_probability_of_an_error_below_a_tenth(relative_sigma):
    depth = np.full((2, 3), 4.0, np.float32)
    expected = math.erf(0.1 / (relative_sigma * math.sqrt(2.0)))
    confidence = confidence_from_sigma(depth, depth * np.float32(relative_sigma))
    np.testing.assert_allclose(confidence, expected, atol=2e-3)


def test_confidence_of_unknown_depth_is_zero():
    depth = np.array([[np.nan, np.inf, -np.inf, 2.0]], np.float32)
    sigma = np.array([[np.nan, np.nan, np.nan, 1e-9]], np.float32)
    assert confidence_from_sigma(depth, sigma).tolist() == [[0.0, 0.0, 0.0, 1.0]]
