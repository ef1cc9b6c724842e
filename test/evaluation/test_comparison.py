"""Comparison: which frames pair, what is not comparable, and what a difference shows."""

import json
import math

from depth_perception.errors import RecordingError, SettingsError
from depth_perception.evaluation.comparison import choose, compare, HEADLINES, wanted_of
from depth_perception.evaluation.pairs import pair_frames, Side
from depth_perception.evaluation.regressions import check_tolerances, parse_tolerance
from depth_perception.evaluation.report_reader import MAX_BYTES, read_report, report_from
import numpy as np
import pytest

STAMPS = [1_000_000_000 + 100_000_000 * i for i in range(40)]


def run(columns, model='net', bag='street', stamps=None, **others):
    return {
        'model': model,
        'bag': bag,
        'camera': '/image',
        'truth': {'kind': 'depth_image', 'topic': '/truth'},
        'calibration': {'width': 64, 'height': 48, 'fx_px': 50.0, 'baseline_m': None},
        'stamps_ns': stamps or STAMPS[: len(next(iter(columns.values())))],
        'columns': {
            key: [float(value) if math.isfinite(value) else None for value in values]
            for key, values in columns.items()
        },
        **others,
    }


def content(*runs, bags=(('street', 'ab12'),), options=None):
    return {
        'schema': 'depth_perception.evaluation',
        'version': 1,
        'options': {'crop': 'none', 'max_m': None, **(options or {})},
        'bags': [{'name': name, 'sha256': sha256} for name, sha256 in bags],
        'models': [{'id': name} for name in dict.fromkeys(part['model'] for part in runs)],
        'runs': list(runs),
    }


def side(*runs, **others):
    return Side(report_from(content(*runs, **others), 'r.json'), runs[0]['model'])


def paired(a, b):
    return pair_frames(side(run(a)), side(run(b)))


def noisy(seed, mean, spread, count=40):
    return np.random.default_rng(seed).normal(mean, spread, count)


def only_row(a, b, name):
    (row,) = compare(paired({name: a}, {name: b}), [wanted_of(name)])
    return row


@pytest.mark.parametrize(
    ('name', 'shift', 'verdict'),
    [
        ('online/abs_rel', -0.01, 'better'),
        ('online/abs_rel', 0.01, 'worse'),
        ('online/abs_rel', 0.0, 'no difference shown'),
        ('median/delta1', 0.01, 'better'),
        ('median/delta1', -0.01, 'worse'),
        ('online/latency_ms', 0.01, 'worse'),
        ('online/latency_ms.p95', -0.01, 'better'),
    ],
)
def test_a_difference_is_told_from_noise_in_the_right_direction(name, shift, verdict):
    hardness = noisy(1, 5.0, 1.0)
    key = name.removesuffix('.p95')
    a, b = {key: hardness}, {key: hardness + shift + noisy(2, 0.0, 0.001)}
    (row,) = compare(paired(a, b), [wanted_of(name)])
    assert row.verdict == verdict
    assert row.low < row.difference < row.high
    assert row.difference == pytest.approx(shift, abs=1e-3)
    assert (row.key, row.frames) == (name, 40)


def test_figures_with_a_target_are_compared_by_their_distance_from_it():
    a, b = noisy(1, 0.60, 0.001), noisy(2, 0.70, 0.001)
    row = only_row(a, b, 'online/within_1_sigma')
    assert (row.a, row.b) == pytest.approx((0.60, 0.70), abs=1e-3)
    assert row.difference == pytest.approx(0.0173 - 0.0827, abs=2e-3)
    assert row.verdict == 'better'
    assert only_row(b, a, 'online/within_1_sigma').verdict == 'worse'
    around = only_row(noisy(3, 0.6727, 0.001), noisy(4, 0.6927, 0.001), 'online/within_1_sigma')
    assert around.verdict == 'no difference shown'


def test_a_percentile_is_that_of_all_frames_not_a_mean():
    a = np.arange(40.0)
    b = a.copy()
    b[-1] = 1000.0
    row = only_row(a, b, 'online/latency_ms')
    assert (row.a, row.b, row.difference, row.verdict) == (19.5, 19.5, 0.0, 'no difference shown')
    (most,) = compare(
        paired({'online/latency_ms': a}, {'online/latency_ms': b}), [wanted_of('latency_ms.max')]
    )
    assert (most.a, most.b) == (39.0, 1000.0)


def test_frames_pair_by_bag_camera_and_stamp_not_by_position():
    a = run({'online/abs_rel': [1.0, 2.0, 3.0, 4.0]}, stamps=[10, 20, 30, 40])
    b = run({'online/abs_rel': [30.5, 10.5, 50.5]}, stamps=[30, 10, 50])
    other_camera = run({'online/abs_rel': [7.0]}, stamps=[10], camera='/rear')
    pairs = pair_frames(side(a, other_camera), side(b))
    np.testing.assert_array_equal(pairs.values('online/abs_rel'), [[1.0, 3.0], [10.5, 30.5]])
    assert list(pairs.only_a) == [
        ('street /image', 20),
        ('street /image', 40),
        ('street /rear', 10),
    ]
    assert list(pairs.only_b) == [('street /image', 50)]
    assert (pairs.count, pairs.lengths) == (2, [2])


