"""depth_perception inspect, by the whole command line."""

from depth_perception.cli.main import main
from depth_perception.inference.cards import load_card
from depth_perception.resources import resource_path
import pytest

pytest.importorskip('onnxruntime')


def test_draft_is_a_card(capsys, tmp_path):
    assert main(['inspect', str(resource_path('models', 'window_stereo.onnx'))]) == 0
    draft = capsys.readouterr().out
    assert 'window-stereo' in draft.splitlines()[0]
    path = tmp_path / 'draft.yaml'
    path.write_text(draft)
    card = load_card(str(path))
    assert (card.task, card.output.kind) == ('stereo', 'disparity_px')
    assert [spec.source for spec in card.inputs] == ['left', 'right']


def test_what_is_no_network_is_said(capsys, tmp_path):
    path = tmp_path / 'text.onnx'
    path.write_text('no network')
    assert main(['inspect', str(path)]) == 2
    assert 'cannot load text.onnx' in capsys.readouterr().err
    assert main(['inspect', str(tmp_path / 'none.onnx')]) == 2
    assert 'does not exist' in capsys.readouterr().err
