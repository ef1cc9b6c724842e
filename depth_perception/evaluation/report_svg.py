"""Charts as inline SVG: axes, lines, bars and markers, without scripts and for both themes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
import math

WIDTH, HEIGHT = 620, 310
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 50
SERIES = 8
ABSURD = 1e100  # sums and spans of such numbers are not finite
_STEPS = (1.0, 2.0, 5.0, 10.0)
_SHAPES = (
    'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z',
    'M-4 -4h8v8h-8z',
    'M0 -5L5 4H-5z',
    'M0 -5.5L5.5 0L0 5.5L-5.5 0z',
    'M-5 -4H5L0 5z',
    'M-5 -2h3v-3h4v3h3v4h-3v3h-4v-3h-3z',
    'M-5 -3h10v6h-10z',
    'M-3 -5h6v10h-6z',
)


def known(values: Iterable[object]) -> list[float]:
    """Return the values that are finite numbers of a sane size."""
    return [value for value in map(number, values) if math.isfinite(value)]


def number(value: object) -> float:
    """Return a number of a report; NaN where it is null, no number, or absurd."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if abs(value) < ABSURD else math.nan


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        title: What it shows, with its unit.
        low: Value at its beginning.
        high: Value at its end.
        ticks: Values that are labelled.
        log: Whether it is even in the logarithm.
    """

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def fraction(self, value: float) -> float:
        """Return where a value lies: 0 at `low`, 1 at `high`, never outside."""
        if self.log:
            least = math.log(self.low)
            place = (math.log(max(value, self.low)) - least) / (math.log(self.high) - least)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(max(place, 0.0), 1.0)


def linear_axis(title: str, values: Iterable[object], *, zero: bool = True) -> Axis:
    """Return an axis with round ticks that holds all values.

    Args:
        title: What it shows, with its unit.
        values: Numbers; what is not finite is left out.
        zero: Whether it holds 0 too.
    """
    found = known(values)
    if zero or not found:
        found.append(0.0)
    low, high = min(found), max(found)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        pad = 0.05 * abs(high) or 1.0
        low, high = (low, high + pad) if low == 0.0 else (low - pad, high + pad)
    step = _round_step((high - low) / 5.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(i * step for i in range(first, last + 1))
    return Axis(title, ticks[0], ticks[-1], ticks)


def log_axis(title: str, values: Iterable[object]) -> Axis:
    """Return a logarithmic axis with ticks at 1, 2, 5 of the decades that holds all values > 0."""
    found = [value for value in known(values) if value > 1e-30] or [1.0]
    decades = range(math.floor(math.log10(min(found))) - 1, math.ceil(math.log10(max(found))) + 2)
    steps = [k * 10.0**decade for decade in decades for k in _STEPS[:3]]
    below = [step for step in steps if step <= min(found) * (1 + 1e-9)]
    above = [step for step in steps if step >= max(found) * (1 - 1e-9)]
    low, high = below[-1], above[0]
    if low == high:
        low, high = below[-2], above[1]
    ticks = [step for step in steps if low <= step <= high]
    if len(ticks) > 10:
        ticks = [tick for tick in ticks if f'{tick:e}'.startswith('1.')]
    return Axis(title, low, high, tuple(ticks), log=True)


def _round_step(step: float) -> float:
    decade = 10.0 ** math.floor(math.log10(step))
    return float(next(k for k in _STEPS if k * decade >= step * (1 - 1e-9)) * decade)


def tick_text(value: float) -> str:
    """Return the label of a tick."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f'{value:.3g}'
    return f'{value:.6f}'.rstrip('0').rstrip('.') or '0'


