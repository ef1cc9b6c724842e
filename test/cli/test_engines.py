"""depth_perception build-engine and engines, by their own parser."""

import argparse
import json

from depth_perception.cli import engines
from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.inference import backend_choice
from depth_perception.inference.backend_choice import Acceleration
import pytest


def run(*words):
    parser = argparse.ArgumentParser()
    engines.register(parser.add_subparsers())
    arguments = parser.parse_args(words)
    return arguments.func(arguments)


@pytest.fixture
def card(networks, tmp_path, monkeypatch):
    """Return the path of a card, with an empty cache."""
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    return str(networks.card_of(networks.vit(tmp_path / 'vit.onnx')).path)


@pytest.fixture
def play(fake_tensorrt, monkeypatch):
    """Return a function that makes this machine one with a GPU and a TensorRT."""
    monkeypatch.setattr(backend_choice, 'open_runtime', lambda *_: fake_tensorrt.FakeCuda())

    def with_(**personality):
        tensorrt = fake_tensorrt.fake(**personality)
        found = Acceleration(fake_tensorrt.DEVICE, tensorrt, 'pycuda')
        monkeypatch.setattr(engines, 'find_acceleration', lambda settings: found)
        return tensorrt

    return with_


def no_gpu(settings):
    raise BackendUnavailableError('there is no CUDA driver')


def test_an_engine_is_built_once_listed_verified_and_cleared(card, play, capsys):
    play()
    assert run('build-engine', card) == 0
    assert 'vit: TensorRT 10.3.0 fp16 on Fake GPU' in capsys.readouterr().out
    assert run('build-engine', card) == 0
    assert 'was there already' in capsys.readouterr().out
    assert run('engines', 'list') == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:4] == ['vit', 'fp16', 'image:1x3x32x48', 'tensorrt']
    assert run('engines', 'verify') == 0
    assert '2 as they were stored, 0 not' in capsys.readouterr().out  # and the timing cache
    assert run('engines', 'clear') == 0
    capsys.readouterr()
    assert run('engines', 'list', '--json') == 0
    assert json.loads(capsys.readouterr().out) == []


def test_verify_finds_what_was_changed(card, play, capsys, tmp_path):
    play()
    run('build-engine', card)
    plan = next((tmp_path / 'cache' / 'engines').glob('vit*.plan'))
    plan.write_bytes(plan.read_bytes()[:-1] + b'?')
    capsys.readouterr()
    assert run('engines', 'verify') == 1
    assert 'changed since it was stored' in capsys.readouterr().out


def test_a_network_that_no_engine_computes_right_is_a_failure_with_reasons(card, play, capsys):
    play(wrong=('fp16', 'mixed', 'fp32'))
    assert run('build-engine', card) == 1
    said = capsys.readouterr().out
    assert 'fp16: refused, depth differs' in said
    assert 'vit: no engine; ONNX Runtime will run it' in said
    assert run('engines', 'list') == 0
    assert capsys.readouterr().out.count(' refused') == 3


def test_without_a_gpu_the_reason_is_said(card, monkeypatch):
    monkeypatch.setattr(engines, 'find_acceleration', no_gpu)
    with pytest.raises(BackendUnavailableError, match='no CUDA driver'):
        run('build-engine', card)


def test_a_size_that_follows_the_camera_must_be_given(networks, tmp_path, play, capsys, card):
    play()
    path = networks.cnn(tmp_path / 'cnn.onnx')
    follows = networks.card_of(path, resize='{policy: pad, multiple: 16}').path
    with pytest.raises(ModelError, match='say --image'):
        run('build-engine', str(follows))
    assert run('build-engine', str(follows), '--image', '90x60') == 0
    run('engines', 'list')
    assert 'image:1x3x64x96' in capsys.readouterr().out


@pytest.mark.parametrize('size', ['640', '640x', 'x480', '0x5', '-1x4', '640x480x3'])
def test_sizes_are_two_numbers(size, capsys):
    with pytest.raises(SystemExit):
        run('build-engine', 'fastdepth', f'--image={size}')
    capsys.readouterr()


def test_builtin_matchers_have_nothing_to_compile():
    with pytest.raises(ModelError, match='builtin'):
        run('build-engine', 'sgbm')


def test_dry_run_builds_for_real_without_a_gpu(card, monkeypatch, capsys):
    pytest.importorskip('tensorrt_rtx')
    monkeypatch.setattr(engines, 'find_acceleration', no_gpu)
    assert run('build-engine', card, '--dry-run') == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith('TensorRT-RTX ')
    assert [line.split(': ')[0] for line in said[1:]] == [
        'fp16', 'fp16 with normalisation and softmax in fp32', 'fp32',
    ]  # fmt: skip
