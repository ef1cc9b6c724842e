"""The charts of an evaluation. Each returns '' where there is nothing to draw.

A series is the name of a model and its data; its colour and its marker follow from its place, so
that a model looks the same in every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import itertools
import math
from typing import Any

from depth_perception.evaluation.report_svg import (
    BOTTOM,
    chart,
    HEIGHT,
    key,
    known,
    LEFT,
    linear_axis,
    log_axis,
    number,
    Plot,
    RIGHT,
    SERIES,
    tick_text,
    TOP,
    WIDTH,
)

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
MOST_POINTS = 600
LEAST_PIXELS = 30
LATENCY_BINS = 36
Sums = Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Track:
    """A figure of one model over the frames of a run.

    Attributes:
        name: Of the model.
        stamps_ns: One per frame [ns].
        values: One per frame, None where it is not defined.
    """

    name: str
    stamps_ns: Sequence[int]
    values: Sequence[Any]


def _vector(sums: Mapping[str, Any], name: str) -> list[float]:
    found = sums.get(name)
    return [number(value) for value in found] if isinstance(found, list | tuple) else []


def _kind(index: int) -> str:
    return f'm{index % SERIES}' + (' dashed' if index // 4 % 2 else '')


def _keys(names: Sequence[tuple[int, str]]) -> list[str]:
    return [key(_kind(index), name, index) for index, name in names]


def _quotients(top: Sequence[float], bottom: Sequence[float]) -> list[float]:
    return [a / b if b > 0.0 else math.nan for a, b in zip(top, bottom, strict=False)]


def range_names(edges_m: Sequence[float]) -> list[str]:
    """Return the names of the bins of range; the last one is open."""
    texts = [tick_text(edge) for edge in edges_m]
    return [f'{a} - {b} m' for a, b in itertools.pairwise(texts)] + [f'> {texts[-1]} m']


def error_by_range(series: Sums, edges_m: Sequence[float]) -> str:
    """Return bars of AbsRel [%] by the distance of the truth."""
    remark = 'mean |Z - Z*| / Z* of the pixels of each bin; below it its pixels with truth'
    rows = [(n, _vector(s, 'range_abs_rel_sum'), _vector(s, 'range_pixels')) for n, s in series]
    return _range_bars('Error by range', remark, 'AbsRel [%]', series, edges_m, rows)


def coverage_by_range(series: Sums, edges_m: Sequence[float]) -> str:
    """Return bars of the share of the pixels with truth that have a depth [%], by distance."""
    rows = [(n, _vector(s, 'range_pixels'), _vector(s, 'range_truth')) for n, s in series]
    remark = 'share of the pixels with truth that have a depth; errors are of these alone'
    return _range_bars('Coverage by range', remark, 'coverage [%]', series, edges_m, rows)


def _range_bars(
    title: str,
    remark: str,
    unit: str,
    series: Sums,
    edges_m: Sequence[float],
    rows: Sequence[tuple[str, list[float], list[float]]],
) -> str:
    values = [[100.0 * q for q in _quotients(top, bottom)] for _, top, bottom in rows]
    if not edges_m or not any(known(row) for row in values):
        return ''
    truths = [_vector(sums, 'range_truth') for _, sums in series]
    truth = [
        max(known(column), default=0.0) for column in zip(*filter(None, truths), strict=False)
    ]
    truth += [0.0] * (len(edges_m) - len(truth))
    seen = [i for i in range(len(edges_m)) if any(known(row[i : i + 1]) for row in values)]
    seen += [i for i in range(len(edges_m)) if truth[i] > 0.0]
    used = range(min(seen), max(seen) + 1)
    names = range_names(edges_m)
    plot = Plot(None, linear_axis(unit, [v for row in values for v in row]), f'{title}: {remark}')
    plot.bins([(names[i], f'{_count(truth[i])} px') for i in used], '')
    room = (WIDTH - LEFT - RIGHT) / len(used)
    there = [index for index, row in enumerate(values) if known(row)]
    width = min(0.8 * room / len(there), 46.0)
    for place, index in enumerate(there):
        for i, b in enumerate(used):
            value = values[index][b] if b < len(values[index]) else math.nan
            if math.isfinite(value):
                left = LEFT + (i + 0.5) * room + (place - len(there) / 2) * width
                pixels = rows[index][2][b]
                tip = f'{rows[index][0]}, {names[b]}: {value:.3g} %, {_count(pixels)} px'
                plot.bar(left + 0.5, left + width - 0.5, value, f'bar m{index % SERIES}', tip)
    return chart(title, remark, plot, _keys([(i, rows[i][0]) for i in there]))


def _count(pixels: float) -> str:
    for limit, factor, suffix in ((1e9, 1e9, ' G'), (1e6, 1e6, ' M'), (1e4, 1e3, ' k')):
        if pixels >= limit:
            return f'{pixels / factor:.3g}{suffix}'
    return f'{pixels:.0f}'


def sparsification(series: Sums) -> list[str]:
    """Return one chart per model of AbsRel [%] over the share of pixels removed, on one scale."""
    found = []
    for index, (name, sums) in enumerate(series):
        frames = (_vector(sums, 'sparsification_frames') or [0.0])[0]
        curves = [_vector(sums, f'sparsification_abs_rel_{kind}') for kind in ('sparse', 'oracle')]
        if frames > 0.0 and all(len(curve) > 2 for curve in curves):
            found.append((index, name, [[100.0 * v / frames for v in curve] for curve in curves]))
    values = [v for *_, curves in found for curve in curves for v in curve]
    parts = []
    for index, name, (sparse, oracle) in found:
        x = linear_axis('share of the pixels removed [%]', [0.0, 100.0])
        y = linear_axis('AbsRel of the rest [%]', values)
        plot = Plot(x, y, f'Sparsification of {name}')
        steps = [100.0 * i / (len(sparse) - 1) for i in range(len(sparse) - 1)]
        plot.line([(0.0, sparse[0]), (steps[-1], sparse[0])], 'random')
        plot.line(list(zip(steps, oracle[:-1], strict=False)), 'oracle')
        plot.line(list(zip(steps, sparse[:-1], strict=False)), f'm{index % SERIES}')
        keys = [
            key(f'm{index % SERIES}', 'largest sigma first'),
            key('oracle', 'largest error first (oracle)'),
            key('random', 'at random'),
        ]
        parts.append(chart(name, 'the nearer to the oracle, the better sigma ranks', plot, keys))
    return parts


def reliability(series: Sums) -> str:
    """Return the observed share within the central p interval over p, both [%]."""
    remark = 'below the diagonal sigma is too small (overconfident), above it too large'
    axes = [
        linear_axis(title, [0.0, 100.0])
        for title in ('claimed share within z_p sigma [%]', 'observed share [%]')
    ]
    plot = Plot(axes[0], axes[1], f'Reliability: {remark}')
    plot.line([(0.0, 0.0), (100.0, 100.0)], 'ideal')
    drawn = []
    for index, (name, sums) in enumerate(series):
        pixels = (_vector(sums, 'reliability_pixels') or [0.0])[0]
        within = _vector(sums, 'reliability_within')
        if pixels > 0.0 and len(within) == len(LEVELS):
            points = [(100.0 * p, 100.0 * n / pixels) for p, n in zip(LEVELS, within, strict=True)]
            drawn.append((index, name))
            plot.line(points, _kind(index))
            for p, share in points:
                plot.mark(p, share, index, f'{name}: {share:.1f} % of the errors within {p:.0f} %')
    return chart('Reliability', remark, plot, _ideal(drawn)) if drawn else ''


def _ideal(drawn: Sequence[tuple[int, str]]) -> list[str]:
    return [*_keys(drawn), key('ideal', 'ideal')]


def calibration(series: Sums) -> str:
    """Return the RMS of the relative error over that of sigma / Z, both [%], by bins of sigma."""
    remark = 'above the diagonal errors are larger than sigma says; bins of under 30 px left out'
    found = []
    for index, (name, sums) in enumerate(series):
        names = ('count', 'variance_sum', 'square_sum')
        count, variance, square = (_vector(sums, f'calibration_{part}') for part in names)
        points = [
            (100.0 * math.sqrt(v / n), 100.0 * math.sqrt(e / n), n)
            for n, v, e in zip(count, variance, square, strict=False)
            if n >= LEAST_PIXELS and v > 0.0 and e > 0.0
        ]
        if points:
            found.append((index, name, points))
    if not found:
        return ''
    values = [value for *_, points in found for x, y, _ in points for value in (x, y)]
    axes = [log_axis(title, values) for title in ('sigma / Z [%]', 'RMS of |Z - Z*| / Z [%]')]
    plot = Plot(axes[0], axes[1], f'Calibration of sigma: {remark}')
    plot.line([(axes[0].low, axes[0].low), (axes[0].high, axes[0].high)], 'ideal')
    for index, name, points in found:
        plot.line([(x, y) for x, y, _ in points], _kind(index))
        for x, y, n in points:
            tip = f'{name}: sigma {x:.3g} %, error {y:.3g} %, {_count(n)} px'
            plot.mark(x, y, index, tip)
    return chart('Calibration of sigma', remark, plot, _ideal([(i, n) for i, n, _ in found]))


def over_time(
    title: str, remark: str, unit: str, tracks: Sequence[Track], ideal: float | None = None
) -> str:
    """Return a figure over the time of a run, a line per model; gaps are frames without it."""
    there = [(i, track) for i, track in enumerate(tracks) if known(track.values)]
    if not there:
        return ''
    start_ns = min(stamp for _, track in there for stamp in track.stamps_ns)
    lines = [(i, track.name, _thinned(_points(track, start_ns))) for i, track in there]
    values = [y for *_, points in lines for _, y in points]
    values += [] if ideal is None else [ideal]
    x = linear_axis('time since the first frame [s]', [x for *_, p in lines for x, _ in p])
    found = known(values)
    wide = min(found) > 0.0 and max(found) > 50.0 * min(found)
    y = log_axis(unit, values) if wide else linear_axis(unit, values, zero=ideal is None)
    plot = Plot(x, y, f'{title}: {remark}')
    if ideal is not None:
        plot.line([(x.low, ideal), (x.high, ideal)], 'ideal')
    for index, name, points in lines:
        plot.line(points, _kind(index))
        if len(points) <= 40:
            for at, value in points:
                plot.mark(at, value, index, f'{name}, {at:.3g} s: {value:.4g}')
    keys = _keys([(i, name) for i, name, _ in lines])
    return chart(title, remark, plot, keys if ideal is None else [*keys, key('ideal', 'ideal')])


def _points(track: Track, start_ns: int) -> list[tuple[float, float]]:
    """Return (time [s], value); a gap where the clock jumps back."""
    points: list[tuple[float, float]] = []
    before = start_ns
    for stamp_ns, value in zip(track.stamps_ns, track.values, strict=False):
        if stamp_ns < before:
            points.append((math.nan, math.nan))
        points.append(((stamp_ns - start_ns) * 1e-9, number(value)))
        before = stamp_ns
    return points


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most about MOST_POINTS points: least and greatest of each stretch of frames."""
    if len(points) <= MOST_POINTS:
        return points
    size = math.ceil(2 * len(points) / MOST_POINTS)
    thin: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        finite = [i for i, (_, y) in enumerate(part) if math.isfinite(y)]
        if len(finite) < len(part):
            thin.append((math.nan, math.nan))
        if finite:
            ends = {min(finite, key=lambda i: part[i][1]), max(finite, key=lambda i: part[i][1])}
            thin += [part[i] for i in sorted(ends)]
    return thin


