"""A node on a machine with a GPU and a TensorRT, both played."""

import threading

from depth_perception.inference import backend_choice
from depth_perception.inference.backend_choice import Acceleration
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from diagnostic_msgs.msg import DiagnosticStatus
import pytest
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
SETTINGS = {
    'model': 'window-stereo',
    'threads': 1,
    'max_input_age_s': 20.0,
    'diagnostics_period_s': 0.1,
}


@pytest.fixture
def play(fake_tensorrt, monkeypatch, tmp_path):
    """Return a function that makes this machine one with a GPU and a TensorRT."""
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path))
    monkeypatch.setattr(backend_choice, 'open_runtime', lambda *_: fake_tensorrt.FakeCuda())

    def with_(**personality):
        found = Acceleration(
            fake_tensorrt.DEVICE, fake_tensorrt.fake(**personality), 'cuda-python'
        )
        monkeypatch.setattr(backend_choice, 'find_acceleration', lambda settings: found)

    return with_


def test_onnx_runtime_serves_until_the_engine_takes_over(system, scene, play):
    gate = threading.Event()
    play(slow=lambda step: gate.wait(20.0))
    system.start(StereoDepthNode, **SETTINGS)
    heard, status = system.peer.listen('/depth/image_rect', Image), system.status()
    before = system.depth_after(heard, scene.stereo())
    system.peer.until(lambda: 'engine: ' in status.values.get('backend reason', ''), 'progress')
    assert status.values['backend'] == 'onnxruntime'
    gate.set()
    system.peer.until(lambda: 'Fake GPU' in status.values['backend reason'], 'the engine')
    after = system.depth_after(heard, scene.stereo())
    system.peer.until(lambda: status.values['backend'] == 'tensorrt', 'the backend')
    assert 'TensorRT 10.3.0 fp32 on Fake GPU' in status.values['backend reason']
    assert scene.error(after) == pytest.approx(scene.error(before), abs=1e-3)


def test_an_inactive_node_publishes_nothing_before_its_engine_is_ready(system, scene, play):
    gate = threading.Event()
    play(slow=lambda step: gate.wait(20.0))
    system.start(StereoDepthNode, tensorrt__while_building='inactive', **SETTINGS)
    heard, status = system.peer.listen('/depth/image_rect', Image), system.status()
    status.until_count('dropped engine_building', each=lambda: system.send(scene.stereo()))
    assert heard == []
    gate.set()
    system.peer.until(lambda: heard, 'depth', each=lambda: system.send(scene.stereo()))


def test_a_wrong_engine_is_a_warning_and_onnx_runtime_serves(system, scene, play):
    play(wrong=('fp32',))
    system.start(StereoDepthNode, tensorrt__while_building='wait', **SETTINGS)
    heard, status = system.peer.listen('/depth/image_rect', Image), system.status()
    system.depth_after(heard, scene.stereo())
    said = status.until_message('ONNX Runtime runs the network: no engine of TensorRT 10.3.0')
    assert said.level == DiagnosticStatus.WARN
    assert 'refused' in said.message
    assert status.values['backend'] == 'onnxruntime'
