"""Scores mono networks on real frames against the best plane and against FastDepth.

Every map is fitted to the truth of its frame by scale and shift of the inverse depth
(``lsq_disp``), then AbsRel is taken in depth. The planar prior is the inverse depth
``a + b u + c v`` fitted to the truth of the frame itself: what a network has to beat to have
seen anything of the scene. The frames are for validation only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
import json
from pathlib import Path
import sys
import time

from depth_perception.evaluation.datasets.files import read_pfm
import numpy as np

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
INDOOR_CAP_M, OUTDOOR_CAP_M = 10.0, 80.0
KINECT_STEP = 6


@dataclass
class Frame:
    """A picture with truth: ``image`` (H, W, 3) uint8 RGB, ``depth`` (H, W) [m], 0 = none."""

    set: str
    name: str
    image: np.ndarray
    depth: np.ndarray


def _rgb(path: Path) -> np.ndarray:
    import cv2

    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _millimetres(path: Path) -> np.ndarray:
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32)
    raw[raw >= 65535] = 0
    return raw / 1000.0


def _middlebury(folder: Path) -> Frame:
    table = {}
    for line in (folder / 'calib.txt').read_text().splitlines():
        key, _, value = line.partition('=')
        table[key.strip()] = value.strip()
    focal = float(table['cam0'].strip('[').split()[0])
    doffs, baseline = float(table['doffs']), float(table['baseline']) / 1000.0
    disparity = read_pfm(folder / 'disp0GT.pfm')
    good = np.isfinite(disparity) & (disparity > 0)
    depth = np.where(good, focal * baseline / np.where(good, disparity + doffs, 1), 0)
    return Frame('middlebury', folder.name, _rgb(folder / 'im0.png'), depth.astype(np.float32))


def _kitti(data: Path, name: str) -> Frame:
    lines = (data / 'calib' / f'{name}.txt').read_text().splitlines()
    table = {k: np.array(v.split(), float) for k, _, v in (li.partition(':') for li in lines) if v}
    image = _rgb(data / 'image_2' / f'{name}.png')
    points = np.fromfile(data / 'velodyne' / f'{name}.bin', np.float32).reshape(-1, 4)[:, :3]
    to_camera = table['Tr_velo_to_cam'].reshape(3, 4)
    points = (points @ to_camera[:, :3].T + to_camera[:, 3]) @ table['R0_rect'].reshape(3, 3).T
    p2 = table['P2'].reshape(3, 4)
    seen = points @ p2[:, :3].T + p2[:, 3]
    seen = seen[seen[:, 2] > 0.5]
    u, v = np.round(seen[:, :2] / seen[:, 2:]).astype(int).T
    height, width = image.shape[:2]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    depth = np.full((height, width), np.inf, np.float32)
    np.minimum.at(depth, (v[inside], u[inside]), seen[inside, 2].astype(np.float32))
    depth[~np.isfinite(depth)] = 0
    return Frame('kitti (outdoors)', name, image, depth)


def frames(shared: Path) -> Iterator[Frame]:
    """Yields the real frames under the folder of shared sample data."""
    data = shared / 'data'
    for path in sorted((data / 'kinect_sequence').glob('*.color.jpg'))[::KINECT_STEP]:
        depth = _millimetres(Path(str(path).replace('.color.jpg', '.depth.png')))
        yield Frame('kinect', path.name[:12], _rgb(path), depth)
    for path in sorted((data / 'tum_rgbd' / 'color').glob('*.png')):
        depth = _millimetres(data / 'tum_rgbd' / 'depth' / f'{path.stem}.pgm')
        yield Frame('tum', path.stem, _rgb(path), depth)
    for folder in sorted((data / 'middlebury_2014_q').iterdir()):
        yield _middlebury(folder)
    for path in sorted((data / 'kitti_object' / 'image_2').glob('*.png')):
        yield _kitti(data / 'kitti_object', path.stem)


def abs_rel(inverse: np.ndarray, depth: np.ndarray, cap_m: float) -> float:
    """Returns AbsRel after fitting scale and shift of ``inverse`` (H, W) to the truth.

    Args:
        inverse: prediction, affine in the inverse depth, large = near.
        depth: (H, W) truth [m], 0 = none.
        cap_m: aligned depth is limited to this [m]; truth beyond it does not count.

    Returns:
        mean(|Z' - Z| / Z) over the pixels with truth.
    """
    good = (depth > 0.05) & (depth < cap_m) & np.isfinite(inverse)
    o, g = inverse[good].astype(np.float64), depth[good].astype(np.float64)
    a = np.stack([o, np.ones_like(o)], 1)
    s, t = np.linalg.lstsq(a, 1 / g, rcond=None)[0]
    aligned = 1 / np.maximum(s * o + t, 1 / cap_m)
    return float(np.mean(np.abs(aligned - g) / g))


def sigma_ranks(inverse: np.ndarray, sigma: np.ndarray, depth: np.ndarray, cap_m: float) -> float:
    """Returns Spearman's correlation of ``sigma`` and the aligned error, in inverse depth.

    Args:
        inverse: (H, W) prediction, affine in the inverse depth.
        sigma: (H, W) its standard deviation.
        depth: (H, W) truth [m], 0 = none.
        cap_m: truth beyond it does not count.

    Returns:
        -1..1, and 1 where sigma orders the errors perfectly.
    """
    good = (depth > 0.05) & (depth < cap_m)
    o, u, rho = inverse[good].astype(np.float64), sigma[good], 1 / depth[good].astype(np.float64)
    a = np.stack([o, np.ones_like(o)], 1)
    error = np.abs(a @ np.linalg.lstsq(a, rho, rcond=None)[0] - rho)
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (error, u)]
    return float(np.corrcoef(*ranks)[0, 1])


def plane(depth: np.ndarray, cap_m: float) -> np.ndarray:
    """Returns the planar prior (H, W) [1/m]: the plane in inverse depth nearest the truth."""
    good = (depth > 0.05) & (depth < cap_m)
    v, u = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]].astype(np.float64)
    a = np.stack([np.ones(good.sum()), u[good], v[good]], 1)
    k = np.linalg.lstsq(a, 1 / depth[good].astype(np.float64), rcond=None)[0]
    return k[0] + k[1] * u + k[2] * v


def fastdepth(path: Path) -> Predict:
    """Returns the prediction of the FastDepth network as inverse depth."""
    import cv2
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def predict(image: np.ndarray) -> tuple[np.ndarray, None]:
        small = cv2.resize(image, (320, 256), interpolation=cv2.INTER_AREA)
        x = np.ascontiguousarray(small.transpose(2, 0, 1)[None]).astype(np.float32) / 255
        depth = session.run(None, {session.get_inputs()[0].name: x})[0][0, 0]
        inverse = 1 / np.clip(depth, 0.1, 10.0)
        return cv2.resize(inverse, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), None

    return predict


def onnx_network(path: Path, size: tuple[int, int]) -> Predict:
    """Returns the prediction of an exported mono network at ``size`` (rows, columns)."""
    import cv2
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])

    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        x = np.ascontiguousarray(small.transpose(2, 0, 1)[None]).astype(np.float32) / 255
        out = session.run(None, {session.get_inputs()[0].name: x})
        whole = [cv2.resize(o.reshape(size), image.shape[1::-1]) for o in out[:2]]
        return whole[0], whole[1]

    return predict


def score(
    predict: Predict | None, pictures: list[Frame], *, of_sigma: bool = False
) -> dict[str, float]:
    """Returns the mean AbsRel of every set, and of all indoor frames and sets.

    Args:
        predict: network, or None for the planar prior.
        pictures: frames with truth.
        of_sigma: return Spearman's correlation of sigma and error instead.
    """
    by_set: dict[str, list[float]] = {}
    for frame in pictures:
        cap = OUTDOOR_CAP_M if 'outdoors' in frame.set else INDOOR_CAP_M
        found = (plane(frame.depth, cap), None) if predict is None else predict(frame.image)
        if of_sigma and found[1] is not None:
            value = sigma_ranks(found[0], found[1], frame.depth, cap)
        else:
            value = abs_rel(found[0], frame.depth, cap)
        by_set.setdefault(frame.set, []).append(value)
    means = {name: float(np.mean(values)) for name, values in by_set.items()}
    indoor = [name for name in by_set if 'outdoors' not in name]
    means['indoor frames'] = float(np.mean([v for n in indoor for v in by_set[n]]))
    means['indoor sets'] = float(np.mean([means[n] for n in indoor]))
    return means


def table(rows: dict[str, dict[str, float]], title: str = 'AbsRel (lsq_disp)') -> str:
    """Returns the scores as text."""
    names = list(next(iter(rows.values())))
    lines = [f'{title:20s}' + ''.join(f'{n:>18s}' for n in names)]
    lines += [f'{k:20s}' + ''.join(f'{r[n]:18.4f}' for n in names) for k, r in rows.items()]
    return '\n'.join(lines)


def main() -> None:
    """Prints the table for the planar prior, FastDepth and exported networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('networks', type=Path, nargs='*', help='exported mono networks (.onnx)')
    parser.add_argument('--shared', type=Path, default=Path('../shared'))
    parser.add_argument('--size', type=int, nargs=2, default=(224, 288), help='rows, columns')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    pictures = list(frames(arguments.shared))
    rows = {'plane': score(None, pictures)}
    ranks: dict[str, dict[str, float]] = {}
    known = arguments.shared / 'models' / 'fastdepth_nchw_dynamic.onnx'
    rows['FastDepth'] = score(fastdepth(known), pictures)
    for path in arguments.networks:
        started = time.monotonic()
        network = onnx_network(path, tuple(arguments.size))
        rows[path.stem] = score(network, pictures)
        ranks[f'{path.stem}: sigma'] = score(network, pictures, of_sigma=True)
        sys.stdout.write(f'{path.name}: {time.monotonic() - started:.1f} s\n')
    sys.stdout.write(table(rows) + '\n')
    if ranks:
        sys.stdout.write(table(ranks, "Spearman's r") + '\n')
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
