"""Estimators: settings taken over between frames, rigs and sizes that change, wrong frames."""

import dataclasses

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import FrameError, ModelError
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import (
    EstimatorSettings,
    MonoEstimatorSettings,
    StereoEstimatorSettings,
)
from depth_perception.settings import declarations_of
import numpy as np
import pytest

SETTINGS = StereoEstimatorSettings(model='sgbm', min_depth_m=0.8, max_depth_m=30.0)


def wall(width, height, disparity_px, focal_px=120.0, doffs_px=0.0):
    """Return a frame of a wall with random texture at `disparity_px`, baseline 0.1 m."""
    rng = np.random.default_rng(9)
    texture = rng.integers(0, 256, (height, width + 64)).astype(np.uint8)
    left = PinholeCamera(width, height, focal_px, focal_px, width / 2, height / 2)
    right = dataclasses.replace(left, cx=left.cx + doffs_px)
    start = 32
    return StereoFrame(
        Picture(texture[:, start : start + width].copy(), 'grey'),
        Picture(texture[:, start + disparity_px : start + disparity_px + width].copy(), 'grey'),
        StereoRig(left, right, 0.1),
        stamp_ns=5,
        frame_id='left_optical',
    )


def median_depth(estimator, frame):
    return float(np.median(estimator.estimate(frame).depth[:, 30:-5]))


def test_stereo_depth_is_that_of_the_rig_and_carries_the_frame():
    with open_estimator(SETTINGS) as estimator:
        estimate = estimator.estimate(wall(120, 80, 6, doffs_px=2.0))
    assert np.median(estimate.depth[estimate.valid]) == pytest.approx(12.0 / 8.0, rel=0.01)
    assert (estimate.stamp_ns, estimate.frame_id) == (5, 'left_optical')
    assert estimate.scale.rung is Rung.STEREO
    assert np.median(estimate.disparity.values[estimate.valid]) == pytest.approx(6.0, abs=0.1)
    assert {
        'preprocess',
        'infer',
        'decode',
        'scale',
        'score',
        'filter',
    } == estimate.timings_ms.keys()


def test_another_rig_or_size_is_taken_over_at_once():
    with open_estimator(SETTINGS) as estimator:
        assert median_depth(estimator, wall(120, 80, 6)) == pytest.approx(2.0, rel=0.01)
        far = wall(120, 80, 6, focal_px=240.0)
        assert median_depth(estimator, far) == pytest.approx(4.0, rel=0.01)
        other = wall(160, 60, 10)
        assert median_depth(estimator, other) == pytest.approx(1.2, rel=0.01)


def test_another_calibration_is_not_averaged_with_the_one_before():
    still = dataclasses.replace(SETTINGS, filters__temporal_weight=0.9)
    with open_estimator(SETTINGS) as estimator:
        alone = median_depth(estimator, wall(120, 80, 6, focal_px=126.0))
    with open_estimator(still) as estimator:
        estimator.estimate(wall(120, 80, 6, focal_px=120.0))
        assert median_depth(estimator, wall(120, 80, 6, focal_px=126.0)) == alone


def test_settings_are_taken_over_with_the_next_frame():
    frame = wall(120, 80, 6)
    with open_estimator(SETTINGS) as estimator:
        assert estimator.estimate(frame).valid.any()
        estimator.settings = dataclasses.replace(SETTINGS, max_depth_m=1.5)
        estimate = estimator.estimate(frame)
        assert not estimate.valid.any()
        assert estimate.far[:, 30:-5].mean() > 0.9


def test_swapped_images_give_no_depth():
    frame = wall(120, 80, 6)
    swapped = dataclasses.replace(frame, left=frame.right, right=frame.left)
    with open_estimator(SETTINGS) as estimator:
        assert estimator.estimate(swapped).valid.mean() < 0.05


def test_frames_of_the_other_kind_are_refused():
    pair = wall(120, 80, 6)
    single = MonoFrame(pair.left, pair.camera)
    with (
        open_estimator(SETTINGS) as estimator,
        pytest.raises(FrameError, match='a right'),
    ):
        estimator.estimate(single)
    posed = MonoEstimatorSettings(ground__camera_height_m=1.0)
    with open_estimator(posed) as estimator, pytest.raises(FrameError, match='takes one image'):
        estimator.estimate(pair)


def test_model_of_the_other_task_is_refused():
    with pytest.raises(ModelError, match='sgbm is a stereo model; this is the mono estimator'):
        open_estimator(MonoEstimatorSettings(model='sgbm'))


@pytest.mark.parametrize(
    ('given', 'wanted'),
    [
        ({}, 'floor-stixels'),
        ({'ground__frame': 'base_footprint'}, 'floor-stixels'),
        ({'scale__method': 'ground'}, 'floor-stixels'),
        ({'scale__method': 'references'}, 'room-depth'),
        ({'scale__method': 'references', 'ground__camera_height_m': 0.4}, 'room-depth'),
        ({'scale__prior_s': 0.3}, 'room-depth'),
        ({'scale__prior_s': 0.3, 'ground__camera_height_m': 0.4}, 'floor-stixels'),
    ],
)
def test_auto_on_one_image_follows_where_the_metres_come_from(given, wanted):
    with open_estimator(MonoEstimatorSettings(**given)) as estimator:
        assert estimator.card.id == wanted


