"""The common checks of backends, on real networks in ONNX Runtime."""

from depth_perception.errors import BackendUnavailableError, InferenceError, ModelError
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


def test_network_runs_and_says_where(double):
    with OrtBackend(double, threads=1) as backend:
        x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
        np.testing.assert_array_equal(backend.infer({'x': x})['y'], 2.0 * x)
        assert backend.inputs[0].shape == (1, 2, None)
        assert 'CPU (1 thread)' in backend.description
        assert 'CUDA is not in this onnxruntime' in backend.description


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
    with OrtBackend(path) as backend, pytest.raises(InferenceError, match='onnxruntime failed'):
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
