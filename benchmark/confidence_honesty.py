"""Is `confidence/image` honest? The promised against the actual share of right pixels.

    python benchmark/confidence_honesty.py SHARED_DATA [--model ID] [--json FILE]

Confidence promises that the depth is right to within 10 %. Pixels of the Middlebury 2014 scenes
and of a KITTI frame are sorted into bins by that promise, and the share that keeps it is counted;
every scene weighs the same. The builtin matcher is better than 10 % nearly everywhere, so the
same formula is also asked for 3 % and 1 %. Three rows of sigma: as published by the estimator
here; calibrated on the other scenes, Gaussian; the same with a Student-t tail and the share of
gross errors found on the other scenes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
import json
from pathlib import Path

from depth_perception.core.calibration_choice import calibration_figures
from depth_perception.core.calibration_fit import fit_power, joined, scored_errors, ScoredErrors
from depth_perception.core.confidence import probability_within
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.types import AnyArray
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
from stereo_scenes import stereo_scenes

EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
BOUNDS = (0.1, 0.03, 0.01)


@dataclass(frozen=True)
class Judged:
    """An estimate with its true depth, and its errors over sigma as disparity [px]."""

    name: str
    estimate: DepthEstimate
    truth: AnyArray
    errors: ScoredErrors


def judged_scenes(data: Path, model: str) -> list[Judged]:
    """Return the estimates of all scenes."""
    settings = StereoEstimatorSettings(model=model, max_depth_m=100.0)
    found = []
    with open_estimator(settings) as estimator:
        for scene in stereo_scenes(data):
            made = estimator.estimate(scene.frame)
            rho = 1.0 / np.where(made.valid, made.depth, np.nan)
            scale = scene.frame.rig.focal_baseline
            errors = scored_errors(
                scene.name, rho * scale, scale / scene.truth, made.sigma * rho**2 * scale
            )
            found.append(Judged(scene.name, made, scene.truth, errors))
    return found


def calibrated_elsewhere(judged: Judged, others: list[Judged]) -> tuple[DepthEstimate, float]:
    """Return the estimate with sigma calibrated on other scenes, and their gross share."""
    sample = joined([other.errors for other in others])
    curve = fit_power(sample)
    gross = calibration_figures(sample, curve.exact(sample.score)).beyond_5_sigma
    made = judged.estimate
    to_px = np.square(made.depth) / np.float32(made.disparity.rig.focal_baseline)
    sigma = curve.exact((made.sigma / to_px).astype(np.float64)) * to_px
    sigma = np.where(made.valid, sigma, np.nan).astype(np.float32)
    return replace(made, sigma=sigma), gross


def reliability(rows: list[tuple[AnyArray, AnyArray]]) -> list[tuple[float, float, float]]:
    """Return promised share, actual share and share of the pixels of each bin.

    Args:
        rows: For each scene promise and whether it was kept, flat.
    """
    totals = np.zeros((len(EDGES) - 1, 3))
    for promised, kept in rows:
        place = np.clip(np.searchsorted(EDGES, promised, side='right') - 1, 0, len(EDGES) - 2)
        weight = 1.0 / (promised.size * len(rows))
        for index, values in enumerate((promised, kept, np.ones(promised.size))):
            totals[:, index] += np.bincount(place, values * weight, len(EDGES) - 1)
    with np.errstate(invalid='ignore'):
        return [(p / n, k / n, n) for p, k, n in totals.tolist() if n > 1e-4]


def kept_promises(
    judged: Judged, made: DepthEstimate, bound: float, tail: str, gross: float
) -> tuple[AnyArray, AnyArray]:
    """Return promise and whether it was kept, for the pixels with truth."""
    promised = probability_within(made.depth, made.sigma, bound, tail, gross)
    known = made.valid & np.isfinite(judged.truth)
    error = np.abs(made.depth - judged.truth)
    return promised[known], error[known] <= bound * made.depth[known]


def study(data: Path, model: str) -> dict[str, dict[str, object]]:
    """Return mode and bound -> table and its mean miss, and print them."""
    scenes = judged_scenes(data, model)
    modes: dict[str, list[tuple[DepthEstimate, str, float]]] = {
        'as published': [(s.estimate, s.estimate.tail, s.estimate.gross_share) for s in scenes],
        'calibrated elsewhere, gauss': [],
        'calibrated elsewhere, student4': [],
    }
    for scene in scenes:
        made, gross = calibrated_elsewhere(scene, [s for s in scenes if s is not scene])
        modes['calibrated elsewhere, gauss'].append((made, 'gauss', 0.0))
        modes['calibrated elsewhere, student4'].append((made, 'student4', gross))
    found: dict[str, dict[str, object]] = {}
    for mode, made in modes.items():
        for bound in BOUNDS:
            rows = [
                kept_promises(scene, estimate, bound, tail, gross)
                for scene, (estimate, tail, gross) in zip(scenes, made, strict=True)
            ]
            table = reliability(rows)
            miss = sum(n * abs(p - k) for p, k, n in table)
            found[f'{mode}, {bound:g}'] = {'table': table, 'miss': miss}
            _print(mode, bound, table, miss)
    return found


def _print(mode: str, bound: float, table: list[tuple[float, float, float]], miss: float) -> None:
    print(f'\n{mode}: right to within {100 * bound:g} %; mean miss {miss:.3f}')
    for label, place in (('promised', 0), ('actual', 1), ('of pixels', 2)):
        print(f'  {label:10s}' + ' '.join(f'{row[place]:7.3f}' for row in table))


def main() -> None:
    """Print the tables and store the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='folder with middlebury_2014_q and kitti_2015')
    parser.add_argument('--model', default='sgbm', help='a stereo model')
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    arguments = parser.parse_args()
    found = study(arguments.data, arguments.model)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
