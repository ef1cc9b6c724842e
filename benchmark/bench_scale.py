"""What metric scale and sigma cost per 640x480 frame with 2,000 references, 30 % of them wrong.

    OMP_NUM_THREADS=1 python benchmark/bench_scale.py [--json FILE]

The first lines are the parts alone, with warm caches; the last ones are what they take inside the
estimator of a relative network with the scores of its card (edge, residual, temporal) and the
check by references: CPU time of its thread, `in all` of everything that makes scale and sigma.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import tempfile
import time
from typing import Any

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Surroundings
from depth_perception.core.scale_fit import fit_scale_shift
from depth_perception.core.scale_ladder import ScaleLadder
from depth_perception.core.scale_sigma import metric_depth
from depth_perception.core.scale_types import References, sample_output, Samples
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
from numpy.typing import NDArray
from scale_accuracy import coded, write_network
import yaml

WIDTH, HEIGHT, COUNT, ROUNDS = 640, 480, 2000, 100
LIMIT_MS = 4.0


def frame() -> tuple[NDArray[np.float32], References]:
    """Return an affine output of a sloping scene, and references to it."""
    generator = np.random.default_rng(0)
    rho = np.add.outer(np.linspace(0.1, 0.6, HEIGHT), np.linspace(0.0, 0.2, WIDTH))
    output = (rho * generator.normal(1.0, 0.03, rho.shape) + 0.07) / 0.013
    u, v = generator.integers(0, WIDTH, COUNT), generator.integers(0, HEIGHT, COUNT)
    measured = rho[v, u] * generator.normal(1.0, 0.01, COUNT)
    gross = generator.random(COUNT) < 0.3
    measured[gross] = generator.uniform(0.05, 1.5, int(gross.sum()))
    return output.astype(np.float32), References(u, v, measured, 0.01 * rho[v, u])


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return median and 95th percentile of a call [ms]."""
    work()
    durations = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        durations.append(1e3 * (time.perf_counter() - start))
    return {'p50_ms': float(np.median(durations)), 'p95_ms': float(np.percentile(durations, 95))}


def measure() -> dict[str, dict[str, float]]:
    """Return the durations of the parts and of the whole."""
    cv2.setNumThreads(1)  # else its threads hide what they take
    output, references = frame()
    samples = sample_output(output, references)
    assert isinstance(samples, Samples)
    sigma_output = np.full(output.shape, 0.5, np.float32)
    ladder, stamps = ScaleLadder(), iter(range(0, 1 << 60, 33_333_333))
    last = ladder.step(next(stamps), output, references)
    assert last.scale is not None
    scale, o_range = last.scale, last.o_range

    return {
        'robust fit': timed(lambda: fit_scale_shift(samples)),
        'ladder': timed(lambda: ladder.step(next(stamps), output, references)),
        'depth and sigma': timed(lambda: metric_depth(output, sigma_output, scale, o_range)),
        **inside(output, references),
    }


def inside(output: NDArray[np.float32], references: References) -> dict[str, dict[str, float]]:
    """Return what the parts take inside the estimator: CPU time of its thread."""
    taken: dict[str, list[float]] = {}

    def watched(part: Any, method: str, name: str) -> None:
        call = getattr(part, method)

        def timed_call(*arguments: Any, **keywords: Any) -> Any:
            start = time.thread_time()
            answer = call(*arguments, **keywords)
            taken.setdefault(name, []).append(1e3 * (time.thread_time() - start))
            return answer

        setattr(part, method, timed_call)

    camera = PinholeCamera(WIDTH, HEIGHT, 520.0, 520.0, 319.5, 239.5)
    picture = coded((output - output.min()) / np.ptp(output))
    with tempfile.TemporaryDirectory() as folder:
        card = write_network(Path(folder))
        values = yaml.safe_load(card.read_text())
        values['uncertainty'] = {'sources': ['edge', 'residual', 'temporal']}
        card.write_text(yaml.safe_dump(values))
        with open_estimator(MonoEstimatorSettings(model=str(card), threads=1)) as estimator:
            watched(estimator, '_raw', 'inside: scale')
            watched(estimator.scores, 'add', 'inside: scores')
            watched(estimator.sigma, 'applied', 'inside: calibration')
            watched(estimator.sigma, 'observe', 'inside: check')
            for number in range(ROUNDS):
                pose = np.eye(4)
                pose[2, 3] = 0.01 * number
                around = Surroundings(references=references, fixed_from_camera=pose)
                stamp_ns = 1 + number * 33_333_333
                estimator.estimate(MonoFrame(picture, camera, stamp_ns, 'camera', around))
    taken['in all'] = np.sum(list(taken.values()), axis=0).tolist()
    return {
        name: {
            'p50_ms': float(np.median(durations)),
            'p95_ms': float(np.percentile(durations, 95)),
        }
        for name, durations in taken.items()
    }


def main() -> int:
    """Print the table; exit 1 if the whole is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    options = parser.parse_args()
    figures = measure()
    for name, row in figures.items():
        print(f'{name:20} {row["p50_ms"]:7.2f} ms   p95 {row["p95_ms"]:7.2f} ms')
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + '\n')
    return int(figures['in all']['p50_ms'] > LIMIT_MS)


if __name__ == '__main__':
    raise SystemExit(main())
