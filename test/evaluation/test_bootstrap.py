"""Bootstrap by frame: right coverage, right pairs, the same result for the same seed."""

import inspect

from depth_perception.errors import SettingsError, ShapeError
from depth_perception.evaluation.bootstrap import (
    block_length,
    distribution,
    ends,
    interval,
    mean_distributions,
    mean_intervals,
    paired_interval,
    pooled_interval,
    resampled,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


def autoregressive(generator, count, frames, memory):
    """Return (count, frames) of mean 0 and deviation 1 whose neighbours are alike."""
    values = np.empty((count, frames))
    values[:, 0] = generator.normal(size=count)
    noise = generator.normal(size=(count, frames)) * np.sqrt(1 - memory**2)
    for i in range(1, frames):
        values[:, i] = memory * values[:, i - 1] + noise[:, i]
    return values


def coverage(samples, **options):
    found = [interval(row, resamples=400, seed=i, **options) for i, row in enumerate(samples)]
    return np.mean([low <= 0.0 <= high for low, high in found])


@pytest.mark.parametrize(('frames', 'length'), [(1, 1), (2, 2), (8, 2), (9, 3), (1000, 10)])
def test_blocks_have_the_length_of_the_cube_root(frames, length):
    assert block_length(frames) == length


def test_intervals_of_independent_frames_hold_the_truth_95_times_of_100():
    samples = np.random.default_rng(3).normal(size=(600, 60))
    assert 0.915 <= coverage(samples, method='frames') <= 0.965
    assert 0.88 <= coverage(samples, method='blocks') <= 0.965


def test_blocks_mend_most_of_what_correlated_frames_break():
    samples = autoregressive(np.random.default_rng(4), 400, 200, 0.6)
    frames, blocks = coverage(samples, method='frames'), coverage(samples, method='blocks')
    assert frames < 0.75
    assert blocks > 0.82


def test_whole_runs_hold_the_truth_where_places_differ():
    generator = np.random.default_rng(5)
    places = np.repeat(generator.normal(size=(300, 12)), 20, axis=1)
    samples = (places + 0.3 * generator.normal(size=places.shape)).reshape(300, 12, 20)
    assert coverage(samples, method='runs') > 0.85
    assert coverage(samples, method='blocks') < 0.35


@pytest.mark.parametrize('statistic', [np.mean, np.median, np.std])
def test_independent_frames_equal_scipy(statistic):
    stats = pytest.importorskip('scipy.stats')
    values = np.random.default_rng(6).lognormal(size=150)
    known = inspect.signature(stats.bootstrap).parameters
    seed = {'rng' if 'rng' in known else 'random_state': np.random.default_rng(1)}
    theirs = stats.bootstrap(
        (values,), statistic, n_resamples=20_000, method='percentile', **seed
    ).confidence_interval
    ours = interval(values, statistic, resamples=20_000, method='frames')
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_pairs_share_their_frames():
    generator = np.random.default_rng(7)
    hardness = generator.lognormal(1.0, 1.0, 80)
    a, b = hardness, hardness + 0.01 + 0.001 * generator.normal(size=80)
    low, high = paired_interval(a, b)
    assert 0.009 < low < 0.01 < high < 0.011
    apart = interval(b)[1] - interval(a)[0]
    assert apart > 100 * (high - low)
    assert paired_interval(b, a) == pytest.approx((-high, -low), rel=1e-9)


def test_frames_without_a_value_are_left_out():
    values = [np.array([1.0, np.nan, 2.0]), np.array([4.0, np.inf, 8.0, 3.0])]
    kept = [np.array([1.0, 2.0]), np.array([4.0, 8.0, 3.0])]
    assert interval(values) == interval(kept) != interval(np.concatenate(kept))
    double = [2.0 * part for part in values]
    assert paired_interval(values, double) == pytest.approx(interval(kept), rel=1e-12)


@pytest.mark.parametrize('values', [[], [3.0], [3.0, np.nan]])
def test_one_frame_has_no_interval(values):
    assert np.isnan(interval(values)).all()
    assert np.isnan(mean_intervals(np.array([values]))).all()


def test_many_means_equal_one_at_a_time():
    generator = np.random.default_rng(8)
    columns = generator.normal(size=(3, 70))
    many = mean_intervals(columns, runs=[50, 20], seed=2)
    for row, column in zip(many, columns, strict=True):
        parts = [column[:50], column[50:]]
        assert row == pytest.approx(interval(parts, seed=2), rel=1e-12)
    columns[1, ::2] = np.nan
    again = mean_intervals(columns, runs=[50, 20], seed=2)
    assert again[0] == pytest.approx(many[0], rel=1e-12)
    assert again[1, 1] - again[1, 0] > 1.15 * (many[1, 1] - many[1, 0])


def test_pooled_figures_weigh_pixels():
    generator = np.random.default_rng(9)
    pixels = generator.integers(1, 1000, 60).astype(float)
    share = np.where(pixels > 500, 0.1, 0.9) + 0.01 * generator.normal(size=60)
    low, high = pooled_interval(share * pixels, pixels)
    assert low < (share * pixels).sum() / pixels.sum() < high < share.mean()
    same = np.full(60, 8.0)
    assert pooled_interval(share * same, same) == pytest.approx(interval(share), rel=1e-9)
    assert np.isnan(pooled_interval(0 * same, 0 * same)).all()
    with pytest.raises(ShapeError, match='do not belong together'):
        pooled_interval(same, same[1:])


def test_each_frame_is_drawn_equally_often_and_runs_keep_their_length():
    frames = np.concatenate(list(resampled([4, 13], resamples=30_000)))
    assert frames.shape == (30_000, 17)
    assert frames[:, :4].max() == 3
    assert frames[:, 4:].min() == 4
    share = np.bincount(frames.ravel(), minlength=17) / frames.size
    np.testing.assert_allclose(share, 1 / 17, rtol=0.02)
    steps = np.diff(frames[0, 4:])
    assert np.isin(steps, (1, -12)).sum() >= 8  # five blocks of three


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40),
    st.sampled_from(['blocks', 'frames', 'runs']),
)
def test_intervals_lie_within_the_values_and_repeat(values, method):
    first = interval(values, method=method, resamples=50)
    low, high = first
    slack = 1e-9 * max(1.0, np.abs(values).max())
    assert min(values) - slack <= low <= high <= max(values) + slack
    assert first == interval(values, method=method, resamples=50)


def test_memory_stays_bounded():
    sizes = [frames.size for frames in resampled([30_000], resamples=2000)]
    assert max(sizes) <= 1 << 21
    assert sum(sizes) == 30_000 * 2000


def test_resamples_in_parts_equal_in_number():
    values = np.arange(3000.0)[None]
    assert distribution(values, lambda drawn: drawn[0].mean(axis=-1)).shape == (2000,)
    assert mean_distributions(values).shape == (2000, 1)


def test_impossible_requests_say_why():
    with pytest.raises(SettingsError, match="unknown method 'days'"):
        interval([1.0, 2.0], method='days')
    with pytest.raises(SettingsError, match='wanted at least 1'):
        interval([1.0, 2.0], resamples=0)
    with pytest.raises(SettingsError, match=r'level is 95'):
        ends(np.arange(3.0), 95)
    with pytest.raises(ShapeError, match='2 values but runs of 3'):
        mean_intervals(np.ones((1, 2)), runs=[1, 2])
    with pytest.raises(ShapeError, match=r'runs of \[2\] and of \[1\] frames are no pairs'):
        paired_interval([1.0, 2.0], [1.0])