def test_a_stamp_that_comes_twice_pairs_in_order():
    a = run({'online/abs_rel': [1.0, 2.0, 3.0]}, stamps=[10, 20, 10])
    b = run({'online/abs_rel': [1.5, 3.5]}, stamps=[10, 10])
    pairs = pair_frames(side(a), side(b))
    np.testing.assert_array_equal(pairs.values('online/abs_rel'), [[1.0, 3.0], [1.5, 3.5]])


def test_bags_are_told_apart_by_content_not_by_name():
    frames = {'online/abs_rel': [1.0, 2.0]}
    a = side(run(frames), bags=(('street', 'ab12'),))
    renamed = side(run(frames, bag='strasse'), bags=(('strasse', 'ab12'),))
    assert pair_frames(a, renamed).count == 2
    with pytest.raises(RecordingError, match=r'no frame in common.*bags of one name differ'):
        pair_frames(a, side(run(frames), bags=(('street', 'cd34'),)))


def test_a_frame_counts_where_both_have_the_figure():
    a, b = [1.0, math.nan, 3.0, 5.0], [1.5, 2.5, math.nan, 6.0]
    row = only_row(a, b, 'online/rmse_m')
    assert (row.a, row.b, row.difference, row.frames) == (3.0, 3.75, 0.75, 2)


@pytest.mark.parametrize(('a', 'b', 'frames'), [([1.0], [2.0], 1), ([math.nan], [2.0], 0)])
def test_too_few_frames_show_nothing(a, b, frames):
    for name in ('online/rmse_m', 'online/latency_ms', 'online/spread'):
        row = only_row(a, b, name)
        assert (row.frames, row.verdict) == (frames, 'no difference shown')
        assert math.isnan(row.low)
        assert json.loads(json.dumps(row.data(), allow_nan=False))['low'] is None


@pytest.mark.parametrize(
    ('change', 'obstacle'),
    [
        ({'options': {'crop': 'garg'}}, 'crop is none for A but garg for B'),
        ({'options': {'max_m': 80.0}}, 'max_m is not set for A but 80.0 for B'),
        ({'truth': {'kind': 'cloud', 'topic': '/truth'}}, 'truth kind is depth_image for A but'),
        ({'calibration': {'width': 32}}, 'calibration width is 64 for A but 32 for B'),
        ({'calibration': {'baseline_m': 0.1}}, None),
        ({'options': {'jobs': 3}}, None),
    ],
)
def test_what_was_measured_otherwise_is_not_comparable(change, obstacle):
    options = change.pop('options', {})
    frames = {'online/abs_rel': [1.0, 2.0]}
    b = side(run(frames, **change), options=options)
    found = pair_frames(side(run(frames)), b).obstacles
    assert len(found) == (obstacle is not None)
    assert all(obstacle in one for one in found)


def test_figures_are_chosen_by_name_or_the_headlines_are():
    columns = {
        f'{label}/{name}': [1.0, 2.0] for label in ('online', 'median') for name in HEADLINES
    }
    extra = {'online/sq_rel_m': [1.0, 2.0]}
    pairs = paired({**columns, **extra}, {**columns, **extra, 'lsq_disp/abs_rel': [1.0, 2.0]})
    assert [one.name for one in choose(pairs, [])] == list(columns)
    assert len(choose(pairs, ['all'])) == len(columns) + 1
    named = [one.name for one in choose(pairs, ['latency_ms.p99', 'median/abs_rel'])]
    assert named == ['online/latency_ms.p99', 'median/abs_rel']
    with pytest.raises(SettingsError, match='has no lsq_disp/abs_rel; its labels are median, onl'):
        choose(pairs, ['lsq_disp/abs_rel'])
    with pytest.raises(SettingsError, match=r'has no online/spearman$'):
        choose(pairs, ['spearman'])


@pytest.mark.parametrize('text', ['sgbm:abs_rel', 'abs_rel.low', 'flicker', 'abs_rell', ''])
def test_what_cannot_be_compared_is_refused(text):
    with pytest.raises(SettingsError):
        wanted_of(text)


