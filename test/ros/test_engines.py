"""A node on a machine with a GPU and a TensorRT, both played."""

import threading
import time

from depth_perception.inference import backend_choice
from depth_perception.inference.backend_choice import Acceleration
from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2

pytestmark = pytest.mark.ros
SETTINGS = {
    'model': 'window-stereo',
    'threads': 1,
    'max_input_age_s': 100.0,
    'diagnostics_period_s': 0.1,
}


@pytest.fixture
def play(fake_tensorrt, monkeypatch, tmp_path):
    """Return a function that makes this machine one with a GPU and a TensorRT."""
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path))
    monkeypatch.setattr(backend_choice, 'open_runtime', lambda *_: fake_tensorrt.FakeCuda())

    def with_(cuda=None, **personality):
        if cuda is not None:
            monkeypatch.setattr(
                backend_choice, 'open_runtime', lambda *_: fake_tensorrt.FakeCuda(**cuda)
            )
        found = Acceleration(
            fake_tensorrt.DEVICE, fake_tensorrt.fake(**personality), 'cuda-python'
        )
        monkeypatch.setattr(backend_choice, 'find_acceleration', lambda settings: found)

    return with_


@pytest.fixture
def gate():
    """Return what a build waits for; the last one to be made, so the first to be torn down."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_onnx_runtime_serves_until_the_engine_takes_over(system, scene, play, gate):
    play(slow=lambda step: gate.wait())
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


def test_an_inactive_node_publishes_nothing_before_its_engine_is_ready(system, scene, play, gate):
    play(slow=lambda step: gate.wait())
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


@pytest.fixture
def small_model(networks, tmp_path):
    """Return the path of the card of a small network."""
    path = networks.cnn(tmp_path / 'small.onnx')
    card = networks.card_of(path, resize='{policy: pad, multiple: 8}').path
    card.write_text(card.read_text() + 'uncertainty: {relative_floor: 0.1}\n')
    return str(card)


def mono_of(scene, stamp_ns):
    """Return topic -> message of a mono camera."""
    return {
        '/camera_info': scene.info(stamp_ns),
        '/image': scene.image(scene.left, stamp_ns),
    }


def test_frames_pass_through_the_kernels_in_order_and_the_last_one_too(
    system, scene, play, small_model
):
    play({'captures': True})
    settings = {**SETTINGS, 'model': small_model, 'tensorrt__while_building': 'wait'}
    system.start(MonoDepthNode, **settings)
    peer, status = system.peer, system.status('mono_depth_node')
    clouds = peer.listen('/points', PointCloud2, 20)
    depths = peer.listen('/depth/image_rect', Image, 20)
    for seed in range(5):
        stamp_ns = time.time_ns()
        scene.left = np.roll(scene.left, 7 * seed, axis=1)
        system.send(mono_of(scene, stamp_ns))
        newest = stamp_ns
        if seed % 2 == 0:  # else it may meet the next one under way
            peer.until(lambda wanted=stamp_ns: wanted in stamps(clouds), 'its cloud')
    peer.until(lambda: newest in stamps(clouds) and newest in stamps(depths), 'the last frame')
    assert stamps(clouds) == sorted(stamps(clouds))
    depth = np.frombuffer(depths[-1].data, np.float32).reshape(scene.height, scene.width)
    points = np.frombuffer(clouds[-1].data, np.float32).reshape(scene.height, scene.width, 5)
    known = np.isfinite(depth)
    assert known.mean() > 0.1
    np.testing.assert_array_equal(points[..., 2], np.where(known, depth, np.nan))
    colours = np.ascontiguousarray(points[..., 3]).view(np.uint32)
    np.testing.assert_array_equal(colours, 0x010101 * scene.left.astype(np.uint32))
    peer.until(lambda: status.values.get('backend') == 'tensorrt', 'the backend')
    assert status.values['gpu kernels'] == 'images on the GPU, depth and cloud on the GPU'
    peer.until(lambda: 'stage begin next p50/p95/p99 [ms]' in status.values, 'the stages')


def stamps(heard):
    return [m.header.stamp.sec * 1_000_000_000 + m.header.stamp.nanosec for m in heard]


def test_a_wrong_kernel_is_a_warning_and_the_cpu_does_its_work(system, scene, play, small_model):
    play({'wrong': ('publish',)})
    settings = {**SETTINGS, 'model': small_model, 'tensorrt__while_building': 'wait'}
    system.start(MonoDepthNode, **settings)
    heard, status = system.peer.listen('/points', PointCloud2), system.status('mono_depth_node')
    system.send(mono_of(scene, time.time_ns()))
    system.peer.until(lambda: heard, 'cloud')
    said = status.until_message('images and clouds are made on the CPU: a kernel does not compute')
    assert said.level == DiagnosticStatus.WARN
    assert status.values['backend'] == 'tensorrt'
    assert status.values['gpu kernels'].startswith('none: a kernel does not compute')
