"""Tests of core.calibration_fit and core.simplex."""

from depth_perception.core.calibration_fit import (
    coverage_temperature,
    fit_power,
    fit_table,
    gaussian_temperature,
    joined,
    pooled_adjacent,
    quotients,
    robust_temperature,
    scored_errors,
    ScoredErrors,
    student_loss,
)
from depth_perception.core.simplex import minimum
from depth_perception.errors import CalibrationError, ShapeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

AT = np.array([0.1, 0.3, 1.0, 3.0])


def drawn(sigma_of, pixels=40_000, reference=0.0, student=False, seed=3):
    """Return errors drawn with the sigma that a function of the score gives."""
    rng = np.random.default_rng(seed)
    score = np.exp(rng.uniform(np.log(0.05), np.log(5.0), pixels))
    noise = rng.standard_t(4, pixels) if student else rng.standard_normal(pixels)
    error = sigma_of(score) * noise + reference * rng.standard_normal(pixels)
    return ScoredErrors('a', error, score, np.full(pixels, reference))


def power(score):
    return np.hypot(0.8 * score**1.5, 0.3)


def test_power_is_found_again_from_gaussian_errors():
    curve = fit_power(drawn(power))
    assert curve.exact(AT) == pytest.approx(power(AT), rel=0.05)
    assert curve.gamma == pytest.approx(1.5, abs=0.08)


def test_one_per_cent_of_gross_errors_moves_sigma_little():
    clean, spoilt = drawn(power), drawn(power)
    spoilt.error[::100] = 50.0
    found = fit_power(spoilt).exact(AT) / fit_power(clean).exact(AT)
    assert found == pytest.approx(np.ones(4), abs=0.07)


def test_error_of_the_truth_is_not_blamed_on_the_model():
    curve = fit_power(drawn(power, reference=0.5))
    assert curve.exact(AT) == pytest.approx(power(AT), rel=0.12)


def test_table_follows_what_no_power_law_does():
    def steps(score):
        return np.where(score < 0.5, 0.2, 2.0)

    curve = fit_table(drawn(steps))
    assert curve.exact(np.array([0.1, 0.3, 0.9, 3.0])) == pytest.approx([0.2, 0.2, 2, 2], rel=0.06)


def test_table_of_a_score_that_says_nothing_is_flat():
    curve = fit_table(drawn(lambda score: np.full_like(score, 0.7)))
    assert curve.exact(AT) == pytest.approx(np.full(4, 0.7), rel=0.06)


def test_table_takes_the_variance_of_the_truth_off():
    curve = fit_table(drawn(lambda score: np.full_like(score, 0.3), reference=0.4))
    assert curve.exact(AT) == pytest.approx(np.full(4, 0.3), rel=0.06)


def test_table_keeps_its_steps_under_the_error_of_the_truth():
    curve = fit_table(drawn(lambda score: np.where(score < 0.5, 0.2, 1.0), reference=0.6))
    assert curve.exact(AT) == pytest.approx([0.2, 0.2, 1.0, 1.0], rel=0.15)


def test_table_of_few_distinct_scores():
    sample = drawn(power, 2000)
    score = np.where(sample.score < 0.5, 0.25, 1.0)
    curve = fit_table(
        ScoredErrors('a', np.random.default_rng(1).normal(0, score), score, 0 * score)
    )
    assert curve.score == (0.25, 1.0)
    assert curve.sigma == pytest.approx((0.25, 1.0), rel=0.1)


def test_temperatures_of_a_gaussian_agree():
    sample = drawn(lambda score: np.full_like(score, 1.7), 100_000)
    ones = np.ones(100_000)
    assert gaussian_temperature(quotients(sample, ones)) == pytest.approx(1.7, rel=0.02)
    assert robust_temperature(quotients(sample, ones)) == pytest.approx(1.7, rel=0.02)
    assert coverage_temperature(sample, ones) == pytest.approx(1.7, rel=0.02)


def test_coverage_temperature_leaves_the_error_of_the_truth_alone():
    sample = drawn(lambda score: np.full_like(score, 1.2), 100_000, reference=0.9)
    assert coverage_temperature(sample, np.full(100_000, 0.4)) == pytest.approx(3.0, rel=0.03)


def test_temperatures_by_hand():
    quotient = np.array([1.0, 2.0, 5.0])
    assert gaussian_temperature(quotient) == pytest.approx(10.0**0.5)
    assert robust_temperature(quotient) == pytest.approx(2.0 / 0.6745)


