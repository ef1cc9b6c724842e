"""Charts: what is drawn stands where its value is on the labelled axes."""

import itertools
import math
import re

from depth_perception.evaluation import report_charts as charts
from depth_perception.evaluation.report_svg import linear_axis, log_axis, Plot, tick_text
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


def axis(svg, kind, where, log=False):
    """Return the value of a place, as a reader finds it from two labels of an axis."""
    pattern = rf'class="{kind}" x="([-\d.]+)" y="([-\d.]+)"[^>]*>([^<]+)<'
    found = [(float(m[where]), float(m[2])) for m in re.findall(pattern, svg)]
    (p0, v0), (p1, v1) = found[0], found[-1]
    shift = 4.0 if kind == 'ytick' else 0.0  # labels are centred on their line
    if log:
        v0, v1 = math.log(v0), math.log(v1)

    def value(place):
        raw = v0 + (place - (p0 - shift)) / (p1 - p0) * (v1 - v0)
        return math.exp(raw) if log else raw

    return value


def axes(svg, log=(False, False)):
    return axis(svg, 'xtick', 0, log[0]), axis(svg, 'ytick', 1, log[1])


def polyline(svg, kind):
    """Return the places of the first line of a kind on the chart, not of its legend."""
    found = re.search(rf'<polyline class="{kind}" points="([^"]+)"', svg.split('<ul')[0])
    return [tuple(map(float, pair.split(','))) for pair in found[1].split()]


def bars(svg, kind):
    pattern = rf'<rect class="bar {kind}" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"'
    return [tuple(map(float, found)) for found in re.findall(pattern, svg)]


def range_sums(error, pixels, truth):
    return {'range_abs_rel_sum': error, 'range_pixels': pixels, 'range_truth': truth}


def test_bars_of_error_by_range_are_as_high_as_the_quotients():
    series = [
        ('a', range_sums([0, 2.0, 9.0], [0, 40, 60], [0, 50, 100])),
        ('b', {}),
        ('c', range_sums([0, 4.0, None], [0, 50, 80], [0, 50, 100])),
    ]
    svg = charts.error_by_range(series, [0.0, 5.0, 10.0])
    y = axis(svg, 'ytick', 1)
    heights = [y(top) for _, top, _ in bars(svg, 'm0')]
    assert heights == pytest.approx([5.0, 15.0], abs=0.05)
    assert [y(top) for _, top, _ in bars(svg, 'm2')] == pytest.approx([8.0], abs=0.05)
    assert bars(svg, 'm1') == []
    assert '5 - 10 m</text>' in svg
    assert '&gt; 10 m</text>' in svg
    assert '0 - 5 m' not in svg  # nothing was there
    assert '>50 px<' in svg
    assert '>100 px<' in svg
    (first, _, width), _ = bars(svg, 'm0')
    assert first + width < bars(svg, 'm2')[0][0]


def test_bars_of_eight_models_do_not_overlap():
    one = range_sums([1.0] * 6, [10] * 6, [20] * 6)
    svg = charts.coverage_by_range([(f'n{i}', one) for i in range(8)], [0, 5, 10, 20, 40, 80])
    places = sorted((x, x + w) for i in range(8) for x, _, w in bars(svg, f'm{i}'))
    assert len(places) == 48
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    y = axis(svg, 'ytick', 1)
    assert y(bars(svg, 'm7')[3][1]) == pytest.approx(50.0, abs=0.2)


def test_sparsification_shows_means_over_frames_without_the_conventional_zero():
    sparse = [*np.linspace(8.0, 2.0, 50), 0.0]
    sums = {
        'sparsification_abs_rel_sparse': sparse,
        'sparsification_abs_rel_oracle': [0.5 * v for v in sparse],
        'sparsification_frames': [40.0],
    }
    svg, wide = charts.sparsification([('a', sums), ('none', {}), ('b', {**sums})])
    x, y = axes(svg)
    points = [(x(a), y(b)) for a, b in polyline(svg, 'm0')]
    assert points[0] == pytest.approx((0.0, 20.0), abs=0.1)
    assert points[-1] == pytest.approx((98.0, 5.0), abs=0.1)
    assert y(polyline(svg, 'oracle')[0][1]) == pytest.approx(10.0, abs=0.1)
    assert [round(y(b), 1) for _, b in polyline(svg, 'random')] == [20.0, 20.0]
    assert polyline(wide, 'm2') == polyline(svg, 'm0')  # the colour follows the place


def test_reliability_stands_at_the_observed_shares():
    within = [10 * k for k in range(1, 20)]
    sums = {'reliability_within': within, 'reliability_pixels': [400]}
    svg = charts.reliability([('a', sums)])
    x, y = axes(svg)
    points = [(x(a), y(b)) for a, b in polyline(svg, 'm0')]
    assert points[0] == pytest.approx((5.0, 2.5), abs=0.1)
    assert points[-1] == pytest.approx((95.0, 47.5), abs=0.1)
    assert [round(x(a)) for a, _ in polyline(svg, 'ideal')] == [0, 100]
    assert charts.reliability([('a', {**sums, 'reliability_pixels': [0]})]) == ''


