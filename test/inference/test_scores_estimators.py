"""Raw scores through whole estimators: ensembles, guided networks, settings and refusals."""

import dataclasses

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import ModelError
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np
import pytest
import yaml

onnx = pytest.importorskip('onnx', reason='onnx makes the networks of these tests')

CAMERA = PinholeCamera(160, 96, 120.0, 120.0, 70.0, 50.0)
LOOSE = {
    'threads': 1, 'max_relative_sigma': 1.0, 'filters__flying_pixels': False,
    'scale__method': 'network', 'max_depth_m': 1000.0, 'min_depth_m': 0.01,
}  # fmt: skip


def save_network(folder, name, gain, sigma, sources=('ensemble',), **scores):
    """Write a network that answers depth = gain (1 + red) with a sigma of ln Z, and its card."""
    helper = onnx.helper
    constants = {'gain': gain, 'one': 1.0, 'sigma': sigma}
    nodes = [
        helper.make_node('Split', ['x'], ['red', 'g', 'b'], axis=1, num_outputs=3),
        helper.make_node('Add', ['red', 'one'], ['more']),
        helper.make_node('Mul', ['more', 'gain'], ['z']),
        helper.make_node('Mul', ['red', 'zero'], ['nothing']),
        helper.make_node('Add', ['nothing', 'sigma'], ['s']),
    ]
    made = [
        helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, shape)
        for tensor, shape in (('x', [1, 3, 'h', 'w']), ('z', None), ('s', None))
    ]
    stored = [
        onnx.numpy_helper.from_array(np.float32(value), tensor)
        for tensor, value in (constants | {'zero': 0.0}).items()
    ]
    graph = helper.make_graph(nodes, name, made[:1], made[1:], stored)
    imports = [helper.make_opsetid('', 18)]
    onnx.save(
        helper.make_model(graph, opset_imports=imports, ir_version=8), folder / f'{name}.onnx'
    )
    card = {
        'schema': 1,
        'id': name,
        'task': 'mono',
        'artifact': {'file': f'{name}.onnx', 'licence': 'MIT', 'commercial': True},
        'inputs': [{'tensor': 'x', 'from': 'left'}],
        'resize': {'policy': 'none'},
        'output': {'tensor': 'z', 'kind': 'depth_metric'},
        'confidence': {'tensor': 's', 'meaning': 'sigma', 'domain': 'log_depth'},
        'uncertainty': {'relative_floor': 0.0, 'sources': list(sources), 'scores': scores},
    }
    path = folder / f'{name}.yaml'
    path.write_text(yaml.safe_dump(card), encoding='utf-8')
    return str(path)


@pytest.fixture
def networks(tmp_path):
    """Return a folder with the networks 'one' and 'two' that disagree, and an ensemble card."""
    one = save_network(tmp_path, 'one', 2.0, 0.01)
    two = save_network(tmp_path, 'two', 4.0, 0.03)
    scores = {'ensemble': [one, two]}
    save_network(tmp_path, 'all', 2.5, 0.02, ('confidence', 'ensemble'), **scores)
    return tmp_path


def frame():
    pixels = np.zeros((96, 160, 3), np.uint8)
    pixels[:, 80:, 0] = 51
    return MonoFrame(Picture(pixels, 'rgb'), CAMERA)


def test_ensemble_is_the_mean_with_the_variance_of_its_members(networks):
    settings = MonoEstimatorSettings(model=str(networks / 'all.yaml'), **LOOSE)
    with open_estimator(settings) as estimator:
        found = estimator.estimate(frame())
    rho = np.array([1 / 2.5, 1 / 2.0, 1 / 4.0])
    np.testing.assert_allclose(found.depth[:, :80], 1.0 / rho.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.depth[:, 80:], 1.2 / rho.mean(), rtol=1e-5)
    u = np.sqrt((rho.std() / rho.mean()) ** 2 + np.mean([0.02**2, 0.01**2, 0.03**2]))
    np.testing.assert_allclose(found.score.values, u, rtol=1e-4)
    assert (found.score.name, found.score.domain) == ('confidence+ensemble', 'log_depth')
    assert found.timings_ms['score'] > 0.0


@pytest.mark.parametrize(
    ('members', 'words'),
    [(['sgbm'], 'wants networks of the task mono'), (['nowhere'], "no model 'nowhere'")],
)
def test_model_that_cannot_be_in_an_ensemble_is_refused(networks, members, words):
    path = save_network(networks, 'odd', 1.0, 0.1, ensemble=members)
    with pytest.raises(ModelError, match=words):
        open_estimator(MonoEstimatorSettings(model=path))


def test_setting_chooses_the_sources(networks):
    settings = MonoEstimatorSettings(model=str(networks / 'one.yaml'), **LOOSE)
    scores = {}
    for sources in ('none', 'confidence', 'confidence,range'):
        chosen = dataclasses.replace(settings, uncertainty__sources=sources)
        with open_estimator(chosen) as estimator:
            found = estimator.estimate(frame())
        scores[sources] = found.score
        relative = found.sigma[0, 0] / found.depth[0, 0]
        added = 0.02 * 2.0 if 'range' in sources else 0.0  # per metre, at 2 m
        assert relative == pytest.approx(np.hypot(0.01, added), rel=3e-3)  # to first order
    assert scores['none'].values[0, 0] == pytest.approx(0.01)
    with pytest.raises(ModelError, match='lr needs a stereo pair'):
        open_estimator(dataclasses.replace(settings, uncertainty__sources='lr'))


def test_builtin_matcher_has_no_second_run():
    for sources in ('flip', 'edge,tta'):
        with pytest.raises(ModelError, match='needs a network'):
            open_estimator(StereoEstimatorSettings(model='sgbm', uncertainty__sources=sources))


def test_network_beside_a_second_camera_is_flipped_alone(networks):
    texture = np.random.default_rng(3).integers(0, 256, (96, 190)).astype(np.uint8)
    colour = np.repeat(texture[..., None], 3, axis=2)
    left, right = (Picture(colour[:, i : i + 160].copy(), 'rgb') for i in (10, 16))
    pair = StereoFrame(left, right, StereoRig(CAMERA, CAMERA, 0.25))
    settings = StereoEstimatorSettings(
        model=str(networks / 'one.yaml'), uncertainty__sources='flip', **LOOSE
    )
    with open_estimator(settings) as estimator:
        found = estimator.estimate(pair)
    assert np.isfinite(found.score.values).all()
    np.testing.assert_allclose(found.score.values, 0.0, atol=1e-5)
    red = colour[:, 10:170, 0] / 255.0
    np.testing.assert_allclose(found.depth[found.valid], (2.0 + 2.0 * red)[found.valid], rtol=1e-4)
