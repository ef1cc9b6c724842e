"""depth_perception evaluate, from the command line to the report."""

import json
import re

from depth_perception.cli.main import main
from depth_perception.evaluation.bag_writer import BagWriter
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
pytest.importorskip('scipy')
FAST = ['--no-pictures', '--groups', 'depth,disparity']


@pytest.fixture
def bag(tmp_path, evaluation_bags):
    return evaluation_bags.write_stereo(tmp_path / 'bag', 4)


def report_of(out):
    return json.loads((out / 'report.json').read_text())


def test_a_whole_report(bag, tmp_path, evaluation_bags, capsys):
    out = tmp_path / 'out'
    models = ['--model', f'ours={evaluation_bags.SGBM}', '--model', 'sgbm,max_depth_m=1.5']
    code = main(['evaluate', str(bag), *models, '--align', 'median', '--out', str(out)])
    printed = capsys.readouterr().out
    report = report_of(out)
    assert code == 0
    assert [model['id'] for model in report['models']] == ['ours', 'sgbm,max_depth_m=1.5']
    ours, capped = report['summary']
    assert ours['metrics']['online/abs_rel']['value'] < 0.01
    assert ours['metrics']['median/abs_rel']['value'] < 0.01
    assert capped['metrics']['online/coverage']['value'] < (
        ours['metrics']['online/coverage']['value'] - 0.1
    )
    assert f'{ours["metrics"]["online/abs_rel"]["value"]:.4g}' in printed
    assert re.fullmatch('[0-9a-f]{64}', report['bags'][0]['sha256'])
    assert {'report.html', 'report.md', 'frames', 'pictures'} <= {p.name for p in out.iterdir()}
    shown = [entry['rank'] for entry in report['runs'][0]['pictures']]
    assert shown == ['best', 'median', 'worst']
    for entry in report['runs'][0]['pictures']:
        for name in entry['files'].values():
            assert (out / name).read_bytes()[:2] == b'\xff\xd8'


def test_the_page_needs_no_network_and_holds_the_numbers(bag, tmp_path, evaluation_bags):
    out = tmp_path / 'out'
    main(['evaluate', str(bag), '--model', evaluation_bags.SGBM, '--out', str(out)])
    page = (out / 'report.html').read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page.count('data:image/jpeg;base64,') >= 7
    value = report_of(out)['summary'][0]['metrics']['online/rmse_m']['value']
    assert f'{value:.3g}'[:4] in page


@pytest.mark.parametrize(
    ('gate', 'code'), [('abs_rel>0.5', 0), ('abs_rel>0.0001', 1), ('tae_pct>5', 1)]
)
def test_gates_decide_the_exit_code(bag, tmp_path, evaluation_bags, gate, code, capsys):
    out = tmp_path / 'out'
    command = ['evaluate', str(bag), '--model', evaluation_bags.SGBM, '--out', str(out), *FAST]
    assert main([*command, '--fail-if', gate]) == code
    assert ('FAILED' in capsys.readouterr().out) == bool(code)
    assert report_of(out)['gates'][0]['failed'] == bool(code)


def test_a_broken_bag_does_not_lose_the_others(bag, tmp_path, evaluation_bags, capsys):
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'broken.mcap').write_bytes(b'no bag at all')
    out = tmp_path / 'out'
    command = ['evaluate', str(broken), str(bag), '--model', evaluation_bags.SGBM]
    assert main([*command, '--out', str(out), *FAST]) == 3
    report = report_of(out)
    assert [bool(entry['error']) for entry in report['bags']] == [True, False]
    assert report['summary'][0]['frames'] == 4
    assert capsys.readouterr().err.count('failed: broken: ') == 1


def test_nothing_to_evaluate_is_an_error(tmp_path, capsys):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_image('/lonely', 10**9, 'eye', np.zeros((4, 6), np.uint8), 'mono8')
    assert main(['evaluate', str(tmp_path / 'bag'), '--out', str(tmp_path / 'out')]) == 2
    said = capsys.readouterr().err
    assert said.count('camera_info') == 1
    assert '/lonely' in said
    assert not (tmp_path / 'out' / 'report.json').exists()


def test_a_stereo_model_on_a_single_camera_is_told(tmp_path, evaluation_bags, capsys):
    scene = evaluation_bags.view(0)
    with BagWriter(tmp_path / 'mono') as bag:
        bag.write_camera_info('/camera_info', 10**9, 'eye', evaluation_bags.RIG.left)
        bag.write_image('/image', 10**9, 'eye', scene.left, 'mono8')
    assert main(['evaluate', str(tmp_path / 'mono'), '--out', str(tmp_path / 'out')]) == 2
    assert 'needs a pair' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'seen'),
    [
        (['--align', 'best'], 'best'),
        (['--ranges', '5,3'], 'rising'),
        (['--ranges', 'a'], 'rising'),
        (['--fail-if', 'abs_rel=1'], 'abs_rel=1'),
        (['--fail-if', 'abs_rle>1'], 'abs_rel'),
        (['--truth', '/nothing'], '/nothing'),
        (['--image', '/nothing'], '/nothing'),
        (['--start', '-1'], 'start'),
        (['--workers', '-2'], 'workers'),
        (['--truth-tolerance', 'nan'], 'tolerance'),
        (['--min-depth', '9', '--max-depth', '3'], 'empty'),
        (['--model', 'nothing'], 'nothing'),
    ],
)
def test_wrong_options_are_refused_in_one_line(bag, tmp_path, options, seen, capsys):
    assert main(['evaluate', str(bag), '--out', str(tmp_path / 'out'), *options]) == 2
    assert seen in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_processes_side_by_side_give_the_same(bag, tmp_path, evaluation_bags):
    other = evaluation_bags.write_stereo(tmp_path / 'second', 3)
    outs = [tmp_path / 'one', tmp_path / 'two']
    for out, workers in zip(outs, ('1', '2'), strict=True):
        command = ['evaluate', str(bag), str(other), '--model', evaluation_bags.SGBM]
        assert main([*command, '--out', str(out), '--workers', workers, *FAST]) == 0
    one, two = (report_of(out) for out in outs)
    timed = ('latency_ms', 'network_ms', 'metrics_ms')
    for a, b in zip(one['runs'], two['runs'], strict=True):
        assert a['bag'] == b['bag']
        assert a['stamps_ns'] == b['stamps_ns']
        for key, column in a['columns'].items():
            assert key.endswith(timed) or column == b['columns'][key]


def test_the_report_can_be_compared(bag, tmp_path, evaluation_bags, capsys):
    out = tmp_path / 'out'
    models = ['--model', f'a={evaluation_bags.SGBM}', '--model', 'b=sgbm,sgbm.mode=hh']
    assert main(['evaluate', str(bag), *models, '--out', str(out), *FAST]) == 0
    capsys.readouterr()
    assert main(['compare', str(out)]) == 0
    assert 'abs_rel' in capsys.readouterr().out.lower().replace('absrel', 'abs_rel')


def test_the_same_command_carries_on_and_fresh_does_not(bag, tmp_path, evaluation_bags):
    out = tmp_path / 'out'
    command = ['evaluate', str(bag), '--model', evaluation_bags.SGBM, '--out', str(out), *FAST]
    durations = []
    for extra in ([], [], ['--fresh']):
        assert main([*command, *extra]) == 0
        durations.append(report_of(out)['runs'][0]['columns']['online/latency_ms'])
    assert durations[0] == durations[1]
    assert durations[0] != durations[2]
