"""Running an engine: memory, shapes, threads, failures, and ONNX Runtime around it."""

import threading
import time

from depth_perception.errors import BackendUnavailableError, FrameError, InferenceError, ModelError
from depth_perception.inference import backend_choice, engine_backend
from depth_perception.inference.backend import TensorSpec
from depth_perception.inference.backend_choice import Acceleration, open_network
from depth_perception.inference.cards import load_card
from depth_perception.inference.engine_backend import EngineBackend
from depth_perception.inference.onnx_network import read_network, Rung
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.tensorrt_backend import TensorRTBackend
from depth_perception.inference.tensorrt_build import build_plan, BuildOptions, ShapeRange
from depth_perception.inference.tensorrt_ladder import Outcome
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

RANGE = {'image': ShapeRange((1, 3, 32, 32), (1, 3, 64, 64), (1, 3, 96, 128))}


def image(height=32, width=48, seed=0):
    return np.random.default_rng(seed).random((1, 3, height, width), np.float32)


@pytest.fixture
def path(networks, tmp_path):
    return networks.cnn(tmp_path / 'cnn.onnx')


@pytest.fixture
def plan(fake_tensorrt, path):
    content = read_network(path).content(Rung.FULL)
    return build_plan(fake_tensorrt.fake(), content, BuildOptions(RANGE)).plan


def reference(path, x):
    with OrtBackend(path, 1) as backend:
        return backend.infer({'image': x})['depth']


@pytest.mark.parametrize('captures', [False, True])
def test_an_engine_computes_its_network_at_every_size(fake_tensorrt, path, plan, captures):
    cuda = fake_tensorrt.FakeCuda(captures)
    with TensorRTBackend(fake_tensorrt.fake(), plan, lambda: cuda, 'an engine') as backend:
        assert backend.inputs == (TensorSpec('image', 'float32', (1, 3, None, None)),)
        assert backend.description == 'an engine (fake cuda)'
        for seed, (height, width) in enumerate([(32, 48), (32, 48), (96, 128), (32, 48)]):
            x = image(height, width, seed)
            found = backend.infer({'image': x})['depth']
            np.testing.assert_allclose(found, reference(path, x), atol=1e-5)
            assert len(cuda.slots) == 2
        assert cuda.launches == (4 if captures else 0)
    assert cuda.closed


def test_graphs_can_be_switched_off(fake_tensorrt, plan):
    cuda = fake_tensorrt.FakeCuda(captures=True)
    with TensorRTBackend(
        fake_tensorrt.fake(), plan, lambda: cuda, 'an engine', graph=False
    ) as backend:
        backend.infer({'image': image()})
    assert cuda.launches == 0


def test_an_engine_that_cannot_be_recorded_runs_as_it_is(fake_tensorrt, path, plan):
    class Cuda(fake_tensorrt.FakeCuda):
        def capture(self, stream, work):
            raise InferenceError('not permitted')

    with TensorRTBackend(
        fake_tensorrt.fake(), plan, lambda: Cuda(captures=True), 'an engine'
    ) as backend:
        for seed in range(2):
            x = image(seed=seed)
            found = backend.infer({'image': x})['depth']
            np.testing.assert_allclose(found, reference(path, x), atol=1e-5)