class Plot:
    """A chart that is being drawn.

    Args:
        x: Axis to the right; None for bins, which `bins` labels.
        y: Axis upwards.
        what: What a person who cannot see the chart has to know.
    """

    def __init__(self, x: Axis | None, y: Axis, what: str) -> None:
        self._x = x or Axis('', 0.0, 1.0, ())
        self._y = y
        self._what = what
        self._parts: list[str] = []
        self._frame()

    def x(self, value: float) -> float:
        """Return the place of a value [px of the view box]."""
        return LEFT + self._x.fraction(value) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a value [px of the view box]."""
        return HEIGHT - BOTTOM - self._y.fraction(value) * (HEIGHT - TOP - BOTTOM)

    def _frame(self) -> None:
        right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
        for tick in self._y.ticks:
            y = self.y(tick)
            self.raw(f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{y:.2f}" y2="{y:.2f}"/>')
            self.text(LEFT - 8, y + 4, tick_text(tick), 'end', 'ytick')
        for tick in self._x.ticks:
            x = self.x(tick)
            self.raw(f'<line class="rule" x1="{x:.2f}" x2="{x:.2f}" y1="{TOP}" y2="{base}"/>')
            self.text(x, base + 18, tick_text(tick), 'middle', 'xtick')
        self.raw(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{base}" y2="{base}"/>')
        if self._x.title:
            self.text((LEFT + right) / 2, HEIGHT - 8, self._x.title, 'middle', 'title')
        middle = (TOP + base) / 2
        self.raw(
            f'<text class="title" text-anchor="middle" '
            f'transform="translate(15 {middle:.1f}) rotate(-90)">{escape(self._y.title)}</text>'
        )

    def raw(self, markup: str) -> None:
        """Add markup that is already escaped."""
        self._parts.append(markup)

    def text(self, x: float, y: float, text: str, anchor: str = 'start', kind: str = '') -> None:
        """Add a text at a place [px]."""
        self.raw(
            f'<text class="{kind}" x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">'
            f'{escape(text)}</text>'
        )

    def bins(self, names: Sequence[tuple[str, str]], title: str) -> None:
        """Label bins of equal width along x: each has a name and a remark below it."""
        width = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
        base = HEIGHT - BOTTOM
        for i, (name, remark) in enumerate(names):
            middle = LEFT + (i + 0.5) * width
            self.text(middle, base + 15, name, 'middle', 'xtick')
            self.text(middle, base + 29, remark, 'middle', 'small')
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, title, 'middle', 'title')

    def bar(self, left: float, right: float, value: float, kind: str, tip: str) -> None:
        """Add a bar between two places [px] from the base up to a value."""
        top, base = self.y(value), HEIGHT - BOTTOM
        self.raw(
            f'<rect class="{kind}" x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}" '
            f'height="{max(base - top, 0.0):.2f}"><title>{escape(tip)}</title></rect>'
        )

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add a line through (x, y) values; where one is not finite it is interrupted."""
        for part in _parts(points):
            if len(part) == 1:
                x, y = part[0]
                self.raw(
                    f'<circle class="dot {kind}" cx="{self.x(x):.2f}" cy="{self.y(y):.2f}" r="3"/>'
                )
                continue
            places = ' '.join(f'{self.x(x):.2f},{self.y(y):.2f}' for x, y in part)
            self.raw(f'<polyline class="{kind}" points="{places}"/>')

    def mark(self, x: float, y: float, index: int, tip: str) -> None:
        """Add the marker of a series at a value, with a text that shows when it is pointed at."""
        if math.isfinite(x) and math.isfinite(y):
            self.raw(
                f'<path class="mark m{index % SERIES}" d="{_SHAPES[index % SERIES]}" '
                f'transform="translate({self.x(x):.2f} {self.y(y):.2f})">'
                f'<title>{escape(tip)}</title></path>'
            )

    def svg(self) -> str:
        """Return the chart."""
        return (
            f'<svg class="graph" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self._what)}">{"".join(self._parts)}</svg>'
        )


def _parts(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Return the runs of points that are finite."""
    parts: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            parts[-1].append((x, y))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def key(kind: str, text: str, index: int | None = None) -> str:
    """Return an entry of a legend: a stroke of a kind, the marker of a series, and its name."""
    shape = (
        ''
        if index is None
        else f'<path class="mark m{index % SERIES}" d="{_SHAPES[index % SERIES]}" '
        'transform="translate(13 7)"/>'
    )
    return (
        f'<li><svg width="26" height="14" aria-hidden="true"><polyline class="{kind}" '
        f'points="1,7 25,7"/>{shape}</svg>{escape(text)}</li>'
    )


def chart(title: str, remark: str, plot: Plot, keys: Sequence[str] = ()) -> str:
    """Return a figure: title, chart, legend and what to see in it."""
    legend = f'<ul class="keys">{"".join(keys)}</ul>' if keys else ''
    return (
        f'<figure class="chart-card"><figcaption><b>{escape(title)}</b> '
        f'<span>{escape(remark)}</span></figcaption>{plot.svg()}{legend}</figure>'
    )
