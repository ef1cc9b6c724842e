"""Tests of inference.plain_score: what a model's own sigma is as a raw score."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.decode import Decoded
from depth_perception.inference.plain_score import disparity_score, with_relative_score
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.relative import Relative
import numpy as np
import pytest

RHO = np.array([[0.2, 0.5, 2.0]], np.float32)
NOTHING = np.zeros((), np.float32)


def test_of_a_pair_it_is_sigma_of_the_disparity():
    camera = PinholeCamera(64, 48, 400.0, 400.0, 31.5, 23.5)
    score = disparity_score(np.array([[0.01, np.nan]], np.float32), StereoRig(camera, camera, 0.1))
    assert score.domain == 'disparity_px'
    np.testing.assert_allclose(score.values, [[0.4, np.nan]], rtol=1e-6)


def test_of_one_image_it_is_sigma_of_log_depth_and_the_floor_is_apart():
    own = 0.1 * RHO
    raw = RawEstimate(RHO, np.hypot(own, np.float32(0.03)), Scale(Rung.GROUND_PLANE))
    found = with_relative_score(raw, Decoded(RHO, own, None, None))
    np.testing.assert_allclose(found.score.values, 0.1, rtol=1e-6)
    np.testing.assert_allclose(found.shared_sigma_rho, 0.03, rtol=1e-4)
    assert found.score.domain == 'log_depth'


@pytest.mark.parametrize('domain', ['inverse_depth', 'depth'])
def test_of_a_relative_network_it_is_taken_after_the_scale(domain):
    sigma = np.array([[0.02, 0.04, 0.08]], np.float32)
    relative = Relative(RHO, sigma, np.float32(0.05) + NOTHING, None, domain, affine=True)
    metric = RHO if domain == 'inverse_depth' else 1.0 / RHO
    wanted = np.hypot(0.5 * sigma / metric, 0.05)
    total = np.hypot(wanted * RHO, np.float32(0.01))
    raw = RawEstimate(RHO, total.astype(np.float32), Scale(Rung.REFERENCES, s=0.5))
    found = with_relative_score(raw, relative)
    np.testing.assert_allclose(found.score.values, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.shared_sigma_rho, 0.01, rtol=1e-3)


def test_of_a_network_that_says_nothing_it_is_what_the_card_says():
    relative = Relative(RHO, NOTHING, np.full((), 0.1, np.float32), None, 'depth', affine=True)
    raw = RawEstimate(RHO, (0.1 * RHO).astype(np.float32), Scale(Rung.PRIOR))
    found = with_relative_score(raw, relative)
    np.testing.assert_allclose(found.score.values, 0.1)
    assert found.score.values.shape == RHO.shape
