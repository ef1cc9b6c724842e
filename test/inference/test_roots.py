"""Roots by OpenCV are those by NumPy, in place and in a part of a map, too."""

import sys

from depth_perception.core.roots import NUMPY_ROOTS, NumpyRoots
from depth_perception.core.score_combine import Before, joined
from depth_perception.inference import roots
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
OPENCV = roots.OpencvRoots(cv2)


def some(seed, shape=(250, 37)):
    values = np.random.default_rng(seed).gamma(1.0, 3.0, shape).astype(np.float32)
    values[3, 5:8] = np.nan, np.inf, 0.0
    return values


@pytest.mark.parametrize('way', [NUMPY_ROOTS, OPENCV])
@pytest.mark.parametrize('target', ['new', 'one', 'other'])
def test_hypot_goes_where_it_should(way, target):
    one, other = some(1), 1.5 * some(2)
    other[9, 9] = np.nan
    wanted = np.sqrt(one.astype(np.float64) ** 2 + other.astype(np.float64) ** 2)
    places = {'new': np.zeros_like(one), 'one': one, 'other': other}
    rows = slice(2, 66)
    way.hypot(one[rows], other[rows], places[target][rows])
    np.testing.assert_allclose(places[target][rows], wanted[rows], rtol=3e-7)


@pytest.mark.parametrize('way', [NUMPY_ROOTS, OPENCV])
def test_root_goes_where_it_should(way):
    values = some(3)
    wanted, before, out = np.sqrt(values.astype(np.float64)), values.copy(), np.zeros_like(values)
    way.root(values[1:65], out[1:65])
    np.testing.assert_allclose(out[1:65], wanted[1:65], rtol=1e-7)
    np.testing.assert_array_equal(values, before)
    assert not out[0].any()
    way.root(values, values)
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
    NUMPY_ROOTS.hypot(one, other, wanted)
    memory = np.empty(one.size + 8, np.float32)
    moved = memory[offset : offset + one.size].reshape(one.shape)
    moved[:] = one
    OPENCV.hypot(moved, other, moved)
    np.testing.assert_array_equal(moved, wanted)


def test_numpy_takes_the_roots_where_opencv_is_missing(monkeypatch):
    roots.fastest_roots.cache_clear()
    assert isinstance(roots.fastest_roots(), roots.OpencvRoots)
    roots.fastest_roots.cache_clear()
    monkeypatch.setitem(sys.modules, 'cv2', None)
    assert isinstance(roots.fastest_roots(), NumpyRoots)
    roots.fastest_roots.cache_clear()