def test_calibration_is_root_mean_squares_on_logarithmic_axes():
    sums = {
        'calibration_count': [100, 29, 400],
        'calibration_variance_sum': [100 * 0.01**2, 1.0, 400 * 0.1**2],
        'calibration_square_sum': [100 * 0.03**2, 1.0, 400 * 0.05**2],
    }
    svg = charts.calibration([('a', sums)])
    x, y = axes(svg, (True, True))
    points = [(x(a), y(b)) for a, b in polyline(svg, 'm0')]
    assert np.allclose(points, [(1.0, 3.0), (10.0, 5.0)], rtol=0.01)  # 29 px are too few


def test_tracks_break_at_nulls_and_at_jumps_of_the_clock():
    stamps = [10**18 + k * 10**8 for k in (0, 1, 2, 3, 0, 1)]
    track = charts.Track('a', stamps, [0.1, 0.2, None, 0.4, 0.3, 0.5])
    svg = charts.over_time('T', 'r', 'AbsRel', [charts.Track('none', [], []), track])
    body = svg.split('<ul')[0]
    x, y = axes(svg)
    lines = re.findall(r'<polyline class="m1" points="([^"]+)"', body)
    found = [
        [(x(float(a)), y(float(b))) for a, b in (p.split(',') for p in one.split())]
        for one in lines
    ]
    assert np.allclose(found[0], [(0.0, 0.1), (0.1, 0.2)], atol=2e-3)
    assert np.allclose(found[1], [(0.0, 0.3), (0.1, 0.5)], atol=2e-3)
    assert body.count('class="dot m1"') == 1  # the frame between null and jump


def test_single_frame_is_drawn_as_a_dot():
    svg = charts.over_time('T', 'r', 'scale', [charts.Track('a', [5], [1.5])], 1.0)
    _, y = axes(svg)
    place = re.search(r'class="dot m0" cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert y(float(place[2])) == pytest.approx(1.5, abs=0.01)
    assert charts.over_time('T', 'r', 'scale', [charts.Track('a', [5], [None])], 1.0) == ''


def test_long_tracks_are_thinned_but_keep_their_peaks():
    values = [0.1] * 10_000
    values[7777] = 0.9
    svg = charts.over_time(
        'T', 'r', 'u', [charts.Track('a', [k * 10**7 for k in range(10_000)], values)]
    )
    x, y = axes(svg)
    points = [(x(a), y(b)) for a, b in polyline(svg, 'm0')]
    assert len(points) <= charts.MOST_POINTS + 2
    assert max(points, key=lambda p: p[1]) == pytest.approx((77.77, 0.9), abs=0.2)


def test_histogram_counts_every_frame_and_marks_the_percentiles():
    values = [10.0] * 30 + [40.0] * 10 + [None, math.nan]
    stats = {'p50': 10.0, 'p95': 40.0, 'p99': None}
    one, _ = charts.latency([('a', values, stats), ('none', [], {}), ('b', [100.0], {})])
    x, y = axes(one, (True, False))
    shares = [y(top) for _, top, _ in bars(one, 'm0')]
    assert shares == pytest.approx([75.0, 25.0], abs=0.3)
    marks = dict(re.findall(r'data-stat="(p\d+)" x1="([\d.]+)"', one))
    assert {k: round(x(float(v)), 1) for k, v in marks.items()} == {'p50': 10.0, 'p95': 40.0}


def test_trade_off_places_a_marker_and_its_intervals():
    entry = {'abs_rel': {'value': 0.03, 'low': 0.02, 'high': 0.05}, 'coverage': {'value': 0.6}}
    svg = charts.trade_off([('a', entry), ('b', {'abs_rel': {'value': None}})])
    x, y = axes(svg)
    place = re.search(r'translate\(([\d.]+) ([\d.]+)\)"><title>a', svg)
    assert (x(float(place[1])), y(float(place[2]))) == pytest.approx((60.0, 3.0), abs=0.1)
    assert [round(y(b), 1) for _, b in polyline(svg, 'm0')] == [2.0, 5.0]


@given(st.lists(st.floats(-1e99, 1e99), min_size=1, max_size=8), st.booleans())
def test_axes_hold_their_values_with_few_round_ticks(values, log):
    made = log_axis('t', values) if log else linear_axis('t', values, zero=False)
    assert made.low < made.high
    assert 2 <= len(made.ticks) <= (220 if log else 13)
    for value in values:
        assert 0.0 <= made.fraction(value) <= 1.0
        if not log and abs(value) > 1e-9 * (made.high - made.low):
            assert made.low - 1e-6 * abs(made.low) <= value <= made.high + 1e-6 * abs(made.high)


def test_ticks_are_written_short():
    assert [tick_text(v) for v in (0.0, 0.30000000000000004, 1500.0, 2e-5, 3e7)] == [
        '0',
        '0.3',
        '1500',
        '2e-05',
        '3e+07',
    ]


def test_texts_of_charts_are_escaped():
    plot = Plot(linear_axis('<x>', [1]), linear_axis('<y>', [1]), '"<w>')
    plot.text(0, 0, '<t>')
    plot.mark(0.5, 0.5, 0, '<m>')
    svg = plot.svg()
    for name in 'xywtm':
        assert f'<{name}>' not in svg
        assert f'&lt;{name}&gt;' in svg
