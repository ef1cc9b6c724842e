"""Is sigma honest once sparse references correct it? A network on a hand-held Kinect.

    python benchmark/reference_honesty.py SHARED_DATA [--frames 40] [--json FILE]

`fastdepth` with default parameters on the Kinect sequence. References are taken from the measured
depth, with the noise that the node believes in: 200 random pixels, or 16 lines of 80. Figures are
of all other pixels, pooled over the frames, without (`online` off) and with the correction:
the share within 1 and 2 sigma (0.683, 0.954), NEES = mean((Z - truth)^2 / sigma^2) plain and with
errors cut at 3 robust standard deviations as the node does it, and the temperature at the end.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import math
from pathlib import Path

from depth_perception.core.frame import MonoFrame
from depth_perception.core.nees import HIGH, LOW, nees_of
from depth_perception.core.references import ReferenceNoise
from depth_perception.core.scale_types import References
from depth_perception.core.types import AnyArray
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
from temporal_fusion import kinect

PATTERNS = ('none', '200 points', '16 lines')
NOISE = ReferenceNoise()


def chosen_pixels(pattern: str, truth: AnyArray, seed: int) -> tuple[AnyArray, AnyArray]:
    """Return rows and columns of known pixels."""
    known = np.isfinite(truth)
    if pattern == '16 lines':
        lines = np.zeros_like(known)
        lines[15::30, ::8] = True
        row, column = np.nonzero(known & lines)
        return row, column
    row, column = np.nonzero(known)
    picked = np.random.default_rng(seed).choice(row.size, 200, replace=False)
    return row[picked], column[picked]


def with_references(
    frame: MonoFrame, pattern: str, truth: AnyArray, seed: int
) -> tuple[MonoFrame, AnyArray]:
    """Return the frame with references, and the truth without their pixels."""
    if pattern == 'none':
        return frame, truth
    row, column = chosen_pixels(pattern, truth, seed)
    depth = truth[row, column].astype(np.float64)
    sigma = NOISE.sigma_rho(depth)
    noise = np.random.default_rng(seed + 1000).standard_normal(depth.size)
    references = References(column, row, np.maximum(1.0 / depth + sigma * noise, 1e-3), sigma)
    rest = truth.copy()
    rest[row, column] = np.nan
    return replace(frame, surroundings=replace(frame.surroundings, references=references)), rest


def judged(data: Path, pattern: str, frames: int, *, online: bool) -> dict[str, float]:
    """Return the figures of one run over the sequence."""
    settings = MonoEstimatorSettings(model='fastdepth', threads=1, uncertainty__online=online)
    errors, sigmas, relative, shares = [], [], [], []
    with open_estimator(settings) as estimator:
        for seed, (frame, truth) in enumerate(kinect(data, frames)):
            assert isinstance(frame, MonoFrame)
            given, rest = with_references(frame, pattern, truth, seed)
            made = estimator.estimate(given)
            known = made.valid & np.isfinite(rest)
            shares.append(known.sum() / np.isfinite(rest).sum())
            errors.append((made.depth - rest)[known])
            sigmas.append(made.sigma[known])
            relative.append(np.abs(made.depth / rest - 1.0)[known])
        state = estimator.sigma.state
    error, sigma = np.concatenate(errors).astype(float), np.concatenate(sigmas).astype(float)
    z = np.abs(error) / sigma
    return {
        'published_pct': 100.0 * float(np.mean(shares)),
        'abs_rel_pct': 100.0 * float(np.concatenate(relative).mean()),
        'within_1_sigma': float(np.mean(z <= 1.0)),
        'within_2_sigma': float(np.mean(z <= 2.0)),
        'nees': float(np.mean(np.square(z))),
        'nees_cut': float(np.mean([nees_of(e, s) for e, s in zip(errors, sigmas, strict=True)])),
        'median_sigma_over_z': float(np.median(z) / 0.6745),
        'temperature': state.temperature,
        'sqrt_nees_online': math.sqrt(state.nees),
        'alarm': float(state.alarm),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--frames', type=int, default=40)
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    options = parser.parse_args()
    figures = {}
    for pattern in PATTERNS:
        for online in (False, True)[: 1 if pattern == 'none' else 2]:
            name = f'{pattern}, online {"on" if online else "off"}'
            row = judged(options.data, pattern, options.frames, online=online)
            figures[name] = row
            print(
                f'{name:24s} published {row["published_pct"]:3.0f} %  AbsRel '
                f'{row["abs_rel_pct"]:5.1f} %  1s {row["within_1_sigma"]:.3f}  '
                f'2s {row["within_2_sigma"]:.3f}  NEES {row["nees"]:6.2f} (cut '
                f'{row["nees_cut"]:.2f})  temperature {row["temperature"]:.2f} (sqrt NEES '
                f'{row["sqrt_nees_online"]:.2f}, {LOW:g} to {HIGH:g})',
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
