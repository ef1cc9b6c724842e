"""depth_perception compare: what it prints, writes, refuses, and returns."""

import json

from depth_perception.cli.main import main
from depth_perception.evaluation.catalogue import METRICS
import numpy as np
import pytest

FRAMES = 30


def run(model, bag, columns, stamps):
    return {
        'model': model,
        'bag': bag,
        'camera': '/image',
        'truth': {'kind': 'depth_image', 'topic': '/truth'},
        'calibration': {'width': 64, 'height': 48},
        'stamps_ns': stamps,
        'columns': {key: [float(value) for value in values] for key, values in columns.items()},
    }


def write(path, figures, options=None, cpu='one', first=0):
    """Write a report of models with a constant added to the same frames of two bags."""
    hardness = np.random.default_rng(1).normal(0.1, 0.01, FRAMES)
    runs = [
        run(
            model,
            bag,
            {
                'online/abs_rel': hardness + shift,
                'online/coverage': hardness * 0 + coverage,
                'online/latency_ms': hardness * 100,
                'online/within_1_sigma': hardness * 0 + 0.6,
                'online/d1_pct': hardness * 3,
            },
            [10_000 + 100 * i for i in range(first, first + FRAMES)],
        )
        for model, (shift, coverage) in figures.items()
        for bag in ('street', 'yard')
    ]
    content = {
        'schema': 'depth_perception.evaluation',
        'version': 1,
        'options': {'crop': 'none', **(options or {})},
        'provenance': {'cpu': cpu},
        'bags': [{'name': 'street', 'sha256': 'ab'}, {'name': 'yard', 'sha256': 'cd'}],
        'models': [{'id': model} for model in figures],
        'runs': runs,
    }
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def reports(tmp_path):
    a = write(tmp_path / 'a.json', {'sgbm': (0.0, 0.9), 'net': (0.0, 0.9)})
    b = write(tmp_path / 'b.json', {'sgbm': (0.0, 0.9), 'net': (0.02, 0.9)})
    return a, b


def test_the_same_model_in_two_reports(reports, capsys):
    assert main(['compare', *reports, '--model', 'net']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f'A: net ({reports[0]})',
        f'B: net ({reports[1]})',
        '60 frames in common, of 2 cameras or bags',
    ]
    (abs_rel,) = (line.split() for line in lines if line.startswith('online/abs_rel'))
    assert abs_rel[:2] == ['online/abs_rel', '-']
    assert float(abs_rel[3]) - float(abs_rel[2]) == pytest.approx(0.02, abs=2e-4)
    assert abs_rel[4:] == ['+0.02', '+0.02', '..', '+0.02', '60', 'worse']
    (latency,) = (line for line in lines if line.startswith('online/latency_ms'))
    assert latency.endswith('no difference shown')
    assert 'note: means over frames here, in a report pooled over pixels: online/d1_pct' in lines


def test_every_model_that_both_have_is_compared(reports, capsys):
    assert main(['compare', *reports]) == 0
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines() if line.startswith('A: ')] == [
        'sgbm',
        'net',
    ]


@pytest.mark.parametrize('arguments', [[1], [1, '--model', 'sgbm', '--model', 'net']])
def test_two_models_of_one_report(reports, arguments, capsys):
    arguments = [reports[1] if one == 1 else one for one in arguments]
    assert main(['compare', *arguments, '--metric', 'abs_rel']) == 0
    out = capsys.readouterr().out
    assert f'A: sgbm ({reports[1]})\nB: net ({reports[1]})\n' in out
    assert out.count('online/') == 1
    assert 'worse' in out


@pytest.mark.parametrize(
    ('swap', 'tolerance', 'code'),
    [
        (False, 'abs_rel', 1),
        (False, 'abs_rel:0.015', 1),
        (False, 'abs_rel:0.025', 0),
        (False, 'abs_rel:30%', 0),
        (False, 'latency_ms.p95', 0),
        (False, 'median/abs_rel', 1),  # there is no such figure
        (True, 'abs_rel', 0),
    ],
)
def test_worse_than_allowed_returns_1(reports, swap, tolerance, code, capsys):
    pair = reports[::-1] if swap else reports
    arguments = ['compare', *pair, '--model', 'net', '--fail-if-worse', tolerance]
    assert main(arguments) == code
    words = 'FAILED' if code else 'passed'
    assert f'{words}  {tolerance}  net: ' in capsys.readouterr().out


def test_a_gate_does_not_depend_on_which_figures_are_shown(reports, capsys):
    arguments = ['compare', *reports, '--metric', 'coverage', '--fail-if-worse', 'abs_rel']
    assert main(arguments) == 1
    assert 'passed  abs_rel  sgbm: online/abs_rel is not changed' in capsys.readouterr().out


def test_markdown_and_json(reports, tmp_path, capsys):
    out = tmp_path / 'out.json'
    arguments = ['compare', *reports, '--model', 'net', '--markdown', '--json', str(out)]
    assert main([*arguments, '--fail-if-worse', 'abs_rel:0.01']) == 1
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith('|')]
    assert rows[0] == '| figure | unit | A | B | B - A | 95 % interval | frames | B is |'
    assert len({row.count('|') for row in rows}) == 1
    content = json.loads(out.read_text())
    assert (content['schema'], content['version']) == ('depth_perception.comparison', 1)
    assert content['failed'] is True
    (one,) = content['comparisons']
    row = one['rows'][0]
    assert (row['metric'], row['verdict'], row['frames']) == ('online/abs_rel', 'worse', 60)
    assert row['low'] <= row['difference'] <= row['high']
    assert row['difference'] == pytest.approx(0.02)
    assert one['a'] == {'report': reports[0], 'model': 'net', 'only_here': []}
    assert one['gates'][0]['failed'] is True


