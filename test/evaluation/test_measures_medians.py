"""Medians against sorting, and what a weighted median must minimise."""

from depth_perception.evaluation.measures.medians import median_of, weighted_median_of
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=30))
def test_the_weighted_median_is_the_least_best_value(pairs):
    values, weights = np.array(pairs, np.float64).T
    costs = [(weights * np.abs(values - value)).sum() for value in values]
    best = values[np.array(costs) == min(costs)].min()
    assert weighted_median_of([(values[:3], weights[:3]), (values[3:], weights[3:])]) == best


@pytest.mark.parametrize('outlier', [1.0, 1e9, -1e9, 1e30])
def test_the_weighted_median_of_many_is_that_of_all_sorted(outlier):
    noise = np.random.default_rng(8)
    values = noise.normal(3.0, 1.0, 40_000)
    values[:7] = outlier * np.arange(1, 8)
    values[7:9000] = 2.5
    weights = noise.integers(1, 7, values.size).astype(np.float64)
    weights[:7] = 500.0
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    wanted = values[order[np.searchsorted(reached, 0.5 * reached[-1])]]
    halves = [(values[:9], weights[:9]), (values[9:], weights[9:])]
    assert weighted_median_of(halves) == wanted
    assert weighted_median_of([(np.full(20_000, 2.5), np.ones(20_000))]) == 2.5


def test_medians_of_blocks():
    assert median_of([np.array([5.0]), np.array([1.0, 9.0])]) == 5.0
    assert median_of([np.array([5.0, 7.0]), np.array([1.0, 9.0])]) == 6.0
