"""A relative network of one convolution: its output is what two bytes of the picture say."""

import numpy as np
import onnx
import yaml

CODES = 65535.0


def picture_of(output):
    """Return (H, W, 3) uint8 RGB that the network turns into `output`, 0 to 1."""
    code = np.rint(output * CODES).astype(np.int64)
    return np.stack([code >> 8, code & 255, np.zeros_like(code)], axis=-1).astype(np.uint8)


def write_network(folder, kind='inv_depth_affine', **keys):
    """Write the network and its card, with other keys of the card; return the path of the card."""
    weight = np.array([256.0, 1.0, 0.0]).reshape(1, 3, 1, 1) / CODES
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['image', 'w'], ['depth'])],
        'coded',
        [value('image', onnx.TensorProto.FLOAT, [1, 3, 'H', 'W'])],
        [value('depth', onnx.TensorProto.FLOAT, [1, 1, 'H', 'W'])],
        [onnx.numpy_helper.from_array(weight.astype(np.float32), 'w')],
    )
    opset = [onnx.helper.make_opsetid('', 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.save(model, folder / 'coded.onnx')
    card = {
        'schema': 1,
        'id': 'coded',
        'task': 'mono',
        'artifact': {'file': 'coded.onnx', 'licence': 'MIT', 'commercial': True},
        'inputs': [{'tensor': 'image', 'from': 'left', 'color': 'rgb', 'divide': 1}],
        'resize': {'policy': 'none'},
        'output': {'tensor': 'depth', 'kind': kind},
        'uncertainty': {'relative_floor': 0.02},
        **keys,
    }
    path = folder / 'coded.yaml'
    path.write_text(yaml.safe_dump(card))
    return str(path)
