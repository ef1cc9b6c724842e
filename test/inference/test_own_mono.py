"""The mono network that ships: what it costs, and the bars it has to clear on real frames."""

from __future__ import annotations

import numpy as np
import pytest

onnxruntime = pytest.importorskip('onnxruntime', reason='networks run on ONNX Runtime')

from depth_perception.core.camera import PinholeCamera  # noqa: E402
from depth_perception.core.estimate import Rung  # noqa: E402
from depth_perception.core.frame import MonoFrame, Picture, Surroundings  # noqa: E402
from depth_perception.core.scale_types import References  # noqa: E402
from depth_perception.inference.cards import artifact_path, load_card  # noqa: E402
from depth_perception.inference.estimator import open_estimator  # noqa: E402
from depth_perception.parameters import MonoEstimatorSettings  # noqa: E402
from network_cost import multiply_adds  # noqa: E402

from training.mono.validate import fastdepth, frames, onnx_network, score  # noqa: E402

MODEL = 'room-depth'
SIZE = 224, 288


@pytest.fixture(scope='module')
def path():
    return artifact_path(load_card(MODEL))


def test_the_file_costs_at_most_3_gflop_and_5_mb(path):
    onnx = pytest.importorskip('onnx', reason='onnx reads the graph')
    model = onnx.load(str(path))
    weights = sum(int(np.prod(x.dims)) for x in model.graph.initializer)
    assert 1e6 < weights < 4e6
    assert path.stat().st_size < 5_000_000
    feeds = {'image': np.zeros((1, 3, *SIZE), np.float32)}
    assert 1e9 < 2 * multiply_adds(model, feeds) <= 3e9


def test_half_precision_says_nearly_the_same(path):
    onnx = pytest.importorskip('onnx', reason='onnx makes the network in half precision')
    from depth_perception.inference.onnx_half import ALWAYS_FULL, as_half

    half = as_half(onnx.load(str(path)), ALWAYS_FULL, load_card(MODEL).runtime.fp32_layers)
    image = np.random.default_rng(3).uniform(0.0, 1.0, (1, 3, *SIZE)).astype(np.float32)
    maps = [
        onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider']).run(
            ['inverse_depth'], {'image': image}
        )[0]
        for file in (str(path), half.SerializeToString())
    ]
    assert np.abs(maps[0] - maps[1]).max() < 0.02 * np.ptp(maps[0])


@pytest.fixture(scope='module')
def scores(path, shared_dir):
    pytest.importorskip('cv2')
    pictures = list(frames(shared_dir))
    return {
        'plane': score(None, pictures),
        'own': score(onnx_network(path, SIZE), pictures),
        'ranks': score(onnx_network(path, SIZE), pictures, of_sigma=True),
        'fastdepth': score(
            fastdepth(shared_dir / 'models' / 'fastdepth_nchw_dynamic.onnx'), pictures
        ),
    }


@pytest.mark.parametrize('mean', ['indoor frames', 'indoor sets'])
def test_real_rooms_are_seen_better_than_the_best_plane_and_nearly_as_fastdepth_does(scores, mean):
    assert scores['own'][mean] <= 0.8 * scores['plane'][mean]
    assert scores['own'][mean] <= 1.15 * scores['fastdepth'][mean]


def test_no_set_is_better_off_with_a_plane(scores):
    for name in scores['plane']:
        assert scores['own'][name] < scores['plane'][name], name


def test_its_own_sigma_is_larger_where_it_errs(scores):
    assert scores['ranks']['indoor frames'] > 0.2


def test_edges_are_where_the_picture_has_them(path, shared_dir):
    frame = next(f for f in frames(shared_dir) if f.name == 'Piano')
    inverse, _ = onnx_network(path, SIZE)(frame.image)
    known = frame.depth > 0
    truth = np.where(known, 1.0 / np.maximum(frame.depth, 0.1), 0.0)
    jump = np.zeros(known.shape, bool)
    both = known[:, 8:] & known[:, :-8]
    step = np.where(both, truth[:, 8:] - truth[:, :-8], 0.0)
    jump[:, 4:-4] = np.abs(step) > 0.15 * np.ptp(truth[known])
    slope = np.abs(np.gradient(inverse, axis=1))
    assert slope[jump].mean() > 2.0 * slope[known].mean()


def test_measured_points_make_metres_of_it_by_default(shared_dir):
    settings = MonoEstimatorSettings(scale__method='references')
    pictures = [frame for frame in frames(shared_dir) if frame.set == 'kinect'][::4]
    rng = np.random.default_rng(5)
    errors = []
    with open_estimator(settings) as estimator:
        assert estimator.card.id == MODEL
        for frame in pictures:
            height, width = frame.depth.shape
            camera = PinholeCamera(width, height, 585.0, 585.0, 320.0, 240.0)
            v, u = np.nonzero(frame.depth > 0)
            some = rng.choice(u.size, 200, replace=False)
            u, v = u[some], v[some]
            rho = 1.0 / frame.depth[v, u]
            points = References(u, v, rho, 0.01 * rho)
            around = Surroundings(references=points)
            found = estimator.estimate(
                MonoFrame(Picture(frame.image, 'rgb'), camera, surroundings=around)
            )
            assert found.scale.rung in (Rung.REFERENCES, Rung.FILTERED)
            known = (frame.depth > 0) & np.isfinite(found.depth)
            assert known.sum() > 0.7 * (frame.depth > 0).sum()
            errors.append(np.mean(np.abs(found.depth[known] / frame.depth[known] - 1.0)))
    assert np.mean(errors) < 0.15
