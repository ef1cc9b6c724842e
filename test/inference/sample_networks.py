"""Small networks with random weights in the shape of real ones, with their cards."""

from depth_perception.inference.cards import load_card
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

CARD = """
id: {name}
task: mono
artifact: {{file: {name}.onnx, licence: MIT, commercial: true}}
runtime: {runtime}
inputs: [{{tensor: image, from: left}}]
resize: {resize}
output: {{tensor: depth, kind: depth_metric}}
"""
HALF = '{precision: [fp16, fp32]}'
STRETCH = '{policy: stretch, size: [32, 48]}'


def save(path, nodes, weights, *, sides=('H', 'W'), opset=17, more_inputs=(), batch=1):
    """Write a network from `image` (1, 3, H, W) to `depth` (1, 1, H, W)."""
    values = [
        helper.make_tensor_value_info('image', TensorProto.FLOAT, [batch, 3, *sides]),
        helper.make_tensor_value_info('depth', TensorProto.FLOAT, [batch, 1, None, None]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, 'net', [values[0], *more_inputs], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def node(operator, inputs, outputs, **attributes):
    """Return a node that is named after its operator and its output."""
    return helper.make_node(
        operator, inputs.split(','), outputs.split(','), f'{operator}_{outputs}', **attributes
    )


def cnn(path, **options):
    """Convolutions down and up again."""
    random = np.random.default_rng(1)

    def weight(*shape):
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    nodes = [
        node('Conv', 'image,w1', 'a', pads=[1] * 4, strides=[2, 2]),
        node('Relu', 'a', 'b'),
        node('Conv', 'b,w2', 'c', pads=[1] * 4),
        node('Relu', 'c', 'd'),
        node('Resize', 'd,,scales', 'e', mode='linear'),
        node('Conv', 'e,w3', 'f', pads=[1] * 4),
        node('Softplus', 'f', 'depth'),
    ]
    weights = {
        'w1': weight(8, 3, 3, 3),
        'w2': weight(8, 8, 3, 3),
        'w3': 8 * weight(1, 8, 3, 3),
        'scales': np.array([1, 1, 2, 2], np.float32),
    }
    return save(path, nodes, weights, **options)


def vit(path, height=32, width=48):
    """Patches of 8 px, one block of attention and of a perceptron, and a head."""
    random = np.random.default_rng(2)
    rows, columns, deep = height // 8, width // 8, 16

    def weight(*shape):
        return (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    ones = {'scale': np.ones(deep, np.float32), 'bias': np.zeros(deep, np.float32)}
    weights = {
        'patch': (0.1 * random.standard_normal((deep, 3, 8, 8))).astype(np.float32),
        'tokens': np.array([1, deep, rows * columns], np.int64),
        'wq': weight(deep, deep), 'wk': weight(deep, deep), 'wv': weight(deep, deep),
        'root': np.array(0.25, np.float32), 'w1': weight(deep, 32), 'w2': weight(32, deep),
        'half': np.array(0.5, np.float32), 'one': np.array(1.0, np.float32),
        'sqrt2': np.array(0.70710678, np.float32),
        'grid': np.array([1, deep, rows, columns], np.int64),
        'up': np.array([1, 1, 8, 8], np.float32),
        'head': (0.3 * random.standard_normal((1, deep, 3, 3))).astype(np.float32), **ones,
    }  # fmt: skip
    nodes = [
        node('Conv', 'image,patch', 'p', strides=[8, 8]),
        node('Reshape', 'p,tokens', 't'),
        node('Transpose', 't', 'x', perm=[0, 2, 1]),
        node('LayerNormalization', 'x,scale,bias', 'n'),
        node('MatMul', 'n,wq', 'q'), node('MatMul', 'n,wk', 'k'), node('MatMul', 'n,wv', 'v'),
        node('Transpose', 'k', 'kt', perm=[0, 2, 1]),
        node('MatMul', 'q,kt', 's'), node('Mul', 's,root', 'sr'), node('Softmax', 'sr', 'a'),
        node('MatMul', 'a,v', 'av'), node('Add', 'x,av', 'y'),
        node('LayerNormalization', 'y,scale,bias', 'm'),
        node('MatMul', 'm,w1', 'h'), node('Mul', 'h,sqrt2', 'hs'), node('Erf', 'hs', 'he'),
        node('Add', 'he,one', 'h1'), node('Mul', 'h,h1', 'hh'), node('Mul', 'hh,half', 'g'),
        node('MatMul', 'g,w2', 'o'), node('Add', 'y,o', 'z'),
        node('Transpose', 'z', 'zt', perm=[0, 2, 1]),
        node('Reshape', 'zt,grid', 'r'), node('Resize', 'r,,up', 'big', mode='linear'),
        node('Conv', 'big,head', 'raw', pads=[1] * 4), node('Softplus', 'raw', 'depth'),
    ]  # fmt: skip
    return save(path, nodes, weights, sides=(height, width))


def card_of(path, runtime=HALF, resize=STRETCH):
    """Write a card beside a network and return it."""
    file = path.with_suffix('.yaml')
    file.write_text(CARD.format(name=path.stem, runtime=runtime, resize=resize))
    return load_card(str(file))
