"""Colours: pinned by numbers, told apart where depth is not finite, and steady over time."""

from depth_perception.core.colours import (
    colourise,
    ColourScale,
    FAR_RGB,
    NEAR_RGB,
    rounded,
    steady_depth_scale,
    steady_sigma_scale,
    UNKNOWN_RGB,
)
from depth_perception.core.palettes import PALETTES
import numpy as np
import pytest


def luminance(table):
    """Return L* of CIE 1976 of (N, 3) sRGB."""
    linear = table / 255.0
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > 0.008856, 116.0 * np.cbrt(y) - 16.0, 903.3 * y)


@pytest.mark.parametrize('name', PALETTES)
def test_palettes_are_those_of_opencv(name):
    cv2 = pytest.importorskip('cv2')
    grey = np.arange(256, dtype=np.uint8)[:, None]
    theirs = cv2.applyColorMap(grey, getattr(cv2, f'COLORMAP_{name.upper()}'))[:, 0, ::-1]
    np.testing.assert_array_equal(PALETTES[name], theirs)


@pytest.mark.parametrize('name', ['viridis', 'cividis'])
def test_even_palettes_rise_evenly_in_lightness(name):
    steps = np.diff(luminance(PALETTES[name].astype(float))[::16])
    assert steps.min() > 0.6 * steps.mean()
    assert steps.max() < 1.5 * steps.mean()


def test_colours_of_depth_by_number():
    scale = ColourScale(1.0, 4.0, inverse=True)
    values = np.float32([[1.0, 1.6, 4.0, 0.5, 9.0, np.nan, np.inf, -np.inf]])
    # Turbo entries 248, 133, 18 at 1 / z of 1, 0.625 and 0.25: the ends count beyond the scale.
    table = PALETTES['turbo']
    expected = [table[248], table[133], table[18], table[248], table[18]]
    rgb = colourise(values, scale)
    np.testing.assert_allclose(rgb[0, :5].astype(int), np.array(expected, int), atol=3)
    assert [tuple(pixel) for pixel in rgb[0, 5:]] == [UNKNOWN_RGB, FAR_RGB, NEAR_RGB]


def test_colours_of_sigma_by_number():
    rgb = colourise(np.float32([[0.0, 0.05, 0.1]]), ColourScale(0.0, 0.1, palette='viridis'))
    assert rgb[0].tolist() == [[68, 1, 84], [33, 145, 140], [253, 231, 37]]


@pytest.mark.parametrize('palette', PALETTES)
def test_what_is_not_finite_looks_like_no_depth(palette):
    table = ColourScale(1.0, 4.0, palette=palette, inverse=True).table.astype(int)
    for odd in (UNKNOWN_RGB, FAR_RGB, NEAR_RGB):
        assert np.abs(table - odd).sum(axis=1).min() > 40


def test_ends_are_rounded_outwards():
    scale = rounded(ColourScale(0.217, 7.1, inverse=True))
    assert (scale.low, scale.high) == pytest.approx((0.2, 8.0))
    scale = rounded(ColourScale(2.0, 10.0, inverse=True))
    assert (scale.low, scale.high) == pytest.approx((2.0, 10.0))
    assert rounded(ColourScale(0.0, 0.0432)).high == pytest.approx(0.05)


def plane(low, high):
    """Return depths even in 1 / z, whose 1st and 98th percentile are about the ends."""
    return (1.0 / np.linspace(1.0 / high, 1.0 / low, 4000)).astype(np.float32).reshape(40, 100)


def test_a_scale_stays_while_the_scene_hardly_changes_and_follows_at_once_when_it_does():
    steady = steady_depth_scale()
    first = steady.scale_for(plane(1.6, 5.5))
    assert (first.low, first.high) == pytest.approx((1.5, 6.0))
    for factor in (0.92, 0.97, 1.05, 1.1):  # by itself, the first would be rounded to 1 m
        assert steady.scale_for(plane(1.6 * factor, 5.5 * factor)) == first
    nearer = steady.scale_for(plane(0.45, 5.5))
    assert nearer.low == pytest.approx(0.4)
    assert steady.scale_for(plane(3.2, 5.5)).low == pytest.approx(3.0)


def test_a_given_end_stands_and_the_other_follows():
    steady = steady_depth_scale()
    scale = steady.scale_for(plane(1.6, 5.5), low=0.7)
    assert (scale.low, scale.high) == pytest.approx((0.7, 6.0))
    scale = steady.scale_for(plane(1.6, 5.5), low=9.0)  # beyond what is seen
    assert scale.low == 9.0 < scale.high


def test_an_image_without_any_value_keeps_the_scale():
    steady = steady_sigma_scale()
    nothing = np.full((30, 40), np.nan, np.float32)
    assert steady.scale_for(nothing).high > 0.0
    steady = steady_sigma_scale()
    known = steady.scale_for(np.full((30, 40), 0.021, np.float32))
    assert known.high == pytest.approx(0.03)
    assert steady.scale_for(nothing) == known


def test_zero_sigma_and_one_depth_make_a_scale_all_the_same():
    assert steady_sigma_scale().scale_for(np.zeros((9, 9), np.float32)).high > 0.0
    scale = steady_depth_scale().scale_for(np.full((9, 9), 2.0, np.float32))
    assert scale.low <= 2.0 < scale.high
    assert np.isfinite(scale.fraction(np.float32([2.0]))).all()
