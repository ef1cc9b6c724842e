"""The numerical part of robust fits, each step by itself: RANSAC, weights, effective number."""

from depth_perception.core import scale_robust
from depth_perception.core.scale_robust import (
    effective_number,
    Line,
    middle,
    Misfit,
    ransac_line,
    ransac_ratio,
    reweighted,
    weighted_line,
)
from depth_perception.core.scale_types import Samples
import numpy as np
import pytest

S, T = 0.013, -0.07


def clustered(count=300, share=0.4, seed=0):
    """Return (o, rho): `share` of the points agree on another line, as a second surface does."""
    generator = np.random.default_rng(seed)
    o = generator.uniform(10.0, 70.0, count)
    rho = S * o + T + 0.004 * generator.standard_normal(count)
    wrong = generator.random(count) < share
    rho[wrong] = 0.008 * o[wrong] + 0.9 + 0.004 * generator.standard_normal(int(wrong.sum()))
    return o, rho


@pytest.mark.parametrize('seed', range(4))
def test_the_line_of_most_points_is_found_among_two(seed):
    o, rho = clustered(seed=seed)
    s, t = ransac_line(o, rho, np.full(o.size, 0.01), 3.0)
    np.testing.assert_allclose(s * o + t, S * o + T, atol=0.01)


def test_no_line_where_all_fall_or_lie_too_close():
    o, rho = clustered(share=0.0)
    assert ransac_line(o, -rho, np.full(o.size, 0.01), 3.0) is None
    assert ransac_line(o, rho, np.full(o.size, 0.01), 61.0) is None


@pytest.mark.parametrize('scale', [1e-3, 1e3])
def test_the_ratio_of_most_points_is_found_among_two(scale):
    generator = np.random.default_rng(1)
    o = generator.uniform(1.0, 5.0, 300)
    rho = scale * 0.3 * o * generator.normal(1.0, 0.01, 300)
    rho[:120] *= 2.0
    assert ransac_ratio(o, rho, 0.02 * rho) == pytest.approx(0.3 * scale, rel=0.02)


def test_no_ratio_without_a_positive_pair():
    o = np.linspace(1.0, 5.0, 50)
    assert ransac_ratio(-o, o, o) is None
    assert ransac_ratio(o, -o, o) is None
    assert ransac_ratio(o, np.zeros(50), o) is None


@pytest.mark.parametrize('unit', [1e-9, 1.0, 1e9])
def test_a_weighted_line_knows_no_unit(unit):
    o = np.array([1.0, 2.0, 4.0]) * unit
    assert weighted_line(o, 3.0 * o / unit + 1.0, np.array([1.0, 5.0, 2.0])) == pytest.approx(
        (3.0 / unit, 1.0)
    )
    assert weighted_line(np.full(3, unit), np.array([1.0, 2.0, 3.0]), np.ones(3)) == (0.0, 2.0)


def test_a_polished_line_stays_where_it_is():
    o, rho = clustered(share=0.2)
    misfit, sigma = Misfit(1e-3, 0.02, 0.04), np.full(o.size, 0.003)
    line = reweighted(o, rho, sigma, (1.2 * S, T), misfit)
    again = reweighted(o, rho, sigma, (line.s, line.t), misfit)
    np.testing.assert_allclose(again.s * o + again.t, line.s * o + line.t, atol=1e-3 * 0.4)
    np.testing.assert_allclose(line.s * o + line.t, S * o + T, atol=0.004)
    assert line.inlier.sum() == pytest.approx(240, abs=20)
    right = np.abs(rho - S * o - T) < 0.016
    assert line.sigma_model**2 + 0.003**2 == pytest.approx(
        np.var(rho[right] - S * o[right]), rel=0.25
    )


def test_the_misfit_stays_within_its_bounds():
    o, rho = clustered(share=0.0)
    sigma = np.full(o.size, 1e-4)
    assert reweighted(o, rho, sigma, (S, T), Misfit(0.01, 0.02, 0.04)).sigma_model == 0.01
    assert reweighted(o, rho, sigma, (S, T), Misfit(1e-4, 5e-4, 5e-4)).sigma_model == 5e-4