def latency(series: Sequence[tuple[str, Sequence[Any], Mapping[str, Any]]]) -> list[str]:
    """Return one histogram per model of the latency [ms], on one logarithmic axis.

    Args:
        series: Name, latencies of the frames [ms], and the percentiles 'p50', 'p95', 'p99'.
    """
    every = [v for _, values, _ in series for v in known(values) if v > 0.0]
    parts = []
    for index, (name, values, stats) in enumerate(series):
        found = [value for value in known(values) if value > 0.0]
        if found:
            x = log_axis('image to estimate [ms]', every)
            parts.append(_histogram(index, name, found, x, stats))
    return parts


def _histogram(
    index: int, name: str, values: list[float], x: Any, stats: Mapping[str, Any]
) -> str:
    counts = [0] * LATENCY_BINS
    for value in values:
        counts[min(int(x.fraction(value) * LATENCY_BINS), LATENCY_BINS - 1)] += 1
    shares = [100.0 * count / len(values) for count in counts]
    plot = Plot(x, linear_axis('share of the frames [%]', shares), f'Latency of {name}')
    step = (WIDTH - LEFT - RIGHT) / LATENCY_BINS
    for i, share in enumerate(shares):
        if share > 0.0:
            left = LEFT + i * step
            tip = f'{counts[i]} of {len(values)} frames'
            plot.bar(left + 0.5, left + step - 0.5, share, f'bar m{index % SERIES}', tip)
    texts = []
    for row, percentile in enumerate(('p50', 'p95', 'p99')):
        value = number(stats.get(percentile))
        if math.isfinite(value):
            texts.append(f'{percentile} {value:.3g} ms')
            at = plot.x(value)
            plot.raw(
                f'<line class="stat" data-stat="{percentile}" x1="{at:.2f}" x2="{at:.2f}" '
                f'y1="{TOP + 14 * row + 4}" y2="{HEIGHT - BOTTOM}"/>'
            )
            end = at > WIDTH - RIGHT - 40
            plot.text(at + (-4 if end else 4), TOP + 14 * row + 12, percentile, _anchor(end))
    return chart(name, ', '.join(texts), plot)


