from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.core.summary import summarise
import numpy as np
import pytest


def estimate(known):
    """Return an estimate of 8x4 px whose sigma is 1 to 4 % of the depth, row by row."""
    depth = np.full((4, 8), 2.0, np.float32)
    sigma = depth * np.array([[0.01], [0.02], [0.03], [0.04]], np.float32)
    depth[~known], sigma[~known] = np.nan, np.nan
    camera = PinholeCamera(8, 4, 5.0, 5.0, 3.5, 1.5)
    return DepthEstimate(depth, sigma, known, camera, Scale(Rung.STEREO))


def test_summary_counts_known_pixels_and_takes_their_median():
    known = np.ones((4, 8), bool)
    known[0, :], known[3, 5:] = False, False
    summary = summarise(estimate(known), stride=1)
    assert summary.valid_percent == pytest.approx(100.0 * 21 / 32)
    assert summary.median_relative_sigma == pytest.approx(0.03)


def test_pixels_beyond_the_range_are_known_though_not_valid():
    known = np.ones((4, 8), bool)
    known[0, :] = False
    some = estimate(known)
    depth = some.depth.copy()
    depth[0, :6] = np.inf
    far = DepthEstimate(depth, some.sigma, some.valid, some.camera, some.scale)
    summary = summarise(far, stride=1)
    assert summary.valid_percent == pytest.approx(75.0)
    assert summary.known_percent == pytest.approx(100.0 * 30 / 32)


def test_summary_of_nothing_is_unknown():
    summary = summarise(estimate(np.zeros((4, 8), bool)))
    assert summary.valid_percent == 0.0
    assert np.isnan(summary.median_relative_sigma)
