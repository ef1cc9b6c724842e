"""Shards of rendered pairs on disk, written by worker processes and mapped by a trainer.

A shard is one .npy per array, (N, ...) each, so that a trainer maps it without reading it:
NAME.left.npy and NAME.right.npy uint8 (N, H, W, 3), NAME.disparity.npy float16 (N, H, W) [px],
NAME.right_disparity.npy likewise, NAME.masks.npy uint8 (N, H, W): OCCLUDED | SKY | GLASS, and
NAME.json, written last: a shard without it is not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.renderer.pair import render

OCCLUDED, SKY, GLASS = 1, 2, 4
_ARRAYS = ('left', 'right', 'disparity', 'right_disparity', 'masks')


@dataclass(frozen=True)
class Shard:
    """Mapped arrays of a finished shard, images before degradation (see degrade_images).

    Attributes:
        left, right: (N, H, W, 3) uint8 RGB.
        disparity, right_disparity: (N, H, W) float16 [px], 0 for sky.
        masks: (N, H, W) uint8, bits OCCLUDED, SKY and GLASS.
        info: 'seeds', 'kinds', 'focal_px', 'cx', 'cy', 'baseline_m' (lists of N) and 'textures'.
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    disparity: NDArray[np.float16]
    right_disparity: NDArray[np.float16]
    masks: NDArray[np.uint8]
    info: dict[str, list[float] | str]

    def __len__(self) -> int:
        return len(self.left)


def fill(  # noqa: PLR0913
    folder: Path,
    seeds: range,
    size: tuple[int, int],
    *,
    per_shard: int = 100,
    kind: str | None = None,
    textures: str | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> None:
    """Write shards of the pairs of seeds; finished ones are kept, so it may be repeated.

    Several processes may fill one folder with seeds of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(seeds.start, seeds.stop, per_shard):
        part = range(start, min(start + per_shard, seeds.stop))
        name = f'{size[0]}x{size[1]}-{start:08d}'
        if (folder / f'{name}.json').exists():
            continue
        _write(folder, name, part, size, kind, textures)
        report(f'{name}: {len(part)} pairs\n')


def _write(
    folder: Path,
    name: str,
    seeds: range,
    size: tuple[int, int],
    kind: str | None,
    textures: str | None,
) -> None:
    width, height = size
    shape = (len(seeds), height, width)
    kinds = {'left': np.uint8, 'right': np.uint8, 'masks': np.uint8}
    arrays = {
        key: np.lib.format.open_memmap(
            folder / f'{name}.{key}.npy',
            mode='w+',
            dtype=kinds.get(key, np.float16),
            shape=(*shape, 3) if key in {'left', 'right'} else shape,
        )
        for key in _ARRAYS
    }
    info: dict[str, list[float | str]] = {
        key: [] for key in ('seeds', 'kinds', 'focal_px', 'cx', 'cy', 'baseline_m')
    }
    pool = ''
    for k, seed in enumerate(seeds):
        pair = render(seed, width, height, kind=kind, textures=textures)
        for key in _ARRAYS[:4]:
            arrays[key][k] = getattr(pair, key)
        arrays['masks'][k] = OCCLUDED * pair.occluded + SKY * pair.sky + GLASS * pair.glass
        info['seeds'].append(seed)
        info['kinds'].append(pair.kind)
        for key in ('focal_px', 'cx', 'cy', 'baseline_m'):
            info[key].append(getattr(pair, key))
        pool = pair.textures
    for array in arrays.values():
        array.flush()
    done = folder / f'{name}.json.part'
    done.write_text(json.dumps({**info, 'textures': pool}))
    done.rename(folder / f'{name}.json')


def shards(folder: Path) -> Iterator[Shard]:
    """Map the finished shards of a folder, in order of their names."""
    for path in sorted(folder.glob('*.json')):
        name = path.name.removesuffix('.json')
        maps = [np.load(folder / f'{name}.{key}.npy', mmap_mode='r') for key in _ARRAYS]
        yield Shard(*maps, json.loads(path.read_text()))
