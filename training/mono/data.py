"""Reads rendered scenes and roughens them into pictures of a cheap camera.

Two forms are read: the .npz files of ``training.mono.scenes.make_rooms``, and the shards of
rendered stereo pairs (``*.left.npy``, ``*.disparity.npy``, ``*.masks.npy``, ``*.json``), of which
the left image and its exact disparity are used.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

FILES_AT_ONCE = 6
SHARD_SAMPLES = 40
BORDERED = 0.15
LIT = 0.5
SHARD_KINDS = {'room', 'corridor', 'table', 'shelf', 'road', 'park'}
SKY_OR_GLASS = 2 | 4
Pictures = list[tuple[np.ndarray, np.ndarray]]


def recoloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns float32 RGB 0..1 with another exposure, contrast, white balance and saturation."""
    x = image.astype(np.float32) / 255
    x = x ** np.float32(np.exp(rng.normal(0, 0.25)))
    x *= np.exp(rng.normal(0, 0.08, 3)).astype(np.float32) * np.float32(np.exp(rng.normal(0, 0.2)))
    grey = x.mean(-1, keepdims=True)
    x = grey + (x - grey) * np.float32(rng.uniform(0.2, 1.5))
    contrast, middle = np.float32(rng.uniform(0.65, 1.35)), np.float32(0.45 + rng.normal(0, 0.04))
    out: np.ndarray = (x - 0.45) * contrast + middle
    return out


