"""Gates: what can be written, what it means, and that no data is never a pass."""

import json
import math

from depth_perception.errors import SettingsError
from depth_perception.evaluation.catalogue import METRICS
from depth_perception.evaluation.gates import any_failed, evaluate_gates, parse_gate, STATS
from hypothesis import given
from hypothesis import strategies as st
import pytest


def report(**models):
    return {'summary': [{'model': name, 'metrics': found} for name, found in models.items()]}


SGBM = {
    'online/abs_rel': {'value': 0.031, 'low': 0.028, 'high': 0.034, 'frames': 10},
    'median/abs_rel': {'value': 0.02, 'low': 0.01, 'high': 0.03, 'frames': 10},
    'online/bad_2_pct': {'value': 12.5, 'low': 11.0, 'high': 14.0, 'frames': 10},
    'online/within_1_sigma': {'value': 0.60, 'low': 0.5, 'high': 0.7, 'frames': 10},
    'online/coverage': {'value': 0.93, 'low': None, 'high': None, 'frames': 1},
    'online/latency_ms': {'value': 20.0, 'p50': 20.0, 'p95': 48.0, 'p99': 50.0, 'max': 71.0},
    'online/rmse_m': {'value': None, 'low': None, 'high': None, 'frames': 0},
}


@pytest.mark.parametrize(
    ('text', 'model', 'key', 'stat', 'op', 'limit'),
    [
        ('abs_rel>0.1', '', 'online/abs_rel', 'value', '>', 0.1),
        ('sgbm:online/bad_2_pct>=10', 'sgbm', 'online/bad_2_pct', 'value', '>=', 10.0),
        (' latency_ms.p95 > 5e1 ', '', 'online/latency_ms', 'p95', '>', 50.0),
        ('median/delta1<0.9', '', 'median/delta1', 'value', '<', 0.9),
        ('within_1_sigma.off > 5%', '', 'online/within_1_sigma', 'off', '>', 0.05),
        ('bad_2_pct>10 %', '', 'online/bad_2_pct', 'value', '>', 10.0),
        ('sgbm,a.b=1:abs_rel.low<=-1', 'sgbm,a.b=1', 'online/abs_rel', 'low', '<=', -1.0),
        ('abs_rel.frames<100', '', 'online/abs_rel', 'frames', '<', 100.0),
    ],
)
def test_what_a_gate_says(text, model, key, stat, op, limit):
    gate = parse_gate(text)
    assert (gate.reference.model, gate.reference.key, gate.reference.stat) == (model, key, stat)
    assert (gate.op, gate.limit, gate.text) == (op, pytest.approx(limit), text.strip())


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('abs_rel', "'abs_rel' is no gate; wanted"),
        ('', 'is no gate'),
        ('abs_rel=0.1', 'is no gate'),
        ('abs_rel==0.1', 'is no gate'),
        ('abs_rel=>0.1', 'names no figure'),
        ('0.01<abs_rel<0.1', 'is no gate'),
        ('>0.1', 'is no gate'),
        ('abs_rel>', 'is no gate'),
        ('absrel>0.1', r'unknown metric .absrel.; did you mean abs_rel'),
        ('best/abs_rel>0.1', "unknown label 'best'; labels are online, median"),
        ('abs_rel>ten', "'ten' is no number to compare abs_rel with"),
        ('abs_rel>nan', 'is no number'),
        ('abs_rel>inf', 'is no number'),
        ('abs_rel.mean>1', r'\.mean is unknown; known are \.value, \.off'),
        ('abs_rel.p95>1', r'abs_rel has no \.p95, only durations do'),
        ('abs_rel.off>1', 'abs_rel has no target'),
        ('latency_ms.high>1', 'latency_ms has no interval'),
        ('rmse_m>10%', 'rmse_m is in m, not in %'),
        ('abs_rel.frames>10%', 'is in frames, not in %'),
        ('abs_rel>' + '0' * 10_000, 'is no gate'),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        parse_gate(text)


