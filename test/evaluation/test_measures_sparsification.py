from depth_perception.errors import ShapeError
from depth_perception.evaluation.measures.sparsification import (
    claims_of,
    curves,
    kept_counts,
    rising,
    sparsification,
)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

EVEN = np.arange(51) / 50.0


def frame(seed, height=9, width=13):
    rng = np.random.default_rng(seed)
    truth = (1.0 + 9.0 * rng.random((height, width))).astype(np.float32)
    depth = (truth * (0.5 + rng.random((height, width)))).astype(np.float32)
    sigma = (0.01 + rng.random((height, width))).astype(np.float32)
    return depth, sigma, truth


def found(depth, sigma, truth):
    return sparsification(depth, sigma, truth, np.isfinite(truth))


def literal(depth, truth, score, error, reduce):
    """Return the curve of a loop over percentiles of the score, as Poggi's evaluation has it."""
    values = [np.percentile(-score, 2.0 * step) for step in range(50)]
    values = [value - 1e-12 * abs(value) for value in values]  # a percentile that is a pixel's
    return [reduce(error[-score >= value]) for value in values] + [0.0]


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 17))
def test_the_curves_are_those_of_the_literal_loop(seed, height, width):
    depth, sigma, truth = frame(seed, height, width)
    got = found(depth, sigma, truth)
    y, u, g = (values.ravel().astype(np.float64) for values in (depth, sigma, truth))
    ratio = np.maximum(y / g, g / y)
    metrics = {
        'abs_rel': (np.abs(y - g) / g, np.mean),
        'rmse_m': (np.square(y - g), lambda kept: np.sqrt(np.mean(kept))),
        'delta1': (ratio, lambda kept: np.mean(kept >= 1.25)),
    }
    if np.unique(u).size < u.size or any(np.unique(e).size < u.size for e, _ in metrics.values()):
        return
    for name, (error, reduce) in metrics.items():
        np.testing.assert_allclose(got[name].sparse, literal(y, g, u, error, reduce), atol=1e-12)
        np.testing.assert_allclose(
            got[name].oracle, literal(y, g, error, error, reduce), atol=1e-12
        )


@pytest.mark.parametrize('pixels', [1, 2, 4, 50, 98, 300, 4800, 250_000])
def test_as_many_are_kept_as_the_interpolated_percentile_keeps(pixels):
    scores = np.arange(pixels) / 7.0
    kept = [int((scores >= np.percentile(scores, 2.0 * step)).sum()) for step in range(50)]
    assert kept_counts(pixels).tolist() == kept