def test_all_of_cuda_happens_in_one_thread(fake_tensorrt, plan):
    threads = set()

    class Cuda(fake_tensorrt.FakeCuda):
        def __getattribute__(self, name):
            threads.add(threading.get_ident())
            return super().__getattribute__(name)

    backend = TensorRTBackend(fake_tensorrt.fake(), plan, Cuda, 'an engine')
    others = [threading.Thread(target=backend.infer, args=({'image': image()},)) for _ in range(3)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    backend.close()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_sizes_out_of_range_and_closed_engines_are_refused(fake_tensorrt, plan):
    backend = TensorRTBackend(fake_tensorrt.fake(), plan, fake_tensorrt.FakeCuda, 'an engine')
    with pytest.raises(ModelError, match='does not take image as'):
        backend.infer({'image': image(16, 16)})
    assert backend.infer({'image': image()})['depth'].shape == (1, 1, 32, 48)
    backend.close()
    backend.close()
    with pytest.raises(InferenceError, match='closed'):
        backend.infer({'image': image()})


def test_a_plan_that_is_refused_leaves_nothing_open(fake_tensorrt):
    cuda = fake_tensorrt.FakeCuda()
    before = threading.active_count()
    with pytest.raises(InferenceError, match='does not load the plan: magic tag does not match'):
        TensorRTBackend(fake_tensorrt.fake(), b'nonsense', lambda: cuda, 'an engine')
    assert cuda.closed
    assert threading.active_count() == before


# Around the engine


@pytest.fixture
def played(fake_tensorrt, monkeypatch, tmp_path):
    """Return a function that makes this machine one with a GPU and a TensorRT."""
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(backend_choice, 'open_runtime', lambda *_: fake_tensorrt.FakeCuda())

    def play(**personality):
        tensorrt = fake_tensorrt.fake(**personality)
        found = Acceleration(fake_tensorrt.DEVICE, tensorrt, 'pycuda')
        monkeypatch.setattr(backend_choice, 'find_acceleration', lambda settings: found)
        return tensorrt

    return play


def opened(networks, path, resize='{policy: stretch, size: [32, 48]}', **values):
    card = networks.card_of(path, resize=resize)
    return open_network(card, path, MonoEstimatorSettings(**values))


def test_onnx_runtime_serves_until_the_engine_is_ready(networks, path, played):
    gate = threading.Event()
    played(slow=lambda step: gate.wait(60.0))
    x = image()
    with opened(networks, path) as backend:
        np.testing.assert_array_equal(backend.infer({'image': x})['depth'], reference(path, x))
        assert backend.name == 'onnxruntime'
        assert 'TensorRT 10.3.0 engine: ' in backend.description
        gate.set()
        assert backend.wait(60.0)
        found = backend.infer({'image': x})['depth']
        assert backend.name == 'tensorrt'
        assert backend.description.startswith('TensorRT 10.3.0 fp16 on Fake GPU')
        np.testing.assert_allclose(found, reference(path, x), atol=2e-3)
        assert np.abs(found - reference(path, x)).max() > 0.0  # it is really fp16
        assert backend.warning == ''


def test_waiting_holds_the_start_until_the_engine_is_ready(networks, path, played):
    played(slow=lambda step: time.sleep(0.02))
    with opened(networks, path, tensorrt__while_building='wait') as backend:
        assert backend.is_settled
        backend.infer({'image': image()})
        assert backend.name == 'tensorrt'


def test_inactive_drops_frames_until_the_engine_is_ready(networks, path, played):
    gate = threading.Event()
    played(slow=lambda step: gate.wait(60.0))
    with opened(networks, path, tensorrt__while_building='inactive') as backend:
        with pytest.raises(FrameError, match='is still building') as caught:
            backend.infer({'image': image()})
        assert caught.value.cause == 'engine_building'
        gate.set()
        backend.wait(60.0)
        backend.infer({'image': image()})
        assert backend.name == 'tensorrt'


def test_sizes_that_follow_the_camera_are_built_when_they_come(networks, path, played):
    played()
    resize = '{policy: pad, multiple: 16}'
    with opened(networks, path, resize, tensorrt__while_building='wait') as backend:
        assert 'starts with the first image' in backend.description
        for height, width in ((32, 48), (64, 48), (32, 48)):
            x = image(height, width)
            found = backend.infer({'image': x})['depth']
            np.testing.assert_allclose(found, reference(path, x), atol=2e-3)
            assert backend.name == 'tensorrt'


def test_a_network_run_at_several_sizes_keeps_an_engine_for_each(networks, path, played):
    tensorrt = played()
    resize = '{policy: pad, multiple: 16}'
    with opened(networks, path, resize, tensorrt__while_building='wait') as backend:
        for _ in range(3):
            for side in (32, 48, 64):
                backend.infer({'image': image(side, side)})
                assert backend.name == 'tensorrt'
        assert sum(entry[0] == 'build' for entry in tensorrt.module.diary) == 3
        backend.infer({'image': image(80, 80)})
        assert backend.name == 'tensorrt'
        backend.infer({'image': image(96, 96)})  # one too many, while the others are in use
        assert backend.name == 'onnxruntime'
        assert backend.warning == ''


def test_engines_of_sizes_that_do_not_come_any_more_make_room(
    networks, path, played, monkeypatch, fake_tensorrt
):
    monkeypatch.setattr(engine_backend, '_IDLE_S', 0.0)
    played()
    resize = '{policy: pad, multiple: 16}'
    with opened(networks, path, resize, tensorrt__while_building='wait') as backend:
        for side in (32, 48, 64, 80, 96):
            backend.infer({'image': image(side, side)})
            assert backend.name == 'tensorrt'
    assert not [t for t in threading.enumerate() if t.name.startswith('cuda')]


def test_a_free_batch_is_one_for_engines(networks, tmp_path, played):
    path = networks.cnn(tmp_path / 'batch.onnx', batch='N')
    played()
    with opened(networks, path, tensorrt__while_building='wait') as backend:
        assert backend.inputs[0].shape == (1, 3, None, None)
        backend.infer({'image': image()})
        assert backend.name == 'tensorrt'


def test_a_card_that_does_not_name_its_only_input_is_compiled_too(networks, path, played):
    played()
    card = networks.card_of(path)
    card.path.write_text(card.path.read_text().replace('tensor: image', "tensor: '*'"))
    settings = MonoEstimatorSettings(tensorrt__while_building='wait')
    with open_network(load_card(str(card.path)), path, settings) as backend:
        backend.infer({'image': image()})
        assert backend.name == 'tensorrt'


def test_a_wrong_engine_never_serves_and_onnx_runtime_says_why(networks, path, played):
    played(wrong=('fp16', 'mixed', 'fp32'))
    x = image()
    with opened(networks, path, tensorrt__while_building='wait') as backend:
        np.testing.assert_array_equal(backend.infer({'image': x})['depth'], reference(path, x))
        assert backend.name == 'onnxruntime'
        assert 'no engine of TensorRT 10.3.0: fp16: refused, depth differs' in backend.description
        assert backend.warning.startswith('ONNX Runtime runs the network: no engine')


def test_the_rung_and_why_it_is_not_higher_are_said(networks, path, played):
    played(wrong=('fp16',))
    with opened(networks, path, tensorrt__while_building='wait') as backend:
        assert 'TensorRT 10.3.0 fp16 with normalisation' in backend.description
        assert 'fp16: refused' in backend.description
        assert backend.warning == ''


def test_an_engine_that_fails_later_gives_way(networks, path, played, fake_tensorrt, monkeypatch):
    played()
    x = image()
    with opened(networks, path, tensorrt__while_building='wait') as backend:
        backend.infer({'image': x})
        monkeypatch.setattr(fake_tensorrt.Context, 'refuses', True)
        np.testing.assert_array_equal(backend.infer({'image': x})['depth'], reference(path, x))
        assert backend.name == 'onnxruntime'
        assert 'refuses to run' in backend.warning
        assert 'refuses to run' in backend.description


def test_constants_of_a_card_are_built_in(networks, tmp_path, played):
    import onnx

    size = onnx.helper.make_tensor_value_info('size', onnx.TensorProto.INT64, [2])
    nodes = [
        networks.node('Conv', 'image,w', 'a'),
        networks.node('Concat', 'ones,size', 'sides', axis=0),
        networks.node('Resize', 'a,,,sides', 'depth', mode='linear'),
    ]
    weights = {'w': np.ones((1, 3, 1, 1), np.float32), 'ones': np.array([1, 1], np.int64)}
    path = networks.save(tmp_path / 'net.onnx', nodes, weights, more_inputs=[size])
    card = networks.card_of(path)
    text = card.path.read_text().replace(
        'from: left}', 'from: left}, {tensor: size, from: const, value: [8, 12], dtype: int64}'
    )
    card.path.write_text(text)
    tensorrt = played()
    settings = MonoEstimatorSettings(tensorrt__while_building='wait')
    feeds = {'image': image(), 'size': np.array([8, 12])}
    with open_network(load_card(str(card.path)), path, settings) as backend:
        assert backend.infer(feeds)['depth'].shape == (1, 1, 8, 12)
        assert backend.infer(feeds)['depth'].shape == (1, 1, 8, 12)
        assert backend.name == 'tensorrt'
    builds = [entry for entry in tensorrt.module.diary if entry[0] == 'build']
    assert len(builds) == 1
    assert [tensor.name for tensor in builds[0][1].inputs] == ['image']


def test_closing_stops_the_build(networks, path, played):
    started, told = threading.Event(), []
    steps = []

    def slow(step):
        steps.append(step)
        assert started.wait(60.0)
        assert told[0].cancelled.wait(60.0)

    played(slow=slow)
    backend = opened(networks, path)
    told.append(backend._jobs[0].watch)
    started.set()
    backend.close()
    assert len(steps) < 2
    assert not [t for t in threading.enumerate() if t.name == 'engine builder']


def test_an_engine_that_comes_too_late_is_freed():
    class Engine:
        closed = False

        def close(self):
            self.closed = True

    engine, begin = Engine(), threading.Event()

    def find(watch):
        begin.wait(60.0)
        return Outcome(engine=engine)

    job = engine_backend._Job({}, find, None)
    job.abandon()
    assert not engine.closed
    begin.set()
    job.thread.join(60.0)
    assert engine.closed
    assert job.engine is None


@pytest.mark.parametrize('wanted', ['auto', 'onnxruntime', 'tensorrt'])
def test_without_a_driver_onnx_runtime_is_chosen_and_the_reason_said(
    networks, path, monkeypatch, wanted
):
    def none(index):
        raise BackendUnavailableError('there is no CUDA driver')

    def never(device):
        raise AssertionError('TensorRT was touched')

    monkeypatch.setattr(backend_choice, 'find_device', none)
    monkeypatch.setattr(backend_choice, 'load_tensorrt', never)
    if wanted == 'tensorrt':
        with pytest.raises(BackendUnavailableError, match='no CUDA driver; set backend to auto'):
            opened(networks, path, backend=wanted)
        return
    with opened(networks, path, backend=wanted) as backend:
        assert isinstance(backend, OrtBackend)
        said = 'no TensorRT: there is no CUDA driver' in backend.description
        assert said == (wanted == 'auto')


def test_the_precision_can_be_chosen(networks, path, played):
    played()
    with opened(
        networks, path, tensorrt__while_building='wait', tensorrt__precision='fp32'
    ) as backend:
        assert isinstance(backend, EngineBackend)
        assert 'TensorRT 10.3.0 fp32' in backend.description