@pytest.mark.parametrize(
    ('text', 'shift', 'failed'),
    [
        ('abs_rel', 0.01, True),
        ('abs_rel', -0.01, False),
        ('abs_rel:0.02', 0.01, False),
        ('abs_rel:0.005', 0.01, True),
        ('abs_rel:1%', 0.01, False),
        ('abs_rel:0.1%', 0.01, True),
        ('delta1', -0.01, True),
        ('delta1:0.02', -0.01, False),
        ('delta1', 0.01, False),
    ],
)
def test_worse_than_the_tolerance(text, shift, failed):
    tolerance = parse_tolerance(text)
    base = noisy(1, 5.0, 1.0)
    row = only_row(base, base + shift + noisy(2, 0.0, 1e-4), tolerance.wanted.key)
    (result,) = check_tolerances([row], [tolerance], 'net')
    assert result.failed is failed
    assert result.value == pytest.approx(shift, abs=1e-3)
    worse = (shift > 0.0) == (tolerance.wanted.metric.better == 'lower')
    assert f'is {"worse" if worse else "better"} by 0.01' in result.reason


def test_no_data_breaks_a_tolerance_and_one_frame_is_judged_by_itself():
    tolerance = parse_tolerance('rmse_m:0.5')
    nothing = only_row([math.nan], [1.0], 'online/rmse_m')
    for rows in ([], [nothing]):
        (result,) = check_tolerances(rows, [tolerance], 'net')
        assert result.failed
        assert result.reason == 'no data: no common frame has online/rmse_m'
    for b, failed in ((1.4, False), (1.6, True)):
        (result,) = check_tolerances([only_row([1.0], [b], 'online/rmse_m')], [tolerance], 'n')
        assert result.failed is failed


@pytest.mark.parametrize('text', ['abs_rel:', 'abs_rel:-1', 'abs_rel:nan', 'abs_rel:x', 'x:1'])
def test_tolerances_that_cannot_be_meant_are_refused(text):
    with pytest.raises(SettingsError):
        parse_tolerance(text)


def damaged(**change):
    return {**content(run({'online/abs_rel': [1.0, 2.0]})), **change}


@pytest.mark.parametrize(
    ('found', 'message'),
    [
        ([], 'is no report of `evaluate`'),
        (damaged(schema='other'), 'its schema is not depth_perception.evaluation'),
        (damaged(version=2), 'version 2 of .*; this program reads version 1'),
        (damaged(version=True), 'version True'),
        (damaged(runs=None), 'runs is no list'),
        (damaged(runs='abc'), 'runs is no list'),
        (damaged(runs=[1]), 'runs has an entry without names'),
        (damaged(bags=[{'name': 3}]), "name is '3', not a text"),
        (damaged(options=[1]), 'options holds no names'),
        (damaged(bags=[{'name': 'a', 'sha256': 'x'}, {'name': 'a'}]), "two bags are called 'a'"),
        (damaged(runs=[run({'k': [1.0]}, stamps=[1.5])]), r'runs\[0\] is damaged: stamps_ns'),
        (damaged(runs=[run({'k': [1.0]}, stamps=[1, 2])]), "'k' is no list of 2 numbers"),
        (damaged(runs=[{**run({}, stamps=[1]), 'columns': {'k': ['1']}}]), 'no list of 1 numbers'),
        (damaged(runs=[{**run({}, stamps=[1]), 'columns': {'k': [[1]]}}]), 'no list of 1 numbers'),
        (
            damaged(runs=[{**run({}, stamps=[1]), 'columns': {'k': [10**400]}}]),
            'number without bound',
        ),
        (damaged(runs=[run({}, stamps=[1], camera=None)]), "camera is 'None', not a text"),
    ],
)
def test_a_damaged_report_is_refused_with_the_place(found, message):
    with pytest.raises(RecordingError, match=message):
        report_from(found, 'r.json')


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'is no JSON'),
        (b'\xff\xfe', 'is no JSON'),
        (b'[' * 200_000, 'is no JSON'),
        (b'{"schema": ' + b'9' * 5000 + b'}', 'is no'),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path, data, message):
    path = tmp_path / 'report.json'
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=message):
        read_report(path)


def test_files_that_are_missing_or_too_large_are_refused(tmp_path):
    with pytest.raises(RecordingError, match=r'report\.json is no file'):
        read_report(tmp_path)
    large = tmp_path / 'large.json'
    with large.open('wb') as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(RecordingError, match='at most'):
        read_report(large)


def test_a_run_that_failed_before_its_first_frame_has_nothing_to_pair():
    failed = {'model': 'net', 'bag': 'yard', 'camera': '', 'status': 'failed', 'stamps_ns': []}
    frames = run({'online/abs_rel': [1.0, 2.0]})
    assert pair_frames(side(frames), side(frames, failed)).count == 2
    with pytest.raises(RecordingError, match='no frame in common: street /image against nothing'):
        pair_frames(side(frames), side(failed))


def test_null_and_what_json_does_not_have_are_not_defined(tmp_path):
    path = tmp_path / 'report.json'
    text = json.dumps(content(run({'online/abs_rel': [1.0, math.nan, 3.0, 4.0, -1e300]})))
    path.write_text(text.replace('3.0', 'NaN').replace('4.0', '1e999'))
    column = read_report(tmp_path).runs[0].columns['online/abs_rel']
    np.testing.assert_array_equal(column, [1.0, *[math.nan] * 4])
