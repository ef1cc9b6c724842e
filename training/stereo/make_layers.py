"""Write shards of layered pairs: python -m training.stereo.make_layers OUT --pairs 1000."""

from __future__ import annotations

import argparse
from pathlib import Path
import pickle

import cv2
import numpy as np

from training.stereo.layers import layered_pair, write_pair


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--pairs', type=int, default=1000)
    parser.add_argument('--first', type=int, default=0, help='seed of the first pair')
    parser.add_argument('--size', type=int, nargs=2, default=(512, 320))
    parser.add_argument('--most-px', type=float, default=124.0)
    parser.add_argument('--bare', type=float, default=0.18, help='share of plain surfaces')
    parser.add_argument('--photos', type=Path, help='pickled list of (H, W, 3) uint8 pictures')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    photos = pickle.loads(arguments.photos.read_bytes()) if arguments.photos else []
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first, arguments.first + arguments.pairs):
        random = np.random.default_rng(seed)
        pair = layered_pair(random, *arguments.size, arguments.most_px, photos, arguments.bare)
        write_pair(arguments.out / f'{seed:06d}.npz', pair)


if __name__ == '__main__':
    main()
