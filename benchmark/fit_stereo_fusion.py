"""Fit the scores of network and matcher put together, and say how they rank on scenes held out.

    python benchmark/fit_stereo_fusion.py SHARED_DATA

As in `fit_matcher_score.py`: errors are Student-t distributed, and the score is their scale. The
pixels where the match counts and those where the network does are fitted apart. The weights
printed go to `depth_perception/inference/stereo_fusion.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import cv2
from depth_perception.core.calibration_choice import rank_correlation
from depth_perception.inference import stereo_estimators
from depth_perception.inference.estimator import AUTO_STEREO, open_estimator
from depth_perception.inference.stereo_fusion import (
    cues,
    fused,
    log_cues,
    MATCH_WEIGHTS,
    NETWORK_WEIGHTS,
)
from depth_perception.parameters import StereoEstimatorSettings
from fit_matcher_score import fitted, FOLDS, Sample
from honesty_scenes import HonestyScene, real_scenes, rendered_scenes
import numpy as np

PIXELS = 6000
PARTS = {'MATCH_WEIGHTS': MATCH_WEIGHTS, 'NETWORK_WEIGHTS': NETWORK_WEIGHTS}


def samples_of(scene: HonestyScene) -> list[Sample]:
    """Return a sample of the pixels where the match counts, and of those where it does not."""
    taken: dict[str, object] = {}

    def spy(*given: object) -> object:
        taken['cues'] = cues(*given)  # type: ignore[arg-type]
        taken['disparity'], score = fused(*given)  # type: ignore[arg-type]
        return taken['disparity'], score

    original, stereo_estimators.fused = stereo_estimators.fused, spy  # type: ignore[assignment]
    try:
        plain = StereoEstimatorSettings(model=AUTO_STEREO, uncertainty__calibration_file='none')
        with open_estimator(plain) as estimator:
            estimator.estimate(scene.frame)
    finally:
        stereo_estimators.fused = original
    found, disparity = taken['cues'], np.asarray(taken['disparity'])
    assert isinstance(found, dict)
    use = found['use'] > 0.0
    usable = np.isfinite(disparity) & np.isfinite(scene.truth)
    random = np.random.default_rng(0)
    samples = []
    for part, weights in zip((use, ~use), PARTS.values(), strict=True):
        index = np.flatnonzero(part & usable)
        index = random.choice(index, min(PIXELS, index.size), replace=False)
        table = [cue.ravel()[index] for cue in log_cues(cv2, found, weights).values()]
        columns = np.stack([*table, np.ones(index.size)], axis=1).astype(np.float64)
        error = (disparity - scene.truth).ravel()[index].astype(np.float64)
        samples.append(Sample(scene.name, error, columns, np.zeros(index.size)))
    return samples


def show(name: str, weights: dict[str, float], samples: Sequence[Sample]) -> None:
    """Print the ranks of the scenes, each held out, and the weights of all."""
    ranks = []
    for fold in range(FOLDS):
        tested = samples[fold::FOLDS]
        held = fitted([s for s in samples if all(s is not t for t in tested)])
        ranks += [rank_correlation(np.abs(s.error), s.cues @ held) for s in tested]
    print(f'{name}: rank correlation held out {np.mean(ranks):.3f}')
    names = [*(key for key in weights if key != 'constant'), 'constant']
    for key, weight in zip(names, fitted(samples), strict=True):
        print(f'    {key!r}: {weight:.3f},')


def main() -> None:
    """Fit both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    scenes = chain(real_scenes(parser.parse_args().data), rendered_scenes())
    pairs = [samples_of(scene) for scene in scenes]
    for number, (name, weights) in enumerate(PARTS.items()):
        show(name, weights, [pair[number] for pair in pairs])


if __name__ == '__main__':
    main()
