"""Shards of pairs, and what a camera and a rig do to them before the network sees them.

A shard is a folder of `NAME.npz` files: `left`, `right` (H, W, 3) uint8 RGB; `disparity` (H, W)
uint16 in 1/128 px, 0 where it is not known (sky, or not rendered).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from training.stereo.layers import PER_PX

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Crop:
    """Size of a training crop and the greatest disparity in it [px]."""

    width: int = 384
    height: int = 256
    most_px: float = 124.0


def read_pair(path: Path) -> tuple[Array, Array, Array]:
    """Return left and right (H, W, 3) 0..255 and disparity [px], NaN unknown, all float32."""
    with np.load(path) as file:
        left, right, steps = file['left'], file['right'], file['disparity']
    disparity = steps.astype(np.float32) / np.float32(PER_PX)
    disparity[steps == 0] = np.nan
    return left.astype(np.float32), right.astype(np.float32), disparity


def visible4(disparity: Array) -> NDArray[np.bool_]:
    """Return (H/4, W/4), where the right image shows what the left one shows at every 4th pixel.

    The nearest of the pixels that fall into one of the right image hides the others.
    """
    rows = disparity[::4]
    width = rows.shape[1]
    place = np.arange(width, dtype=np.float32) - rows
    column = np.where(np.isfinite(place), np.rint(place), -1.0).astype(np.int64)
    inside = (column >= 0) & (column < width)
    nearest = np.zeros_like(rows)
    index = np.nonzero(inside)
    order = np.argsort(rows[index], kind='stable')
    r, d = index[0][order], rows[index][order]
    nearest[r, column[index][order]] = d
    hidden = np.take_along_axis(nearest, np.clip(column, 0, width - 1), 1) > rows + 1.0
    return (inside & ~hidden)[:, ::4]


def placed(
    random: np.random.Generator, left: Array, right: Array, disparity: Array, crop: Crop
) -> tuple[Array, Array, Array]:
    """Return a crop, scaled, and with the right image shifted, so that other ranges come up."""
    height, width = disparity.shape
    least = max(crop.height / height, crop.width / width)
    scale = max(float(np.exp(random.uniform(-0.35, 0.35))), least)
    stretch = scale * float(np.exp(random.uniform(-0.1, 0.1)))
    stretch = max(stretch, crop.width / width)
    source_w, source_h = crop.width / stretch, crop.height / scale
    x0 = random.uniform(0.0, max(width - source_w, 0.0))
    y0 = random.uniform(0.0, max(height - source_h, 0.0))
    ix, iy = int(x0), int(y0)
    part = np.s_[iy : iy + int(np.ceil(source_h)), ix : ix + int(np.ceil(source_w))]
    d = disparity[part] * np.float32(crop.width / disparity[part].shape[1])
    near, far = np.nanpercentile(d, 99.8), np.nanmin(d)
    room = crop.most_px - near
    shift = 0.0
    if random.random() < 0.8 or room < 0.0:  # mostly so that the farthest is at 0 to 20 px
        wanted = 20.0 * random.random() ** 2 if random.random() < 0.65 else random.uniform(0, 60)
        shift = min(wanted - far, max(room, -far))
    size = crop.width, crop.height
    rows = np.linspace(0, d.shape[0] - 1, crop.height).round().astype(int)
    columns = np.linspace(0, d.shape[1] - 1, crop.width).round().astype(int)
    truth = d[rows][:, columns] + np.float32(shift)
    flags = cv2.INTER_AREA if scale < 0.85 else cv2.INTER_LINEAR
    left = cv2.resize(left[part], size, interpolation=flags)
    fx, fy = d.shape[1] / crop.width, d.shape[0] / crop.height
    if scale < 0.85:
        wide = cv2.resize(right, None, fx=1 / fx, fy=1 / fy, interpolation=flags)
    else:
        wide = right
    gx, gy = right.shape[1] / wide.shape[1], right.shape[0] / wide.shape[0]
    # pixel x of the crop lies at ix + (x + 0.5) fx - 0.5 of the whole image
    x1 = (ix + 0.5 * fx) / gx - 0.5 + shift * fx / gx
    matrix = np.array([[fx / gx, 0, x1], [0, fy / gy, (iy + 0.5 * fy) / gy - 0.5]], np.float32)
    right = wide
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    right = cv2.warpAffine(right, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    truth[(truth < 0.0) | (truth > crop.most_px)] = np.nan
    if random.random() < 0.3:  # upside down
        left, right, truth = left[::-1], right[::-1], truth[::-1]
    return left, right, truth


def seen_by_camera(random: np.random.Generator, left: Array, right: Array) -> tuple[Array, Array]:
    """Return both views as imperfect cameras on an imperfect rig show them, 0..255."""
    gamma = float(np.exp(random.normal(0.0, 0.25)))
    gain = np.exp(random.normal(0.0, 0.2) + random.normal(0.0, 0.08, 3))
    grey = random.random() * (random.random() < 0.4)
    noise = abs(random.normal(0.0, 2.5))
    blur = abs(random.normal(0.0, 0.5))
    uneven = random.random() < 0.5
    out = []
    for side, image in enumerate((left, right)):
        x = np.ascontiguousarray(image, np.float32) / np.float32(255.0)
        own = gain
        power = gamma
        if uneven:
            own = gain * np.exp(random.normal(0.0, 0.12) + random.normal(0.0, 0.05, 3))
            power = gamma * float(np.exp(random.normal(0.0, 0.08)))
        if side and random.random() < 0.5:
            x = _turned(random, x)
        x = np.power(x, np.float32(power), out=x)
        x *= own.astype(np.float32)
        if grey:
            x += np.float32(grey) * (x.mean(2, keepdims=True) - x)
        if random.random() < 0.3:
            x *= _vignette(random, x.shape)
        sigma = blur + (abs(random.normal(0.0, 0.4)) if random.random() < 0.3 else 0.0)
        if sigma > 0.3:
            x = cv2.GaussianBlur(x, (0, 0), sigma)
        level = (noise + (abs(random.normal(0.0, 1.5)) if uneven else 0.0)) / 255.0
        small = random.standard_normal(x.shape, np.float32)
        x += np.float32(level) * small
        x *= np.float32(255.0)
        np.clip(x, 0.0, 255.0, out=x)
        if random.random() < 0.15:
            quality = int(random.integers(35, 95))
            coded = cv2.imencode('.jpg', x.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
            x = cv2.imdecode(coded[1], cv2.IMREAD_COLOR).astype(np.float32)
        out.append(np.rint(x))
    if random.random() < 0.25:
        _hide(random, out[1])
    return out[0], out[1]


def _turned(random: np.random.Generator, x: Array) -> Array:
    height, width = x.shape[:2]
    lean = random.normal(0.0, 0.3) / width
    matrix = np.array([[1, 0, 0], [lean, 1, random.normal(0.0, 0.35) - lean * width / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = width, height
    return cv2.warpAffine(x, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _vignette(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None] ** 2
    fall: Array = 1.0 - np.float32(random.uniform(0.0, 0.25)) * (x + y)
    return fall[..., None]


def _hide(random: np.random.Generator, right: Array) -> None:
    """Paint a patch that the left image does not show: glare, a finger, a reflection."""
    height, width = right.shape[:2]
    for _ in range(int(random.integers(1, 3))):
        w, h = int(random.integers(8, 70)), int(random.integers(8, 60))
        x, y = int(random.integers(0, width - w)), int(random.integers(0, height - h))
        patch = right[y : y + h, x : x + w]
        share = np.float32(random.uniform(0.3, 1.0))
        patch += share * (right.mean((0, 1)) * np.float32(random.uniform(0.5, 1.6)) - patch)
        np.clip(patch, 0.0, 255.0, out=patch)


class Source:
    """Pairs in a folder: .npz files of ours, or mapped shards of `training.renderer`.

    Args:
        folder: Looked through again by `refresh`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Path] = []
        self._shards: list[dict[str, NDArray[np.generic]]] = []
        self._open: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Find what has been written since."""
        self._files = sorted(self._folder.glob('*.npz'))
        for info in sorted(self._folder.glob('*.json')):
            if info.stem not in self._open:
                names = ('left', 'right', 'disparity', 'masks')
                paths = {name: info.with_name(f'{info.stem}.{name}.npy') for name in names}
                if all(path.exists() for path in paths.values()):
                    self._open.add(info.stem)
                    self._shards.append(
                        {name: np.load(path, mmap_mode='r') for name, path in paths.items()}
                    )

    def __len__(self) -> int:
        return len(self._files) + sum(len(shard['left']) for shard in self._shards)

    def draw(self, random: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return a random pair like `read_pair`."""
        if self._files:
            return read_pair(self._files[int(random.integers(len(self._files)))])
        shard = self._shards[int(random.integers(len(self._shards)))]
        i = int(random.integers(len(shard['left'])))
        left, right = (np.array(shard[name][i], np.float32) for name in ('left', 'right'))
        return left, right, np.array(shard['disparity'][i], np.float32)


