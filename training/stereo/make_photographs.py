"""Write pairs made from single photographs: python -m training.stereo.make_photographs OUT."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from training.stereo.layers import Field, Image, LayeredPair, write_pair
from training.stereo.photographs import photographic_pair

CELLS = 160 * 288  # of the inverse depth, about


def depth_network(path: Path) -> Callable[[Image], Field]:
    """Return a function from (H, W, 3) uint8 RGB to inverse depth (H, W) float32, unscaled."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])

    def predict(image: Image) -> Field:
        height, width = image.shape[:2]
        scale = (CELLS / (height * width)) ** 0.5 / 32.0
        size = max(round(width * scale), 1) * 32, max(round(height * scale), 1) * 32
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        x = np.ascontiguousarray(small.transpose(2, 0, 1)[None]).astype(np.float32) / 255
        inverse = session.run(None, {session.get_inputs()[0].name: x})[0][0, 0]
        whole: Field = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_CUBIC)
        return whole

    return predict


def cut(random: np.random.Generator, path: Path, size: tuple[int, int]) -> Image:
    """Return a part of a photograph, smaller and with less noise, (H, W, 3) uint8 RGB.

    Args:
        random: Chooses the part, its scale and whether it is mirrored.
        path: Of the photograph.
        size: Width and height wanted [px]; what a photograph lacks at its right is reflected.

    Raises:
        FileNotFoundError: if there is no picture.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(path)
    photo = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    if random.random() < 0.5:
        photo = photo[:, ::-1]
    width, height = size
    whole = max(0.9 * width / photo.shape[1], height / photo.shape[0])
    scale = max(random.uniform(0.6, 0.85), whole)
    shape = round(photo.shape[1] * scale), max(round(photo.shape[0] * scale), height)
    small = cv2.resize(photo, shape, interpolation=cv2.INTER_AREA)
    small = cv2.bilateralFilter(small, 5, random.uniform(8.0, 16.0), 1.5)
    x = int(random.integers(max(shape[0] - width, 0) + 1))
    y = int(random.integers(shape[1] - height + 1))
    part = small[y : y + height, x : x + width]
    lack = width - part.shape[1]
    found: Image = cv2.copyMakeBorder(part, 0, 0, 0, lack, cv2.BORDER_REFLECT_101)
    return found


def pair_of(
    seed: int,
    paths: list[Path],
    network: Callable[[Image], Field],
    size: tuple[int, int],
    most_px: float,
) -> LayeredPair:
    """Return the pair of a seed; each photograph has its turn before any comes again."""
    random = np.random.default_rng(seed)
    order = np.random.default_rng(seed // len(paths)).permutation(len(paths))
    wide = size[0] + int(most_px) + 4, size[1]
    photo = cut(random, paths[int(order[seed % len(paths)])], wide)
    count = 2 if random.random() < 0.55 else 0  # photographs to cut pieces from
    others = [cut(random, paths[int(i)], wide) for i in random.integers(len(paths), size=count)]
    return photographic_pair(random, photo, network(photo), size[0], most_px, others)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--photos', type=Path, required=True, help='folder of .jpg photographs')
    parser.add_argument('--network', type=Path, required=True, help='mono network (.onnx)')
    parser.add_argument('--pairs', type=int, default=1000)
    parser.add_argument('--first', type=int, default=0, help='seed of the first pair')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 448))
    parser.add_argument('--most-px', type=float, default=124.0)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(arguments.photos.glob('*.jpg'))
    network = depth_network(arguments.network)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first, arguments.first + arguments.pairs):
        pair = pair_of(seed, paths, network, tuple(arguments.size), arguments.most_px)
        write_pair(arguments.out / f'{seed:06d}.npz', pair)


if __name__ == '__main__':
    main()
