"""The builtin matcher, calibrated on some Middlebury scenes and tested on the others."""

from depth_perception.core.calibration_choice import calibrated
from depth_perception.core.calibration_fit import scored_errors
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.evaluation.datasets.middlebury import open_middlebury
from depth_perception.evaluation.datasets.sample import Options
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
import pytest

ROUNDING = 12.0**-0.5  # standard deviation of a value rounded to whole steps


@pytest.fixture(scope='module')
def samples(shared_dir):
    pytest.importorskip('cv2')
    found = []
    with open_estimator(StereoEstimatorSettings(model='sgbm')) as estimator:
        for name in ('middlebury_2014_q', 'middlebury_2006'):
            for entry in open_middlebury(Options(shared_dir / 'data' / name)):
                scene = entry.read()
                pair = (Picture(image, 'rgb') for image in (scene.image, scene.right))
                estimate = estimator.estimate(StereoFrame(*pair, scene.rig))
                score = estimate.sigma * scene.rig.focal_baseline / np.square(estimate.depth)
                truth_sigma = scene.disparity_step_px * ROUNDING
                found.append(
                    scored_errors(
                        entry.scene,
                        estimate.disparity.values,
                        scene.disparity,
                        score,
                        reference_sigma=truth_sigma,
                    )
                )
    return found


def test_calibrated_sigma_covers_scenes_that_were_held_out(samples):
    found = calibrated(samples)
    assert len(found.groups) == len(samples) >= 5
    assert found.held_out.within_1_sigma == pytest.approx(0.683, abs=0.05)
    assert found.held_out.within_2_sigma == pytest.approx(0.954, abs=0.03)
    assert found.held_out.ence_robust < 0.2
    assert found.held_out.spearman > 0.25


def test_calibration_repeats(samples):
    assert calibrated(samples[:4]) == calibrated(samples[:4])
