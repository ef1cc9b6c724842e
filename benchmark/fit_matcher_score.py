"""Fit the weights of the builtin matcher's score, and say how it ranks on scenes held out.

    python benchmark/fit_matcher_score.py SHARED_DATA

The errors are taken to be Student-t distributed with 5 degrees of freedom and a scale that is the
score without its photometric part. Every scene counts the same, rendered ones half, as their
errors are alike. The weights printed go to `depth_perception/inference/matcher_score.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
from depth_perception.core.calibration_choice import rank_correlation
from depth_perception.inference import sgbm
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.matcher_score import cues, DISAGREEMENT, error_score, STRIDE
from depth_perception.parameters import StereoEstimatorSettings
from honesty_scenes import HonestyScene, real_scenes, rendered_scenes
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

FREEDOM = 5.0
PIXELS = 6000
FOLDS = 5
SHRINKAGE = 1e-3

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Errors [px] of one scene, its standardisable cues (N, K + 1), and the known part of ln u."""

    name: str
    error: _Values
    cues: _Values
    known: _Values


def sample_of(scene: HonestyScene) -> tuple[Sample, list[str]]:
    """Return a sample of a scene, and the names of its cues."""
    taken: dict[str, object] = {}

    def spy(*given: object) -> object:
        taken['cues'] = cues(*given)  # type: ignore[arg-type]
        taken['difference'] = given[4]
        return error_score(*given)  # type: ignore[arg-type]

    original, sgbm.error_score = sgbm.error_score, spy  # type: ignore[assignment]
    try:
        with open_estimator(StereoEstimatorSettings(model='sgbm')) as estimator:
            estimate = estimator.estimate(scene.frame)
    finally:
        sgbm.error_score = original
    assert estimate.disparity is not None
    disparity = estimate.disparity.values
    _height, width = disparity.shape
    usable = np.flatnonzero(np.isfinite(disparity) & np.isfinite(scene.truth))
    random = np.random.default_rng(0)
    index = random.choice(usable, min(PIXELS, usable.size), replace=False)
    row, column = index // width // STRIDE, index % width // STRIDE
    found = taken['cues']
    assert isinstance(found, dict)
    columns = [
        cue[row, column] if cue.ndim else np.full(index.size, cue) for cue in found.values()
    ]
    table = np.stack([*columns, np.ones(index.size)], axis=1).astype(np.float64)
    difference = np.minimum(np.ravel(taken['difference'])[index], 1.0)  # type: ignore[call-overload]
    error = (disparity - scene.truth).ravel()[index].astype(np.float64)
    known = np.log1p(DISAGREEMENT * difference.astype(np.float64))
    return Sample(scene.name, error, table, known), [*found, 'constant']


def fitted(samples: Sequence[Sample]) -> _Values:
    """Return the weights of greatest likelihood, the constant last."""
    table = np.concatenate([s.cues for s in samples])
    known = np.concatenate([s.known for s in samples])
    square = np.concatenate([np.square(s.error) for s in samples]) / FREEDOM
    share = np.concatenate(
        [np.full(s.error.size, 0.5 if s.name.startswith('rendered') else 1.0) for s in samples]
    )
    share /= share.sum()
    middle, spread = table.mean(axis=0), table.std(axis=0)
    middle[-1], spread[-1] = 0.0, 1.0
    standard = (table - middle) / spread

    def loss(weights: _Values) -> tuple[float, _Values]:
        log_scale = standard @ weights + known
        ratio = square * np.exp(-2.0 * log_scale)
        value = share @ (log_scale + 0.5 * (FREEDOM + 1.0) * np.log1p(ratio))
        slope = share * (1.0 - (FREEDOM + 1.0) * ratio / (1.0 + ratio))
        gradient = standard.T @ slope
        value += SHRINKAGE * np.square(weights[:-1]).sum()
        gradient[:-1] += 2.0 * SHRINKAGE * weights[:-1]
        return value, gradient

    start = np.zeros(table.shape[1])
    start[-1] = -1.0
    weights = minimize(loss, start, jac=True, method='L-BFGS-B').x / spread
    weights[-1] -= weights[:-1] @ middle[:-1]
    return np.asarray(weights)


def main() -> None:
    """Print the weights, and the rank correlation of the scenes, each held out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    scenes = chain(real_scenes(parser.parse_args().data), rendered_scenes())
    pairs = [sample_of(scene) for scene in scenes]
    samples, names = [pair[0] for pair in pairs], pairs[0][1]
    ranks = []
    for fold in range(FOLDS):
        tested = samples[fold::FOLDS]
        weights = fitted([s for s in samples if all(s is not t for t in tested)])
        for sample in tested:
            score = np.exp(sample.cues @ weights + sample.known)
            rank = rank_correlation(np.abs(sample.error), score)
            ranks.append(rank)
            print(f'{sample.name:16s} rank correlation held out {rank:.2f}')
    print(f'mean {np.mean(ranks):.3f}; weights of all scenes:')
    for name, weight in zip(names, fitted(samples), strict=True):
        print(f'    {name!r}: {weight:.3f},')


if __name__ == '__main__':
    cv2.setNumThreads(1)
    main()
