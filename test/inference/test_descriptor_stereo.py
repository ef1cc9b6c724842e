"""A network of descriptors becomes a matcher, by the script and through the card of MC-CNN."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
import pytest
import yaml

onnx = pytest.importorskip('onnx', reason='onnx makes the networks')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')


def write_descriptors(path):
    """Write a network that describes a pixel by its 3x3 neighbours, without their mean."""
    kernels = np.eye(9, dtype=np.float32) - 1.0 / 9.0
    stored = onnx.numpy_helper.from_array(kernels.reshape(9, 1, 3, 3).astype(np.float32), 'w')
    make_info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['grey', 'w'], ['code'], 'conv', pads=[1, 1, 1, 1])],
        'descriptors',
        [make_info('grey', 1, [1, 1, 'H', 'W'])],
        [make_info('code', 1, [1, 9, 'H', 'W'])],
        [stored],
    )
    opset = [onnx.helper.make_opsetid('', 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_matcher_of_descriptors_finds_two_planes(model_script, tmp_path):
    write_descriptors(tmp_path / 'descriptors.onnx')
    make = model_script('make_descriptor_stereo').make
    make(tmp_path / 'descriptors.onnx', tmp_path / 'mc_cnn_fast.onnx')
    card = tmp_path / 'mine.yaml'
    card.write_text(yaml.safe_dump({'base': 'mc-cnn-fast', 'resize': {'policy': 'none'}}))
    generator = np.random.default_rng(3)
    texture = generator.integers(0, 256, (120, 260, 1)).astype(np.uint8).repeat(3, axis=2)
    left, right = texture[:, 20:220].copy(), texture[:, 29:229].copy()  # 9 px
    board = generator.integers(0, 256, (50, 70, 1)).astype(np.uint8).repeat(3, axis=2)
    left[40:90, 90:160], right[40:90, 69:139] = board, board  # 21 px
    truth = np.full((120, 200), 9.0)
    truth[40:90, 90:160] = 21.0
    camera = PinholeCamera(200, 120, 180.0, 180.0, 99.5, 59.5)
    frame = StereoFrame(
        Picture(left, 'rgb'), Picture(right, 'rgb'), StereoRig(camera, camera, 0.1)
    )
    settings = StereoEstimatorSettings(
        model=str(card), filters__flying_pixels=False, max_relative_sigma=1.0
    )
    with open_estimator(settings) as estimator:
        disparity = estimator.estimate(frame).disparity.values
    seen = np.isfinite(disparity)
    assert seen[:, 30:].mean() > 0.8
    assert np.median(np.abs(disparity - truth)[seen]) < 0.05
    assert (np.abs(disparity - truth)[seen] < 1.0).mean() > 0.97
