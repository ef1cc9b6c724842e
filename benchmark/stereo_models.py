"""Which stereo model publishes fewer wrong pixels? Builtin matcher and our network, as published.

    python benchmark/stereo_models.py SHARED_DATA [--model ID=LIMIT_PX ...]

Both go through the whole estimator with default parameters but for `filters.max_sigma_px`, the
greatest sigma of a disparity that is published (0: as the card says). Means over 18 photographed
scenes: share of the truth that is covered, and of the published disparities that are off by more
than 1, 2, 4 and 8 px.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
from honesty_scenes import HonestyScene, real_scenes
import numpy as np

NETWORK = 'depth-perception-stereo-small'
CHOICES = ('sgbm=0', f'{NETWORK}=0', f'{NETWORK}=1000')
LIMITS_PX = 1.0, 2.0, 4.0, 8.0


def row(model: str, limit_px: float, scenes: list[HonestyScene]) -> list[float]:
    """Return coverage [%], mean and median error [px] and the shares of `LIMITS_PX` [%]."""
    settings = StereoEstimatorSettings(model=model, filters__max_sigma_px=limit_px)
    rows = []
    with open_estimator(settings) as estimator:
        for scene in scenes:
            estimator.reset()
            disparity = estimator.estimate(scene.frame).disparity
            assert disparity is not None
            known = np.isfinite(scene.truth)
            both = known & np.isfinite(disparity.values)
            error = np.abs(disparity.values - scene.truth)[both]
            shares = [100.0 * float((error > limit).mean()) for limit in LIMITS_PX]
            cover = 100.0 * float(both.sum() / known.sum())
            rows.append([cover, float(error.mean()), float(np.median(error)), *shares])
    return [float(x) for x in np.mean(rows, 0)]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--model', action='append', help='ID=LIMIT_PX')
    arguments = parser.parse_args()
    scenes = list(real_scenes(arguments.data))
    heads = ['covered %', 'mean px', 'median px', *(f'> {x:g} px %' for x in LIMITS_PX)]
    print(f'| model | {" | ".join(heads)} |')
    for choice in arguments.model or CHOICES:
        model, _, limit = choice.partition('=')
        found = row(model, float(limit or 0.0), scenes)
        print(f'| {choice} | {" | ".join(f"{x:.2f}" for x in found)} |', flush=True)


if __name__ == '__main__':
    main()
