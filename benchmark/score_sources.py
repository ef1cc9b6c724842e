"""How well every raw score of a network finds its errors, on real scenes with truth.

    python benchmark/score_sources.py SHARED [--model ID ...] [--source NAME ...] [--json FILE]

SHARED holds the folders data and models. For every model and source, means over the frames:
`rank` is Spearman's correlation of score and error; AUSE (lower) and AURG (above 0: better than no
score) are areas of the sparsification curve, in percent of the mean error. The error is that of
the disparity [px] for stereo, relative for mono; `published` are the rank and the AURG of AbsRel
of the sigma in metres. `network` is the time of the further runs, `all` what the source takes with
them; what several sources of a table ran for an input is run once, and told for each.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
import dataclasses
import hashlib
import json
import os
from pathlib import Path
import time

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.core.stereo import depth_from_disparity, StereoRig
from depth_perception.core.types import AnyArray
from depth_perception.evaluation.datasets.files import read_pfm
from depth_perception.evaluation.measures.sigma import sigma_measures
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import load_card, ModelCard
from depth_perception.inference.decode import decode, Decoded
from depth_perception.inference.estimator import open_backend
from depth_perception.inference.plain_score import disparity_score
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.scores import ScoreSet
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np

MONO = ('edge', 'range', 'flip', 'tta', 'residual', 'temporal')
STEREO = ('confidence', 'edge', 'range', 'photometric', 'flip', 'lr', 'tta', 'residual')
MODELS = ('fastdepth', 'window-stereo', 'nvtiny-513x161', 'psmnet-kitti2015')
REFERENCES = 200
NOISE = 0.01  # of the references, relative

Case = tuple[str, MonoFrame | StereoFrame, AnyArray]


class RememberingBackend(Backend):
    """Runs a network once for each input, so that sources can be compared quickly."""

    def __init__(self, backend: Backend) -> None:
        self.name, self.description = backend.name, backend.description
        self.inputs, self.outputs = backend.inputs, backend.outputs
        self._backend = backend
        self._known: dict[bytes, tuple[dict[str, AnyArray], float]] = {}
        self.seconds = 0.0

    def _infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        key = hashlib.sha256(b''.join(feeds[name].tobytes() for name in sorted(feeds))).digest()
        if key not in self._known:
            start = time.perf_counter()
            outputs = self._backend.infer(feeds)
            self._known[key] = outputs, time.perf_counter() - start
        outputs, seconds = self._known[key]
        self.seconds += seconds
        return dict(outputs)

    def forget(self) -> None:
        """Forget all frames."""
        self._known.clear()

    def close(self) -> None:
        """Close what runs the network."""
        self._backend.close()


def references_of(depth: AnyArray, seed: int) -> References:
    """Return measured points, drawn from the truth with noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(np.isfinite(depth))
    chosen = random.choice(rows.size, min(REFERENCES, rows.size), replace=False)
    v, u = rows[chosen], columns[chosen]
    rho = 1.0 / depth[v, u]
    return References(u, v, rho * random.normal(1.0, NOISE, rho.size), NOISE * rho)


def mono_cases(data: Path) -> Iterator[Case]:
    """Yield colour images with depth [m], NaN unknown, poses and references."""
    camera = PinholeCamera(640, 480, 518.0, 519.0, 325.5, 253.5)
    for index in range(1, 6):
        depth = cv2.imread(str(data / f'tum_rgbd/depth/{index}.pgm'), cv2.IMREAD_UNCHANGED)
        yield _mono(data / f'tum_rgbd/color/{index}.png', depth, camera, None, index)
    folder = data / 'kinect_sequence'
    focal = float((folder / 'camera-intrinsics.txt').read_text().split()[0])
    camera = PinholeCamera(640, 480, focal, focal, 320.0, 240.0)
    for index in range(0, 120, 6):
        stem = f'frame-{index:06d}'
        depth = cv2.imread(str(folder / f'{stem}.depth.png'), cv2.IMREAD_UNCHANGED)
        depth[depth == 65535] = 0
        pose = np.loadtxt(folder / f'{stem}.pose.txt')
        yield _mono(folder / f'{stem}.color.jpg', depth, camera, pose, index)