def _anchor(end: bool) -> str:  # noqa: FBT001
    return 'end' if end else 'start'


def trade_off(series: Sums) -> str:
    """Return AbsRel over coverage, both [%], a marker per model with its 95 % intervals.

    Args:
        series: Name and the figures 'abs_rel' and 'coverage' as in a summary.
    """
    there = []
    for index, (name, metrics) in enumerate(series):
        pair = [_interval(metrics.get(which)) for which in ('coverage', 'abs_rel')]
        if all(math.isfinite(one[0]) for one in pair):
            there.append((index, name, pair[0], pair[1]))
    if not there:
        return ''
    y = linear_axis('AbsRel [%]', [value for *_, error in there for value in error])
    lows = known(value for _, _, cover, _ in there for value in cover)
    x = linear_axis('coverage of the pixels with truth [%]', [*lows, 100.0], zero=False)
    remark = 'low and to the right is better: few errors, few pixels without depth'
    plot = Plot(x, y, f'Error against coverage: {remark}')
    for index, name, (cover, cover_low, cover_high), (error, low, high) in there:
        plot.line([(cover_low, error), (cover_high, error)], f'm{index % SERIES}')
        plot.line([(cover, low), (cover, high)], f'm{index % SERIES}')
        tip = f'{name}: AbsRel {error:.3g} % at a coverage of {cover:.3g} %'
        plot.mark(cover, error, index, tip)
    return chart('Error against coverage', remark, plot, _keys([(i, n) for i, n, *_ in there]))


def _interval(entry: Any) -> tuple[float, float, float]:
    """Return value, low and high of a figure [%]; NaN where unknown."""
    found = entry if isinstance(entry, Mapping) else {}
    value, low, high = (100.0 * number(found.get(name)) for name in ('value', 'low', 'high'))
    return value, low, high
