"""Accuracy and honesty of fusion along the way, on sequences with poses and ground truth.

    python benchmark/temporal_fusion.py [SHARED_DATA] [--json FILE]

Four sequences: a stereo camera driven through the rendered scene (the builtin matcher and the
network `window-stereo`; image noise of 3 grey levels), 40 frames of a hand-held Kinect, and the 5
far-apart frames of TUM RGB-D (both with the network `fastdepth`; they need the folder with the
data, and the network where `models fetch` puts it). Sigma is first scaled so that the single
frames of a sequence are honest by their median; what fusion does to it is then seen by itself.
`within n sigma` should be 0.683 and 0.954.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
import json
from pathlib import Path
import time

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.temporal_motion import MotionFilter
from depth_perception.core.types import AnyArray
from depth_perception.errors import ModelError
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.evaluation.datasets.files import pose_from_quaternion
from depth_perception.evaluation.rendered import BASELINE_M, rendered_view, shifted
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.postprocess import MATCHER_CORRELATION, NETWORK_CORRELATION
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np

Frame = MonoFrame | StereoFrame
NOISE = 3.0  # grey levels
SETTLED = 4  # frames left out of the figures, while the filter fills
STEREO = StereoEstimatorSettings(model='sgbm', threads=1, filters__flying_pixels=False)
WINDOW = replace(STEREO, model='window-stereo')
MONO = MonoEstimatorSettings(
    model='fastdepth', threads=1, filters__flying_pixels=False, max_relative_sigma=1.0
)


def driven(count: int = 16) -> Iterator[tuple[Frame, AnyArray]]:
    """Yield noisy pairs and true depth of a camera that drives a bend at 0.45 m/s and 10 Hz."""
    camera = PinholeCamera(640, 480, 520.0, 520.0, 319.5, 219.5)
    rig, rng = rig_from_numbers(camera, BASELINE_M, 0.0), np.random.default_rng(1)
    for index in range(count):
        yaw = 0.01 * index * np.sin(index / 3.0)
        pose = np.eye(4)
        pose[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(yaw), np.sin(yaw), -np.sin(yaw), np.cos(yaw)
        pose[:3, 3] = 0.02 * index, 0.002 * np.sin(index), 0.04 * index
        left, truth = rendered_view(camera, pose)
        right, _ = rendered_view(camera, shifted(pose, BASELINE_M))
        noisy = [
            np.clip(view + rng.normal(0.0, NOISE, view.shape), 0, 255).astype(np.uint8)
            for view in (left, right)
        ]
        pair = [Picture(view, 'rgb') for view in noisy]
        around = Surroundings(fixed_from_camera=pose)
        yield StereoFrame(*pair, rig, stamp_ns=index * 10**8, surroundings=around), truth


def kinect(data: Path, count: int = 40) -> Iterator[tuple[Frame, AnyArray]]:
    """Yield colour frames and measured depth of the hand-held sequence, 30 a second."""
    camera = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)
    for index in range(count):
        stem = data / 'kinect_sequence' / f'frame-{index:06d}'
        pose = np.loadtxt(f'{stem}.pose.txt')
        depth = cv2.imread(f'{stem}.depth.png', cv2.IMREAD_UNCHANGED)
        yield _mono(f'{stem}.color.jpg', camera, pose, index * 33_333_333), _metres(depth)


def tum(data: Path) -> Iterator[tuple[Frame, AnyArray]]:
    """Yield the five frames of TUM RGB-D, 0.4 to 0.9 m apart, as if taken twice a second."""
    camera = PinholeCamera(640, 480, 518.0, 519.0, 325.5, 253.5)
    folder = data / 'tum_rgbd'
    for index, numbers in enumerate(np.loadtxt(folder / 'pose.txt'), 1):
        depth = cv2.imread(str(folder / 'depth' / f'{index}.pgm'), cv2.IMREAD_UNCHANGED)
        pose = pose_from_quaternion(numbers)
        colour = folder / 'color' / f'{index}.png'
        yield _mono(str(colour), camera, pose, index * 500_000_000), _metres(depth)


def _mono(path: str, camera: PinholeCamera, pose: AnyArray, stamp_ns: int) -> MonoFrame:
    around = Surroundings(fixed_from_camera=pose)
    return MonoFrame(
        Picture(cv2.imread(path), 'bgr'), camera, stamp_ns=stamp_ns, surroundings=around
    )


def _metres(depth_mm: AnyArray) -> AnyArray:
    depth = depth_mm.astype(np.float32) / np.float32(1000.0)
    depth[(depth == 0.0) | (depth > 60.0)] = np.nan
    return depth


def singles(
    frames: Iterator[tuple[Frame, AnyArray]], settings: StereoEstimatorSettings
) -> list[tuple[Frame, AnyArray, AnyArray, AnyArray]]:
    """Return frame, rho, sigma_rho [1/m] and true rho of each frame by itself."""
    found = []
    with open_estimator(settings) as estimator:
        for frame, truth in frames:
            made = estimator.estimate(frame)
            rho = np.where(made.valid, 1.0 / made.depth, np.nan).astype(np.float32)
            found.append((frame, rho, made.sigma * np.square(rho), 1.0 / truth))
    ratios = [np.nanmedian(np.abs(rho - true) / sigma) for _, rho, sigma, true in found]
    honest = np.float32(np.median(ratios) / 0.6745)
    return [(frame, rho, sigma * honest, true) for frame, rho, sigma, true in found]


def fused(
    found: list[tuple[Frame, AnyArray, AnyArray, AnyArray]], correlation: float
) -> tuple[list[tuple[AnyArray, AnyArray, AnyArray]], float]:
    """Return rho, sigma and true rho of each frame after fusion, and its median duration [ms]."""
    memory, results, durations = MotionFilter(), [], []
    for frame, rho, sigma, true in found:
        pose = frame.surroundings.fixed_from_camera
        start = time.perf_counter()
        made = memory.fuse(rho, sigma, frame.camera, pose, frame.stamp_ns, correlation)
        durations.append(time.perf_counter() - start)
        results.append((*made, true))
    return results, 1e3 * float(np.median(durations[1:]))


def figures(results: list[tuple[AnyArray, AnyArray, AnyArray]], skip: int) -> dict[str, float]:
    """Return errors and coverage, as means over frames."""
    rows = []
    for fields in results[skip:]:
        known = np.isfinite(fields[0]) & np.isfinite(fields[2])
        rho, sigma, true = (field[known] for field in fields)
        quotient = np.abs(rho - true) / sigma
        relative = np.abs(true / rho - 1.0)
        rows.append(
            {
                'abs_rel_pct': 100.0 * relative.mean(),
                'median_rel_pct': 100.0 * np.median(relative),
                'within_1_sigma': (quotient <= 1.0).mean(),
                'within_2_sigma': (quotient <= 2.0).mean(),
                'sigma_pct': 100.0 * np.median(sigma / rho),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def study(data: Path | None) -> dict[str, dict[str, dict[str, float]]]:
    """Return sequence -> mode -> figures, and print a line for each."""
    sequences = {'rendered, sgbm': (driven(), STEREO), 'rendered, network': (driven(), WINDOW)}
    if data is not None:
        sequences['Kinect, fastdepth'] = kinect(data), MONO
        sequences['TUM, fastdepth'] = tum(data), MONO
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, (frames, settings) in sequences.items():
        try:
            frame_by_frame = singles(frames, settings)
        except ModelError as error:
            print(f'{name}: {error}')
            continue
        skip = SETTLED if len(frame_by_frame) > 2 * SETTLED else 1
        alone = [(rho, sigma, true) for _, rho, sigma, true in frame_by_frame]
        found[name] = {'single frames': figures(alone, skip)}
        default = MATCHER_CORRELATION if settings is STEREO else NETWORK_CORRELATION
        for correlation in (0.0, 0.3, 0.5, 0.7, 0.9):
            results, duration_ms = fused(frame_by_frame, correlation)
            mode = f'correlation {correlation:g}' + (' *' if correlation == default else '')
            found[name][mode] = {**figures(results, skip), 'ms': duration_ms}
        for mode, row in found[name].items():
            print(f'{name:18s} {mode:18s} ' + '  '.join(f'{k} {v:.3f}' for k, v in row.items()))
    return found


def main() -> None:
    """Print the figures and store the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, nargs='?', help='folder with kinect_sequence, tum_rgbd')
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    arguments = parser.parse_args()
    found = study(arguments.data)
    print('* the default')
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