def _mono(
    path: Path, millimetres: AnyArray, camera: PinholeCamera, pose: AnyArray | None, seed: int
) -> Case:
    depth = np.where(millimetres > 0, millimetres / np.float32(1000.0), np.float32(np.nan))
    around = Surroundings(references=references_of(depth, seed), fixed_from_camera=pose)
    picture = Picture(cv2.imread(str(path)), 'bgr')
    return path.stem, MonoFrame(picture, camera, seed, surroundings=around), depth


def stereo_cases(data: Path) -> Iterator[Case]:
    """Yield pairs with disparity [px], NaN unknown, and references."""
    for folder in sorted((data / 'middlebury_2014_q').iterdir()):
        lines = (folder / 'calib.txt').read_text().splitlines()
        text = dict(line.split('=', 1) for line in lines if '=' in line)
        numbers = {key.strip(): value for key, value in text.items()}
        left, right = (
            [float(x) for x in numbers[name].strip(' []').replace(';', ' ').split()]
            for name in ('cam0', 'cam1')
        )
        truth = read_pfm(folder / 'disp0GT.pfm')
        height, width = truth.shape
        cameras = [PinholeCamera(width, height, k[0], k[0], k[2], k[5]) for k in (left, right)]
        rig = StereoRig(*cameras, float(numbers['baseline']) / 1000.0)
        yield _stereo(folder, ('im0.png', 'im1.png'), truth, rig)
    for folder in sorted((data / 'middlebury_2006').iterdir()):
        truth = cv2.imread(str(folder / 'disp1.png'), cv2.IMREAD_UNCHANGED) / np.float32(3.0)
        height, width = truth.shape
        camera = PinholeCamera(width, height, 3740 / 3, 3740 / 3, width / 2, height / 2)
        rig = StereoRig(camera, camera, 0.16)
        yield _stereo(folder, ('view1.png', 'view5.png'), truth, rig)
    folder = data / 'kitti_2015'
    truth = cv2.imread(str(folder / 'disp_occ_0/000046_10.png'), cv2.IMREAD_UNCHANGED)
    height, width = truth.shape
    camera = PinholeCamera(width, height, 721.5377, 721.5377, 609.5593, 172.854)
    names = ('image_2/000046_10.png', 'image_3/000046_10.png')
    yield _stereo(folder, names, truth / np.float32(256.0), StereoRig(camera, camera, 0.5327))


def _stereo(folder: Path, names: tuple[str, str], truth: AnyArray, rig: StereoRig) -> Case:
    truth = np.where(truth > 0.0, truth, np.float32(np.nan)).astype(np.float32)
    depth = depth_from_disparity(truth, rig)
    pictures = [Picture(cv2.imread(str(folder / name)), 'bgr') for name in names]
    around = Surroundings(references=references_of(depth, len(folder.name)))
    return folder.name, StereoFrame(*pictures, rig, surroundings=around), truth


def raw_of(decoded: Decoded, frame: MonoFrame | StereoFrame) -> RawEstimate:
    """Return the estimate as the estimators make it."""
    disparity = None
    if isinstance(frame, StereoFrame):
        disparity = Disparity(decoded.disparity, frame.rig, 0.0, 1024.0)
    return RawEstimate(decoded.rho, decoded.sigma_rho, Scale(Rung.NETWORK), decoded.far, disparity)


def score_of(raw: RawEstimate, frame: MonoFrame | StereoFrame) -> AnyArray:
    """Return the score of an estimate; that of the network alone is left to the estimators."""
    if raw.score is not None:
        return raw.score.values
    if isinstance(frame, StereoFrame):
        return disparity_score(raw.sigma_rho, frame.rig).values
    return raw.sigma_rho / np.abs(raw.rho)


