import json
import math

from depth_perception.evaluation.records import FrameRecord
from depth_perception.evaluation.report_data import (
    assembled,
    columns_of,
    simulated_drop_rate,
    summary_of,
)
import numpy as np
import pytest

MS = 1_000_000


def run(records, model='a', **totals):
    return {'model': model, 'frames_out': 3, 'totals': totals, **columns_of(records)}


def frames(values, key='online/abs_rel', start=0, vectors=()):
    return [
        FrameRecord(i, start + i, {key: value}, vectors[i] if vectors else {})
        for i, value in enumerate(values)
    ]


def test_columns_are_as_long_as_the_frames_that_were_served():
    table = columns_of(
        [
            FrameRecord(0, 5, {'online/abs_rel': 0.1}),
            FrameRecord(1, 6, drop='truncated'),
            FrameRecord(2, 7, {'online/rmse_m': 2.0}),
            FrameRecord(3, 8, {'online/abs_rel': 0.3, 'online/rmse_m': 3.0}),
            FrameRecord(4, 9, drop='truncated'),
        ]
    )
    assert table['stamps_ns'] == [5, 7, 8]
    np.testing.assert_array_equal(table['columns']['online/abs_rel'], [0.1, np.nan, 0.3])
    np.testing.assert_array_equal(table['columns']['online/rmse_m'], [np.nan, 2.0, 3.0])
    assert table['drops'] == {'truncated': 2}


def test_sums_add_up_frame_by_frame():
    vectors = [{'online/d1': [1.0, 10.0]}, {}, {'online/d1': [5.0, 10.0]}]
    table = columns_of(frames([1.0, 2.0, 3.0], vectors=vectors))
    assert table['sums'] == {'online/d1': [6.0, 20.0]}
    assert table['pooled'] == {'online/d1': [[1.0, 10.0], [5.0, 10.0]]}


def test_mean_is_over_the_frames_that_have_a_value():
    runs = [run(frames([0.1, math.nan])), run(frames([0.4, 0.7, math.nan]))]
    found = summary_of('a', runs)
    metric = found['metrics']['online/abs_rel']
    assert found['frames'] == 5
    assert metric['value'] == pytest.approx(0.4)
    assert metric['frames'] == 3
    assert metric['low'] < 0.4 < metric['high']


def test_d1_is_pooled_over_pixels_not_averaged():
    vectors = [{'online/d1': [10.0, 1000.0]}] * 7 + [{'online/d1': [9.0, 10.0]}]
    records = frames([1.0] * 7 + [90.0], 'online/d1_pct', vectors=vectors)
    metric = summary_of('a', [run(records)])['metrics']['online/d1_pct']
    assert metric['kind'] == 'pooled'
    assert metric['value'] == pytest.approx(100.0 * 79.0 / 7010.0)
    assert metric['low'] == pytest.approx(1.0)  # resamples without the last frame
    assert metric['value'] < metric['high'] < 2.0


def test_latency_is_told_by_percentiles():
    values = [float(v) for v in range(1, 102)]
    records = frames(values, 'online/latency_ms')
    metric = summary_of('a', [run(records)])['metrics']['online/latency_ms']
    assert (metric['value'], metric['p95'], metric['p99'], metric['max']) == (51, 96, 100, 101)


def test_figures_of_whole_runs_are_weighted_by_frames():
    runs = [
        run(frames([0.1]), **{'online/flicker': 0.4}),
        run(frames([0.1, 0.1, 0.1]), **{'online/flicker': 0.2}),
        run(frames([0.1]), **{'online/flicker': math.nan}),
    ]
    metric = summary_of('a', runs)['metrics']['online/flicker']
    assert metric['value'] == pytest.approx(0.25)
    assert metric['kind'] == 'run'


@pytest.mark.parametrize(
    ('service_ms', 'expected'),
    [(50.0, 0.0), (99.9, 0.0), (150.0, 2 / 10), (1000.0, 8 / 10)],
)
def test_live_drops_of_a_10_hz_camera(service_ms, expected):
    stamps = [10**18 + i * 100 * MS for i in range(10)]
    assert simulated_drop_rate(stamps, [service_ms] * 10) == pytest.approx(expected)


def test_a_clock_that_jumps_back_does_not_block_the_simulation():
    stamps = [10**18, 10**18 + 100 * MS, 10**17, 10**17 + 100 * MS]
    assert simulated_drop_rate(stamps, [10.0] * 4) == 0.0
    assert math.isnan(simulated_drop_rate([], []))


def test_the_report_is_json_without_nan():
    report = assembled(
        command=['evaluate', 'bag'],
        options={'max_m': math.inf},
        bags=[],
        models=[{'id': 'a'}, {'id': 'b'}],
        runs=[run(frames([0.1, math.nan]), 'a'), run(frames([0.2]), 'b')],
        device='CPU',
    )
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text)['options']['max_m'] is None
    assert [summary['frames'] for summary in report['summary']] == [2, 1]
    assert report['runs'][0]['columns']['online/abs_rel'] == [0.1, None]
    assert 'pooled' not in report['runs'][0]
    assert report['provenance']['numpy'] == np.__version__
    assert report['schema'] == 'depth_perception.evaluation'
