"""The networks that ship: made by their scripts, and right on scenes with a known answer."""

import importlib.util
import math
import re
import sys

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import NotMetricError
from depth_perception.inference.cards import available_cards, load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
from depth_perception.resources import resource_path
import numpy as np
import pytest

CAMERA = PinholeCamera(320, 240, 250.0, 240.0, 150.0, 110.0)
HEIGHT_M, PITCH_DEG = 0.8, 15.0
POSE = MonoEstimatorSettings(
    ground__camera_height_m=HEIGHT_M, ground__pitch_deg=PITCH_DEG, max_depth_m=15.0
)


@pytest.mark.parametrize('name', ['floor_stixels', 'window_stereo'])
def test_shipped_file_is_what_its_script_makes(name, tmp_path, monkeypatch):
    pytest.importorskip('onnx', reason='onnx makes the networks')
    monkeypatch.syspath_prepend(str(resource_path('models')))
    script = resource_path('models', f'make_{name}.py')
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path / f'{name}.onnx')
    sys.modules.pop('graph_builder', None)
    made = (tmp_path / f'{name}.onnx').read_bytes()
    assert made == resource_path('models', f'{name}.onnx').read_bytes()
    assert len(made) < 50_000


def test_every_card_is_readable_and_named_as_its_file():
    cards = available_cards()
    assert {'sgbm', 'window-stereo', 'floor-stixels', 'fastdepth'} <= {card.id for card in cards}
    for card in cards:
        assert card.id == card.path.stem
        assert card.summary
        assert card.artifact.licence
        assert re.fullmatch(r'([0-9a-f]{64})?', card.artifact.sha256)
        assert card.artifact.source == '' or card.artifact.source.startswith('https://')


def floor_scene(noise=6.0):
    """Return (pixels, depth) of a grey floor with a red box and a blue wall standing on it."""
    rng = np.random.default_rng(2)
    ground = ground_inverse_depth(CAMERA, HEIGHT_M, math.radians(PITCH_DEG))
    rho = np.maximum(ground, 0.0)
    colour = np.full((240, 320, 3), (120.0, 125.0, 118.0))
    wall_rho, box_rho = ground[100, 0], ground[170, 0]
    colour[:101], rho[:101] = (60.0, 80.0, 190.0), wall_rho
    colour[120:171, 200:260], rho[120:171, 200:260] = (200.0, 40.0, 50.0), box_rho
    colour = np.clip(colour + rng.normal(0.0, noise, colour.shape), 0, 255)
    return colour.astype(np.uint8), 1.0 / rho


def test_floor_and_standing_obstacles_have_their_depth():
    pixels, truth = floor_scene()
    with open_estimator(POSE) as estimator:
        estimate = estimator.estimate(MonoFrame(Picture(pixels, 'rgb'), CAMERA))
    error = np.abs(estimate.depth / truth - 1.0)
    floor, box, wall = np.s_[180:, :], np.s_[125:165, 206:254], np.s_[20:95, 10:190]
    assert estimate.scale.rung is Rung.GROUND_PLANE
    assert np.median(error[floor]) < 0.01
    assert np.median(error[box]) < 0.05
    assert np.nanmedian(error[wall]) < 0.05
    assert estimate.valid[floor].mean() > 0.95
    assert estimate.valid[box].mean() > 0.9
    assert not estimate.valid[104:116, 206:254].any()  # floor seen over the box
    within = np.abs(estimate.depth - truth)[estimate.valid] < 2.0 * estimate.sigma[estimate.valid]
    assert within.mean() > 0.9


def walls():
    """Return pictures of walls that fill the view, none of which shows any floor."""
    rng = np.random.default_rng(6)
    plain = np.clip(rng.normal(130.0, 5.0, (240, 320, 3)), 0, 255)
    noise = rng.integers(0, 256, (240, 320, 3))
    blocks = np.kron(rng.integers(0, 256, (12, 16, 3)), np.ones((20, 20, 1)))
    return {'plain': plain, 'noise': noise, 'blocks': blocks}


@pytest.mark.parametrize('name', ['plain', 'noise', 'blocks'])
def test_wall_that_fills_the_view_is_not_taken_for_floor(name):
    pixels = walls()[name].astype(np.uint8)
    level = MonoEstimatorSettings(ground__camera_height_m=0.5)
    with open_estimator(level) as estimator:
        estimate = estimator.estimate(MonoFrame(Picture(pixels, 'rgb'), CAMERA))
    assert estimate.valid.mean() < 0.05
    assert not estimate.far.any()


def test_column_that_begins_with_an_obstacle_is_unknown():
    pixels, _ = floor_scene()
    pixels[:, 20:60] = (200, 40, 50)
    with open_estimator(POSE) as estimator:
        estimate = estimator.estimate(MonoFrame(Picture(pixels, 'rgb'), CAMERA))
    assert not estimate.valid[:, 26:54].any()
    assert np.isnan(estimate.depth[:, 26:54]).all()


def test_without_the_height_of_the_camera_nothing_is_metric():
    with open_estimator(MonoEstimatorSettings()) as estimator:
        assert 'set ground.camera_height_m' in estimator.metric_problem
        with pytest.raises(NotMetricError, match=r'set ground\.camera_height_m'):
            estimator.estimate(MonoFrame(Picture(floor_scene()[0], 'rgb'), CAMERA))


def test_depth_anything_is_relative_and_says_what_it_needs():
    card = load_card('depth-anything-v2-small')
    assert card.is_relative
    assert len(card.artifact.sha256) == 64


def test_window_stereo_finds_planes_with_honest_sigma():
    # A wall at 12 px (plus 3 px of doffs) and a board before it at 30 px.
    rng = np.random.default_rng(4)
    texture = rng.integers(0, 256, (240, 420, 3)).astype(np.float32)
    texture = (texture + np.roll(texture, 1, 1) + np.roll(texture, 1, 0)) / 3.0
    truth = np.full((240, 320), 12.0)
    truth[80:160, 120:220] = 30.0
    columns = np.arange(320)
    left, right = np.empty((240, 320, 3)), texture[:, 30:350].copy()
    left[:] = texture[:, 18:338]
    board = rng.integers(0, 256, (80, 100, 3))
    left[80:160, 120:220], right[80:160, 90:190] = board, board
    frame = StereoFrame(
        Picture(left.astype(np.uint8), 'rgb'),
        Picture(right.astype(np.uint8), 'rgb'),
        StereoRig(CAMERA, PinholeCamera(320, 240, 250.0, 240.0, 153.0, 110.0), 0.2),
    )
    settings = StereoEstimatorSettings(model='window-stereo', filters__flying_pixels=False)
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame)
    seen = estimate.valid & (columns > 40)
    error = np.abs(estimate.depth / (50.0 / (truth + 3.0)) - 1.0)
    assert seen[:, 40:].mean() > 0.8
    assert np.median(error[seen]) < 0.01
    assert (error[seen] < 0.05).mean() > 0.95
    assert estimate.disparity.values[120, 170] == pytest.approx(30.0, abs=0.3)
