"""Robust fits of scale and shift: exactness, covariance, and every rule of refusal."""

from dataclasses import replace

from depth_perception.core.scale_fit import (
    fit_least_squares,
    fit_scale,
    fit_scale_shift,
    FitRules,
    median_scale,
)
from depth_perception.core.scale_types import (
    common_sigma,
    output_spread,
    References,
    Rejected,
    Rejection,
    sample_output,
    Samples,
    ScaleFit,
)
from depth_perception.errors import ShapeError
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

S, T = 0.013, -0.07


def samples_of(count=200, noise=0.0, seed=0, s=S, t=T):
    """Return samples of rho = s o + t in 0.1..0.9 per metre, spread over the image."""
    generator = np.random.default_rng(seed)
    rho = generator.uniform(0.1, 0.9, count)
    o = (rho - t) / s
    sigma = np.full(count, max(noise, 1e-3))
    column, row = generator.random((2, count))
    middle, spread = (0.5 - t) / s, 0.4 / s
    measured = rho + noise * generator.standard_normal(count)
    return Samples(o, measured, sigma, column, row, middle, spread)


def spoilt(samples, share, seed=1):
    generator = np.random.default_rng(seed)
    gross = generator.random(samples.o.size) < share
    rho = np.where(gross, generator.uniform(0.02, 2.0, gross.size), samples.rho)
    return replace(samples, rho=rho), gross


@settings(max_examples=60, deadline=None)
@given(st.floats(-5.0, 3.0), st.floats(-2.0, 2.0), st.integers(0, 1000))
def test_exact_references_give_the_exact_line_whatever_its_unit(exponent, t, seed):
    s = 10.0**exponent
    fit = fit_scale_shift(samples_of(s=s, t=t, seed=seed))
    assert isinstance(fit, ScaleFit)
    assert fit.s == pytest.approx(s, rel=1e-6)
    assert fit.t == pytest.approx(t, abs=1e-6)
    assert fit.inliers == 200


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 0.45), st.integers(0, 1000))
def test_gross_outliers_move_the_line_by_less_than_one_percent(share, seed):
    samples, gross = spoilt(samples_of(300, 0.005, seed), share, seed + 1)
    fit = fit_scale_shift(samples, FitRules(least_inlier_ratio=0.4))
    assert isinstance(fit, ScaleFit)
    assert fit.s == pytest.approx(S, rel=0.012)
    assert fit.t == pytest.approx(T, abs=0.006)
    assert fit.inliers >= 0.97 * (~gross).sum()


def test_least_squares_equals_numpy():
    samples = samples_of(80, 0.02)
    samples = replace(samples, sigma_rho=np.linspace(0.01, 0.05, 80))
    fit = fit_least_squares(samples, 0.03)
    weight = 1.0 / np.hypot(samples.sigma_rho, 0.03)
    wanted, covariance = np.polyfit(samples.o, samples.rho, 1, w=weight, cov=True)
    assert (fit.s, fit.t) == pytest.approx(tuple(wanted), rel=1e-9)
    believed = 1.0 / weight**2
    residual = samples.rho - np.polyval(wanted, samples.o)
    assert np.sum(residual**2 / believed) / 78 == pytest.approx(
        fit.covariance[0, 0] / np.linalg.inv(_normal(samples.o, weight))[0, 0], rel=1e-9
    )
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-6)


def _normal(o, weight):
    matrix = np.stack([o, np.ones_like(o)], axis=1) * weight[:, None]
    return matrix.T @ matrix


def test_covariance_agrees_with_repeated_fits():
    fits = [fit_scale_shift(samples_of(400, 0.02, seed)) for seed in range(150)]
    middle = (0.5 - T) / S
    spread = np.std([fit.s * middle + fit.t for fit in fits]) / 0.5
    told = np.mean([common_sigma(fit.s, fit.t, fit.covariance, middle) for fit in fits])
    assert spread < told < 2.5 * spread  # the misfit floor is never quite 0: on the safe side


def test_smooth_errors_are_worth_few_independent_references():
    samples = samples_of(2000, 0.001)
    wavy = replace(samples, rho=samples.rho + 0.03 * np.sin(6.0 * samples.column))
    fit = fit_scale_shift(wavy)
    white = fit_scale_shift(samples_of(2000, 0.02))
    assert fit.effective <= 12.5
    assert white.effective > 150.0


def test_far_precise_references_do_not_rule_the_fit():
    # Ten far points with sigma 1e-5 sit 0.02 off the line: w = 1 / sigma_rho^2 would follow them.
    samples = samples_of(200, 0.0)
    far = np.argsort(samples.rho)[:10]
    rho, sigma = samples.rho.copy(), samples.sigma_rho.copy()
    rho[far] += 0.02
    sigma[far] = 1e-5
    fit = fit_scale_shift(replace(samples, rho=rho, sigma_rho=sigma))
    assert fit.s * 40.0 + fit.t == pytest.approx(S * 40.0 + T, rel=0.01)


def test_same_references_give_the_same_fit_again():
    samples, _ = spoilt(samples_of(500, 0.02), 0.3)
    first, second = fit_scale_shift(samples), fit_scale_shift(samples)
    assert (first.s, first.t) == (second.s, second.t)


