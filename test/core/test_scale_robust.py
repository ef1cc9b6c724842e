"""The short cuts of the robust fits give what the functions of NumPy give that they stand for."""

from depth_perception.core.scale_fit import fit_scale_shift, FitRules
from depth_perception.core.scale_robust import median, quantiles, ransac_line
from depth_perception.core.scale_types import Rejected, Rejection, Samples, ScaleFit
import numpy as np
from numpy.testing import assert_allclose
import pytest


@pytest.mark.parametrize('count', [1, 2, 3, 21, 600, 601])
def test_quantiles_are_those_of_numpy(count):
    values = np.random.default_rng(count).normal(3.0, 2.0, count) ** 3
    before = values.copy()
    for low, high in ((0.05, 0.95), (0.02, 0.98), (0.0, 1.0), (0.5, 0.5)):
        assert_allclose(quantiles(values, low, high), np.quantile(values, (low, high)), rtol=1e-12)
    assert (values == before).all()


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('count', [1, 2, 3, 20, 601])
def test_median_is_that_of_numpy(count, dtype):
    values = np.random.default_rng(count).normal(3.0, 2.0, count).astype(dtype)
    before = values.copy()
    assert median(values) == np.median(values)
    assert (values == before).all()


def test_quantiles_of_single_precision_keep_their_value():
    values = np.random.default_rng(4).random(77).astype(np.float32)
    assert_allclose(quantiles(values, 0.1, 0.7), np.quantile(values, (0.1, 0.7)), rtol=1e-6)


def line_samples(centre, spread):
    """Return samples of rho = 0.02 o + 0.05 with outputs at `centre` +- `spread`."""
    random = np.random.default_rng(6)
    o = centre + spread * random.uniform(-1.0, 1.0, 300)
    column, row = random.random((2, 300))
    return Samples(o, 0.02 * o + 0.05, np.full(300, 1e-3), column, row, centre, spread)


def test_the_limit_of_the_condition_number_is_that_of_the_scaled_matrix():
    samples = line_samples(30.0, 0.9)
    # Without noise all weights are alike: A^T A of [o 1], its columns brought to length 1.
    columns = np.stack([samples.o, np.ones(300)], 1)
    columns /= np.linalg.norm(columns, axis=0)
    condition = np.linalg.cond(columns.T @ columns)
    assert condition > 1e3
    kept = fit_scale_shift(samples, FitRules(most_condition=1.02 * condition))
    assert isinstance(kept, ScaleFit)
    assert_allclose(kept.o_range, np.quantile(samples.o, (0.02, 0.98)), rtol=1e-12)
    refused = fit_scale_shift(samples, FitRules(most_condition=0.98 * condition))
    assert isinstance(refused, Rejected)
    assert refused.reason is Rejection.ILL_CONDITIONED


def test_fits_of_other_sizes_in_between_do_not_change_a_fit():
    def found(count):
        random = np.random.default_rng(count)
        o = random.uniform(1.0, 5.0, count)
        rho = np.where(random.random(count) < 0.4, random.uniform(0.0, 3.0, count), 0.3 * o + 0.2)
        return ransac_line(o, rho, np.full(count, 0.01), 0.1)

    first = found(500)
    assert_allclose(first, (0.3, 0.2), rtol=1e-9)
    assert found(120) == pytest.approx((0.3, 0.2), rel=1e-9)
    assert found(500) == first