def judged(frame: MonoFrame | StereoFrame, raw: RawEstimate, truth: AnyArray) -> dict[str, float]:
    """Return the figures of one frame."""
    rho = raw.rho
    u = score_of(raw, frame)
    if isinstance(frame, StereoFrame):
        disparity = raw.disparity.values
        known = np.isfinite(truth) & np.isfinite(disparity) & np.isfinite(u)
        figures = sigma_measures(disparity, u, truth, known)
        area, depth = 'rmse_m', depth_from_disparity(truth, frame.rig)
        error = np.sqrt(np.mean(np.square((disparity - truth)[known])))
        sigma = u / np.float32(frame.rig.focal_baseline) / np.square(rho)
    else:
        known = np.isfinite(truth) & np.isfinite(rho) & np.isfinite(u)
        ratio = (1.0 / (rho * truth)).astype(np.float32)
        figures = sigma_measures(ratio, u, np.ones_like(ratio), known)
        area, depth, error = 'abs_rel', truth, np.mean(np.abs(ratio - 1.0)[known])
        sigma = u / rho
    published = sigma_measures(1.0 / rho, sigma, depth, known & (rho > 0.0) & (depth < 1e4))
    return {
        'error': float(error),
        'known': float(known.sum() / np.isfinite(truth).sum()),
        'rank': figures['spearman'],
        'ause': 100.0 * figures[f'ause_{area}'] / float(error),
        'aurg': 100.0 * figures[f'aurg_{area}'] / float(error),
        'published_rank': published['spearman'],
        'published_aurg': 100.0 * published['aurg_abs_rel'],
    }


def measure(
    card: ModelCard, cases: Iterator[Case], names: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return the mean figures of every source, and of the smallest error without any."""
    stereo = card.task == 'stereo'
    settings = (StereoEstimatorSettings if stereo else MonoEstimatorSettings)(model=card.id)
    backend = RememberingBackend(open_backend(card, settings))
    card = dataclasses.replace(
        card,
        uncertainty=dataclasses.replace(
            card.uncertainty, relative_floor=0.0, disparity_floor_px=0.0
        ),
    )
    sets = {name: ScoreSet(card, backend, name) for name in names}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _, frame, truth in cases:
        plan = plan_resize(card.resize, frame.camera.width, frame.camera.height)
        preparation = Preparation(frame, plan, card.resize)
        outputs = backend.infer(tensors_from(card.inputs, preparation))
        for name, scores in sets.items():
            decoded = decode(outputs, card, preparation)
            raw = raw_of(decoded, frame)
            backend.seconds, start = 0.0, time.perf_counter()
            known = frame.surroundings.references
            better = scores.add(raw, decoded, preparation, known)
            cost = time.perf_counter() - start
            if better.score is not None and not np.any(better.score.values > 0.0):
                continue  # nothing to go by: no pose, no past
            row = judged(frame, better, truth)
            rows[name].append({**row, 'cost_ms': 1e3 * cost, 'network_ms': 1e3 * backend.seconds})
        backend.forget()
    backend.close()
    return {
        name: {key: float(np.nanmean([row[key] for row in found])) for key in found[0]}
        | {'frames': len(found), 'worst_aurg': min(row['aurg'] for row in found)}
        for name, found in rows.items()
        if found
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('shared', type=Path, help='folder with data and models')
    parser.add_argument('--model', action='append', help='only this card; may be repeated')
    parser.add_argument('--source', action='append', help='only this one, or several by a comma')
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    options = parser.parse_args()
    cards = {}
    for name in options.model or MODELS:
        card = load_card(name)
        if not (card.path.parent / card.artifact.file).is_file():
            card = dataclasses.replace(card, path=options.shared / 'models' / card.path.name)
        cards[name] = card
    everything = {}
    for name, card in cards.items():
        cases = (stereo_cases if card.task == 'stereo' else mono_cases)(options.shared / 'data')
        sources = STEREO if card.task == 'stereo' else MONO
        if card.confidence is None:
            sources = tuple(source for source in sources if source != 'confidence')
        everything[name] = measure(card, cases, tuple(options.source or sources))
        print(
            f'\n{name:26} frames  error  known   rank   AUSE   AURG  worst | published rank  AURG'
            ' | network    all [ms]'
        )
        for source, row in everything[name].items():
            print(
                f'{source:26} {row["frames"]:6.0f} {row["error"]:6.3f} {row["known"]:6.2f} '
                f'{row["rank"]:6.2f} {row["ause"]:6.1f} {row["aurg"]:6.1f} '
                f'{row["worst_aurg"]:6.1f} |         {row["published_rank"]:6.2f} '
                f'{row["published_aurg"]:6.2f} | {row["network_ms"]:7.0f} {row["cost_ms"]:7.1f}'
            )
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2) + '\n')


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    main()
