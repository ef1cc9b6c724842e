"""Self-contained HTML pages with pictures, colour bars, figures and tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from depth_perception.core.types import Pixels
from depth_perception.evaluation.page_style import STYLE
from depth_perception.evaluation.pictures import ColourScale, encoded
import numpy as np

MISSING = '-'


@dataclass(frozen=True)
class Tile:
    """One headline figure: `value` in large type, what it is, and a remark."""

    value: str
    label: str
    remark: str = ''


def picture(rgb: Pixels, title: str, text: str = '', scale: ColourScale | None = None) -> str:
    """Return a figure: the picture itself, its colour bar, and a caption."""
    data = base64.b64encode(encoded(rgb, '.jpg')).decode('ascii')
    bar = colour_bar(scale) if scale is not None else ''
    remark = f' <span>{escape(text)}</span>' if text else ''
    return (
        f'<figure><img alt="{escape(title)}" width="{rgb.shape[1]}" height="{rgb.shape[0]}" '
        f'src="data:image/jpeg;base64,{data}">{bar}'
        f'<figcaption><b>{escape(title)}</b>{remark}</figcaption></figure>'
    )


def colour_bar(scale: ColourScale, ticks: int = 5) -> str:
    """Return a colour bar with the values and the unit of a scale."""
    stops = ','.join(f'rgb({r},{g},{b})' for r, g, b in scale.stops(24))
    values = [scale.value(fraction) for fraction in np.linspace(0.0, 1.0, ticks)]
    texts = [_short(value) for value in values]
    texts[-1] = f'{texts[-1]} {scale.unit}'
    labels = ''.join(f'<span>{escape(text)}</span>' for text in texts)
    return (
        f'<div class="bar"><div style="background:linear-gradient(90deg,{stops})"></div>'
        f'<p>{labels}</p></div>'
    )


def _short(value: float) -> str:
    return f'{value:.2f}'.rstrip('0').rstrip('.') if value >= 0.1 else f'{value:.2g}'


def grid(figures: Sequence[str]) -> str:
    """Return figures side by side: rows of two or three where the window has room."""
    kind = 'grid' if len(figures) % 3 == 0 else 'grid pairs'
    return f'<div class="{kind}">{"".join(figures)}</div>'


def tiles(title: str, items: Sequence[Tile]) -> str:
    """Return headline figures side by side, below a small title."""
    cells = ''.join(
        f'<div><b>{escape(item.value)}</b><span>{escape(item.label)}</span>'
        f'<i>{escape(item.remark)}</i></div>'
        for item in items
    )
    return f'<h3>{escape(title)}</h3><div class="tiles">{cells}</div>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column names the row."""
    head = ''.join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = ''.join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + ''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])
        + '</tr>'
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{body}</tbody></table></div>'
    )


def facts(items: Sequence[tuple[str, str]]) -> str:
    """Return a table of names and what is to be said of them."""
    body = ''.join(
        f'<tr><th scope="row">{escape(name)}</th><td class="text">{escape(text)}</td></tr>'
        for name, text in items
    )
    return f'<div class="scroll"><table><tbody>{body}</tbody></table></div>'


def section(title: str, *parts: str) -> str:
    """Return a titled part of the page."""
    return f'<section><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f'<p>{escape(text)}</p>'


def note(text: str) -> str:
    """Return a paragraph that stands out."""
    return f'<p class="note">{escape(text)}</p>'


def details(title: str, *parts: str) -> str:
    """Return parts that are folded away until the title is clicked."""
    return f'<details><summary>{escape(title)}</summary>{"".join(parts)}</details>'


def latency_chart(series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return a line chart of latencies [ms] over the frames, one line per (name, values)."""
    width, height, left, base = 900, 190, 46, 160
    top_ms = 1.08 * max(max(values) for _, values in series)
    count = max(len(values) for _, values in series)
    step = (width - left - 10) / max(count - 1, 1)
    parts = []
    for fraction in (0.0, 0.5, 1.0):
        y = base - fraction * (base - 12)
        parts.append(
            f'<line class="rule" x1="{left}" x2="{width - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f'{fraction * top_ms:.0f}</text>'
        )
    for number, (name, values) in enumerate(series):
        points = ' '.join(
            f'{left + i * step:.1f},{base - value / top_ms * (base - 12):.1f}'
            for i, value in enumerate(values)
        )
        parts.append(f'<polyline class="line{number}" points="{points}"/>')
        parts.append(
            f'<text class="name{number}" x="{left + 120 * number}" y="{height - 6}">'
            f'&#9632; {escape(name)}</text>'
        )
    parts.append(f'<text x="{width - 10}" y="{height - 6}" text-anchor="end">ms, per frame</text>')
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="latency per frame">{"".join(parts)}</svg>'
    )


def document(title: str, subtitle: str, parts: Sequence[str], style: str = '') -> str:
    """Return the whole page; `style` is CSS that it has beside the common one."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>'
        f'<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>'
        f'{"".join(parts)}</main></body></html>\n'
    )
