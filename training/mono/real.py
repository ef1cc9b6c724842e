"""Packs real pictures with depth as the rooms are packed: python -m training.mono.real OUT ...

Read are pairs of a colour picture and a 16-bit depth picture that lies on it. The unit of the
depth hardly matters, as the losses do not see the scale; its zero does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

ROWS, COLUMNS = 240, 320
PER_FILE = 48
NOTHING = 65535


def pair(colour: Path, depth: Path, unit_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns image (H, W, 3) uint8 RGB and z-depth (H, W) [m], 0 = none, of two files."""
    import cv2

    image = cv2.imread(str(colour), cv2.IMREAD_COLOR)
    raw = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    if image is None or raw is None or raw.dtype != np.uint16:
        raise ValueError(f'{colour} and {depth} are no picture with 16-bit depth')
    if raw.shape != image.shape[:2]:
        image = cv2.resize(image, raw.shape[::-1], interpolation=cv2.INTER_AREA)
    z = np.where(raw == NOTHING, 0, raw).astype(np.float32) * unit_m
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), z


def small(
    image: np.ndarray, depth: np.ndarray, most_m: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both at 320 x 240, cut to 4:3 in the middle.

    A pixel of the depth is the median of what is known of its cell; where less than half is
    known, or where near and far meet in it, it is unknown.

    Args:
        image: (H, W, 3).
        depth: (H, W) [m], 0 = none.
        most_m: depth beyond this [m] is unknown.
    """
    import cv2

    height, width = depth.shape
    h, w = min(height, width * 3 // 4), min(width, height * 4 // 3)
    top, left = (height - h) // 2, (width - w) // 2
    image = np.ascontiguousarray(image[top : top + h, left : left + w])
    depth = np.where(depth > most_m, 0, depth)[top : top + h, left : left + w]
    image = cv2.resize(image, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    fold = max(h // ROWS, 1)
    fine = cv2.resize(depth, (COLUMNS * fold, ROWS * fold), interpolation=cv2.INTER_NEAREST)
    cells = fine.reshape(ROWS, fold, COLUMNS, fold).transpose(0, 2, 1, 3)
    cells = np.sort(cells.reshape(ROWS, COLUMNS, -1), -1)
    count = (cells > 0).sum(-1)
    n = cells.shape[-1]
    middle = np.take_along_axis(cells, (n - 1 - (count - 1) // 2)[..., None].clip(0, n - 1), -1)
    least = np.take_along_axis(cells, (n - count)[..., None].clip(0, n - 1), -1)
    even = cells[..., -1] < 1.1 * least[..., 0]
    return image, np.where((2 * count >= n) & even, middle[..., 0], 0).astype(np.float32)


def pack(pictures: list[tuple[np.ndarray, np.ndarray]], out: Path, name: str) -> int:
    """Writes the pictures to ``out`` in files as ``training.mono.data.rooms`` reads them.

    Returns:
        The number of files.
    """
    out.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(pictures), PER_FILE)
    for number, start in enumerate(starts):
        images, depths = zip(*pictures[start : start + PER_FILE], strict=True)
        stacked = np.stack(depths).astype(np.float16)
        np.savez_compressed(
            out / f'{name}_{number:03d}.npz', image=np.stack(images), depth=stacked
        )
    return len(starts)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--name', required=True, help='of the files to write')
    parser.add_argument('--colour', type=Path, required=True, help='folder of pictures')
    parser.add_argument('--depth', type=Path, required=True, help='of depth, in the same order')
    parser.add_argument('--unit', type=float, default=0.001, help='of the depth [m]')
    parser.add_argument('--most', type=float, default=np.inf, help='depth that counts [m]')
    parser.add_argument('--every', type=int, default=1, help='take one of so many')
    a = parser.parse_args()
    pairs = list(zip(sorted(a.colour.iterdir()), sorted(a.depth.iterdir()), strict=True))
    found = [small(*pair(c, d, a.unit), a.most) for c, d in pairs[:: a.every]]
    pack(found, a.out, a.name)


if __name__ == '__main__':
    main()
