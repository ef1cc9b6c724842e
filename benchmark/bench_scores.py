"""What raw scores without further runs cost per 640x480 frame with 2,000 references, on one core.

OMP_NUM_THREADS=1 python benchmark/bench_scores.py [--json FILE]

`maths` is the score alone; `whole` is the source in an estimator, joined to sigma.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

from bench_scale import timed
import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.frame import MonoFrame, Picture, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.core.score_fields import edge_sigma, range_sigma, residual_field
from depth_perception.core.score_temporal import TemporalScore
from depth_perception.errors import InferenceError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import load_card
from depth_perception.inference.decode import Decoded
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.scores import ScoreSet
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, COUNT, ROUNDS = 640, 480, 2000, 100
CAMERA = PinholeCamera(WIDTH, HEIGHT, 500.0, 500.0, 320.0, 240.0)
EVERY = 'edge,range,residual,temporal'


class NoNetwork(Backend):
    """Stands for a network that is never run."""

    name = description = 'none'
    inputs = outputs = ()

    def _infer(self, feeds: object) -> dict[str, NDArray[np.float32]]:
        raise InferenceError(f'no network is run here, yet it was fed {feeds!r}')

    def close(self) -> None:
        """Do nothing."""


def scene() -> tuple[NDArray[np.float32], References]:
    """Return the inverse depth of a sloping scene, and references that are off from it."""
    random = np.random.default_rng(0)
    rho = np.add.outer(np.linspace(0.1, 0.6, HEIGHT), np.linspace(0.0, 0.2, WIDTH))
    rho *= random.normal(1.0, 0.02, rho.shape)
    u, v = random.integers(0, WIDTH, COUNT), random.integers(0, HEIGHT, COUNT)
    known = rho[v, u] * random.normal(1.0, 0.1, COUNT)
    return rho.astype(np.float32), References(u, v, known, 0.01 * known)


def measure() -> dict[str, dict[str, float]]:
    """Return the durations of every source, alone and in an estimator, and of all together."""
    rho, references = scene()
    temporal, count = TemporalScore(), itertools.count()

    def moved() -> NDArray[np.float64]:
        pose = np.eye(4)
        pose[0, 3] = 0.01 * next(count)
        return pose

    found = {
        'edge, maths': timed(lambda: edge_sigma(rho, 0.5)),
        'range, maths': timed(lambda: range_sigma(rho, 0.0, 0.02)),
        'residual, maths': timed(lambda: residual_field(rho, references)),
        'temporal, maths': timed(lambda: temporal.step(rho, CAMERA, moved())),
    }
    card = load_card('floor-stixels')
    picture = Picture(np.zeros((HEIGHT, WIDTH), np.uint8), 'grey')
    decoded = Decoded(rho, 0.2 * rho, None, None)
    raw = RawEstimate(rho, 0.2 * rho, Scale(Rung.NETWORK))
    plan = plan_resize(card.resize, WIDTH, HEIGHT)
    for names in (*EVERY.split(','), EVERY):
        scores = ScoreSet(card, NoNetwork(), names)

        def whole(scores: ScoreSet = scores) -> None:
            around = Surroundings(fixed_from_camera=moved())
            frame = MonoFrame(picture, CAMERA, surroundings=around)
            scores.add(raw, decoded, Preparation(frame, plan, card.resize), references)

        found[f'{names}, whole'] = timed(whole)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    options = parser.parse_args()
    cv2.setNumThreads(1)
    figures = measure()
    for name, row in figures.items():
        print(f'{name:40} {row["p50_ms"]:7.2f} ms   p95 {row["p95_ms"]:7.2f} ms')
    maths = sum(row['p50_ms'] for name, row in figures.items() if name.endswith('maths'))
    print(f'{"all, maths":40} {maths:7.2f} ms')
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + '\n')


if __name__ == '__main__':
    main()
