"""Tests of core.confidence."""

from depth_perception.core.calibration_fit import HALF_WIDTH
from depth_perception.core.confidence import probability_within
from depth_perception.errors import SettingsError
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

TAILS = ('gauss', 'student4')


def at(depth, sigma, *args, **kwargs):
    one = [np.full((1, 1), value, np.float32) for value in (depth, sigma)]
    return float(probability_within(*one, *args, **kwargs)[0, 0])


@pytest.mark.parametrize('tail', TAILS)
def test_bound_of_one_sigma_holds_for_68_per_cent(tail):
    assert at(3.0, 0.3, 0.1, tail) == pytest.approx(0.6827, abs=2e-3)
    assert at(7.0, 1.4, 0.2, tail) == pytest.approx(0.6827, abs=2e-3)


def test_half_width_against_scipy():
    stats = pytest.importorskip('scipy.stats')
    assert stats.t(4).ppf(0.5 + 0.682689492 / 2) == pytest.approx(HALF_WIDTH, abs=2e-6)


@settings(deadline=None)  # the first call imports SciPy
@given(deviations=st.floats(0.01, 50.0))
def test_student_is_the_exact_distribution(deviations):
    stats = pytest.importorskip('scipy.stats')
    wanted = 1.0 - 2.0 * stats.t(4).sf(HALF_WIDTH * deviations)
    assert at(5.0, 0.5 / deviations) == pytest.approx(wanted, abs=2e-6)


@settings(deadline=None)  # the first call imports SciPy
@given(deviations=st.floats(0.01, 50.0))
def test_gauss_is_the_error_function(deviations):
    special = pytest.importorskip('scipy.special')
    wanted = special.erf(deviations / 2.0**0.5)
    assert at(5.0, 0.5 / deviations, tail='gauss') == pytest.approx(wanted, abs=4e-3)


@pytest.mark.parametrize('tail', TAILS)
def test_no_depth_or_no_sigma_is_no_confidence(tail):
    depth = np.array([[np.nan, np.inf, -np.inf, 2.0, 2.0, 2.0]], np.float32)
    sigma = np.array([[0.1, 0.1, 0.1, np.nan, 0.0, -0.1]], np.float32)
    assert not probability_within(depth, sigma, tail=tail).any()


@pytest.mark.parametrize('tail', TAILS)
def test_extremes_stay_within_0_and_1(tail):
    depth = np.array([[1e-3, 80.0, 200.0]], np.float32)
    sigma = np.array([[1e6, 1e-6, 1e-4]], np.float32)
    found = probability_within(depth, sigma, tail=tail)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx([0.0, 1.0, 1.0], abs=1e-6)
    assert (found <= 1.0).all()


def test_promise_is_kept_by_errors_of_its_distribution():
    rng = np.random.default_rng(2)
    depth = rng.uniform(1.0, 9.0, (300, 400)).astype(np.float32)
    sigma = (depth * rng.uniform(0.02, 0.3, depth.shape)).astype(np.float32)
    error = sigma / HALF_WIDTH * rng.standard_t(4, depth.shape)
    promised = probability_within(depth, sigma)
    kept = np.abs(error) <= 0.1 * depth
    for low in (0.3, 0.5, 0.7, 0.9):
        chosen = (promised >= low) & (promised < low + 0.1)
        assert kept[chosen].mean() == pytest.approx(promised[chosen].mean(), abs=0.02)


@pytest.mark.parametrize('tail', TAILS)
def test_gross_errors_limit_the_promise(tail):
    assert at(5.0, 1e-4, tail=tail, gross_share=0.02) == pytest.approx(0.98, abs=1e-5)
    assert at(3.0, 0.3, tail=tail, gross_share=0.5) == pytest.approx(0.3413, abs=1e-3)


def test_impossible_bound_or_tail_is_refused():
    with pytest.raises(SettingsError, match='above 0'):
        at(1.0, 0.1, 0.0)
    with pytest.raises(SettingsError, match='gross_share'):
        at(1.0, 0.1, gross_share=1.0)
    with pytest.raises(SettingsError, match='cauchy'):
        at(1.0, 0.1, tail='cauchy')
