"""The pool of textures from which scenes are dressed, each with its pyramid of halved sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import json
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.renderer.procedural import make, MAKERS

FOLDER_VARIABLE = 'DEPTH_TRAINING_TEXTURES'
TAGS = ('plain', 'natural', 'pattern', 'print', 'photo', 'surface')
"""What textures are of; photo and surface (made to be repeated) come from files."""
_FALLBACK = {'plain': 4, 'natural': 28, 'pattern': 24, 'print': 16}


@dataclass(frozen=True)
class Pool:
    """Textures of one size.

    Attributes:
        data: (T, L) uint8, each row a pyramid of RGB images: size, size / 2, ... 1.
        size: side of the largest image [px], a power of two.
        by_tag: indices by tag, for the tags that are there.
        name: 'procedural', or what the manifest of the pool says.
    """

    data: NDArray[np.uint8]
    size: int
    by_tag: dict[str, NDArray[np.intp]]
    name: str

    def pick(self, rng: np.random.Generator, **weights: float) -> int:
        """Return the index of a random texture, its tag drawn by weights."""
        there = [tag for tag in weights if tag in self.by_tag]
        if not there:
            return int(rng.integers(len(self.data)))
        shares = np.cumsum([weights[tag] for tag in there])
        tag = there[int(np.searchsorted(shares, rng.random() * shares[-1]))]
        choice = self.by_tag[tag]
        return int(choice[int(rng.random() * len(choice))])


def pyramid(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the packed pyramid of a square (size, size, 3) image whose side is a power of two."""
    levels = [image.reshape(-1)]
    while image.shape[0] > 1:
        half = image.shape[0] // 2
        image = cv2.resize(image, (half, half), interpolation=cv2.INTER_AREA)
        levels.append(image.reshape(-1))
    return np.concatenate(levels)


def procedural_pool(size: int = 256, seed: int = 1) -> Pool:
    """Make a small pool from nothing (about a second)."""
    rng = np.random.default_rng(seed)
    rows = [
        pyramid(make(rng, tag, size)) for tag, count in _FALLBACK.items() for _ in range(count)
    ]
    tags = [tag for tag, count in _FALLBACK.items() for _ in range(count)]
    data = np.stack(rows)
    data.flags.writeable = False  # as mapped pools are: kernels are compiled once for both
    return Pool(data, size, _group(tags), 'procedural')


def _group(tags: list[str]) -> dict[str, NDArray[np.intp]]:
    names = np.array(tags)
    return {tag: np.flatnonzero(names == tag) for tag in TAGS if np.any(names == tag)}


@lru_cache(maxsize=2)
def load(folder: str | None = None) -> Pool:
    """Load the pool of a folder, or of $DEPTH_TRAINING_TEXTURES, or make the procedural one.

    The folder holds pool.npy and manifest.json, as fetch_textures writes them.
    """
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    if not folder or not (Path(folder) / 'pool.npy').exists():
        return procedural_pool()
    manifest = json.loads((Path(folder) / 'manifest.json').read_text())
    data = np.load(Path(folder) / 'pool.npy', mmap_mode='r')
    return Pool(data, manifest['size'], _group(manifest['tags']), manifest['name'])


assert set(MAKERS) <= set(TAGS)