@pytest.mark.parametrize('pixels', [51, 101, 4801])
def test_a_percentile_that_is_a_pixel_keeps_that_pixel(pixels):
    steps = np.arange(50)
    assert kept_counts(pixels).tolist() == (pixels - steps * (pixels - 1) // 50).tolist()


def test_a_sigma_that_is_the_error_has_no_sparsification_error():
    depth, _, truth = frame(3, 41, 57)
    error = np.abs(depth.astype(np.float64) - truth)
    ratio = np.maximum(depth / truth.astype(np.float64), truth / depth.astype(np.float64))
    assert found(depth, error, truth)['rmse_m'].ause == 0.0
    assert found(depth, error / truth, truth)['abs_rel'].ause == 0.0
    assert found(depth, ratio, truth)['delta1'].ause == 0.0
    assert found(depth, error, truth)['abs_rel'].ause > 0.001


def test_a_constant_error_gains_a_hundredth_of_itself_from_the_last_point():
    truth = np.full((6, 10), 4.0, np.float32)
    depth, sigma = truth * np.float32(1.5), np.full((6, 10), 0.25, np.float32)
    got = found(depth, sigma, truth)
    for name, level in (('abs_rel', 0.5), ('rmse_m', 2.0), ('delta1', 1.0)):
        np.testing.assert_allclose(got[name].sparse, [level] * 50 + [0.0])
        assert got[name].aurg == pytest.approx(level / 100.0, abs=1e-14)
        assert got[name].ause == pytest.approx(0.0, abs=1e-14)


def test_a_constant_sigma_is_random_even_where_the_error_grows_across_the_image():
    truth = np.full((480, 640), 10.0, np.float32)
    depth = truth + np.linspace(0.0, 1.0, 480 * 640, dtype=np.float32).reshape(480, 640)
    curve = found(depth, np.full_like(truth, 0.5), truth)['abs_rel']
    assert curve.aurg == pytest.approx(curve.sparse[0] / 100.0, rel=0.01)
    np.testing.assert_allclose(curve.sparse[:-1], curve.sparse[0], rtol=0.01)


def test_four_pixels_by_hand():
    truth = np.array([[2.0, 4.0, 5.0, 10.0]], np.float32)
    depth = np.array([[2.2, 5.0, 5.0, 16.0]], np.float32)
    curve = found(depth, np.array([[0.4, 0.3, 0.2, 0.1]], np.float32), truth)['rmse_m']
    counts = (np.floor((1.0 - EVEN[:-1]) * 3.0 + 1e-9) + 1.0).astype(int)
    best = np.sqrt(np.cumsum([0.0, 0.2**2, 1.0, 36.0]) / [1, 2, 3, 4])[counts - 1]
    mine = np.sqrt(np.cumsum([36.0, 0.0, 1.0, 0.2**2]) / [1, 2, 3, 4])[counts - 1]
    np.testing.assert_allclose(curve.oracle[:-1], best, rtol=1e-6)
    np.testing.assert_allclose(curve.sparse[:-1], mine, rtol=1e-6)
    area = sum((mine[1:] + mine[:-1]) / 100.0) + mine[-1] / 100.0
    assert curve.aurg == pytest.approx(mine[0] - area, rel=1e-6)


def test_only_pixels_with_depth_sigma_and_truth_are_judged():
    depth = np.array([[2.0, np.nan, np.inf, -np.inf, 3.0, 4.0, 5.0, -1.0]], np.float32)
    sigma = np.array([[0.3, 0.1, 0.1, 0.1, np.nan, 0.2, 0.1, 0.1]], np.float32)
    truth = np.array([[2.5, 1.0, 1.0, 1.0, 1.0, 4.5, np.nan, 1.0]], np.float32)
    claims = claims_of(depth, sigma, truth, np.isfinite(truth))
    assert claims.depth.tolist() == [4.0, 2.0]
    assert claims.truth.tolist() == [4.5, 2.5]
    np.testing.assert_array_equal(claims.sigma, np.array([0.2, 0.3], np.float32))
    assert (claims.pixels, claims.claimed, claims.predicted) == (2, 2, 3)


def test_a_part_of_the_pixels_is_spread_over_the_frame():
    depth, sigma, truth = frame(5, 10, 10)
    part = claims_of(depth, sigma, truth, np.isfinite(truth), max_pixels=30)
    assert (part.pixels, part.claimed) == (30, 100)
    picks = np.arange(30) * 100 // 30
    np.testing.assert_array_equal(np.sort(part.sigma), np.sort(sigma.ravel()[picks]))
    whole = claims_of(depth, sigma, truth, np.isfinite(truth), max_pixels=100)
    np.testing.assert_array_equal(whole.sigma, np.sort(sigma.ravel()))


@given(st.lists(st.floats(0.0, 2.0**100, width=32), max_size=40))
def test_rising_is_a_stable_order(values):
    array = np.array(values, np.float32) + np.float32(0.0)
    order = rising(array, np.arange(array.size, dtype=np.uint32))
    np.testing.assert_array_equal(order, np.argsort(array, kind='stable'))


def test_without_pixels_there_is_no_curve():
    depth, sigma, truth = frame(1)
    nowhere = np.zeros(truth.shape, bool)
    assert sparsification(depth, sigma, truth, nowhere) == {}
    with pytest.raises(ValueError, match='at least one pixel'):
        curves(claims_of(depth, sigma, truth, nowhere))


def test_shapes_must_agree():
    depth, sigma, truth = frame(1)
    with pytest.raises(ShapeError, match='sigma'):
        sparsification(depth, sigma[:, 1:], truth, np.isfinite(truth))


@pytest.mark.parametrize('sigma', [0.0, -0.1, np.nan, np.inf, 1e-60, 1e60])
def test_a_sigma_that_is_no_positive_float32_is_no_claim(sigma):
    depth, truth = np.full((1, 2), 3.0), np.full((1, 2), 4.0)
    claims = claims_of(depth, np.array([[sigma, 0.5]]), truth, np.isfinite(truth))
    assert (claims.sigma.tolist(), claims.predicted) == ([0.5], 2)


def test_a_ratio_at_the_limit_is_an_outlier():
    depth = np.array([[1.25, 1.0, np.nextafter(1.25, 1.0), 1.0]])
    truth = np.array([[1.0, 1.25, 1.0, 1.0]])
    curve = found(depth, np.full((1, 4), 0.5), truth)['delta1']
    assert curve.sparse[0] == curve.oracle[0] == 0.5


def test_equal_sigmas_are_shuffled_the_same_way_every_time():
    depth, _, truth = frame(8, 40, 50)
    sigma = np.ceil(frame(8, 40, 50)[1] * 4) / 4  # five levels
    first, again = (found(depth, sigma.copy(), truth)['rmse_m'] for _ in range(2))
    np.testing.assert_array_equal(first.sparse, again.sparse)
    flat = claims_of(depth, np.full_like(sigma, 0.5), truth, np.isfinite(truth))
    assert not np.array_equal(flat.depth, depth.ravel().astype(np.float64))
    np.testing.assert_array_equal(np.sort(flat.depth), np.sort(depth.ravel()))
