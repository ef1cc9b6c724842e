"""Accuracy of the builtin stereo matcher beside plain OpenCV SGBM, on real scenes.

    python benchmark/stereo_accuracy.py SHARED_DATA [--json FILE]

bad-2.0 is the share of published pixels with ground truth that are off by more than 2 px,
coverage the share of ground-truth pixels that are published, occluded ones included.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
import json
from pathlib import Path
import time

import cv2
from depth_perception.core.calibration_curve import sigma_of
from depth_perception.core.types import AnyArray, DisparityMap
from depth_perception.evaluation.datasets.files import read_pfm
from depth_perception.inference.calibration_file import read_calibration
from depth_perception.inference.sgbm import SgbmBackend
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np

CURVE = read_calibration(Path(__file__).parents[1] / 'models' / 'sgbm.sigma.yaml').curve
CHECKED = StereoEstimatorSettings(model='sgbm', threads=1)
DENSE = replace(CHECKED, sgbm__left_right_px=0.0, sgbm__support=0.0)
PLAIN = {
    'plain': {},
    'plain, 3 paths': {'mode': cv2.STEREO_SGBM_MODE_SGBM_3WAY},
    'plain, cap 63': {'preFilterCap': 63},
}


@dataclass(frozen=True)
class Scene:
    """A grey pair with its true disparity [px], NaN where unknown, and the range to search."""

    name: str
    left: AnyArray
    right: AnyArray
    truth: DisparityMap
    disparities: int


def middlebury_scenes(data: Path) -> Iterator[Scene]:
    """Yield the scenes of 2014 (quarter size) and 2006 (third size)."""
    for folder in sorted((data / 'middlebury_2014_q').iterdir()):
        lines = (folder / 'calib.txt').read_text().splitlines()
        range_px = next(int(line.split('=')[1]) for line in lines if 'ndisp' in line)
        truth = read_pfm(folder / 'disp0GT.pfm')
        yield _scene(folder, ('im0.png', 'im1.png'), truth, -(-range_px // 16) * 16)
    for folder in sorted((data / 'middlebury_2006').iterdir()):
        truth = cv2.imread(str(folder / 'disp1.png'), cv2.IMREAD_UNCHANGED) / np.float32(3.0)
        truth[truth == 0.0] = np.nan
        yield _scene(folder, ('view1.png', 'view5.png'), truth, 80)


def _scene(folder: Path, files: tuple[str, str], truth: DisparityMap, disparities: int) -> Scene:
    left, right = (cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE) for name in files)
    return Scene(f'{folder.parent.name[11:]} {folder.name}', left, right, truth, disparities)


def plain_sgbm(scene: Scene, **options: int) -> DisparityMap:
    """Return the disparity of OpenCV alone: HH, block 3, uniqueness 10, speckle 100/2."""
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=scene.disparities,
        blockSize=3,
        P1=8 * 9,
        P2=32 * 9,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
        **{'mode': cv2.STEREO_SGBM_MODE_HH, **options},
    )
    disparity = matcher.compute(scene.left, scene.right).astype(np.float32) / 16.0
    disparity[disparity < 0.0] = np.nan
    return disparity


def our_match(scene: Scene, settings: StereoEstimatorSettings) -> tuple[AnyArray, AnyArray]:
    """Return disparity and calibrated sigma of the builtin matcher."""
    settings = replace(settings, sgbm__num_disparities=scene.disparities)
    with SgbmBackend(settings) as backend:
        found = backend.infer({'left': scene.left, 'right': scene.right})
    return found['disparity'], sigma_of(CURVE, found['sigma'])


def accuracy(disparity: DisparityMap, truth: DisparityMap) -> tuple[float, float]:
    """Return bad-2.0 and coverage [%]."""
    known = np.isfinite(truth)
    published = known & np.isfinite(disparity)
    error = np.abs(disparity[published] - truth[published])
    return 100.0 * float(np.mean(error > 2.0)), 100.0 * published.sum() / known.sum()


def sigma_honesty(
    disparity: DisparityMap, sigma: AnyArray, truth: DisparityMap
) -> tuple[float, float, float]:
    """Return the shares within 1 and 2 sigma [%] and the rank correlation with the error."""
    published = np.isfinite(truth) & np.isfinite(disparity)
    error, sigma = np.abs(disparity - truth)[published], sigma[published]
    ranks = [np.argsort(np.argsort(values)) for values in (error, sigma)]
    within = [100.0 * float(np.mean(error < k * sigma)) for k in (1.0, 2.0)]
    return within[0], within[1], float(np.corrcoef(*ranks)[0, 1])


def study(data: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return matcher -> scene -> figures, and print a line per matcher."""
    cv2.setNumThreads(1)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for scene in middlebury_scenes(data):
        for name, options in PLAIN.items():
            start = time.perf_counter()
            disparity = plain_sgbm(scene, **options)
            _note(figures, name, scene, disparity, time.perf_counter() - start)
        for name, settings in (('ours, no checks', DENSE), ('ours', CHECKED)):
            start = time.perf_counter()
            disparity, sigma = our_match(scene, settings)
            entry = _note(figures, name, scene, disparity, time.perf_counter() - start)
            honesty = sigma_honesty(disparity, sigma, scene.truth)
            entry.update(zip(('within_1_sigma', 'within_2_sigma', 'rank'), honesty, strict=True))
    return figures


def _note(
    figures: dict[str, dict[str, dict[str, float]]],
    name: str,
    scene: Scene,
    disparity: DisparityMap,
    seconds: float,
) -> dict[str, float]:
    bad, coverage = accuracy(disparity, scene.truth)
    entry = {'bad_2': bad, 'coverage': coverage, 'ms': 1e3 * seconds}
    figures.setdefault(name, {})[scene.name] = entry
    return entry


def mean_of(entries: dict[str, dict[str, float]], key: str) -> float:
    """Return the mean of one figure over the scenes."""
    return float(np.mean([entry[key] for entry in entries.values()]))


def main() -> None:
    """Print the table and store the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='folder with middlebury_2014_q, middlebury_2006')
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    arguments = parser.parse_args()
    figures = study(arguments.data)
    print('| scene | ' + ' | '.join(f'{name}: bad-2.0 / coverage' for name in figures) + ' |')
    print('|---' * (len(figures) + 1) + '|')
    for scene in figures['plain']:
        cells = [f'{e[scene]["bad_2"]:.1f} / {e[scene]["coverage"]:.1f}' for e in figures.values()]
        print(f'| {scene} | ' + ' | '.join(cells) + ' |')
    cells = [f'{mean_of(e, "bad_2"):.2f} / {mean_of(e, "coverage"):.2f}' for e in figures.values()]
    print('| **mean [%]** | ' + ' | '.join(cells) + ' |')
    print(
        '| time [ms] | ' + ' | '.join(f'{mean_of(e, "ms"):.0f}' for e in figures.values()) + ' |'
    )
    ours = figures['ours']
    print(
        f'\nours: {mean_of(ours, "within_1_sigma"):.0f} % of the errors within 1 sigma, '
        f'{mean_of(ours, "within_2_sigma"):.0f} % within 2, rank correlation '
        f'{mean_of(ours, "rank"):.2f}'
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