def test_coverage_temperature_of_a_student_t_meets_both_tolerances():
    sample = drawn(lambda score: np.full_like(score, 0.01), 200_000, student=True)
    found = np.abs(sample.error) / coverage_temperature(sample, np.ones(200_000))
    assert (found <= 1.0).mean() == pytest.approx(0.683, abs=0.05)
    assert (found <= 2.0).mean() == pytest.approx(0.954, abs=0.03)


def test_student_loss_is_least_at_the_true_scale():
    error = 0.6 * np.random.default_rng(7).standard_t(4, 100_000)
    loss = [student_loss(error, np.full(error.size, s**2)) for s in (0.5, 0.57, 0.6, 0.63, 0.7)]
    assert int(np.argmin(loss)) == 2


def test_student_loss_against_scipy():
    stats = pytest.importorskip('scipy.stats')
    error, scale = np.array([0.1, -2.0, 5.0]), np.array([0.5, 1.0, 3.0])
    wanted = -stats.t(4).logpdf(error / scale) + np.log(scale)
    found = student_loss(error, np.square(scale))
    assert found == pytest.approx(wanted.mean() - np.log(8.0 / 3.0))


@given(arrays(np.float64, 12, elements=st.floats(-5, 5)))
def test_pooled_values_rise_and_keep_the_mean(values):
    weights = np.arange(1.0, 13.0)
    found = pooled_adjacent(values, weights)
    assert (np.diff(found) >= 0.0).all()
    assert (found * weights).sum() == pytest.approx((values * weights).sum(), abs=1e-9)
    assert pooled_adjacent(found, weights) == pytest.approx(found)


def test_pooled_values_by_hand():
    found = pooled_adjacent(np.array([1.0, 4.0, 2.0, 2.0, 9.0]), np.array([1.0, 1, 3, 1, 1]))
    assert found == pytest.approx([1.0, 2.4, 2.4, 2.4, 9.0])


def test_simplex_finds_the_bottom_of_a_bent_valley():
    def valley(p):
        return (1.0 - p[0]) ** 2 + 100.0 * (p[1] - p[0] ** 2) ** 2

    assert minimum(valley, np.array([-1.2, 1.0]), 0.3) == pytest.approx([1.0, 1.0], abs=1e-3)


def test_sample_pairs_each_error_with_its_score():
    truth = np.zeros((30, 40), np.float32)
    predicted = np.arange(1200, dtype=np.float32).reshape(30, 40) + 1.0
    truth[:3], predicted[5] = np.nan, np.nan
    score = 2.0 * predicted
    score[7] = 0.0
    sample = scored_errors('a', predicted, truth, score, reference_sigma=0.1, limit=100)
    assert sample.error.size == 100 == np.unique(sample.error).size
    assert sample.score == pytest.approx(2.0 * sample.error)
    assert sample.error.min() > 120.0
    assert not np.isin((sample.error - 1.0) // 40, (5, 7)).any()
    assert (sample.reference_sigma == 0.1).all()


@pytest.mark.parametrize('width', [40, 64, 97])
def test_sample_follows_no_column(width):
    column = np.tile(np.arange(width, dtype=np.float32), (200, 1))
    sample = scored_errors('a', column + 1, np.ones_like(column), column + 1, limit=1000)
    counts = np.bincount(sample.error.astype(int), minlength=width)
    assert counts.min() >= 0.4 * 1000 / width
    assert counts.max() <= 2.0 * 1000 / width


def test_small_frame_is_taken_whole_and_shapes_are_checked():
    ones = np.ones((3, 5), np.float32)
    assert scored_errors('a', ones, ones, ones).error.tolist() == [0.0] * 15
    with pytest.raises(ShapeError, match='truth'):
        scored_errors('a', ones, ones.T, ones)


def test_too_little_to_go_on_is_refused():
    with pytest.raises(CalibrationError, match='199 pixels'):
        fit_power(drawn(power, 199))
    with pytest.raises(CalibrationError, match='exactly 0'):
        fit_table(drawn(np.zeros_like))
    with pytest.raises(CalibrationError, match='no errors'):
        joined([])


def test_joined_keeps_order_and_quotients_count_the_truth():
    both = joined([drawn(power, 3, 0.5), drawn(power, 2, seed=9)])
    assert both.error.size == 5
    assert both.reference_sigma.tolist() == [0.5, 0.5, 0.5, 0.0, 0.0]
    sample = ScoredErrors('a', np.array([-10.0]), np.ones(1), np.array([4.0]))
    assert quotients(sample, np.array([3.0])) == pytest.approx([2.0])
