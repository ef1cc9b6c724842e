"""Tests of evaluation.calibrate_unit: which pixels are taken, and in which domain."""

from types import SimpleNamespace

from depth_perception.core.calibration_fit import spread_places
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Disparity, RawScore, Rung, Scale
from depth_perception.core.stereo import depth_from_disparity, StereoRig
from depth_perception.errors import ModelError
from depth_perception.evaluation.calibrate_unit import (
    _check_score,
    _Thinning,
    Collected,
    Collecting,
    frame_errors,
    FrameErrors,
    TruthSigma,
)
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.truth import Truth
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = PinholeCamera(30, 20, 100.0, 100.0, 14.5, 9.5)
RIG = StereoRig(CAMERA, PinholeCamera(30, 20, 100.0, 100.0, 17.5, 9.5), 0.2)
TRUE_PX = np.linspace(2.0, 12.0, 600, dtype=np.float32).reshape(20, 30)
ERROR_PX = 0.25


def served(domain, *, pair=True, scale_sigma=0.0):
    """Return a frame whose disparity is everywhere 0.25 px too large."""
    disparity = TRUE_PX + np.float32(ERROR_PX)
    depth = depth_from_disparity(disparity, RIG)
    depth[0, :] = np.nan
    disparity[0, :] = np.nan
    values = np.arange(600, dtype=np.float32).reshape(20, 30) + np.float32(1.0)
    estimate = DepthEstimate(
        depth,
        np.where(np.isfinite(depth), np.float32(0.1), np.float32(np.nan)),
        np.isfinite(depth),
        CAMERA,
        Scale(Rung.STEREO, sigma_relative=scale_sigma),
        disparity=Disparity(disparity, RIG, 0.0, 32.0) if pair else None,
        score=RawScore(values, 'test', domain),
    )
    return SimpleNamespace(
        estimate=estimate, rig=RIG if pair else None, frame=SimpleNamespace(stamp_ns=7)
    )


def work(truth_sigma=TruthSigma(), **options):  # noqa: B008 - frozen
    unit = SimpleNamespace(options=JudgeOptions(**options))
    return Collecting(unit, truth_sigma)


def true_depth():
    return depth_from_disparity(TRUE_PX, RIG)


def test_errors_of_disparity_are_pixels_whatever_the_truth_is():
    for truth in (Truth(true_depth()), Truth(np.full((20, 30), np.nan, np.float32), TRUE_PX)):
        found = frame_errors(served('disparity_px'), truth, work())
        assert found.error.size == 19 * 30
        np.testing.assert_allclose(found.error, ERROR_PX, atol=2e-4)
        np.testing.assert_array_equal(found.score, np.arange(31.0, 601.0))
        np.testing.assert_allclose(found.truth_m, true_depth()[1:].ravel(), rtol=1e-5)


def test_errors_of_log_depth_and_inverse_depth():
    truth = Truth(true_depth())
    total = TRUE_PX[1:].ravel() + RIG.doffs_px
    found = frame_errors(served('log_depth', pair=False), truth, work())
    np.testing.assert_allclose(found.error, np.log(total / (total + ERROR_PX)), atol=1e-5)
    found = frame_errors(served('inverse_depth_1_per_m', pair=False), truth, work())
    np.testing.assert_allclose(found.error, ERROR_PX / RIG.focal_baseline, atol=1e-5)


@pytest.mark.parametrize('domain', ['disparity_px', 'log_depth', 'inverse_depth_1_per_m'])
def test_sigma_of_the_truth_is_in_the_domain(domain):
    """By the numerical derivative of the domain over depth."""
    to_domain = {
        'disparity_px': lambda z: RIG.focal_baseline / z,
        'log_depth': np.log,
        'inverse_depth_1_per_m': np.reciprocal,
    }[domain]
    found = frame_errors(served(domain), Truth(true_depth()), work(TruthSigma(0.02, 0.01)))
    depth = found.truth_m.astype(np.float64)
    slope = (to_domain(depth + 1e-4) - to_domain(depth - 1e-4)) / 2e-4
    wanted = np.abs(slope) * np.hypot(0.02, 0.01 * depth)
    np.testing.assert_allclose(found.reference_sigma, wanted, rtol=1e-3)