def test_scale_only_and_medians():
    samples, _ = spoilt(samples_of(200, 0.004, t=0.0), 0.3)
    fit = fit_scale(samples)
    assert fit.s == pytest.approx(S, rel=0.005)
    assert fit.t == 0.0
    assert fit.covariance[1, 1] == 0.0
    assert fit.covariance[0, 0] > 0.0
    assert median_scale(samples.o, samples.rho) == pytest.approx(S, rel=0.06)
    assert np.isnan(median_scale(samples.o, -samples.rho))


def test_doubt_about_a_fixed_shift_reaches_the_scale():
    samples = samples_of(200, 0.004)
    plain, doubtful = fit_scale(samples, T), fit_scale(samples, T, 0.02**2)
    moved = fit_scale(samples, T + 1e-4)
    slope = (moved.s - plain.s) / 1e-4
    extra = doubtful.covariance - plain.covariance
    wanted = 0.02**2 * np.array([[slope**2, slope], [slope, 1.0]])
    np.testing.assert_allclose(extra, wanted, rtol=0.05)


def narrow(samples):
    return replace(samples, o=50.0 + 0.01 * samples.o, rho=0.5 + 0.01 * samples.rho)


REFUSALS = {
    Rejection.TOO_FEW_INLIERS: samples_of(49),
    Rejection.LOW_INLIER_RATIO: spoilt(samples_of(400, 0.002), 0.75)[0],
    Rejection.NOT_POSITIVE: replace(samples_of(200), o=-samples_of(200).o),
    Rejection.ILL_CONDITIONED: replace(samples_of(200), o=1e5 + samples_of(200).o),
    Rejection.SMALL_SPREAD: narrow(samples_of(200)),
    Rejection.ONE_SIDED: replace(
        samples_of(200), column=np.full(200, 0.2), row=np.linspace(0.6, 0.9, 200)
    ),
    Rejection.NO_OUTPUT: replace(samples_of(200), iqr_o=0.0),
}


@pytest.mark.parametrize('reason', list(REFUSALS), ids=lambda reason: reason.value)
def test_refusals(reason):
    outcome = fit_scale_shift(REFUSALS[reason])
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason, outcome.text
    assert outcome.text


def test_scale_only_refuses_too():
    assert fit_scale(samples_of(20, t=0.0)).reason is Rejection.TOO_FEW_INLIERS
    negative = replace(samples_of(200), o=-samples_of(200).o - 100.0)
    assert fit_scale(negative).reason is Rejection.NOT_POSITIVE


def test_sampling_reads_the_nearest_pixel_and_leaves_out_what_is_unusable():
    output = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    output[2, 3] = np.nan
    references = References(
        np.array([1.4, 3.0, -0.6, 3.6, 0.0, 2.0, 2.0]),
        np.array([0.6, 2.0, 0.0, 0.0, 2.0, 1.0, 1.0]),
        np.array([0.5, 0.5, 0.5, 0.5, 0.25, np.inf, 0.5]),
        np.array([0.1, 0.1, 0.1, 0.1, 0.2, 0.1, np.nan]),
    )
    samples = sample_output(output, references)
    assert samples.o.tolist() == [5.0, 8.0]
    assert samples.sigma_rho.tolist() == [0.1, 0.2]
    assert samples.column.tolist() == pytest.approx([1.9 / 4.0, 0.5 / 4.0])
    assert (samples.median_o, samples.iqr_o) == (5.0, 5.0)


def test_sampling_says_why_there_is_nothing():
    references = References(*np.full((4, 3), 1e300))
    assert sample_output(np.ones((4, 5)), references).reason is Rejection.NO_REFERENCES
    blank = np.full((4, 5), np.nan)
    assert output_spread(blank) is None
    assert sample_output(blank, references).reason is Rejection.NO_OUTPUT
    with pytest.raises(ShapeError, match='rho'):
        References(np.ones(3), np.ones(3), np.ones(2), np.ones(3))


def test_output_that_does_not_go_with_the_references_is_refused():
    generator = np.random.default_rng(6)
    samples = samples_of(200)
    refused = 0
    for seed in range(10):
        shuffled = replace(samples, o=np.random.default_rng(seed).permutation(samples.o))
        found = fit_scale_shift(shuffled)
        refused += isinstance(found, Rejected)
    assert refused == 10
    texts = []
    for _ in range(12):
        weak = replace(samples, rho=0.5 + 0.02 * generator.standard_normal(200))
        found = fit_scale_shift(weak)
        texts.append(found.text if isinstance(found, Rejected) else 'accepted')
    assert any('hardly goes with the references' in text for text in texts)
    assert texts.count('accepted') <= 4  # one in six is above 1 sigma by chance


@pytest.mark.parametrize(('count', 'taken'), [(49, False), (50, True)])
def test_fifty_that_agree_are_enough(count, taken):
    assert isinstance(fit_scale_shift(samples_of(count)), ScaleFit) is taken
    assert isinstance(fit_scale(samples_of(count, t=0.0)), ScaleFit) is taken
    more, wrong = samples_of(90), np.arange(90) >= count
    more = replace(more, rho=np.where(wrong, 40.0, more.rho))
    assert isinstance(fit_scale_shift(more), ScaleFit) is taken


@pytest.mark.parametrize(('others', 'taken'), [(14, True), (6, False)])
def test_a_twentieth_in_another_quadrant_is_enough(others, taken):
    column = np.where(np.arange(200) < others, 0.8, 0.2)
    samples = replace(samples_of(200), column=column, row=np.full(200, 0.3))
    assert isinstance(fit_scale_shift(samples), ScaleFit) is taken
