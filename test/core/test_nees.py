"""Tests of core.nees."""

from depth_perception.core.nees import nees_of, NeesMonitor
from depth_perception.errors import SettingsError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


def drawn(true, claimed, references=400, seed=0, reference=0.0):
    """Return errors of a true sigma together with a claimed one."""
    rng = np.random.default_rng(seed)
    error = np.hypot(true, reference) * rng.standard_normal(references)
    return error, np.full(references, claimed)


def test_nees_by_hand():
    """Quotients 0.6, 1 and 1.2: none is beyond three robust deviations."""
    found = nees_of(np.array([-3.0, 5.0, 6.0]), np.full(3, 3.0), np.full(3, 4.0))
    assert found == pytest.approx((0.36 + 1.0 + 1.44) / 3.0 / 0.995)


@pytest.mark.parametrize('ratio', [0.7, 1.0, 2.5])
def test_nees_of_a_gaussian_is_the_square_of_the_ratio(ratio):
    assert nees_of(*drawn(0.2 * ratio, 0.2, 200_000)) == pytest.approx(ratio**2, rel=0.02)


def test_error_of_the_references_counts():
    found = nees_of(*drawn(0.3, 0.3, 200_000, reference=0.4), 0.4)
    assert found == pytest.approx(1.0, rel=0.02)


def test_one_wild_reference_does_not_rule_the_frame():
    error, sigma = drawn(0.2, 0.2)
    clean = nees_of(error, sigma)
    error[7] = 1e4
    assert nees_of(error, sigma) == pytest.approx(clean, rel=0.05)


def test_nees_of_nothing_and_of_perfection():
    assert np.isnan(nees_of(np.zeros(0), np.zeros(0)))
    assert nees_of(np.zeros(5), np.ones(5)) == 0.0


def test_temperature_settles_at_the_ratio():
    monitor = NeesMonitor(memory_frames=20)
    for frame in range(100):
        state = monitor.update(*drawn(0.4, 0.2, seed=frame))
    assert state.temperature == pytest.approx(2.0, rel=0.05)
    assert (state.alarm, state.frames) == (False, 100)


def test_first_frames_are_averaged_with_one_of_nees_1():
    monitor = NeesMonitor(memory_frames=10)
    found = [nees_of(*drawn(0.4, 0.2, seed=frame)) for frame in range(2)]
    for frame in range(2):
        state = monitor.update(*drawn(0.4, 0.2, seed=frame))
    assert state.nees == pytest.approx((1.0 + sum(found)) / 3.0)


def test_change_is_followed_with_the_memory():
    monitor = NeesMonitor(memory_frames=10)
    for frame in range(60):
        before = monitor.update(*drawn(0.2, 0.2, seed=frame)).nees
    error, sigma = drawn(0.6, 0.2, seed=99)
    after = monitor.update(error, sigma)
    assert after.nees == pytest.approx(0.9 * before + 0.1 * nees_of(error, sigma))


@pytest.mark.parametrize(('ratio', 'limit'), [(20.0, 4.0), (0.02, 0.5)])
def test_beyond_the_limits_is_an_alarm(ratio, limit):
    monitor = NeesMonitor(memory_frames=5)
    for frame in range(40):
        state = monitor.update(*drawn(0.2 * ratio, 0.2, seed=frame))
    assert state.alarm
    assert state.temperature == limit
    monitor.reset()
    assert (monitor.state.temperature, monitor.state.frames) == (1.0, 0)


def test_alarm_ends_when_the_world_is_known_again():
    monitor = NeesMonitor(memory_frames=5)
    for frame in range(20):
        monitor.update(*drawn(2.0, 0.2, seed=frame))
    assert monitor.state.alarm
    for frame in range(40):
        monitor.update(*drawn(0.2, 0.2, seed=frame))
    assert not monitor.state.alarm


def test_too_few_usable_references_say_nothing():
    monitor = NeesMonitor(least_references=20)
    error, sigma = drawn(2.0, 0.2, 40)
    error[:11], sigma[11:21] = np.nan, 0.0
    assert monitor.update(error, sigma).frames == 0
    error[0] = 2.0
    assert monitor.update(error, sigma).frames == 1


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=30))
def test_temperature_stays_within_its_limits(ratios):
    monitor = NeesMonitor(memory_frames=3)
    for ratio in ratios:
        state = monitor.update(*drawn(ratio, 1.0, 30))
        assert 0.5 <= state.temperature <= 4.0
        assert state.alarm == (not 0.25 <= state.nees <= 16.0)


def test_memory_below_one_frame_is_refused():
    with pytest.raises(SettingsError, match='memory_frames'):
        NeesMonitor(memory_frames=0)


@pytest.mark.parametrize('size', [100.0, 1e200])
def test_one_bad_frame_is_forgotten_within_two_memories(size):
    monitor = NeesMonitor()
    for seed in range(60):
        monitor.update(*drawn(1.0, 1.0, 100, seed))
    bad = monitor.update(*drawn(size, 1.0, 100))
    assert not bad.alarm
    assert bad.temperature < 2.0
    for seed in range(60):
        state = monitor.update(*drawn(1.0, 1.0, 100, seed))
    assert state.temperature < 1.2


def test_lasting_error_still_raises_the_alarm():
    monitor = NeesMonitor()
    for seed in range(60):
        state = monitor.update(*drawn(100.0, 1.0, 100, seed))
    assert state.alarm
    assert state.temperature == 4.0
