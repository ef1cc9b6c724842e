"""Estimators: settings taken over between frames, rigs and sizes that change, wrong frames."""

import dataclasses

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import FrameError, ModelError
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np
import pytest

SETTINGS = StereoEstimatorSettings(min_depth_m=0.8, max_depth_m=30.0)


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
    assert {'preprocess', 'infer', 'decode', 'filter'} == estimate.timings_ms.keys()


def test_another_rig_or_size_is_taken_over_at_once():
    with open_estimator(SETTINGS) as estimator:
        assert median_depth(estimator, wall(120, 80, 6)) == pytest.approx(2.0, rel=0.01)
        far = wall(120, 80, 6, focal_px=240.0)
        assert median_depth(estimator, far) == pytest.approx(4.0, rel=0.01)
        other = wall(160, 60, 10)
        assert median_depth(estimator, other) == pytest.approx(1.2, rel=0.01)


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