def relit(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns float32 RGB under light that changes softly over the picture, and its colour too."""
    import cv2

    coarse = rng.normal(0, rng.uniform(0, 0.5), (3, 4, 1)) + rng.normal(0, 0.08, (3, 4, 3))
    size = (x.shape[1], x.shape[0])
    light = cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    lit: np.ndarray = x * np.exp(light)
    return lit


def roughened(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns uint8 RGB after blur, vignetting, noise and JPEG, each of them sometimes."""
    import cv2

    height, width = x.shape[:2]
    if rng.random() < 0.5:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.3:
        v, u = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        x = x * (1 - np.float32(rng.uniform(0, 0.4)) * (u * u + v * v))[..., None]
    if rng.random() < 0.7:
        sigma = float(rng.exponential(0.02))
        x = x + rng.normal(0, sigma, x.shape).astype(np.float32)
    out: np.ndarray = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        coded = cv2.imencode('.jpg', out, quality)[1]
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return out


def cropped(
    image: np.ndarray, depth: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a random part at ``size`` (rows, columns): image, inverse depth [1/m], known."""
    import cv2

    height, width = depth.shape
    share = float(rng.uniform(0.55, 1.0))
    h = int(height * share)
    w = min(width, int(width * share * np.exp(rng.normal(0, 0.06))))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    window = (slice(top, top + h), slice(left, left + w))
    shape = size[::-1]
    picture = cv2.resize(np.ascontiguousarray(image[window]), shape, interpolation=cv2.INTER_AREA)
    z = cv2.resize(depth[window].astype(np.float32), shape, interpolation=cv2.INTER_NEAREST)
    known = (z > 0.1).astype(np.float32)
    inverse = known / np.maximum(z, 0.1)
    if rng.random() < 0.5:
        picture, inverse, known = picture[:, ::-1], inverse[:, ::-1], known[:, ::-1]
    return picture, inverse, known


def rooms(path: Path) -> Pictures:
    """Returns all images (H, W, 3) uint8 and z-depths (H, W) [m] of a file of rooms."""
    with np.load(path) as stored:
        return list(zip(stored['image'], stored['depth'], strict=True))


def shard(path: Path, rng: np.random.Generator) -> Pictures:
    """Returns some left images and z-depths of the shard whose description is ``path``."""
    about = json.loads(path.read_text())
    base = str(path)[: -len('.json')]
    left, disparity, masks = (
        np.load(f'{base}.{name}.npy', mmap_mode='r') for name in ('left', 'disparity', 'masks')
    )
    usable = [k for k, kind in enumerate(about['kinds']) if kind in SHARD_KINDS]
    found = []
    for k in rng.permutation(usable)[:SHARD_SAMPLES]:
        d = disparity[k].astype(np.float32)
        fb = about['focal_px'][k] * about['baseline_m'][k]
        seen = (d > 0.01) & (masks[k] & SKY_OR_GLASS == 0)
        found.append((np.array(left[k]), np.where(seen, fb / np.maximum(d, 0.01), 0)))
    return found


def bordered(
    image: np.ndarray, known: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the picture with an empty border, as rectification leaves it; nothing known there.

    Args:
        image: (H, W, 3) uint8.
        known: (H, W).
        rng: for the width of the four sides and the colour.
    """
    image, known = image.copy(), known.copy()
    most = 0.05 * min(known.shape)
    top, bottom, left, right = rng.uniform(0, most, 4).astype(int)
    inner = np.zeros(known.shape, bool)
    inner[top : known.shape[0] - bottom, left : known.shape[1] - right] = True
    image[~inner] = int(rng.choice([0, 0, 255]))
    known[~inner] = 0
    return image, known


class Scenes(IterableDataset[dict[str, Tensor]]):
    """Endless samples of all files in ``folders``; new files are seen as they come.

    Args:
        folders: where the rendered scenes lie, either form.
        size: rows and columns of a sample.
        seed: of the order and of everything random.
        shards: share of the rendered samples that is taken from shards, if there are any.
        real: folder of packed real pictures (``training.mono.real``); each file as often as
            every other.
        real_share: share of all samples that is taken from them.
    """

    def __init__(
        self,
        folders: list[Path],
        size: tuple[int, int],
        seed: int,
        shards: float = 0.3,
        real: Path | None = None,
        real_share: float = 0.5,
    ) -> None:
        self.folders, self.size, self.seed, self.shards = folders, size, seed, shards
        self.real = [rooms(p) for p in sorted(real.glob('*.npz'))] if real else []
        if real and not self.real:
            raise FileNotFoundError(f'there are no packed pictures in {real}')
        self.real_share = real_share

    def _some(self, rng: np.random.Generator) -> Pictures:
        files = sorted(p for folder in self.folders for p in folder.glob('*.npz'))
        descriptions = sorted(p for folder in self.folders for p in folder.glob('*.json'))
        if not files and not descriptions:
            raise FileNotFoundError(f'there are no rendered scenes in {self.folders}')
        pictures: Pictures = []
        for k in rng.choice(len(files), min(FILES_AT_ONCE, len(files)), replace=False):
            pictures += rooms(files[int(k)])
        wanted = self.shards / (1 - self.shards) * len(pictures) if files else SHARD_SAMPLES
        while descriptions and wanted > 0:
            more = shard(descriptions[int(rng.integers(len(descriptions)))], rng)
            pictures += more[: int(np.ceil(wanted))]
            wanted -= max(len(more), 1)
        if self.real:
            for _ in range(round(self.real_share / (1 - self.real_share) * len(pictures))):
                file = self.real[int(rng.integers(len(self.real)))]
                pictures.append(file[int(rng.integers(len(file)))])
        return pictures

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield samples: image uint8 (3, H, W), inverse and known (1, H, W)."""
        rng = np.random.default_rng(self.seed)
        while True:
            pictures = self._some(rng)
            for k in rng.permutation(len(pictures)):
                yield self.sample(*pictures[int(k)], rng)

    def sample(
        self, image: np.ndarray, depth: np.ndarray, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return one sample of a picture (H, W, 3) and its z-depth (H, W) [m]."""
        picture, inverse, known = cropped(image, depth, self.size, rng)
        coloured = recoloured(picture, rng)
        picture = roughened(relit(coloured, rng) if rng.random() < LIT else coloured, rng)
        if rng.random() < BORDERED:
            picture, known = bordered(picture, known, rng)
        return {
            'image': torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))),
            'inverse': torch.from_numpy(np.ascontiguousarray(inverse[None])),
            'known': torch.from_numpy(np.ascontiguousarray(known[None])),
        }