def test_the_floor_is_missed_where_a_model_needs_it():
    with open_estimator(MonoEstimatorSettings()) as estimator:
        assert 'set ground.camera_height_m' in estimator.metric_problem
    by_tf = MonoEstimatorSettings(ground__frame='base_footprint')
    with open_estimator(by_tf) as estimator:
        assert estimator.metric_problem is None


def test_disparities_searched_are_those_of_the_input_image():
    # window-stereo searches 0.5 to 64 px at 400 px width.
    with open_estimator(dataclasses.replace(SETTINGS, model='window-stereo')) as estimator:
        disparity = estimator.estimate(wall(800, 60, 6)).disparity
    assert (disparity.min_px, disparity.max_px) == (1.0, 128.0)


def cluttered_pair():
    """Return a noisy frame of a wall, a board before it, speckles, a slope and a bare patch."""
    rng = np.random.default_rng(3)
    shift = np.full((120, 200), 6.0)
    shift[:, 120:180] = np.linspace(6.0, 16.0, 60)
    shift[30:80, 50:100] = 14.0
    for row, column in rng.integers(10, 100, (12, 2)):
        shift[row : row + 6, column + 60 : column + 66] += 3.0
    texture = rng.uniform(60.0, 190.0, (120, 300))
    texture[90:, :150] = 120.0
    rows, columns = np.mgrid[:120, :200]
    left = texture[:, 40:240]
    at = columns + 40 - shift
    sources = np.clip(at.astype(int), 0, 298)
    share = at - sources
    left = (1 - share) * texture[rows, sources] + share * texture[rows, sources + 1]
    noisy = [image + rng.normal(0.0, 2.0, (120, 200)) for image in (left, texture[:, 40:240])]
    pictures = [Picture(np.clip(image, 0, 255).astype(np.uint8), 'grey') for image in noisy]
    camera = PinholeCamera(200, 120, 120.0, 120.0, 99.5, 59.5)
    return StereoFrame(*pictures, StereoRig(camera, camera, 0.1))


def cluttered_floor():
    rng = np.random.default_rng(4)
    pixels = rng.normal(120.0, 4.0, (120, 200, 3))
    pixels[:70, 60:120] = (200.0, 60.0, 40.0)
    pixels[:80, 140:150] = (20.0, 160.0, 40.0)
    camera = PinholeCamera(200, 120, 150.0, 150.0, 99.5, 30.0)
    return MonoFrame(Picture(np.clip(pixels, 0, 255).astype(np.uint8), 'rgb'), camera)


STEREO = {
    'sgbm.min_disparity': 8,
    'sgbm.num_disparities': 16,
    'sgbm.block_size': 7,
    'sgbm.mode': 'hh',
    'sgbm.uniqueness': 70,
    'sgbm.left_right_px': 0.25,
    'sgbm.support': 0.95,
    'sgbm.speckle_area_px': 0,
    'sgbm.speckle_jump_px': 8.0,
    'camera.baseline_sigma_relative': 0.05,
    'camera.doffs_sigma_px': 1.0,
    'filters.max_sigma_px': 0.4,
}
MONO = {
    'ground.camera_height_m': 0.6,
    'ground.height_sigma_m': 0.05,
    'ground.pitch_deg': 9.0,
    'ground.roll_deg': 4.0,
    'ground.tilt_sigma_deg': 1.5,
}
# What must be on for the setting to matter.
NEEDS = {
    'sgbm.min_disparity': {'sgbm__num_disparities': 16},
    'sgbm.speckle_jump_px': {'sgbm__speckle_area_px': 2000},
}


def outcome(settings, frame):
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame)
    return np.stack([estimate.depth, estimate.sigma])


@pytest.mark.parametrize(
    ('cls', 'name', 'value'),
    [(StereoEstimatorSettings, *item) for item in STEREO.items()]
    + [(MonoEstimatorSettings, *item) for item in MONO.items()],
)
def test_setting_changes_the_estimate(cls, name, value):
    field = declarations_of(cls)[name].field
    base = {'threads': 1, 'min_depth_m': 0.5} | NEEDS.get(name, {})
    frame = cluttered_pair()
    if cls is MonoEstimatorSettings:
        base |= {'ground__camera_height_m': 0.5, 'ground__pitch_deg': 8.0}
        frame = cluttered_floor()
    else:
        base['model'] = 'sgbm'
    usual = outcome(cls(**base), frame)
    changed = outcome(cls(**(base | {field: value})), frame)
    assert np.isfinite(usual[0]).mean() > 0.2
    assert not np.array_equal(usual, changed, equal_nan=True)


@pytest.mark.parametrize(
    ('cls', 'tried'), [(StereoEstimatorSettings, STEREO), (MonoEstimatorSettings, MONO)]
)
def test_every_setting_is_tried(cls, tried):
    shared = declarations_of(EstimatorSettings).keys()
    assert declarations_of(cls).keys() == tried.keys() | shared
