"""The common checks of backends, on real networks in ONNX Runtime."""

from depth_perception.errors import BackendUnavailableError, InferenceError, ModelError
from depth_perception.inference import backend_choice, ort_backend
from depth_perception.inference.backend import Backend
from depth_perception.inference.estimator import open_backend, open_estimator
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx makes the networks of these tests')


def save(path, nodes, inputs, outputs, opset=17):
    made = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (*inputs, *outputs)
    ]
    graph = onnx.helper.make_graph(nodes, 'net', made[: len(inputs)], made[len(inputs) :])
    imports = [onnx.helper.make_opsetid('', opset)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


@pytest.fixture
def double(tmp_path):
    node = onnx.helper.make_node('Add', ['x', 'x'], ['y'])
    shape = [1, 2, 'W']
    return save(tmp_path / 'double.onnx', [node], [('x', shape)], [('y', shape)])


def test_network_runs_and_says_where(double, monkeypatch):
    offer(monkeypatch)
    with OrtBackend(double, threads=1) as backend:
        x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
        np.testing.assert_array_equal(backend.infer({'x': x})['y'], 2.0 * x)
        assert backend.inputs[0].shape == (1, 2, None)
        assert 'CPU (1 thread)' in backend.description
        assert 'CUDA is not in this onnxruntime' in backend.description


def offer(monkeypatch, *providers):
    import onnxruntime

    names = [*providers, 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: names)


def test_cuda_is_not_even_tried_without_a_driver_and_the_reason_said(double, monkeypatch, capfd):
    def none():
        raise BackendUnavailableError('there is no CUDA driver')

    monkeypatch.setattr(ort_backend, 'find_device', none)
    offer(monkeypatch, 'CUDAExecutionProvider')
    with OrtBackend(double, threads=1) as backend:
        assert backend.description.endswith(
            'CPU (1 thread): CUDA cannot be used, there is no CUDA driver, OpenVINO is not in '
            'this onnxruntime'
        )
    assert capfd.readouterr().err == ''


@pytest.mark.filterwarnings('ignore:Specified provider')
@pytest.mark.parametrize('name', ['CUDA', 'OpenVINO'])
def test_a_provider_that_does_not_start_gives_way_with_the_reason(double, monkeypatch, name):
    import onnxruntime

    if name == 'OpenVINO' and f'{name}ExecutionProvider' in onnxruntime.get_available_providers():
        pytest.skip('this OpenVINO starts')
    monkeypatch.setattr(ort_backend, 'find_device', lambda: None)
    offer(monkeypatch, f'{name}ExecutionProvider')
    with OrtBackend(double, threads=1) as backend:
        x = np.ones((1, 2, 3), np.float32)
        np.testing.assert_array_equal(backend.infer({'x': x})['y'], 2.0 * x)
        assert f'{name} did not start' in backend.description


@pytest.mark.parametrize('name', ['CUDA', 'OpenVINO'])
def test_a_provider_that_fails_on_a_network_gives_way_with_the_reason(double, monkeypatch, name):
    import onnxruntime

    session = onnxruntime.InferenceSession

    def picky(path, options, providers):
        if len(providers) > 1:
            raise RuntimeError('Conv is\nnot supported')
        return session(path, options, providers=providers)

    monkeypatch.setattr(ort_backend, 'find_device', lambda: None)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', picky)
    offer(monkeypatch, f'{name}ExecutionProvider')
    with OrtBackend(double, threads=1) as backend:
        assert f'{name} fails on this network, Conv is not supported' in backend.description
        assert backend.infer({'x': np.ones((1, 2, 3), np.float32)})['y'].max() == 2.0


def test_the_reference_of_others_stays_on_the_cpu_without_excuses(double, monkeypatch):
    offer(monkeypatch, 'CUDAExecutionProvider', 'OpenVINOExecutionProvider')
    with OrtBackend(double, threads=2, cpu_only=True) as backend:
        assert backend.description.endswith(' CPU (2 threads)')


def test_openvino_computes_what_the_cpu_does(tmp_path, networks):
    import onnxruntime

    if 'OpenVINOExecutionProvider' not in onnxruntime.get_available_providers():
        pytest.skip('this onnxruntime has no OpenVINO (pip install onnxruntime-openvino)')
    path = networks.cnn(tmp_path / 'cnn.onnx')
    x = np.random.default_rng(0).random((1, 3, 32, 48), np.float32)
    with OrtBackend(path, 1) as backend, OrtBackend(path, 1, cpu_only=True) as reference:
        assert 'OpenVINO (CPU, 1 thread)' in backend.description
        wanted = reference.infer({'image': x})['depth']
        np.testing.assert_allclose(backend.infer({'image': x})['depth'], wanted, rtol=1e-4)
        assert np.ptp(wanted) > 0.1


class Wrong(Backend):
    """A network on an accelerator that computes something else."""

    name = 'onnxruntime'
    factor = 1.0

    def __init__(self, path, threads=0, *, cpu_only=False):
        self.inside = OrtBackend(path, threads, cpu_only=True)
        self.cpu_only, self.closed = cpu_only, False
        self.accelerator = '' if cpu_only else 'OpenVINO'
        self.inputs, self.outputs = self.inside.inputs, self.inside.outputs
        self.description = 'on the CPU' if cpu_only else 'on OpenVINO'

    def _infer(self, feeds):
        found = self.inside.infer(feeds)
        factor = 1.0 if self.cpu_only else self.factor
        return {name: factor * value for name, value in found.items()}

    def close(self):
        self.closed = True


@pytest.mark.parametrize('factor', [1.0, 1.2, np.nan])
def test_an_accelerator_serves_only_if_it_computes_what_the_cpu_does(
    tmp_path, networks, monkeypatch, factor
):
    path = networks.cnn(tmp_path / 'cnn.onnx')
    monkeypatch.setattr(Wrong, 'factor', factor)
    monkeypatch.setattr(backend_choice, 'OrtBackend', Wrong)
    settings = MonoEstimatorSettings(backend='onnxruntime', threads=1)
    backend = backend_choice.open_network(networks.card_of(path), path, settings)
    if factor == 1.0:
        assert backend.accelerator == 'OpenVINO'
        assert backend.description == 'on OpenVINO; differs from the CPU by 0 (mean) and 0 (p99)'
        assert backend.warning == ''
    else:
        assert backend.cpu_only
        assert backend.warning.startswith('OpenVINO does not compute what the CPU does: depth ')
        assert backend.warning in backend.description


@pytest.mark.parametrize(
    ('feeds', 'words'),
    [
        ({}, 'wants the inputs x, got none'),
        ({'z': np.zeros((1, 2, 3), np.float32)}, 'got z'),
        ({'x': np.zeros((1, 2, 3), np.float64)}, r'x must be float32 \(1, 2, any\), got float64'),
        ({'x': np.zeros((1, 3, 3), np.float32)}, r'got float32 \(1, 3, 3\)'),
        ({'x': np.zeros((2, 3), np.float32)}, r'got float32 \(2, 3\)'),
    ],
)
def test_wrong_feeds_are_named(double, feeds, words):
    with OrtBackend(double) as backend, pytest.raises(ModelError, match=words):
        backend.infer(feeds)


def test_failure_inside_the_runtime_is_an_inference_error(tmp_path):
    node = onnx.helper.make_node('MatMul', ['x', 'x'], ['y'])
    shape = ['H', 'W']
    path = save(tmp_path / 'square.onnx', [node], [('x', shape)], [('y', shape)])
    backend = OrtBackend(path, cpu_only=True)
    with backend, pytest.raises(InferenceError, match='onnxruntime failed'):
        backend.infer({'x': np.zeros((2, 3), np.float32)})


@pytest.mark.parametrize('content', [b'', b'not a network', b'\x08\x07' * 500])
def test_corrupt_file_is_named(tmp_path, content):
    path = tmp_path / 'broken.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'cannot load broken.onnx'):
        OrtBackend(path)


def test_unsupported_operator_is_named(tmp_path):
    node = onnx.helper.make_node('Teleport', ['x'], ['y'], domain='nowhere')
    path = save(tmp_path / 'odd.onnx', [node], [('x', [1])], [('y', [1])])
    with pytest.raises(ModelError, match='Teleport'):
        OrtBackend(path)


def card_text(file, tensor='image', kind='depth_metric'):
    return (
        f'id: tiny\ntask: mono\nartifact: {{file: {file}, licence: MIT, commercial: true}}\n'
        f'inputs: [{{tensor: {tensor}, from: left}}]\nresize: {{policy: none}}\n'
        f'output: {{tensor: depth, kind: {kind}}}\nscale: {{modes: [sparse]}}\n'
    )


def test_card_and_file_that_disagree_are_refused(double):
    card = double.with_suffix('.yaml')
    card.write_text(card_text('double.onnx'))
    with pytest.raises(ModelError, match='the card feeds image but the file wants x'):
        open_estimator(MonoEstimatorSettings(model=str(card)))


def test_tensorrt_is_refused_with_what_to_do(double):
    card = double.with_suffix('.yaml')
    card.write_text(card_text('double.onnx', 'x'))
    from depth_perception.inference.cards import load_card

    settings = MonoEstimatorSettings(backend='tensorrt')
    with pytest.raises(BackendUnavailableError, match='set backend to auto'):
        open_backend(load_card(str(card)), settings)
