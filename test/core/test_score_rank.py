"""Scores that only rank become sigmas of the same size in any image."""

from statistics import NormalDist

from depth_perception.core.score_rank import ranked_sigma
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


def test_sigma_is_the_half_normal_quantile_of_the_rank():
    badness = np.random.default_rng(0).permutation(10_000).reshape(100, 100).astype(np.float32)
    badness = np.exp(badness / 900.0)  # every value in a cell of its own, or nearly
    sigma = ranked_sigma(badness, 0.2)
    order = np.sort(sigma.ravel())
    middle = NormalDist().inv_cdf(0.75)
    for share in (0.1, 0.3, 0.5, 0.9, 0.99):
        wanted = 0.2 * NormalDist().inv_cdf(0.5 * (1.0 + share)) / middle
        assert order[int(share * 10_000)] == pytest.approx(wanted, rel=0.02)
    assert np.median(sigma) == pytest.approx(0.2, rel=0.01)
    assert np.corrcoef(np.argsort(badness.ravel()), np.argsort(sigma.ravel()))[0, 1] > 0


@given(st.floats(1e-3, 1e3), st.floats(0.1, 3.0))
def test_only_the_order_counts(gain, power):
    badness = 2.0 ** np.random.default_rng(3).integers(-4, 5, (20, 30)).astype(np.float64)
    usual = ranked_sigma(badness, 1.0)
    np.testing.assert_array_equal(ranked_sigma(gain * badness**power, 1.0), usual)
    np.testing.assert_array_equal(ranked_sigma(np.log(badness), 1.0), usual)


def test_unknown_has_no_sigma_and_nothing_is_known_without_error():
    badness = np.array([[0.0, -5.0, np.nan, np.inf, 3.0, 7.0]])
    sigma = ranked_sigma(badness, 0.1)
    assert np.isnan(sigma[0, 2])
    known = sigma[0, [1, 0, 4, 5, 3]]
    assert (np.diff(known) > 0.0).all()
    assert known[0] > 0.0
    assert np.isfinite(known).all()


def test_constant_score_gives_the_typical_sigma():
    np.testing.assert_allclose(ranked_sigma(np.full((4, 5), 0.3), 0.25), 0.25, rtol=2e-3)
    assert np.isnan(ranked_sigma(np.full((2, 2), np.nan), 1.0)).all()
