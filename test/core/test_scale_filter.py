"""The filter of scale and shift: blending, the gate, and lasting changes."""

from depth_perception.core.scale_filter import Event, FilterRules, ScaleFilter
from depth_perception.core.scale_types import ScaleFit
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

O = 50.0  # noqa: E741
FRAME_S = 1.0 / 15.0


def fit_of(s, t, relative=0.01, sigma_t=0.005):
    return ScaleFit(s, t, np.diag([(relative * s) ** 2, sigma_t**2]))


def feed(scale_filter, fit):
    scale_filter.predict(FRAME_S, O)
    return scale_filter.update(fit, FRAME_S, O)


def test_first_fit_is_taken_as_it_is():
    scale_filter = ScaleFilter()
    assert scale_filter.estimate() is None
    assert feed(scale_filter, fit_of(0.02, 0.3)).event is Event.STARTED
    state = scale_filter.estimate()
    assert (state.s, state.t) == pytest.approx((0.02, 0.3))
    np.testing.assert_allclose(state.covariance, np.diag([0.0002**2, 0.005**2]), rtol=1e-9)


def test_two_equal_fits_meet_in_the_middle_with_half_the_variance():
    scale_filter = ScaleFilter(FilterRules(scale_rate=0.0, shift_rate=0.0))
    feed(scale_filter, fit_of(1.00, 0.30))
    update = feed(scale_filter, fit_of(1.01, 0.304))
    state = scale_filter.estimate()
    # Squared distance: log(1.01)^2 / (2 * 0.01^2) + 0.004^2 / (2 * 0.005^2).
    assert update.mahalanobis == pytest.approx(0.495 + 0.32, abs=2e-3)
    assert update.event is Event.ACCEPTED
    assert state.s == pytest.approx(1.01**0.5, rel=1e-3)
    assert state.t == pytest.approx(0.302, abs=1e-4)
    assert state.covariance[1, 1] == pytest.approx(0.5 * 0.005**2, rel=0.02)


def test_covariance_grows_as_a_random_walk():
    scale_filter = ScaleFilter(FilterRules(scale_rate=0.2, shift_rate=0.1))
    feed(scale_filter, fit_of(0.02, 0.5))
    scale_filter.predict(2.0, O)
    covariance = scale_filter.estimate().covariance
    assert covariance[0, 0] == pytest.approx(0.02**2 * (0.01**2 + 0.04 * 2.0), rel=1e-6)
    assert covariance[1, 1] == pytest.approx(0.005**2 + (0.1 * 1.5) ** 2 * 2.0, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([0.7, 1.3]), st.floats(0.0, 3.0), st.integers(0, 999))
def test_a_jump_of_one_frame_never_moves_the_state(factor, gap_s, seed):
    generator = np.random.default_rng(seed)
    scale_filter = ScaleFilter()
    for _ in range(10):
        feed(scale_filter, fit_of(0.02 * generator.normal(1.0, 0.01), 0.3))
    before = scale_filter.estimate()
    scale_filter.predict(gap_s, O)
    update = scale_filter.update(fit_of(0.02 * factor, 0.3 * factor), gap_s, O)
    after = scale_filter.estimate()
    assert update.event is Event.REJECTED
    assert update.jump == pytest.approx(factor - 1.0, abs=0.07)
    assert (after.s, after.t) == (before.s, before.t)
    assert feed(scale_filter, fit_of(0.02, 0.3)).event is Event.ACCEPTED


def test_a_lasting_change_is_believed_at_the_third_fit():
    scale_filter = ScaleFilter()
    for _ in range(5):
        feed(scale_filter, fit_of(0.02, 0.3))
    events = [feed(scale_filter, fit_of(0.026 * noise, 0.39)).event for noise in (1, 1.01, 0.99)]
    assert events == [Event.REJECTED, Event.REJECTED, Event.RESTARTED]
    assert scale_filter.estimate().s == pytest.approx(0.026 * 0.99)