@pytest.mark.parametrize(
    ('text', 'value', 'failed'),
    [
        ('abs_rel>0.031', 0.031, False),
        ('abs_rel>=0.031', 0.031, True),
        ('abs_rel<0.032', 0.031, True),
        ('abs_rel<=0.03', 0.031, False),
        ('median/abs_rel>0.03', 0.02, False),
        ('abs_rel.high>0.033', 0.034, True),
        ('bad_2_pct>10', 12.5, True),
        ('bad_2_pct>13%', 12.5, False),
        ('within_1_sigma.off>0.08', 0.0827, True),
        ('within_1_sigma.off>0.09', 0.0827, False),
        ('coverage<95%', 0.93, True),
        ('latency_ms.p95>50', 48.0, False),
        ('latency_ms.max>50', 71.0, True),
        ('latency_ms>19', 20.0, True),
        ('abs_rel.frames<11', 10.0, True),
    ],
)
def test_what_becomes_of_a_gate(text, value, failed):
    (result,) = evaluate_gates(report(sgbm=SGBM), [parse_gate(text)])
    assert result.value == pytest.approx(value)
    assert (result.failed, result.model, result.gate) == (failed, 'sgbm', text)
    assert any_failed([result]) is failed


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('rmse_m>5', 'no data: online/rmse_m was not measured'),
        ('rmse_m<5', 'no data'),
        ('silog>5', 'no data: online/silog was not measured'),
        ('coverage.low<0.5', 'no data'),
        ('median/bad_2_pct>99', 'no data: median/bad_2_pct was not measured'),
        ('net:abs_rel>99', 'no data: the report has no such model'),
    ],
)
def test_no_data_is_never_a_pass(text, reason):
    (result,) = evaluate_gates(report(sgbm=SGBM), [parse_gate(text)])
    assert result.failed
    assert math.isnan(result.value)
    assert result.reason.startswith(reason)
    assert json.loads(json.dumps(result.data(), allow_nan=False))['value'] is None


@pytest.mark.parametrize('broken', [{}, {'summary': None}, {'summary': []}])
def test_a_report_without_models_fails(broken):
    (result,) = evaluate_gates(broken, [parse_gate('abs_rel>1')])
    assert result.failed
    assert result.reason == 'no data: no model'


@pytest.mark.parametrize('metrics', [None, [], {'online/abs_rel': 3}, {'online/abs_rel': None}])
def test_a_damaged_summary_fails(metrics):
    (result,) = evaluate_gates(report(a=metrics), [parse_gate('abs_rel>1')])
    assert result.failed


@pytest.mark.parametrize('value', ['0.01', True, None, [0.01], math.nan, math.inf])
def test_what_is_no_number_fails(value):
    (result,) = evaluate_gates(
        report(a={'online/abs_rel': {'value': value}}), [parse_gate('abs_rel>1')]
    )
    assert result.failed


def test_a_gate_without_a_model_is_about_all_of_them():
    both = report(sgbm=SGBM, net={'online/abs_rel': {'value': 0.2}})
    results = evaluate_gates(both, [parse_gate('abs_rel>0.1'), parse_gate('sgbm:abs_rel>0.1')])
    assert [(result.model, result.failed) for result in results] == [
        ('sgbm', False),
        ('net', True),
        ('sgbm', False),
    ]
    assert results[1].text() == 'FAILED  abs_rel>0.1  net: online/abs_rel is 0.2'
    assert results[0].text() == 'passed  abs_rel>0.1  sgbm: online/abs_rel is 0.031'
    assert results[1].data() == {
        'gate': 'abs_rel>0.1',
        'model': 'net',
        'value': 0.2,
        'failed': True,
        'reason': 'online/abs_rel is 0.2',
    }


@given(st.sampled_from(sorted(METRICS)), st.floats(-1e9, 1e9), st.sampled_from(['>', '<=']))
def test_every_figure_can_be_gated(name, limit, op):
    gate = parse_gate(f'{name}{op}{limit!r}')
    assert gate.limit == limit
    assert gate.reference.metric is METRICS[name]
    assert gate.fails(limit) is (op == '<=')


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_a_settings_error(text):
    try:
        gate = parse_gate(text)
    except SettingsError:
        return
    assert gate.reference.stat in STATS
