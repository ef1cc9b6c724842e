"""depth_perception models, by its own parser."""

import argparse
import json

from depth_perception.cli import models
from depth_perception.errors import ModelError
import pytest


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


def test_licence_is_shown_and_must_be_accepted(capsys, tmp_path):
    card = tmp_path / 'nc.yaml'
    card.write_text(
        'id: nc\ntask: mono\nartifact: {file: n.onnx, licence: CC-BY-NC-4.0, commercial: false}\n'
        'inputs: []\nresize: {policy: none}\noutput: {tensor: o, kind: depth_metric}\n'
    )
    with pytest.raises(ModelError, match='--accept-licence'):
        run('fetch', str(card))
    assert 'CC-BY-NC-4.0, commercial use not allowed' in capsys.readouterr().out
