"""Reading networks for TensorRT, and making them half."""

from depth_perception.errors import ModelError
from depth_perception.inference.onnx_network import read_network, Rung
import numpy as np
import pytest

onnx = pytest.importorskip('onnx')


def graph_of(network, rung, layers=()):
    model = onnx.load_from_string(network.content(rung, layers))
    onnx.checker.check_model(model, full_check=True)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True).graph


def types_of(graph):
    """Return type by value."""
    values = [*graph.value_info, *graph.output, *graph.input]
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    return types | {i.name: i.data_type for i in graph.initializer}


def computed_in(graph):
    """Return the type that each node computes in."""
    types = types_of(graph)
    return {
        node.name: onnx.TensorProto.DataType.Name(types[node.input[0]])
        for node in graph.node
        if node.op_type != 'Cast'
    }


def run(content, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    return session.run(None, {'image': x})[0]


@pytest.mark.parametrize('kind', ['cnn', 'vit'])
def test_half_computes_nearly_the_same_with_the_same_inputs_and_outputs(networks, tmp_path, kind):
    network = read_network(getattr(networks, kind)(tmp_path / 'net.onnx'))
    x = np.random.default_rng(3).random((1, 3, 32, 48), np.float32)
    full = run(network.content(Rung.FULL), x)
    for rung in (Rung.HALF, Rung.MIXED):
        half = run(network.content(rung), x)
        assert half.dtype == np.float32
        assert 0.0 < np.abs(half - full).max() < 0.01 * np.ptp(full)


def test_rungs_differ_in_the_layers_that_are_named(networks, tmp_path):
    network = read_network(networks.vit(tmp_path / 'vit.onnx'))
    half = computed_in(graph_of(network, Rung.HALF))
    mixed = computed_in(graph_of(network, Rung.MIXED))
    assert set(half.values()) == {'FLOAT16'}
    kept = {name for name, kind in mixed.items() if kind == 'FLOAT'}
    assert kept == {
        'LayerNormalization_n', 'LayerNormalization_m', 'Softmax_a', 'Softplus_depth',
    }  # fmt: skip
    named = computed_in(graph_of(network, Rung.HALF, ('MatMul_[q]', 'Conv_raw')))
    assert {name for name, kind in named.items() if kind == 'FLOAT'} == {'MatMul_q', 'Conv_raw'}


def test_a_value_that_several_fp32_nodes_take_is_cast_once(networks, tmp_path):
    nodes = [
        networks.node('Conv', 'image,w', 'a'),
        networks.node('Softmax', 'a', 'b', axis=2),
        networks.node('Softmax', 'a', 'c', axis=3),
        networks.node('Sum', 'a,b,c', 'depth'),
    ]
    weights = {'w': np.full((1, 3, 1, 1), 0.3, np.float32)}
    network = read_network(networks.save(tmp_path / 'net.onnx', nodes, weights))
    graph = graph_of(network, Rung.MIXED)
    assert [node.op_type for node in graph.node].count('Cast') == 5
    x = np.random.default_rng(3).random((1, 3, 8, 8), np.float32)
    np.testing.assert_allclose(
        run(network.content(Rung.MIXED), x), run(network.content(Rung.FULL), x), atol=2e-3
    )


def test_sizes_are_computed_in_full_precision(networks, tmp_path):
    """4101 is no number of fp16, and half of it would be another size."""
    nodes = [
        networks.node('Conv', 'image,w', 'a'),
        networks.node('Shape', 'image', 'shape'),
        networks.node('Cast', 'shape', 'sides', to=1),
        networks.node('Mul', 'sides,factor', 'scaled'),
        networks.node('Cast', 'scaled', 'whole', to=7),
        networks.node('Resize', 'a,,,whole', 'depth', mode='nearest'),
    ]
    weights = {
        'w': np.ones((1, 3, 1, 1), np.float32),
        'factor': np.array([1.0, 1.0 / 3.0, 1.0, 2.0], np.float32),
    }
    network = read_network(networks.save(tmp_path / 'net.onnx', nodes, weights))
    kinds = computed_in(graph_of(network, Rung.HALF))
    assert (kinds['Conv_a'], kinds['Mul_scaled']) == ('FLOAT16', 'FLOAT')
    x = np.ones((1, 3, 1, 4101), np.float32)
    assert run(network.content(Rung.HALF), x).shape == (1, 1, 1, 8202)


def test_graphs_inside_nodes_stay_full(networks, tmp_path):
    helper = onnx.helper
    branches = []
    for operator in ('Relu', 'Neg'):
        value = helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, None)
        inner = networks.node(operator, 'a', 'y')
        branches.append(helper.make_graph([inner], operator, [], [value]))
    nodes = [
        networks.node('Conv', 'image,w', 'a'),
        networks.node('ReduceMean', 'a', 'm', keepdims=0),
        networks.node('Greater', 'm,zero', 'positive'),
        networks.node('If', 'positive', 'b', then_branch=branches[0], else_branch=branches[1]),
        networks.node('Add', 'a,b', 'depth'),
    ]
    weights = {'w': np.ones((1, 3, 1, 1), np.float32), 'zero': np.array(0.0, np.float32)}
    network = read_network(networks.save(tmp_path / 'net.onnx', nodes, weights))
    for sign in (1.0, -1.0):
        x = np.full((1, 3, 4, 4), sign * 0.25, np.float32)
        half = run(network.content(Rung.HALF), x)
        np.testing.assert_array_equal(half, run(network.content(Rung.FULL), x))


