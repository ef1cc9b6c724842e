"""Recordings whose truth differs from what the matcher says by errors of a known sigma."""

from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np

SETTINGS = 'sgbm.num_disparities=32'
LAW = 4.0, 1.8, 0.1  # a, gamma, b


def law(score, factor=1.0):
    """Return sigma [px] of a score."""
    a, gamma, b = LAW
    return factor * np.hypot(a * score**gamma, b)


def pair(bags, seed):
    """Return a view whose contrast falls from left to right, so that scores differ widely."""
    seen = bags.view(seed)
    fade = np.geomspace(1.0, 0.08, bags.WIDTH)
    columns = np.arange(bags.WIDTH)
    right = 128.0 + (seen.right - 128.0) * fade
    left = np.array(
        [
            np.interp(columns - d, columns, row)
            for row, d in zip(right, seen.disparity, strict=True)
        ]
    )
    return left.astype(np.uint8), right.astype(np.uint8)


def estimates(bags, seeds, **settings):
    """Yield (left, right, estimate) of views."""
    chosen = StereoEstimatorSettings(**{'model': 'sgbm', 'sgbm__num_disparities': 32, **settings})
    with open_estimator(chosen) as estimator:
        for seed in seeds:
            left, right = pair(bags, seed)
            frame = StereoFrame(Picture(left, 'grey'), Picture(right, 'grey'), bags.RIG)
            yield left, right, estimator.estimate(frame)


def write_scored(bags, path, seeds, *, factor=1.0, flat=False, truth=True):
    """Write a bag of views whose true disparity is what the matcher finds, less an error."""
    found = estimates(bags, seeds, max_relative_sigma=1.0)
    with BagWriter(path) as bag:
        for number, (left, right, estimate) in enumerate(found):
            stamp = bags.stamp_ns(number)
            rng = np.random.default_rng([seeds[number], 7])
            error = law(estimate.score.values, factor) * rng.standard_normal(left.shape)
            disparity = estimate.disparity.values - error.astype(np.float32)
            if flat:
                disparity = np.full_like(disparity, 9.0)
            for side, pixels, camera, baseline_m in (
                ('left', left, bags.RIG.left, 0.0),
                ('right', right, bags.RIG.right, bags.RIG.baseline_m),
            ):
                bag.write_camera_info(f'/{side}/camera_info', stamp, 'eye', camera, baseline_m)
                bag.write_image(f'/{side}/image_rect', stamp, 'eye', pixels, 'mono8')
            if truth:
                bag.write_disparity(
                    stamp, 'eye', disparity, bags.RIG, topic='/ground_truth/disparity'
                )
    return path