def test_what_differs_is_said(reports, tmp_path, capsys):
    other = write(tmp_path / 'c.json', {'net': (0.0, 0.7)}, cpu='two', first=10)
    assert main(['compare', reports[0], other, '--model', 'net']) == 0
    out = capsys.readouterr().out
    assert '40 frames in common' in out
    assert 'only A has 20 frames, which are left out: 10 of street /image, 10 of yard' in out
    assert 'only B has 20 frames' in out
    assert 'coverage is 0.900 of A and 0.700 of B: other figures are of other pixels' in out
    assert 'A and B ran on different machines' in out
    assert 'for a figure with a target, B - A is the difference of the distances' in out


def test_what_is_not_comparable_is_refused_unless_asked_for(reports, tmp_path, capsys):
    other = write(tmp_path / 'c.json', {'net': (0.0, 0.9)}, {'crop': 'garg'})
    arguments = ['compare', reports[0], other, '--model', 'net']
    assert main(arguments) == 2
    assert 'not comparable: crop is none for A but garg for B; --anyway' in capsys.readouterr().err
    assert main([*arguments, '--anyway']) == 0
    assert 'note: NOT COMPARABLE: crop is none for A but garg for B' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--model', 'nett'], "has no model 'nett'; its models are sgbm, net"),
        (['--model', 'net', '--model', 'nett'], "has no model 'nett'"),
        (['--model', 'a', '--model', 'b', '--model', 'c'], 'wanted at most two'),
        (['--metric', 'absrel'], "unknown metric 'absrel'; did you mean abs_rel"),
        (['--metric', 'median/abs_rel'], 'has no median/abs_rel; its labels are online'),
        (['--fail-if-worse', 'abs_rel:x'], "'x' is no tolerance"),
    ],
)
def test_unusable_requests_return_2(reports, more, message, capsys):
    assert main(['compare', *reports, *more]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ''


def test_unusable_reports_return_2(reports, tmp_path, capsys):
    (tmp_path / 'bad.json').write_text('{"schema": "depth_perception.evaluation", "version": 9}')
    one = write(tmp_path / 'one.json', {'sgbm': (0.0, 0.9)})
    two = write(tmp_path / 'two.json', {'net': (0.0, 0.9), 'other': (0.0, 0.9)})
    for given, message in (
        ([str(tmp_path / 'none.json'), one], 'is no file'),
        ([str(tmp_path / 'bad.json'), one], 'has version 9'),
        ([one], 'one report: say what to compare with --model A --model B'),
        ([one, two], 'no model is in both: sgbm in'),
        ([one, two, one], '3 reports given; wanted one or two'),
    ):
        assert main(['compare', *given]) == 2
        assert message in capsys.readouterr().err


def test_reports_of_one_model_each_need_no_name(reports, tmp_path, capsys):
    one = write(tmp_path / 'one.json', {'sgbm': (0.0, 0.9)})
    two = write(tmp_path / 'two.json', {'net': (-0.01, 0.9)})
    assert main(['compare', one, two, '--metric', 'abs_rel', '--fail-if-worse', 'abs_rel']) == 0
    assert 'better' in capsys.readouterr().out


def test_json_that_cannot_be_written_is_an_error(reports, tmp_path, capsys):
    target = str(tmp_path / 'missing' / 'out.json')
    assert main(['compare', *reports, '--json', target]) == 2
    assert f'cannot write {target}' in capsys.readouterr().err


def test_what_only_one_side_has_and_what_chance_does_is_said(reports, tmp_path, capsys):
    stamps = list(range(10_000, 10_000 + 100 * FRAMES, 100))
    many = {f'online/{name}': np.arange(float(FRAMES)) for name in list(METRICS)[:24]}
    more = {**many, 'median/abs_rel': np.ones(FRAMES), 'online/rmse_m': [None] * FRAMES}
    paths = []
    for name, columns in (('c', many), ('d', more)):
        content = json.loads((tmp_path / 'a.json').read_text())
        content['models'] = [{'id': 'net'}]
        content['runs'] = [run('net', 'street', {}, stamps)]
        content['runs'][0]['columns'] = {key: list(values) for key, values in columns.items()}
        content['runs'][0]['columns']['online/epe_px'][:] = [float(name == 'c')] * FRAMES
        paths.append(str(tmp_path / f'{name}.json'))
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    assert main(['compare', *paths, '--metric', 'all']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert '30 frames in common, of 1 camera or bag' in lines
    assert 'note: labels that only one side has: median' in lines
    assert 'note: of 24 figures, about 1 differ by chance alone' in lines
    (empty,) = (line.split() for line in lines if line.startswith('online/rmse_m'))
    assert empty[1:] == ['m', '-', '-', '-', '-', '0', 'no', 'difference', 'shown']
