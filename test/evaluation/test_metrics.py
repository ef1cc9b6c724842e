"""Figures against numbers worked out by hand."""

from depth_perception.errors import ShapeError
from depth_perception.evaluation.metrics import (
    bad_share,
    depth_figures,
    disparity_figures,
    sigma_figures,
)
import numpy as np
import pytest

NAN = np.nan


def maps(*rows):
    return [np.array(row, np.float32) for row in rows]


def test_depth_figures_by_hand():
    depth, truth = maps([[1.1, 2.0, NAN, 6.0]], [[1.0, 2.5, 3.0, 4.0]])
    figures = depth_figures(depth, truth)
    assert figures.pixels == 3
    assert figures.coverage == pytest.approx(3 / 4)
    assert figures.abs_rel == pytest.approx((0.1 / 1 + 0.5 / 2.5 + 2 / 4) / 3, rel=1e-6)
    assert figures.rmse_m == pytest.approx(np.sqrt((0.01 + 0.25 + 4.0) / 3), rel=1e-6)
    assert figures.median_rel == pytest.approx(0.2, rel=1e-6)
    # Ratios are 1.1, 1.25 (not strictly below) and 1.5.
    assert figures.delta1 == pytest.approx(1 / 3)


def test_unknown_truth_and_infinite_depth_do_not_count():
    depth, truth = maps([[np.inf, -np.inf, 2.0, 3.0]], [[1.0, 1.0, NAN, 3.0]])
    figures = depth_figures(depth, truth)
    assert (figures.pixels, figures.abs_rel) == (1, 0.0)
    assert figures.coverage == pytest.approx(1 / 3)


def test_nothing_in_common_is_nan_not_a_crash():
    depth, truth = maps([[NAN, 2.0]], [[1.0, NAN]])
    figures = depth_figures(depth, truth)
    assert figures.coverage == 0.0
    assert np.isnan([figures.abs_rel, figures.rmse_m, figures.delta1]).all()
    assert np.isnan(disparity_figures(depth, truth).epe_px)
    assert np.isnan(sigma_figures(depth, depth, truth).within_1)
    assert np.isnan(depth_figures(depth, np.full((1, 2), NAN, np.float32)).coverage)


def test_disparity_figures_by_hand():
    disparity, truth = maps(
        [[10.0, 12.5, 33.0, 40.0, NAN]], [[10.0, 10.0, 30.0, 45.0, 7.0]]
    )  # errors 0, 2.5, 3, 5
    figures = disparity_figures(disparity, truth)
    assert figures.epe_px == pytest.approx(10.5 / 4)
    assert (figures.bad_1, figures.bad_2, figures.bad_4) == (0.75, 0.75, 0.25)
    assert figures.coverage == pytest.approx(4 / 5)


def test_bad_share_is_strict():
    disparity, truth = maps([[12.0, 12.25]], [[10.0, 10.0]])
    assert bad_share(disparity, truth, 2.0) == 0.5
    assert bad_share(disparity, truth, 2.25) == 0.0


def test_sigma_figures_by_hand():
    depth, sigma, truth = maps(
        [[2.0, 2.0, 4.0, 5.0]], [[0.5, 0.25, 0.1, 1.0]], [[2.5, 2.375, 4.3, 5.0]]
    )  # |error| / sigma: 1, 1.5, 3, 0
    figures = sigma_figures(depth, sigma, truth)
    assert figures.within_1 == 0.5
    assert figures.within_2 == 0.75
    assert figures.spread == pytest.approx(1.4826 * 1.25)
    assert figures.median_relative_sigma == pytest.approx((0.125 + 0.2) / 2)


def test_gaussian_errors_give_the_gaussian_shares():
    noise = np.random.default_rng(3)
    truth = np.full((300, 400), 5.0, np.float32)
    sigma = noise.uniform(0.1, 0.4, truth.shape).astype(np.float32)
    depth = truth + (sigma * noise.standard_normal(truth.shape)).astype(np.float32)
    figures = sigma_figures(depth, sigma, truth)
    assert figures.within_1 == pytest.approx(0.6827, abs=0.005)
    assert figures.within_2 == pytest.approx(0.9545, abs=0.003)
    assert figures.spread == pytest.approx(1.0, abs=0.01)


def test_different_sizes_are_refused():
    with pytest.raises(ShapeError):
        depth_figures(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32))


def test_truth_that_is_not_above_zero_does_not_count():
    depth, truth = maps([[1.5, 2.0, 3.0, 2.2]], [[0.0, -0.0, -3.0, 2.0]])
    figures = depth_figures(depth, truth)
    assert (figures.pixels, figures.coverage) == (1, 1.0)
    assert figures.abs_rel == pytest.approx(0.1, rel=1e-5)
    assert disparity_figures(depth, truth).epe_px == pytest.approx(0.2, rel=1e-5)
    assert bad_share(depth, truth, 0.1) == 1.0
    assert sigma_figures(depth, depth, truth).median_relative_sigma == 1.0
    assert np.isnan(depth_figures(depth, np.zeros_like(truth)).coverage)
