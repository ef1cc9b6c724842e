"""depth_perception models, by its own parser."""

import argparse
import hashlib
import json

from depth_perception.cli import models
from depth_perception.errors import ModelError
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_backend
from depth_perception.inference.golden import golden_picture, golden_statistics, WAVES
from depth_perception.parameters import StereoEstimatorSettings
from depth_perception.resources import resource_path
import numpy as np
import pytest
import yaml

PICTURE_SHA256 = 'a229033a740b87039efd28cc2b9f70528167bfe24c7d513d3ff6af7d276078a2'


def run(*words):
    parser = argparse.ArgumentParser()
    models.register(parser.add_subparsers())
    arguments = parser.parse_args(['models', *words])
    return arguments.func(arguments)


def test_list_names_every_card_with_its_licence(capsys):
    assert run('list', '--json') == 0
    rows = {row['id']: row for row in json.loads(capsys.readouterr().out)}
    assert rows['sgbm']['here'] is True
    assert rows['depth-anything-v2-small']['metric'] is False
    assert rows['depth-anything-v2-small']['size'] == 'lower_bound 518 x14'
    assert all(row['licence'] for row in rows.values())


def test_list_is_long_and_says_how_to_get_each(capsys):
    assert run('list', '--json') == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 35
    own = {'depth-perception-stereo-small', 'room-depth'}
    shipped = {'sgbm', 'floor-stixels', 'window-stereo', *own}
    for row in rows:
        assert row['licence'], row
        assert row['size'], row
        assert row['kind'], row
        assert row['id'] in shipped or row['source'] or row['export'] or row['here'], row


def test_table_for_people(capsys):
    assert run('list') == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['id', 'task', 'kind', 'size', 'licence', 'commercial', 'here']
    assert any(line.startswith('window-stereo  ') for line in lines)


def test_show_prints_the_card(capsys):
    assert run('show', 'window-stereo') == 0
    assert json.loads(capsys.readouterr().out)['output']['kind'] == 'disparity_px'


def test_verify_loads_the_network(capsys):
    assert run('verify', 'floor-stixels') == 0
    assert 'input image float32 (1, 3, None, None)' in capsys.readouterr().out


@pytest.fixture
def golden_card(tmp_path):
    """Return what writes a card of the shipped matcher with golden statistics."""

    def written(**changes):
        base = load_card('window-stereo')
        with open_backend(base, StereoEstimatorSettings()) as backend:
            found = golden_statistics(base, backend)
        golden = {
            'input': WAVES,
            'output_mean': found.mean,
            'output_p05': found.p05,
            'output_p95': found.p95,
        }
        file = resource_path('models', 'window_stereo.onnx')
        (tmp_path / file.name).write_bytes(file.read_bytes())
        card = tmp_path / 'golden.yaml'
        values = {'base': 'window-stereo', 'id': 'golden', 'golden': {**golden, **changes}}
        card.write_text(yaml.safe_dump({**values, 'uncertainty': {'calibration': ''}}))
        return str(card)

    return written


def test_verify_compares_the_answer(golden_card, capsys):
    assert run('verify', golden_card()) == 0
    assert f'answers to {WAVES} as its card says, within 2.0%' in capsys.readouterr().out


def test_verify_fails_where_the_network_answers_something_else(golden_card, capsys):
    assert run('verify', golden_card(output_mean=80.0)) == 1
    out = capsys.readouterr().out
    assert 'WRONG' in out
    assert 'mean is ' in out
    assert 'the card says 80' in out


def test_verify_refuses_a_picture_that_nobody_knows(golden_card):
    with pytest.raises(ModelError, match='no golden picture'):
        run('verify', golden_card(input='lena'))


def test_verify_prints_the_statistics_that_a_card_lacks(capsys):
    assert run('verify', 'floor-stixels') == 0
    assert f'golden: {{input: {WAVES}, output_mean: ' in capsys.readouterr().out


def test_golden_picture_is_the_same_everywhere():
    picture = golden_picture(WAVES)
    assert (picture.shape, picture.dtype) == ((480, 640, 3), np.uint8)
    assert hashlib.sha256(picture.tobytes()).hexdigest() == PICTURE_SHA256


def test_licence_is_shown_and_must_be_accepted(capsys, tmp_path):
    card = tmp_path / 'nc.yaml'
    card.write_text(
        'id: nc\ntask: mono\nartifact: {file: n.onnx, licence: CC-BY-NC-4.0, commercial: false}\n'
        'inputs: []\nresize: {policy: none}\noutput: {tensor: o, kind: depth_metric}\n'
    )
    with pytest.raises(ModelError, match='--accept-licence'):
        run('fetch', str(card))
    assert 'CC-BY-NC-4.0, commercial use not allowed' in capsys.readouterr().out
