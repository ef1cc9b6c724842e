"""The colour bar in the image: at its place, with numbers that can be read, nothing else."""

from depth_perception.core.colours import ColourScale
from depth_perception.core.legend import ticks_of, with_legend
import numpy as np
import pytest

DEPTH = ColourScale(1.5, 6.0, inverse=True)


def test_ticks_of_depth_are_round_and_apart():
    assert ticks_of(DEPTH, 0.15) == pytest.approx([1.5, 2.0, 3.0, 6.0])
    wide = ticks_of(ColourScale(0.2, 20.0, inverse=True), 0.1)
    places = [float(ColourScale(0.2, 20.0, inverse=True).fraction(np.array(v))) for v in wide]
    assert min(np.diff(places)) >= 0.1 - 1e-9
    assert {0.2, 1.0, 20.0} <= {round(value, 6) for value in wide}


def test_ticks_of_sigma_are_even():
    sigma = ColourScale(0.0, 0.06, palette='viridis')
    assert ticks_of(sigma, 0.12) == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06])


def test_the_legend_covers_the_lowest_rows_alone_and_keeps_the_size():
    rgb = np.full((480, 640, 3), 77, np.uint8)
    whole = with_legend(rgb, DEPTH, 'depth [m]')
    assert whole.shape == rgb.shape
    assert (rgb == 77).all()
    changed = np.flatnonzero((whole != 77).any(axis=(1, 2)))
    assert (changed.min(), changed.max()) == (438, 479)


def test_the_bar_holds_the_colours_from_the_first_to_the_last():
    whole = with_legend(np.zeros((480, 640, 3), np.uint8), DEPTH, 'depth [m]')
    row = whole[438 + 10]
    bar = np.flatnonzero((row != row[-1]).any(axis=1) & (np.arange(640) > 115))
    ends = DEPTH.colours(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(row[bar.min()], ends[0])
    np.testing.assert_array_equal(row[bar.max()], ends[1])
    middle = DEPTH.colours(np.array([0.5]))[0].astype(int)
    assert np.abs(row[(bar.min() + bar.max()) // 2].astype(int) - middle).max() <= 6


def test_numbers_stand_below_their_colours():
    """The tick of 2 m is a third of the way from 1.5 m to 6 m, in 1 / z."""
    whole = with_legend(np.zeros((480, 640, 3), np.uint8), DEPTH, 'depth [m]')
    ticks = 115 + np.flatnonzero((whole[438 + 19, 115:] == 235).all(axis=1))
    groups = np.split(ticks, np.flatnonzero(np.diff(ticks) > 1) + 1)
    starts = [group[0] for group in groups]
    assert (starts[1] - starts[0]) / (starts[-1] - starts[0]) == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize('size', [(40, 60), (600, 90), (30, 900)])
def test_an_image_too_small_for_it_comes_back_as_it_is(size):
    rgb = np.full((*size, 3), 9, np.uint8)
    np.testing.assert_array_equal(with_legend(rgb, DEPTH, 'depth [m]'), rgb)


@pytest.mark.parametrize('high', [1e-4, 0.035, 100.0, 1000.0])
def test_every_range_can_be_written(high):
    for scale in (ColourScale(high / 50, high, inverse=True), ColourScale(0.0, high)):
        whole = with_legend(np.zeros((240, 320, 3), np.uint8), scale, 'sigma [m]')
        assert whole[-21:].any()
