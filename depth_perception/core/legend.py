"""A colour bar with numbers, drawn into an image; a small font saves a drawing library."""

from __future__ import annotations

import math
from types import MappingProxyType

from depth_perception.core.colours import ColourScale
from depth_perception.core.types import Pixels
import numpy as np

_ROWS, _COLUMNS = 7, 5
# Rows from top to bottom, five bits each, the most significant one to the left.
_FONT = MappingProxyType(
    {
        ' ': (0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00),
        '+': (0x00, 0x04, 0x04, 0x1F, 0x04, 0x04, 0x00),
        '-': (0x00, 0x00, 0x00, 0x1F, 0x00, 0x00, 0x00),
        '.': (0x00, 0x00, 0x00, 0x00, 0x00, 0x0C, 0x0C),
        '0': (0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E),
        '1': (0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E),
        '2': (0x0E, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1F),
        '3': (0x1F, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0E),
        '4': (0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02),
        '5': (0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E),
        '6': (0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E),
        '7': (0x1F, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08),
        '8': (0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E),
        '9': (0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C),
        'a': (0x00, 0x00, 0x0E, 0x01, 0x0F, 0x11, 0x0F),
        'd': (0x01, 0x01, 0x0D, 0x13, 0x11, 0x11, 0x0F),
        'e': (0x00, 0x00, 0x0E, 0x11, 0x1F, 0x10, 0x0E),
        'g': (0x00, 0x0F, 0x11, 0x11, 0x0F, 0x01, 0x0E),
        'h': (0x10, 0x10, 0x16, 0x19, 0x11, 0x11, 0x11),
        'i': (0x04, 0x00, 0x0C, 0x04, 0x04, 0x04, 0x0E),
        'm': (0x00, 0x00, 0x1A, 0x15, 0x15, 0x11, 0x11),
        'p': (0x00, 0x00, 0x1E, 0x11, 0x1E, 0x10, 0x10),
        's': (0x00, 0x00, 0x0E, 0x10, 0x0E, 0x01, 0x1E),
        't': (0x08, 0x08, 0x1C, 0x08, 0x08, 0x09, 0x06),
        '[': (0x0E, 0x08, 0x08, 0x08, 0x08, 0x08, 0x0E),
        ']': (0x0E, 0x02, 0x02, 0x02, 0x02, 0x02, 0x0E),
    }
)
# Values to write at a scale of depth [m], the roundest first.
_ROUND = [m * 10.0**e for m in (1.0, 2.0, 5.0, 3.0, 1.5, 7.0) for e in range(-4, 4)]
_INK, _PAPER = 235, 16


def ticks_of(scale: ColourScale, least_gap: float) -> list[float]:
    """Return values to write at a scale: its ends, and round ones at least so far apart.

    Args:
        scale: The scale.
        least_gap: Least distance of two ticks, as a part of the length of the scale.
    """
    chosen = [(0.0, scale.low), (1.0, scale.high)]
    for value in _even_steps(scale, least_gap) if not scale.inverse else _ROUND:
        place = float(scale.fraction(np.array(value)))
        if 0.0 < place < 1.0 and all(abs(place - other) >= least_gap for other, _ in chosen):
            chosen.append((place, value))
    return [value for _, value in sorted(chosen)]


def with_legend(rgb: Pixels, scale: ColourScale, title: str) -> Pixels:
    """Return the image with title, colour bar and numbers in a band over its lowest rows.

    The size stays, so that the camera_info of the image holds. An image too small to write into
    comes back as it is.

    Args:
        rgb: (H, W, 3) uint8.
        scale: Scale of its colours.
        title: Name and unit of the values, e.g. 'depth [m]'; in the characters of the font.
    """
    height, width = rgb.shape[:2]
    pen = max(1, min(width // 320, height // 120))
    title_px = _text_px(title, pen)
    bar_px = width - title_px - 12 * pen
    band_px = 21 * pen
    if bar_px < 60 * pen or height < 4 * band_px:
        return rgb
    whole = rgb.copy()
    band = whole[height - band_px :]
    band[:] = _PAPER
    left = title_px + 7 * pen
    _write(band, title, 3 * pen, 7 * pen, pen)
    bar = scale.colours(np.linspace(0.0, 1.0, bar_px))
    band[2 * pen : 9 * pen, left : left + bar_px] = bar
    widest = max(_text_px(f'{value:.4g}', pen) for value in (scale.low, scale.high))
    for value in ticks_of(scale, (widest + 8 * pen) / bar_px):
        text = f'{value:.4g}'
        x = left + float(scale.fraction(np.array(value))) * (bar_px - 1)
        start = round(x - _text_px(text, pen) / 2)
        start = min(max(start, left), left + bar_px - _text_px(text, pen))
        band[9 * pen : 11 * pen, round(x) : round(x) + pen] = _INK
        _write(band, text, start, 12 * pen, pen)
    return whole


def _even_steps(scale: ColourScale, least_gap: float) -> list[float]:
    """Return the multiples of the least round step that keeps the gap, inside of the scale."""
    least = least_gap * (scale.high - scale.low)
    decade = 10.0 ** math.floor(math.log10(least))
    step = next(m for m in (1.0, 2.0, 5.0, 10.0) if m * decade >= least * (1 - 1e-9)) * decade
    first = math.floor(scale.low / step) + 1
    return [i * step for i in range(first, math.ceil(scale.high / step))]


def _text_px(text: str, pen: int) -> int:
    return (len(text) * (_COLUMNS + 1) - 1) * pen


def _write(canvas: Pixels, text: str, x: int, y: int, pen: int) -> None:
    for place, letter in enumerate(text):
        rows = np.array(_FONT[letter], np.uint8)
        ink = np.unpackbits(rows[:, None], axis=1)[:, 8 - _COLUMNS :].astype(bool)
        ink = ink.repeat(pen, axis=0).repeat(pen, axis=1)
        left = x + place * (_COLUMNS + 1) * pen
        canvas[y : y + _ROWS * pen, left : left + _COLUMNS * pen][ink] = _INK
