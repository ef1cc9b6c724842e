"""Roots by OpenCV are those by NumPy, in place and in a part of a map, too."""

import sys

from depth_perception.core.roots import hypot, numpy_root
from depth_perception.core.score_combine import Before, joined
from depth_perception.inference import roots
import numpy as np
import pytest

pytest.importorskip('cv2')
OPENCV = roots.fastest_root()


def some(seed, shape=(250, 37)):
    values = np.random.default_rng(seed).gamma(1.0, 3.0, shape).astype(np.float32)
    values[3, 5:8] = np.nan, np.inf, 0.0
    return values


@pytest.mark.parametrize('way', [numpy_root, OPENCV])
@pytest.mark.parametrize('target', ['new', 'one', 'other'])
def test_hypot_goes_where_it_should(way, target):
    one, other = some(1), 1.5 * some(2)
    other[9, 9] = np.nan
    wanted = np.sqrt(one.astype(np.float64) ** 2 + other.astype(np.float64) ** 2)
    places = {'new': np.zeros_like(one), 'one': one, 'other': other}
    rows = slice(2, 66)
    hypot(one[rows], other[rows], places[target][rows], way)
    np.testing.assert_allclose(places[target][rows], wanted[rows], rtol=3e-7)


@pytest.mark.parametrize('way', [numpy_root, OPENCV])
def test_root_goes_where_it_should(way):
    values = some(3)
    wanted, before, out = np.sqrt(values.astype(np.float64)), values.copy(), np.zeros_like(values)
    way(values[1:65], out[1:65])
    np.testing.assert_allclose(out[1:65], wanted[1:65], rtol=1e-7)
    np.testing.assert_array_equal(values, before)
    assert not out[0].any()
    way(values, values)
    np.testing.assert_allclose(values, wanted, rtol=1e-7)


@pytest.mark.parametrize('low', [0.5, 0.0, -1.0, np.nan])
def test_joined_is_the_same_by_either(low):
    rho, squares, shared = some(4) + np.float32(0.5), some(5), some(6)
    rho[3, 5:8], rho[160, 2] = 0.7, low  # in one block of rows only
    before = Before(rho, np.full_like(rho, 0.4), shared)
    expected = joined(before, squares.copy(), some(7))
    for got, wanted in zip(joined(before, squares, some(7), OPENCV), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert np.isnan(got[160, 2]) == np.isnan(low)


@pytest.mark.parametrize('offset', range(8))
def test_the_same_wherever_the_memory_lies(offset):
    one, other = some(8), some(9)
    wanted = one.copy()
    hypot(one, other, wanted)
    memory = np.empty(one.size + 8, np.float32)
    moved = memory[offset : offset + one.size].reshape(one.shape)
    moved[:] = one
    hypot(moved, other, moved, OPENCV)
    np.testing.assert_array_equal(moved, wanted)


def test_numpy_takes_the_roots_where_opencv_is_missing(monkeypatch):
    assert roots.fastest_root() is not numpy_root
    roots.fastest_root.cache_clear()
    monkeypatch.setitem(sys.modules, 'cv2', None)
    assert roots.fastest_root() is numpy_root
    roots.fastest_root.cache_clear()
