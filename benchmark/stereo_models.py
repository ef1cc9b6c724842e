"""Which stereo model publishes fewer wrong pixels? Matcher, network, and both together.

    python benchmark/stereo_models.py SHARED_DATA [--model ID=LIMIT_PX ...] [--every-pixel]

All go through the whole estimator with default parameters but for `filters.max_sigma_px`, the
greatest sigma of a disparity that is published (0: as the card says). Means over 18 photographed
scenes: share of the truth that is covered, and of the published disparities that are off by more
than 1, 2, 4 and 8 px.

`--every-pixel` judges the networks without any gate, on every pixel with truth: bad-2.0 (a pixel
without an answer is bad) and mean error by set, beside OpenCV's five-path matcher with its holes
filled as KITTI's devkit does it. Middlebury 2014 is at 1/4 of the full size, 2006 at 1/3.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from depth_perception.core.types import DisparityMap
from depth_perception.evaluation.opencv_baseline import opencv_filled
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
from honesty_scenes import HonestyScene, real_scenes
import numpy as np

NETWORK = 'depth-perception-stereo-small'
FUSED = 'depth-perception-stereo'
CHOICES = ('sgbm=0', f'{NETWORK}=0', f'{FUSED}=0', f'{FUSED}=1000')
BASELINE, PLANES = 'OpenCV, holes filled', 192
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


def ungated(model: str, scenes: list[HonestyScene]) -> list[DisparityMap]:
    """Return the disparity of every scene without any gate, NaN where there is no answer."""
    settings = StereoEstimatorSettings(
        model=model,
        filters__max_sigma_px=1e3,
        filters__flying_pixels=False,
        max_relative_sigma=1.0,
        max_depth_m=100.0,
    )
    found = []
    with open_estimator(settings) as estimator:
        for scene in scenes:
            estimator.reset()
            disparity = estimator.estimate(scene.frame).disparity
            assert disparity is not None
            found.append(disparity.values)
    return found


def print_every_pixel(scenes: list[HonestyScene]) -> None:
    """Print bad-2.0 [%] and mean error [px] by set."""
    print('| | set | bad-2.0 % | mean px |')
    for name in (NETWORK, FUSED, BASELINE):
        if name == BASELINE:
            pairs = [(scene.frame.left.pixels, scene.frame.right.pixels) for scene in scenes]
            maps = [opencv_filled(left, right, PLANES) for left, right in pairs]
        else:
            maps = ungated(name, scenes)
        rows: dict[str, list[tuple[float, float]]] = {}
        for scene, disparity in zip(scenes, maps, strict=True):
            error = np.abs(disparity - scene.truth)[np.isfinite(scene.truth)]
            figures = 100.0 * float(np.mean(~(error <= 2.0))), float(np.nanmean(error))
            rows.setdefault(scene.name.split()[0], []).append(figures)
        for group, values in rows.items():
            bad, mean = np.mean(values, 0)
            print(f'| {name} | {group} | {bad:.2f} | {mean:.3f} |', flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--model', action='append', help='ID=LIMIT_PX')
    parser.add_argument('--every-pixel', action='store_true', help='without any gate')
    arguments = parser.parse_args()
    scenes = list(real_scenes(arguments.data))
    if arguments.every_pixel:
        print_every_pixel(scenes)
        return
    heads = ['covered %', 'mean px', 'median px', *(f'> {x:g} px %' for x in LIMITS_PX)]
    print(f'| model | {" | ".join(heads)} |')
    for choice in arguments.model or CHOICES:
        model, _, limit = choice.partition('=')
        found = row(model, float(limit or 0.0), scenes)
        print(f'| {choice} | {" | ".join(f"{x:.2f}" for x in found)} |', flush=True)


if __name__ == '__main__':
    main()
