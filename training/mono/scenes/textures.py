"""Pictures for surfaces: from folders of free images, and made up."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
import re

import numpy as np

from training.mono.scenes.geometry import TEXTURE_SIDE

SURFACE = re.compile(
    r'wood|parquet|floor|tile|carpet|rug|brick|stone|wall|concrete|plaster|fabric|marble|cloth'
    r'|linoleum|rock|plank|cork|leather|oak',
    re.IGNORECASE,
)
NO_COLOUR = re.compile(r'normal|_nm|_n\.|nrm|gloss|spec|bump|mask|alpha|_data', re.IGNORECASE)


class Textures:
    """A pool of pictures, read when first asked for."""

    def __init__(self, folders: list[Path]) -> None:
        files = sorted(
            p for folder in folders for p in folder.rglob('*')
            if p.suffix.lower() in ('.jpg', '.jpeg', '.png') and p.stat().st_size > 4000
            and not NO_COLOUR.search(p.name)
        )  # fmt: skip
        self.surfaces = [p for p in files if SURFACE.search(p.name)]
        self.pictures = [p for p in files if not SURFACE.search(p.name)]

    def surface(self, rng: np.random.Generator) -> np.ndarray:
        """Returns (S, S, 3) uint8: a material such as wood, stone or cloth."""
        if not self.surfaces or rng.random() < 0.35:
            return made_up(int(rng.integers(64)))
        return self._pick(self.surfaces, rng)

    def picture(self, rng: np.random.Generator) -> np.ndarray:
        """Returns (S, S, 3) uint8: anything that could hang on a wall."""
        if not self.pictures:
            return made_up(int(rng.integers(64)))
        return self._pick(self.pictures, rng)

    def _pick(self, files: list[Path], rng: np.random.Generator) -> np.ndarray:
        for _ in range(5):
            image = _read(files[int(rng.integers(len(files)))])
            if image is not None:
                return image
        return made_up(0)


@lru_cache(maxsize=1500)
def _read(path: Path) -> np.ndarray | None:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 64:
        return None
    blue, green, red = image.reshape(-1, 3).mean(0)
    if blue > 190 and max(red, green) < 0.8 * blue:
        return None  # a normal map
    side = (TEXTURE_SIDE, TEXTURE_SIDE)
    return cv2.cvtColor(cv2.resize(image, side, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)


@lru_cache(maxsize=64)
def made_up(seed: int) -> np.ndarray:
    """Returns (S, S, 3) uint8 of plaster, weave, stripes, checks, speckle or planks."""
    import cv2

    rng = np.random.default_rng(seed)
    n = TEXTURE_SIDE
    noise = np.zeros((n, n), np.float32)
    for octave in range(2, 8):
        s = 2**octave
        part = rng.normal(size=(s, s)).astype(np.float32)
        part = np.tile(part, (3, 3))
        part = cv2.resize(part, (3 * n, 3 * n), interpolation=cv2.INTER_CUBIC)[
            n : 2 * n, n : 2 * n
        ]
        noise += part * rng.uniform(0.2, 1.0) / (1 + abs(octave - rng.integers(2, 8)))
    noise /= np.abs(noise).max()
    y, x = np.mgrid[0:n, 0:n] / n
    k = int(rng.integers(2, 14))
    stripes = np.sign(np.sin(2 * np.pi * k * x))
    pattern = [
        0.15 * noise,
        0.4 * noise,
        0.5 * stripes + 0.1 * noise,
        0.5 * stripes * np.sign(np.sin(2 * np.pi * k * y)) + 0.1 * noise,
        0.6 * (noise > 0.35) + 0.1 * noise,
        np.where((y * k) % 1 < 0.05, -0.6, 0)
        + 0.3 * np.tile(noise[:: max(1, k // 2)], (k, 1))[:n],
        0.08 * rng.normal(size=(n, n)),
        0.03 * noise,
    ][seed % 8]
    colourful = 0.06 if rng.random() < 0.7 else 0.4  # most walls and floors of homes are not
    base = rng.uniform(60, 235) * np.exp(rng.normal(0, colourful, 3))
    other = base * rng.uniform(0.5, 1.4, 3)
    mix = np.clip(0.5 + pattern, 0, 1)[..., None]
    return np.clip(base * (1 - mix) + other * mix, 0, 255).astype(np.uint8)