@pytest.mark.parametrize('tukey', [False, True])
def test_weights_know_the_spread_of_the_residuals(tukey):
    """Sigma that is 0.6 to 1.9 times what was believed is made good for, and no more."""
    deviation = np.linspace(0.0, 1.2, 101)  # 1.4826 times the median is 0.89
    weight = scale_robust._robust_weight(deviation, tukey=tukey)
    np.testing.assert_allclose(
        scale_robust._robust_weight(2.0 * deviation, tukey=tukey), weight, atol=1e-12
    )
    np.testing.assert_allclose(
        scale_robust._robust_weight(0.6 * deviation, tukey=tukey), weight, atol=1e-12
    )
    assert (scale_robust._robust_weight(0.1 * deviation, tukey=tukey) > 0.97).all()
    one = 1.4826 * 0.6
    wanted = (1.0 - (1.2 / one / 4.685) ** 2) ** 2 if tukey else 1.345 / (1.2 / one)
    assert weight[-1] == pytest.approx(min(wanted, 1.0), rel=1e-9)
    far = scale_robust._robust_weight(np.append(deviation, [2.9, 3.1, 9.0]), tukey=tukey)
    assert far[-1] == 0.0
    assert (far[-2] == 0.0) is not tukey  # Huber's must not be dragged along
    assert 0.0 < far[-3] < 0.6


def patches(each, sign=None, noise=1e-9, model=1.0):
    """Return samples and a line whose residuals are alike within each of 4 x 3 patches."""
    k = np.repeat(np.arange(12), each)
    size = np.where(np.arange(12) % 2, 0.5, -1.5)[k]
    if sign is not None:
        size = size * np.resize(sign, size.size)
    column, row = (k % 4 + 0.5) / 4.0, (k // 4 + 0.5) / 3.0
    o = np.linspace(1.0, 2.0, k.size)
    sigma = np.full(k.size, noise)
    samples = Samples(o, 0.7 * o + 0.1 + size, sigma, column, row, 1.5, 0.5)
    return samples, Line(0.7, 0.1, np.ones(k.size), np.ones(k.size, bool), model)


def test_alike_residuals_count_once_in_a_patch():
    assert effective_number(*patches(20)) == pytest.approx(12.0)
    # Half of the variance is noise of the references, which is independent.
    assert effective_number(*patches(20, noise=1.0)) == pytest.approx(1.0 / (0.5 / 12 + 0.5 / 240))
    # Of 15 to 1 alike, 14 cancel: (30 - 15)^2 ... still no more than one a patch.
    assert effective_number(*patches(20, sign=[1, -1])) == pytest.approx(12.0)
    exact, line = patches(1)
    exact = Samples(exact.o, 0.7 * exact.o + 0.1, *list(vars(exact).values())[2:])
    assert effective_number(exact, line) == pytest.approx(12.0)


def test_residuals_count_in_units_of_their_own_sigma():
    """Half of the image's references lie in one patch, with two sigmas side by side."""
    patch = np.append(np.zeros(130, int), np.repeat(np.arange(1, 12), 10))
    size = np.where(np.arange(12) % 2, 0.5, -1.5)[patch]
    column, row = (patch % 4 + 0.5) / 4.0, (patch // 4 + 0.5) / 3.0
    o, sigma = np.linspace(1.0, 2.0, 240), np.where(np.arange(240) % 2, 1.0, 0.1)
    samples = Samples(o, 0.7 * o + 0.1 + size, sigma, column, row, 1.5, 0.5)
    line = Line(0.7, 0.1, np.ones(240), np.ones(240, bool), 0.3)
    z = size / np.sqrt(sigma**2 + 0.09)
    effect = sum(z[patch == k].sum() ** 2 for k in range(12)) / (z**2).sum()
    assert 240 / effect < 6.0
    share = 0.09 / (0.09 + middle(sigma**2))
    wanted = 1.0 / (share * effect / 240 + (1.0 - share) / 240)
    assert effective_number(samples, line) == pytest.approx(wanted, rel=1e-9)


def test_one_row_of_patches_and_the_last_pixel_belong_to_the_image():
    samples, line = patches(20)
    row = np.full(240, 1.0)  # beyond the last pixel's centre
    samples = Samples(samples.o, samples.rho, samples.sigma_rho, samples.column, row, 1.5, 0.5)
    assert effective_number(samples, line) == pytest.approx(4.0, rel=0.3)