def test_sigma_of_a_true_disparity_is_in_pixels():
    truth = Truth(true_depth(), TRUE_PX)
    found = frame_errors(served('disparity_px'), truth, work(TruthSigma(disparity_px=0.3)))
    np.testing.assert_allclose(found.reference_sigma, 0.3, rtol=1e-5)


def test_doubt_about_the_scale_is_not_blamed_on_the_score():
    doubtful = served('log_depth', pair=False, scale_sigma=0.04)
    found = frame_errors(doubtful, Truth(true_depth()), work(TruthSigma(relative=0.03)))
    np.testing.assert_allclose(found.reference_sigma, 0.05, rtol=1e-5)


@pytest.mark.parametrize(
    ('score', 'before', 'told'),
    [
        (None, '', 'gives no raw score'),
        (RawScore(TRUE_PX, 'o', 'output'), '', 'something else in every frame'),
        (RawScore(TRUE_PX, 'flip', 'log_depth'), 'edge', "from 'edge' to 'flip'"),
    ],
)
def test_scores_that_cannot_be_calibrated_are_refused(score, before, told):
    one = SimpleNamespace(estimate=SimpleNamespace(score=score))
    unit = SimpleNamespace(model=SimpleNamespace(label='net'))
    with pytest.raises(ModelError, match=told):
        _check_score(Collected(before, 'log_depth'), one, unit)


def test_crop_and_caps_hold():
    found = frame_errors(served('disparity_px'), Truth(true_depth()), work(min_m=2.0, max_m=3.0))
    assert 0 < found.error.size < 300
    assert found.truth_m.min() > 2.0
    assert found.truth_m.max() < 3.0


def test_a_frame_gives_at_most_its_share():
    one = Collecting(work().unit, frame_pixels=50)
    found = frame_errors(served('disparity_px'), Truth(true_depth()), one)
    assert found.error.size == 50
    again = frame_errors(served('disparity_px'), Truth(true_depth()), one)
    np.testing.assert_array_equal(found.score, again.score)
    assert np.diff(found.score).min() >= 1.0
    assert np.diff(found.score).max() < 30.0


@given(st.integers(0, 400), st.integers(1, 100))
def test_places_are_true_pixels_in_order(count, limit):
    usable = np.zeros((20, 30), bool)
    usable.reshape(-1)[np.random.default_rng(count).permutation(600)[:count]] = True
    places = spread_places(usable, limit)
    assert places.size == min(count, limit)
    assert usable.reshape(-1)[places].all()
    assert (np.diff(places) >= 0).all()


def errors(number, size):
    values = np.full(size, number, np.float32)
    return FrameErrors(number, values, values, values, np.arange(size, dtype=np.float32))


@pytest.mark.parametrize('count', [3, 40, 1000])
def test_a_long_bag_stays_below_its_limit_with_equal_shares(count):
    thinning, frames, most = _Thinning(2000), [], 0
    for number in range(count):
        thinning.add(frames, errors(number, 100), number)
        most = max(most, sum(frame.error.size for frame in frames))
    assert most <= 2000
    sizes = [frame.error.size for frame in frames]
    assert sum(sizes) >= min(1000, 100 * count)
    assert max(sizes) - min(sizes) <= 1
    assert [frame.stamp_ns for frame in frames] == sorted(frame.stamp_ns for frame in frames)
    assert all(frame.error.base is None for frame in frames)  # holds no more than it shows
    assert frames[0].stamp_ns < 10
    assert frames[-1].stamp_ns > count - 10


def test_more_frames_than_pixels_keep_some_of_them():
    thinning, frames = _Thinning(50), []
    for number in range(500):
        thinning.add(frames, errors(number, 3), number)
    assert 10 <= len(frames) <= 50
    assert frames[-1].stamp_ns > 350
