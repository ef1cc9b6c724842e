"""Tests of core.calibration_curve."""

from depth_perception.core.calibration_curve import PowerCurve, TableCurve
from depth_perception.errors import CalibrationError, ShapeError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

TABLE = TableCurve((0.1, 0.4, 1.6), (0.2, 0.2, 0.8))
scores = st.floats(2.0**-20, 2.0**20, width=32)


def f32(*values):
    return np.array(values, np.float32)


def test_power_curve_has_the_numbers_of_its_formula():
    curve = PowerCurve(a=3.0, gamma=2.0, b=4.0)
    assert curve.exact(np.array([0.0, 1.0, 2.0])) == pytest.approx([4.0, 5.0, 160.0**0.5])
    assert curve.apply(f32(0.0, 1.0, 2.0)) == pytest.approx([4.0, 5.0, 160.0**0.5], rel=0.008)


def test_table_is_straight_in_logarithms_and_flat_beyond_its_ends():
    found = TABLE.exact(np.array([0.0, 0.01, 0.2, 0.8, 1.6, 1e9]))
    assert found == pytest.approx([0.2, 0.2, 0.2, 0.4, 0.8, 0.8])


def test_score_without_meaning_has_no_sigma():
    found = PowerCurve(1.0, 1.0, 0.5).apply(f32(np.nan, np.inf, -np.inf, -1e-3, -0.0, 0.0))
    assert np.isnan(found).tolist() == [True, True, True, True, False, False]
    assert found[4:].tolist() == [0.5, 0.5]


def test_score_of_zero_on_a_curve_without_floor_is_no_answer():
    assert np.isnan(PowerCurve(1.0, 1.0, 0.0).apply(f32(0.0, -0.0))).all()


def test_sigma_beyond_float32_is_no_answer():
    assert np.isnan(PowerCurve(1e30, 4.0, 0.0).apply(f32(1e9)))


@given(
    score=scores,
    a=st.floats(1e-3, 1e3),
    gamma=st.floats(0.0, 2.0),
    b=st.floats(0.0, 10.0),
)
def test_cells_are_right_to_their_width(score, a, gamma, b):
    curve = PowerCurve(a, gamma, b)
    exact = curve.exact(np.array([score]))
    assert curve.apply(f32(score)) == pytest.approx(exact, rel=0.004 * max(gamma, 0.01))


@given(pair=st.tuples(scores, scores).map(sorted))
def test_sigma_never_falls_with_the_score(pair):
    for curve in (PowerCurve(0.7, 0.4, 0.1), TABLE):
        low, high = curve.apply(f32(*pair))
        assert low <= high


@given(temperature=st.floats(0.01, 100.0), score=scores)
def test_scaling_scales_sigma(temperature, score):
    for curve in (PowerCurve(0.7, 0.4, 0.1), TABLE):
        at = np.array([score])
        wanted = temperature * curve.exact(at)
        assert curve.scaled(temperature).exact(at) == pytest.approx(wanted)


def test_shape_is_kept_for_pictures_and_views():
    score = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
    curve = PowerCurve(2.0, 1.0, 0.0)
    assert curve.apply(score[:, ::2]) == pytest.approx(2.0 * score[:, ::2], rel=0.004)


def test_score_of_another_type_is_refused():
    with pytest.raises(ShapeError, match='float64'):
        TABLE.apply(np.ones(3))


@pytest.mark.parametrize(
    'numbers',
    [(-1.0, 1.0, 1.0), (1.0, 4.1, 1.0), (1.0, 1.0, np.nan), (0.0, 1.0, 0.0), (np.inf, 1.0, 1.0)],
)
def test_impossible_power_is_refused(numbers):
    with pytest.raises(CalibrationError):
        PowerCurve(*numbers)


@pytest.mark.parametrize(
    ('score', 'sigma'),
    [
        ((), ()),
        ((1.0, 2.0), (1.0,)),
        ((1.0, 1.0), (1.0, 2.0)),
        ((1.0, 2.0), (2.0, 1.0)),
        ((0.0, 1.0), (1.0, 1.0)),
        ((1.0, 2.0), (1.0, np.nan)),
    ],
)
def test_impossible_table_is_refused(score, sigma):
    with pytest.raises(CalibrationError):
        TableCurve(score, sigma)