class Pairs(IterableDataset[dict[str, Tensor]]):
    """Endless crops of the shards that lie in some folders, looked through again at times.

    Args:
        folders: Path and weight of each.
        crop: What to cut.
        seed: Decides everything, with `rank` and the number of the worker.
        rank: Of this process.
    """

    def __init__(self, folders: dict[Path, float], crop: Crop, seed: int, rank: int) -> None:
        self._folders = folders
        self._crop = crop
        self._seed = seed
        self._rank = rank

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield left, right (3, H, W) 0..1, truth and known (1, H, W), seen4 (H/4, W/4)."""
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        worker = info.id if info else 0
        random = np.random.default_rng((self._seed, self._rank, worker))
        sources = [Source(folder) for folder in self._folders]
        count = 0
        while True:
            if count % 200 == 0:
                for source in sources:
                    source.refresh()
                weights = np.array(
                    [
                        w if len(s) else 0.0
                        for s, w in zip(sources, self._folders.values(), strict=True)
                    ]
                )
                weights /= weights.sum()
            count += 1
            source = sources[int(random.choice(len(sources), p=weights))]
            left, right, truth = placed(random, *source.draw(random), self._crop)
            if np.isfinite(truth).mean() < 0.3:
                continue
            left, right = seen_by_camera(random, left, right)
            yield _tensors(left, right, truth)


def _tensors(left: Array, right: Array, truth: Array) -> dict[str, Tensor]:
    known = np.isfinite(truth)
    pair = [
        torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / 255.0)
        for image in (left, right)
    ]
    return {
        'left': pair[0],
        'right': pair[1],
        'truth': torch.from_numpy(np.where(known, truth, 0.0).astype(np.float32))[None],
        'known': torch.from_numpy(known.astype(np.float32))[None],
        'seen4': torch.from_numpy(visible4(truth).astype(np.float32)),
    }