def test_weights_beyond_half_become_the_greatest_and_old_ones_go(networks, tmp_path):
    nodes = [
        networks.node('Conv', 'image,one', 'c'),
        networks.node('Mul', 'c,big', 'a'),
        networks.node('Mul', 'a,w', 'depth'),
    ]
    weights = {
        'one': np.ones((1, 3, 1, 1), np.float32),
        'big': np.array(1e6, np.float32),
        'w': np.array(np.inf, np.float32),
    }
    network = read_network(networks.save(tmp_path / 'net.onnx', nodes, weights))
    (_, big, w) = (
        onnx.numpy_helper.to_array(tensor) for tensor in graph_of(network, Rung.HALF).initializer
    )
    assert (big.dtype, float(big), float(w)) == (np.float16, 65504.0, np.inf)


def test_constant_inputs_become_part_of_the_network(networks, tmp_path):
    path = tokens(networks, tmp_path)
    network = read_network(path)
    for rung in (Rung.FULL, Rung.HALF):
        model = onnx.load_from_string(network.content(rung, (), {'size': np.array([8, 12])}))
        assert [value.name for value in model.graph.input] == ['image']
        x = np.ones((1, 3, 4, 6), np.float32)
        assert run(model.SerializeToString(), x).shape == (1, 1, 8, 12)
    with pytest.raises(ModelError, match='has no input nothing'):
        network.content(Rung.FULL, (), {'nothing': np.array(1)})


def tokens(networks, folder):
    """Return a network that is told the size of its output."""
    size = onnx.helper.make_tensor_value_info('size', onnx.TensorProto.INT64, [2])
    nodes = [
        networks.node('Conv', 'image,w', 'a'),
        networks.node('Concat', 'ones,size', 'sides', axis=0),
        networks.node('Resize', 'a,,,sides', 'depth', mode='linear'),
    ]
    weights = {'w': np.ones((1, 3, 1, 1), np.float32), 'ones': np.array([1, 1], np.int64)}
    return networks.save(folder / 'tokens.onnx', nodes, weights, more_inputs=[size])


def test_precisions_of_a_card_become_rungs(networks, tmp_path):
    network = read_network(networks.cnn(tmp_path / 'cnn.onnx'))
    assert network.rungs(('fp16', 'fp32')) == (Rung.HALF, Rung.MIXED, Rung.FULL)
    assert network.rungs(('fp32',)) == (Rung.FULL,)
    nodes = [networks.node('Conv', 'image,w', 'depth')]
    plain = networks.save(tmp_path / 'p.onnx', nodes, {'w': np.ones((1, 3, 1, 1), np.float32)})
    assert read_network(plain).rungs(('fp16',)) == (Rung.HALF, Rung.FULL)


def external(path, location='weights.bin'):
    """Move the weights of a network into a file of their own."""
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location='weights.bin', size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == 'location':
                entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_belongs_to_the_network_and_its_hash(networks, tmp_path):
    whole = networks.cnn(tmp_path / 'whole.onnx')
    split = external(networks.cnn(tmp_path / 'split.onnx'))
    x = np.random.default_rng(3).random((1, 3, 32, 48), np.float32)
    first = read_network(split)
    np.testing.assert_array_equal(
        run(first.content(Rung.FULL), x), run(read_network(whole).content(Rung.FULL), x)
    )
    weights = tmp_path / 'weights.bin'
    weights.write_bytes(weights.read_bytes()[:-1] + b'\x3f')
    assert read_network(split).sha256 != first.sha256


@pytest.mark.parametrize('location', ['../weights.bin', '/etc/hostname', 'missing.bin'])
def test_external_data_from_elsewhere_is_refused(networks, tmp_path, location):
    folder = tmp_path / 'model'
    folder.mkdir()
    path = external(networks.cnn(folder / 'net.onnx'), location)
    (tmp_path / 'weights.bin').write_bytes((folder / 'weights.bin').read_bytes())
    with pytest.raises(ModelError, match='is not a file beside it'):
        read_network(path)


@pytest.mark.parametrize('content', [b'', b'not a network', b'\x08\x07' * 500])
def test_files_that_are_no_networks_are_refused(tmp_path, content):
    path = tmp_path / 'broken.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'broken\.onnx is not a network'):
        read_network(path)


def test_reading_and_converting_leaves_the_search_path_alone(networks, tmp_path):
    import sys

    before = list(sys.path)
    read_network(networks.cnn(tmp_path / 'cnn.onnx')).content(Rung.HALF)
    assert sys.path == before
