"""Colours for people: depth and sigma on a scale with a unit, and ranges that stay put."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

from depth_perception.core.palettes import PALETTES
from depth_perception.core.types import AnyArray, DepthMap, Pixels
import numpy as np

UNKNOWN_RGB = (24, 26, 30)
FAR_RGB = (236, 238, 242)
NEAR_RGB = (255, 0, 255)
_TURBO_PART = np.round(np.linspace(18.0, 248.0, 256)).astype(np.intp)
_ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_SAMPLES = 20_000  # pixels that a range is taken from: percentiles of all cost milliseconds
_SPILL, _LEAST_USE = 0.06, 0.5


@dataclass(frozen=True)
class ColourScale:
    """A range of values shown in the colours of a map.

    Attributes:
        low: Value of the first colour.
        high: Value of the last colour.
        unit: Unit of the values.
        palette: 'turbo' for depth (near is red), 'viridis' for sigma; or 'cividis'.
        inverse: Whether colours are even in 1 / value, as suits depth.
    """

    low: float
    high: float
    unit: str = 'm'
    palette: str = 'turbo'
    inverse: bool = False

    def fraction(self, values: AnyArray) -> AnyArray:
        """Return where values lie on the scale: 0 at `low`, 1 at `high`, NaN unknown."""
        with np.errstate(divide='ignore', invalid='ignore'):
            if self.inverse:
                return (1.0 / self.low - 1.0 / values) / (1.0 / self.low - 1.0 / self.high)
            return (values - self.low) / (self.high - self.low)

    def value(self, fraction: float) -> float:
        """Return the value at a place of the scale."""
        if self.inverse:
            return 1.0 / (1.0 / self.low + fraction * (1.0 / self.high - 1.0 / self.low))
        return self.low + fraction * (self.high - self.low)

    @property
    def table(self) -> Pixels:
        """(256, 3) uint8 RGB from the first colour to the last: near depth is red or bright."""
        table = PALETTES[self.palette]
        if self.palette == 'turbo':  # without its dark ends, which look like the unknown
            table = table[_TURBO_PART]
        return table[::-1] if self.inverse or self.palette == 'turbo' else table

    def colours(self, fraction: AnyArray) -> Pixels:
        """Return uint8 RGB of places on the scale; not finite becomes the first colour."""
        place = np.nan_to_num(np.clip(fraction, 0.0, 1.0), nan=0.0)
        colours: Pixels = self.table.take(np.round(place * 255.0).astype(np.uint8), axis=0)
        return colours

    def stops(self, count: int = 12) -> list[tuple[int, int, int]]:
        """Return the colours of evenly spaced places of the scale."""
        rows = self.colours(np.linspace(0.0, 1.0, count))
        return [(int(r), int(g), int(b)) for r, g, b in rows]


def depth_scale(depths: Sequence[DepthMap]) -> ColourScale:
    """Return a scale for the given depths [m] together, without their outliers."""
    values = np.concatenate([depth[np.isfinite(depth)] for depth in depths])
    if values.size == 0:
        return ColourScale(0.5, 10.0, inverse=True)
    low, high = np.percentile(values, (1.0, 98.0))
    return ColourScale(float(low), max(float(high), float(low) * 1.05), inverse=True)


def sigma_scale(sigma: AnyArray) -> ColourScale:
    """Return a scale for sigma [m], from 0, without the outliers."""
    values = sigma[np.isfinite(sigma)]
    high = float(np.percentile(values, 95.0)) if values.size else 1.0
    return ColourScale(0.0, max(high, 1e-4), palette='viridis')


def colourise(values: AnyArray, scale: ColourScale) -> Pixels:
    """Return (H, W, 3) uint8 RGB of (H, W) values.

    NaN is dark (unknown), +Inf is pale (beyond the range), -Inf is magenta (too near).
    """
    rgb = scale.colours(scale.fraction(values))
    odd = ~np.isfinite(values)
    if odd.any():
        rgb[odd & np.isnan(values)] = UNKNOWN_RGB
        rgb[odd & (values > 0.0)] = FAR_RGB
        rgb[odd & (values < 0.0)] = NEAR_RGB
    return rgb


def rounded(scale: ColourScale) -> ColourScale:
    """Return the scale with its ends rounded outwards to numbers that are easy to read."""
    low = _round_down(scale.low) if scale.low > 0.0 else scale.low
    return _with_ends(scale, low, _round_up(scale.high))


class SteadyScale:
    """Chooses the range of a stream of images so that a colour keeps its meaning.

    A range of round numbers is kept while the values lie in it, and change it by half of its
    length at least; else it follows them at once.

    Args:
        choose: Returns the best scale for one image: `depth_scale` of one, or `sigma_scale`.
    """

    def __init__(self, choose: Callable[[AnyArray], ColourScale]) -> None:
        self._choose = choose
        self._held: ColourScale | None = None

    def scale_for(self, values: AnyArray, low: float = 0.0, high: float = 0.0) -> ColourScale:
        """Return the scale of the next image.

        Args:
            values: (H, W) [m]; what is not finite does not count.
            low: First value of the scale [m]; 0: chosen here.
            high: Last value of the scale [m]; 0: chosen here.
        """
        step = max(1, math.isqrt(values.size // _SAMPLES))
        sample = values[::step, ::step]
        if self._held is None or np.isfinite(sample).any():
            wanted = self._choose(sample)
            if self._held is None or not self._suits(self._held, wanted):
                self._held = rounded(wanted)
        held = self._held
        low, high = low or held.low, high or held.high
        return _with_ends(held, low, high if high > low else low * 1.05 + 1e-4)

    @staticmethod
    def _suits(held: ColourScale, wanted: ColourScale) -> bool:
        first, last = held.fraction(np.array([wanted.low or held.low, wanted.high]))
        return bool(first >= -_SPILL and last <= 1.0 + _SPILL and last - first >= _LEAST_USE)


def steady_depth_scale() -> SteadyScale:
    """Return the chooser of scales for a stream of depth images [m]."""
    return SteadyScale(lambda depth: depth_scale([depth]))


def steady_sigma_scale() -> SteadyScale:
    """Return the chooser of scales for a stream of images of sigma [m]."""
    return SteadyScale(sigma_scale)


def _with_ends(scale: ColourScale, low: float, high: float) -> ColourScale:
    return ColourScale(low, high, scale.unit, scale.palette, scale.inverse)


def _decade(value: float) -> float:
    return 10.0 ** math.floor(math.log10(value))


def _round_down(value: float) -> float:
    decade = _decade(value)
    return max(step for step in _ROUND if step <= value / decade * (1.0 + 1e-9)) * decade


def _round_up(value: float) -> float:
    decade = _decade(value)
    return min(step for step in _ROUND if step >= value / decade * (1.0 - 1e-9)) * decade
