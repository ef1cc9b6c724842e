"""Bad-2.0 over all pixels of real scenes, beside OpenCV's matcher with its holes filled.

    python -m training.stereo.validate SHARED_DATA CHECKPOINT_OR_ONNX_OR_sgbm [--all]

The scenes are for validation only. A pixel counts wherever there is truth, occluded ones too, and
nothing may be left out: holes of the matcher are filled as KITTI's devkit does it. Middlebury 2006
(1/3 of the full size) and 2014 (1/4) are taken as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
import json
from pathlib import Path
import sys

import cv2
from depth_perception.evaluation.datasets.files import read_pfm
from depth_perception.evaluation.opencv_baseline import opencv_filled
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Matcher = Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[Array, Array]]
MULTIPLE = 32


@dataclass(frozen=True)
class Scene:
    """A pair (H, W, 3) uint8 RGB, its truth [px] with NaN unknown, and where both see it."""

    group: str
    name: str
    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    truth: Array
    visible: NDArray[np.bool_] | None = None


def scenes(data: Path) -> Iterator[Scene]:
    """Yield the scenes with truth in the folder of shared data."""
    for folder in sorted((data / 'middlebury_2014_q').iterdir()):
        pair = _images(folder / 'im0.png', folder / 'im1.png')
        truth = read_pfm(folder / 'disp0GT.pfm')
        mask = cv2.imread(str(folder / 'mask0nocc.png'), cv2.IMREAD_GRAYSCALE)
        yield Scene('2014', folder.name, *pair, truth, mask == 255)
    for folder in sorted((data / 'middlebury_2006').iterdir()):
        pair = _images(folder / 'view1.png', folder / 'view5.png')
        steps = cv2.imread(str(folder / 'disp1.png'), cv2.IMREAD_UNCHANGED)
        truth = steps.astype(np.float32) / np.float32(3.0)
        truth[steps == 0] = np.nan
        yield Scene('2006', folder.name, *pair, truth)
    kitti = data / 'kitti_2015'
    pair = _images(*(kitti / part / '000046_10.png' for part in ('image_2', 'image_3')))
    steps = cv2.imread(str(kitti / 'disp_occ_0' / '000046_10.png'), cv2.IMREAD_UNCHANGED)
    truth = steps.astype(np.float32) / np.float32(256.0)
    truth[steps == 0] = np.nan
    yield Scene('kitti', '000046', *pair, truth)


def _images(left: Path, right: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    a, b = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in (left, right))
    return a[:, :, ::-1].astype(np.uint8), b[:, :, ::-1].astype(np.uint8)


def padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H', W', 3), repeated at the bottom and on the right up to a multiple of 32."""
    height, width = image.shape[:2]
    pads = (0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)
    return np.pad(image, pads, mode='edge')


def of_checkpoint(path: Path, planes: int) -> Matcher:
    """Return the network of a checkpoint of `training.stereo.train`."""
    import torch

    from training.stereo.model import StereoNetwork

    network = StereoNetwork().eval()
    network.load_state_dict(torch.load(path, weights_only=True)['average'])

    def match(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> tuple[Array, Array]:
        tensors = [
            torch.from_numpy(padded(x).transpose(2, 0, 1)[None].astype(np.float32) / 255.0)
            for x in (left, right)
        ]
        with torch.no_grad():
            found = network(*tensors, planes)
        height, width = left.shape[:2]
        maps = (found.disparity, found.log_variance)
        disparity, log_variance = (x[0, 0, :height, :width].numpy() for x in maps)
        return disparity, np.exp(0.5 * log_variance)

    return match


def of_onnx(path: Path) -> Matcher:
    """Return the exported network."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    names = [found.name for found in session.get_inputs()]

    def match(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> tuple[Array, Array]:
        feeds = {
            name: padded(x).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255.0)
            for name, x in zip(names, (left, right), strict=True)
        }
        height, width = left.shape[:2]
        found = session.run(['disparity', 'log_variance'], feeds)
        disparity, log_variance = (x[0, 0, :height, :width] for x in found)
        return disparity, np.exp(0.5 * log_variance)

    return match


def of_opencv(planes: int, mode: int = 0) -> Matcher:
    """Return OpenCV's semi-global matcher, its holes filled from the background.

    Args:
        planes: Disparities searched, from 0.
        mode: Of OpenCV: 0 five paths, 1 eight, 2 three.
    """

    def match(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> tuple[Array, Array]:
        filled = opencv_filled(left, right, planes, mode)
        return filled, np.ones_like(filled)

    return match


def figures(scene: Scene, disparity: Array, sigma: Array) -> dict[str, float]:
    """Return percentages and pixels of one scene, over all pixels with truth."""
    known = np.isfinite(scene.truth)
    truth = scene.truth[known]
    error = np.abs(disparity[known] - truth)
    found = {
        'bad2': 100.0 * float((error > 2.0).mean()),
        'epe': float(error.mean()),
        'd1': 100.0 * float(((error > 3.0) & (error > 0.05 * truth)).mean()),
        'within': float((error <= sigma[known]).mean()),
        'spearman': _spearman(error, sigma[known]),
    }
    if scene.visible is not None:
        seen = scene.visible[known]
        found['bad2_seen'] = 100.0 * float((error[seen] > 2.0).mean())
        found['bad2_hidden'] = 100.0 * float((error[~seen] > 2.0).mean())
    return found


def _spearman(a: Array, b: Array) -> float:
    ranks = [np.argsort(np.argsort(x)).astype(np.float64) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1]) if np.ptp(b) else 0.0


def evaluate(matcher: Matcher, found: list[Scene]) -> dict[str, dict[str, float]]:
    """Return the figures by scene, and their means by group."""
    table = {f'{s.group} {s.name}': figures(s, *matcher(s.left, s.right)) for s in found}
    for group in sorted({s.group for s in found}):
        rows = [row for name, row in table.items() if name.startswith(group + ' ')]
        table[f'mean {group}'] = {
            key: float(np.mean([row[key] for row in rows])) for key in rows[0]
        }
    return table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', type=Path)
    parser.add_argument('network', help='checkpoint, .onnx, or sgbm')
    parser.add_argument('--planes', type=int, default=96)
    parser.add_argument('--mode', type=int, default=0, help='of sgbm')
    parser.add_argument('--all', action='store_true', help='print every scene')
    parser.add_argument('--json', type=Path, help='append a line to this file')
    arguments = parser.parse_args()
    if arguments.network == 'sgbm':
        matcher = of_opencv(2 * arguments.planes, arguments.mode)
    elif arguments.network.endswith('.onnx'):
        matcher = of_onnx(Path(arguments.network))
    else:
        matcher = of_checkpoint(Path(arguments.network), arguments.planes)
    table = evaluate(matcher, list(scenes(arguments.data)))
    for name, row in table.items():
        if arguments.all or name.startswith('mean'):
            values = ' '.join(f'{key} {value:.3f}' for key, value in row.items())
            sys.stdout.write(f'{name:18s} {values}\n')
    if arguments.json:
        with arguments.json.open('a') as file:
            file.write(json.dumps({'network': arguments.network, **table}) + '\n')


if __name__ == '__main__':
    main()
