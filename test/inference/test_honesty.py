"""Tests of inference.honesty."""

from dataclasses import replace

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import (
    DepthEstimate,
    NO_REPORT,
    RawScore,
    Rung,
    Scale,
    ScaleReport,
)
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.honesty import (
    HonestSigma,
    HonestyWatch,
    references_to_check,
    references_to_fit,
    split_references,
)
from depth_perception.inference.postprocess import Postprocessor, RawEstimate
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np
import pytest

CAMERA = PinholeCamera(80, 60, 70.0, 70.0, 39.5, 29.5)
SIGMA = 0.004
RHO = np.linspace(0.2, 0.8, 60)[:, None] * np.ones((60, 80))
SETTINGS = MonoEstimatorSettings(filters__flying_pixels=False)


def references(rng, count=300, sigma=1e-4):
    """Return exact references at random pixels."""
    u, v = rng.integers(0, 80, count), rng.integers(0, 60, count)
    return References(u, v, RHO[v, u], np.full(count, sigma))


def predicted(rng, factor):
    """Return inverse depth with errors of `factor` times the claimed sigma."""
    return (RHO + factor * SIGMA * rng.standard_normal(RHO.shape)).astype(np.float32)


def observed(watch, factor, frames, seed=0, **more):
    rng = np.random.default_rng(seed)
    claimed = np.full(RHO.shape, SIGMA, np.float32)
    for _ in range(frames):
        watch.observe(references(rng), predicted(rng, factor), claimed, **more)
    return watch


def test_every_fifth_reference_is_held_out():
    given = References(np.arange(100.0), np.zeros(100), np.arange(1.0, 101.0), np.ones(100))
    fit, check = split_references(given)
    assert (len(fit), len(check)) == (80, 20)
    assert set(check.u) == {4.0 + 5.0 * i for i in range(20)}
    assert not set(fit.u) & set(check.u)
    np.testing.assert_array_equal(check.rho, check.u + 1.0)


def test_few_references_are_all_needed_for_the_fit():
    given = References(np.arange(99.0), np.zeros(99), np.ones(99), np.ones(99))
    fit, check = split_references(given)
    assert (len(fit), len(check)) == (99, 0)


def test_a_shift_by_two_is_corrected_from_the_start_within_ten_frames():
    assert observed(HonestyWatch(), 2.0, 10).temperature == pytest.approx(2.0, rel=0.1)


def test_a_shift_by_two_later_on_is_corrected_within_fifty_frames():
    watch = observed(HonestyWatch(), 1.0, 100)
    assert watch.temperature == pytest.approx(1.0, rel=0.05)
    assert observed(watch, 2.0, 50, seed=1).temperature == pytest.approx(2.0, rel=0.1)
    assert watch.alarm == ''


@pytest.mark.parametrize(
    ('factor', 'temperature', 'told'), [(9.0, 4.0, 'too small'), (0.1, 0.5, 'too large')]
)
def test_beyond_the_limits_there_is_an_alarm(factor, temperature, told):
    watch = observed(HonestyWatch(), factor, 150)
    assert watch.temperature == temperature
    assert told in watch.alarm
    watch.reset()
    assert (watch.temperature, watch.alarm) == (1.0, '')


def test_errors_in_log_depth_are_taken_there():
    """A constant relative error over a range of 1 to 4 is honest in log depth."""
    rng = np.random.default_rng(3)
    watch = HonestyWatch()
    relative = np.full(RHO.shape, 0.3)
    for _ in range(40):
        rho = RHO * np.exp(relative * rng.standard_normal(RHO.shape))
        watch.observe(
            references(rng),
            rho.astype(np.float32),
            (relative * rho).astype(np.float32),
            domain='log_depth',
        )
    assert watch.temperature == pytest.approx(1.0, rel=0.05)


def test_the_part_of_the_scale_is_not_blamed_on_the_score():
    shared = np.full(RHO.shape, np.sqrt(3.0) * SIGMA, np.float32)
    watch = observed(HonestyWatch(), 2.0, 40, shared_sigma_rho=shared)
    assert watch.temperature == pytest.approx(1.0, rel=0.05)


def test_pixels_that_are_not_published_do_not_count():
    valid = np.zeros(RHO.shape, bool)
    assert observed(HonestyWatch(), 5.0, 20, valid=valid).state.frames == 0
    outside = References(np.full(50, 500.0), np.zeros(50), np.ones(50), np.ones(50))
    watch = HonestyWatch()
    watch.observe(outside, predicted(np.random.default_rng(0), 1.0), RHO.astype(np.float32))
    assert watch.state.frames == 0


def frame(rng, count=300):
    grey = Picture(np.zeros((60, 80), np.uint8), 'grey')
    return MonoFrame(grey, CAMERA, surroundings=Surroundings(references=references(rng, count)))