def test_jumps_that_do_not_agree_are_not_believed():
    scale_filter = ScaleFilter()
    feed(scale_filter, fit_of(0.02, 0.3))
    for factor in (1.3, 0.6, 1.4, 0.5, 1.8, 0.7):
        assert feed(scale_filter, fit_of(0.02 * factor, 0.3 * factor)).event is Event.REJECTED
    assert scale_filter.estimate().s == pytest.approx(0.02)


def test_an_accepted_fit_between_jumps_starts_the_count_again():
    scale_filter = ScaleFilter()
    feed(scale_filter, fit_of(0.02, 0.3))
    for _ in range(4):
        for factor in (1.3, 1.3, 1.0):
            event = feed(scale_filter, fit_of(0.02 * factor, 0.3 * factor)).event
            assert event is (Event.ACCEPTED if factor == 1.0 else Event.REJECTED)


def test_scale_alone_without_a_shift():
    scale_filter = ScaleFilter(FilterRules(affine=False, scale_rate=0.0))
    for s in (1.0, 1.01, 0.99):
        feed(scale_filter, ScaleFit(s, 0.0, np.diag([1e-4, 0.0])))
    state = scale_filter.estimate()
    assert state.t == 0.0
    assert state.s == pytest.approx(1.0, abs=2e-3)
    assert state.covariance[0, 0] == pytest.approx(1e-4 / 3.0, rel=0.05)
    assert not state.covariance[1].any()


def test_a_fit_without_doubt_does_not_break_the_filter():
    scale_filter = ScaleFilter(FilterRules(scale_rate=0.0, shift_rate=0.0))
    exact = ScaleFit(0.02, 0.3, np.zeros((2, 2)))
    feed(scale_filter, exact)
    assert feed(scale_filter, exact).event is Event.ACCEPTED
    assert np.isfinite(scale_filter.estimate().covariance).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.8, 1.25), st.floats(-0.02, 0.02)), max_size=30))
def test_covariance_stays_positive_whatever_comes(steps):
    scale_filter = ScaleFilter()
    for factor, t in [(1.0, 0.0), *steps]:
        feed(scale_filter, fit_of(0.02 * factor, t))
        covariance = scale_filter.estimate().covariance
        assert (np.linalg.eigvalsh(covariance) >= -1e-15).all()


def test_a_falling_row_of_jumps_is_not_one_change():
    scale_filter = ScaleFilter()
    feed(scale_filter, fit_of(0.02, 0.3))
    for factor in (2.2, 1.6, 0.6, 0.4, 0.25):
        assert feed(scale_filter, fit_of(0.02 * factor, 0.3 * factor)).event is Event.REJECTED


def test_sure_jumps_that_differ_by_a_tenth_are_not_one_change():
    scale_filter = ScaleFilter(FilterRules(scale_rate=0.0, shift_rate=0.0))
    for factor in (1.0, 1.3, 1.43, 1.573):
        event = feed(scale_filter, fit_of(0.02 * factor, 0.3 * factor)).event
        assert event is (Event.STARTED if factor == 1.0 else Event.REJECTED)


def test_kappa_widens_the_covariance_of_fits():
    scale_filter = ScaleFilter(FilterRules(kappa=4.0))
    feed(scale_filter, fit_of(0.02, 0.3))
    covariance = scale_filter.estimate().covariance
    np.testing.assert_allclose(covariance, np.diag([4.0 * 0.0002**2, 4.0 * 0.005**2]), rtol=1e-9)


def test_fits_that_contradict_a_supposed_scale_count_on():
    scale_filter, far = ScaleFilter(), fit_of(0.026, 0.39)
    events = []
    for _ in range(3):
        scale_filter.suppose(fit_of(0.02, 0.3, relative=0.3, sigma_t=0.1))
        events.append(feed(scale_filter, far).event)
    assert events == [Event.REJECTED, Event.REJECTED, Event.RESTARTED]
    for _ in range(2):
        scale_filter.suppose(fit_of(0.02, 0.3, relative=0.3, sigma_t=0.1))
        assert feed(scale_filter, far).event is Event.REJECTED
    scale_filter.reset()  # and forget it all
    scale_filter.suppose(fit_of(0.02, 0.3, relative=0.3, sigma_t=0.1))
    assert feed(scale_filter, far).event is Event.REJECTED
