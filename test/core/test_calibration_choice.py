"""Tests of core.calibration_choice."""

from depth_perception.core.calibration_choice import (
    calibrated,
    calibration_figures,
    rank_correlation,
)
from depth_perception.core.calibration_curve import PowerCurve, TableCurve
from depth_perception.core.calibration_fit import fit_power, fit_table, joined, ScoredErrors
from depth_perception.errors import CalibrationError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest


def scenes(sigma_of, gains=(1.0,) * 6, pixels=4000):
    """Return one sample per gain, of errors drawn with gain * sigma_of(score)."""
    samples = []
    for index, gain in enumerate(gains):
        rng = np.random.default_rng(index)
        score = np.exp(rng.uniform(np.log(0.05), np.log(5.0), pixels))
        error = gain * sigma_of(score) * rng.standard_normal(pixels)
        samples.append(ScoredErrors(f'scene {index}', error, score, np.zeros(pixels)))
    return samples


def steps(score):
    return np.where(score < 0.5, 0.2, 2.0)


def test_power_law_is_chosen_where_it_fits():
    found = calibrated(scenes(lambda u: np.hypot(0.5 * u, 0.1)))
    assert isinstance(found.curve, PowerCurve)
    assert found.held_out == found.power
    assert found.held_out.within_1_sigma == pytest.approx(0.683, abs=0.01)
    assert found.held_out.within_2_sigma == pytest.approx(0.954, abs=0.01)
    assert found.held_out.ence < 0.05 < found.before.ence
    assert found.held_out.ence_robust < 0.05


def test_table_is_chosen_where_no_power_law_fits():
    found = calibrated(scenes(steps))
    assert isinstance(found.curve, TableCurve)
    assert found.power.ence_robust > 0.15
    assert found.held_out == found.table
    assert found.held_out.ence_robust < 0.1


def test_no_scene_is_judged_by_a_curve_fitted_on_it():
    """The scene with the large errors is given the small sigma of the other one."""
    found = calibrated(scenes(lambda u: np.full_like(u, 0.3), gains=(1.0, 6.0)))
    assert found.held_out.spearman < -0.5
    assert found.held_out.ence_robust > 0.5


def test_scenes_that_differ_make_sigma_larger():
    alike = calibrated(scenes(lambda u: u)).curve.exact(np.ones(1))
    differing = calibrated(scenes(lambda u: u, gains=(0.7, 1.5, 1.0, 1.0, 0.7, 1.5)))
    assert differing.curve.exact(np.ones(1)) > 1.05 * alike
    assert differing.held_out.within_1_sigma == pytest.approx(0.683, abs=0.05)


@pytest.mark.parametrize(('form', 'fit'), [(lambda u: u, fit_power), (steps, fit_table)])
def test_what_held_out_scenes_lack_is_added_to_the_curve(form, fit):
    samples = scenes(form, gains=(1.0, 3.0) if fit is fit_power else (1.0, 1.3))
    found = calibrated(samples).curve
    assert isinstance(found, type(fit(joined(samples))))
    at = np.array([0.1, 1.0])
    assert (found.exact(at) > 1.01 * fit(joined(samples)).exact(at)).all()


def test_frames_of_one_bag_stay_together():
    samples = scenes(lambda u: u, gains=(1.0, 1.0))
    with pytest.raises(CalibrationError, match='at least two'):
        calibrated([ScoredErrors('bag', s.error, s.score, s.reference_sigma) for s in samples])
    assert calibrated(samples).groups == ('scene 0', 'scene 1')


def test_order_of_the_samples_does_not_matter():
    samples = scenes(lambda u: u, pixels=1000)
    first, second = calibrated(samples), calibrated(samples[::-1])
    assert first.curve.exact(np.ones(1)) == pytest.approx(second.curve.exact(np.ones(1)), rel=1e-3)


def test_figures_by_hand():
    error, sigma = np.array([0.5, -3.0, 1.5, 8.0]), np.array([1.0, 2.0, 1.0, 2.0])
    sample = ScoredErrors('a', error, np.ones(4), np.zeros(4))
    found = calibration_figures(sample, sigma)
    assert (found.pixels, found.within_1_sigma, found.within_2_sigma) == (4, 0.25, 0.75)
    assert calibration_figures(sample, sigma / 5.0).beyond_5_sigma == 0.75
    assert found.ence == pytest.approx(np.mean([0.5, 0.5, 0.5, 3.0]))
    assert found.spearman == pytest.approx(2.0 / 5.0**0.5)


def test_figures_count_the_error_of_the_truth():
    sample = ScoredErrors('a', np.array([4.9]), np.ones(1), np.array([4.0]))
    assert calibration_figures(sample, np.array([3.0])).within_1_sigma == 1.0
    assert calibration_figures(sample, np.array([3.0])).ence == pytest.approx(0.02)


def test_figures_of_nothing_are_refused():
    with pytest.raises(CalibrationError, match='no pixels'):
        calibration_figures(ScoredErrors('a', *(np.zeros(0),) * 3), np.zeros(0))


@settings(deadline=None)  # the first call imports SciPy
@given(
    first=arrays(np.float64, 30, elements=st.integers(0, 9).map(float)),
    second=arrays(np.float64, 30, elements=st.integers(0, 9).map(float)),
)
def test_rank_correlation_against_scipy(first, second):
    stats = pytest.importorskip('scipy.stats')
    if np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        assert np.isnan(rank_correlation(first, second))
    else:
        wanted = stats.spearmanr(first, second).statistic
        assert rank_correlation(first, second) == pytest.approx(wanted, abs=1e-9)


def test_held_out_sigma_is_what_the_figures_are_made_of():
    """Two samples a scene, in an order that is not that of the folds."""
    samples = scenes(lambda u: np.hypot(0.5 * u, 0.1), gains=(1.0, 1.3, 0.8, 1.0, 1.2, 0.9, 1.1))
    samples = [*samples[::-1], *scenes(lambda u: u, gains=(1.0, 1.0, 1.0), pixels=300)]
    found = calibrated(samples)
    assert set(found.held_out_sigma) == set(found.groups)
    groups = [joined([s for s in samples if s.group == name], name) for name in found.groups]
    sigma = np.concatenate([found.held_out_sigma[group.group] for group in groups])
    again = calibration_figures(joined(groups), sigma)
    assert again.within_1_sigma == found.held_out.within_1_sigma
    assert again.beyond_5_sigma == found.held_out.beyond_5_sigma
    assert again.spearman == pytest.approx(found.held_out.spearman, rel=1e-9)
