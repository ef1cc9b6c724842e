"""Scores are joined like errors that do not know of each other."""

from depth_perception.core.score_combine import add_squares, Before, joined
from depth_perception.errors import ShapeError
import numpy as np
import pytest

SHAPE = (250, 5)  # more than two blocks of rows


def full(value):
    return np.full(SHAPE, value, np.float32)


def combined(rho, sigma_rho, own, scores, unit=None, shared=None):
    total = np.zeros(rho.shape, np.float32)
    for score in scores:
        add_squares(total, score)
    return joined(Before(rho, sigma_rho, shared, unit), total, own)


def test_squares_add_and_sigma_is_the_score_with_the_part_of_the_scale():
    u, sigma = combined(full(0.5), full(0.2), full(0.6), [full(0.3), full(0.2)])
    np.testing.assert_allclose(u, 0.7, rtol=1e-6)  # 0.36 + 0.09 + 0.04
    np.testing.assert_allclose(sigma, 0.35, rtol=1e-6)
    _, sigma = combined(full(0.5), full(0.2), full(0.6), [full(0.3), full(0.2)], None, full(0.12))
    np.testing.assert_allclose(sigma, 0.37, rtol=1e-6)  # 0.35 and 0.12


def test_sigma_is_never_less_than_before():
    u, sigma = combined(full(0.5), full(0.4), None, [full(0.3)])
    np.testing.assert_allclose(u, 0.3, rtol=1e-6)
    np.testing.assert_allclose(sigma, 0.4, rtol=1e-6)


def test_disparity_has_one_unit():
    u, sigma = combined(full(0.5), full(0.03), None, [full(2.0)], unit=0.02)
    np.testing.assert_allclose(u, 2.0, rtol=1e-6)
    np.testing.assert_allclose(sigma, 0.04, rtol=1e-6)


def test_what_is_unknown_in_one_is_unknown_in_both():
    rho, score = full(0.5), full(0.3)
    rho[1, 2], score[69, 4] = np.nan, np.nan
    for values in combined(rho, full(0.1), None, [score]):
        assert np.argwhere(np.isnan(values)).tolist() == [[1, 2], [69, 4]]


def test_inverse_depth_of_nothing_keeps_a_sigma():
    rho = full(0.5)
    rho[0, 0], rho[0, 1] = 0.0, -0.2
    _, sigma = combined(rho, full(0.0), None, [full(1.0)])
    np.testing.assert_allclose(sigma[0, :3], [1e-4, 0.2, 0.5], rtol=1e-6)


def test_maps_of_different_sizes_are_refused():
    with pytest.raises(ShapeError):
        combined(full(1.0), np.zeros((5, 70), np.float32), None, [full(1.0)])