def run(honest, frames, factor, rung=Rung.NETWORK, settings=SETTINGS, report=NO_REPORT):
    """Return the estimates of frames whose errors are `factor` times sigma."""
    rng, found = np.random.default_rng(4), []
    for _ in range(frames):
        given = frame(rng)
        rho = predicted(rng, factor)
        score = RawScore((SIGMA / rho).astype(np.float32), 'sigma', 'log_depth')
        pixel = np.full(rho.shape, SIGMA, np.float32)
        raw = RawEstimate(rho, pixel, Scale(rung), report=report, score=score)
        estimate = Postprocessor().finish(honest.applied(raw, given, settings), given, settings)
        honest.observe(raw, estimate, given, settings)
        found.append(estimate)
    return found


def sigma_rho(estimate: DepthEstimate) -> float:
    return float(np.nanmedian(estimate.sigma / np.square(estimate.depth)))


@pytest.mark.parametrize('rung', [Rung.NETWORK, Rung.REFERENCES])
def test_the_next_frame_has_the_corrected_sigma(rung):
    found = run(HonestSigma(load_card('floor-stixels'), SETTINGS), 30, 2.0, rung)
    assert sigma_rho(found[0]) == pytest.approx(SIGMA, rel=1e-4)
    assert sigma_rho(found[1]) > 1.2 * SIGMA
    assert sigma_rho(found[-1]) == pytest.approx(2.0 * SIGMA, rel=0.1)


def test_it_can_be_switched_off():
    off = replace(SETTINGS, uncertainty__online=False)
    honest = HonestSigma(load_card('floor-stixels'), off)
    assert sigma_rho(run(honest, 10, 2.0, settings=off)[-1]) == pytest.approx(SIGMA, rel=1e-4)
    given = frame(np.random.default_rng(0))
    assert references_to_fit(given, off) is given.surroundings.references
    assert len(references_to_fit(given, SETTINGS)) == 240


def test_what_the_scale_was_fitted_to_does_not_judge_it():
    given = frame(np.random.default_rng(0))
    assert len(references_to_check(given, Rung.REFERENCES)) == 60
    assert len(references_to_check(given, Rung.FILTERED)) == 60
    assert references_to_check(given, Rung.STEREO) is given.surroundings.references
    assert references_to_check(frame(np.random.default_rng(0), 50), Rung.REFERENCES).u.size == 0


def test_a_frame_without_references_changes_nothing():
    honest = HonestSigma(load_card('floor-stixels'), SETTINGS)
    run(honest, 5, 2.0)
    before = honest.state
    bare = MonoFrame(Picture(np.zeros((60, 80), np.uint8), 'grey'), CAMERA)
    raw = RawEstimate(
        RHO.astype(np.float32), np.full(RHO.shape, SIGMA, np.float32), Scale(Rung.NETWORK)
    )
    honest.observe(raw, Postprocessor().finish(raw, bare, SETTINGS), bare, SETTINGS)
    assert honest.state == before


def test_a_temperature_that_hides_every_pixel_is_overcome():
    """Ten bad frames make sigma four times as large, more than may be published."""
    strict = replace(SETTINGS, max_relative_sigma=2.0 * SIGMA / float(RHO.min()))
    honest = HonestSigma(load_card('floor-stixels'), strict)
    assert not run(honest, 10, 9.0, settings=strict)[-1].valid[:10].any()
    found = run(honest, 250, 1.0, settings=strict)
    assert found[-1].valid.mean() > 0.9
    assert honest.state.temperature == pytest.approx(1.0, rel=0.1)


def test_references_that_the_scale_refused_do_not_count():
    honest = HonestSigma(load_card('floor-stixels'), SETTINGS)
    run(honest, 5, 9.0, report=ScaleReport(jump='held back'))
    assert honest.state.frames == 0


def matched_pair(rng):
    """Return a pair at one disparity of 8 px, and exact references to it."""
    texture = rng.integers(0, 255, (60, 120), np.uint8)
    camera = PinholeCamera(100, 60, 90.0, 90.0, 49.5, 29.5)
    left, right = (Picture(np.ascontiguousarray(texture[:, i : i + 100]), 'grey') for i in (0, 8))
    rig = StereoRig(camera, camera, 0.1)
    u, v = rng.integers(20, 90, 300), rng.integers(10, 50, 300)
    known = References(u, v, np.full(300, 8.0 / rig.focal_baseline), np.full(300, 1e-9))
    return StereoFrame(left, right, rig, surroundings=Surroundings(references=known))


def test_the_matcher_is_watched_in_the_estimator():
    """Where it matches to much less than its sigma, sigma shrinks to the half and no further."""
    pytest.importorskip('cv2')
    settings = StereoEstimatorSettings(
        model='sgbm', sgbm__num_disparities=16, uncertainty__calibration_file='none'
    )
    frame = matched_pair(np.random.default_rng(8))
    with open_estimator(settings) as estimator:
        first = estimator.estimate(frame)
        for _ in range(40):
            last = estimator.estimate(frame)
        assert estimator.sigma.state.temperature == 0.5
        assert 'too large' in estimator.sigma.alarm
        estimator.reset()
        assert estimator.sigma.alarm == ''
    both = first.valid & last.valid
    np.testing.assert_allclose(last.sigma[both], 0.5 * first.sigma[both], rtol=5e-3)
