"""Millimetres, error percent and inverse depth codes, with the values of their definitions."""

from depth_perception.core.depth_units import (
    error_percent_from_confidence,
    inverse_depth_codes,
    inverse_depth_coefficients,
    millimetres_from_depth,
)
import numpy as np


def test_millimetres_are_rounded_and_what_does_not_fit_is_invalid():
    depth = np.float32([[1.2346, 65.535, 65.536, 0.0004, np.nan, np.inf, -np.inf, -2.0]])
    assert millimetres_from_depth(depth).tolist() == [[1235, 65535, 0, 0, 0, 0, 0, 0]]


def test_error_percent_runs_the_other_way_from_1_to_100():
    confidence = np.float32([[1.0, 0.999, 0.75, 0.1, 0.0]])
    percent = error_percent_from_confidence(confidence)
    assert percent.dtype == np.float32
    np.testing.assert_allclose(percent, [[1.0, 1.0, 25.0, 90.0, 100.0]], rtol=1e-6)
    assert confidence[0, 2] == 0.75  # the input stays as it is


def test_codes_are_those_of_the_definition():
    assert inverse_depth_coefficients(10.0, 100.0) == (10100.0, -1009.0)
    depth = np.float32([[2.0, 5.0, 10.0, 10.1, np.nan, np.inf, 0.1]])
    assert inverse_depth_codes(depth, 10.0, 100.0).tolist() == [[4041, 1011, 1, 0, 0, 0, 0]]
