"""Textures made from nothing: noise, wood, marble, masonry, print, patterns and collages."""

from __future__ import annotations

from collections.abc import Callable
import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Random = np.random.Generator


def colour(rng: Random) -> NDArray[np.float32]:
    """Return a random colour (3,) in 0-255, saturated ones being the rarer."""
    rgb = colorsys.hsv_to_rgb(rng.random(), 0.8 * rng.random() ** 2.5, 0.1 + 0.85 * rng.random())
    return np.array(rgb, np.float32) * 255


def noise(
    rng: Random, size: int, coarsest: int = 3, fall: float | None = None
) -> NDArray[np.float32]:
    """Return (size, size) float32 noise of several octaves that repeats, within 0-1."""
    fall = rng.uniform(0.35, 0.95) if fall is None else fall
    total = np.zeros((size, size), np.float32)
    cells, gain = coarsest, 1.0
    while cells <= size:
        grid = rng.random((cells, cells), np.float32)
        wrapped = np.pad(grid, 2, mode='wrap')
        big = cv2.resize(
            wrapped, None, fx=size / cells, fy=size / cells, interpolation=cv2.INTER_CUBIC
        )
        edge = (big.shape[0] - size) // 2
        total += gain * big[edge : edge + size, edge : edge + size]
        gain *= fall
        cells *= 2
    low, high = total.min(), total.max()
    return (total - low) / (high - low + 1e-6)


def _blend(rng: Random, mask: NDArray[np.float32]) -> NDArray[np.float32]:
    a, b = colour(rng), colour(rng)
    return a + (b - a) * mask[..., None]


def _clouds(rng: Random, size: int) -> NDArray[np.float32]:
    out = _blend(rng, noise(rng, size, int(rng.integers(2, 24))))
    if rng.random() < 0.6:
        out = 0.6 * out + 0.4 * _blend(rng, noise(rng, size, int(rng.integers(4, 64))))
    return out


def _plain(rng: Random, size: int) -> NDArray[np.float32]:
    return colour(rng) + rng.uniform(1, 14) * (noise(rng, size, 4)[..., None] - 0.5)


def _grain(rng: Random, size: int) -> NDArray[np.float32]:
    fine = rng.normal(0, rng.uniform(5, 40), (size, size)).astype(np.float32)
    fine = cv2.GaussianBlur(fine, (0, 0), rng.uniform(0.4, 2.0), borderType=cv2.BORDER_REFLECT_101)
    return _clouds(rng, size) * 0.5 + 60 + fine[..., None] * 2


def _wood(rng: Random, size: int) -> NDArray[np.float32]:
    warp = noise(rng, size, 2, 0.5)
    y = np.linspace(0, 1, size, endpoint=False, dtype=np.float32)[:, None]
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.integers(3, 14) * y + rng.uniform(1, 4) * warp))
    fibre = cv2.resize(noise(rng, size, 32, 0.9), (size * 4, size))[:, :size]
    dark = np.array([rng.uniform(40, 110), rng.uniform(25, 70), rng.uniform(10, 40)], np.float32)
    light = dark + rng.uniform(40, 110)
    mask = (0.65 * rings + 0.35 * fibre)[..., None]
    return dark + (light * np.array([1.1, 0.95, 0.75], np.float32) - dark) * mask


def _marble(rng: Random, size: int) -> NDArray[np.float32]:
    vein = np.abs(noise(rng, size, 2, 0.6) - 0.5) * 2
    return _blend(rng, np.power(vein, rng.uniform(0.2, 0.8)).astype(np.float32))


def _bricks(rng: Random, size: int) -> NDArray[np.float32]:
    rows = int(2 ** rng.integers(1, 5))
    columns = max(1, rows // int(rng.integers(1, 4)))
    high, wide = size // rows, size // columns
    joint = max(1, int(high * rng.uniform(0.04, 0.15)))
    shift = rng.choice([0, wide // 2])
    out = np.empty((size, size, 3), np.float32)
    out[:] = colour(rng)
    base, spread = colour(rng), rng.uniform(0, 50)
    for r in range(rows):
        for c in range(columns + 1):
            x = c * wide - (shift if r % 2 else 0)
            tone = base + rng.normal(0, spread) * (c < columns)
            out[r * high : (r + 1) * high - joint, max(x, 0) : max(x + wide - joint, 0)] = tone
    return out + rng.uniform(5, 60) * (noise(rng, size, 8)[..., None] - 0.5)


def _checks(rng: Random, size: int) -> NDArray[np.float32]:
    cells = int(2 ** rng.integers(1, 6))
    i, j = np.mgrid[:size, :size] * cells // size
    return _blend(rng, ((i + j) % 2).astype(np.float32)) + rng.uniform(0, 30) * (
        noise(rng, size)[..., None] - 0.5
    )


def _stripes(rng: Random, size: int) -> NDArray[np.float32]:
    i, j = np.mgrid[:size, :size] / size
    a, b = rng.integers(-12, 13), rng.integers(-12, 13)
    wave = np.sin(2 * np.pi * (a * i + b * j)) * rng.uniform(1, 8) + rng.uniform(-0.5, 0.5)
    mask = np.clip(wave + 0.5, 0, 1).astype(np.float32)
    if rng.random() < 0.4:
        mask = np.abs(mask - mask[::-1].T)
    return _blend(rng, mask)


def _dots(rng: Random, size: int) -> NDArray[np.float32]:
    out = np.empty((size, size, 3), np.float32)
    out[:] = colour(rng)
    regular, one = rng.random() < 0.5, colour(rng)
    cells = int(rng.integers(4, 20))
    for i in range(cells):
        for j in range(cells):
            spot = (np.array([i, j]) + (0.5 if regular else rng.random(2))) * size / cells
            radius = size / cells * (0.3 if regular else rng.uniform(0.1, 0.7))
            paint = one if regular else colour(rng)
            cv2.circle(
                out,
                tuple(int(v) for v in spot),
                max(1, int(radius)),
                paint.tolist(),
                -1,
                cv2.LINE_AA,
            )
    return out


def _print(rng: Random, size: int) -> NDArray[np.float32]:
    out = np.empty((size, size, 3), np.float32)
    out[:] = colour(rng) * 0.4 + 150
    letters = np.array(
        list('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&?!.,- ')
    )
    y = 0
    while y < size:
        tall = rng.uniform(0.3, 2.2) * size / 256
        text = ''.join(rng.choice(letters, 40))
        y += int(30 * tall) + 4
        ink = colour(rng).tolist()
        place = (int(rng.integers(-20, 20)), y)
        cv2.putText(
            out,
            text,
            place,
            int(rng.integers(0, 8)),
            tall,
            ink,
            max(1, int(tall * rng.uniform(1, 4))),
            cv2.LINE_AA,
        )
    return out


def _keys(rng: Random, size: int) -> NDArray[np.float32]:
    cells = int(rng.integers(5, 12))
    pitch = size / cells
    out = np.empty((size, size, 3), np.float32)
    out[:] = colour(rng) * 0.3
    face, ink = colour(rng), colour(rng).tolist()
    gap = pitch * rng.uniform(0.05, 0.2)
    for i in range(cells):
        for j in range(cells):
            a = (int(j * pitch + gap), int(i * pitch + gap))
            b = (int((j + 1) * pitch - gap), int((i + 1) * pitch - gap))
            cv2.rectangle(out, a, b, (face * rng.uniform(0.9, 1.1)).tolist(), -1)
            spot = (a[0] + int(pitch * 0.2), b[1] - int(pitch * 0.25))
            cv2.putText(out, chr(rng.integers(65, 91)), spot, 0, pitch / 60, ink, 1, cv2.LINE_AA)
    return out


def _collage(rng: Random, size: int) -> NDArray[np.float32]:
    out = np.ascontiguousarray(_clouds(rng, size))
    for _ in range(int(rng.integers(20, 200))):
        centre = rng.random(2) * size
        corners = centre + rng.normal(
            0, size * rng.uniform(0.01, 0.15), (int(rng.integers(3, 7)), 2)
        )
        paint = (colour(rng) * rng.uniform(0.5, 1)).tolist()
        cv2.fillPoly(out, [corners.astype(np.int32)], paint, cv2.LINE_AA)
    return out


def _strokes(rng: Random, size: int) -> NDArray[np.float32]:
    out = np.ascontiguousarray(_clouds(rng, size) * 0.6)
    base, lean = colour(rng), rng.uniform(0, np.pi)
    spread = rng.uniform(0.05, 3)
    for _ in range(int(rng.integers(400, 1600))):
        start = rng.random(2) * size
        angle = lean + rng.normal(0, spread)
        end = start + size * rng.uniform(0.02, 0.12) * np.array([np.cos(angle), np.sin(angle)])
        paint = (base * rng.uniform(0.4, 1.5)).tolist()
        cv2.line(
            out,
            tuple(start.astype(int).tolist()),
            tuple(end.astype(int).tolist()),
            paint,
            int(rng.integers(1, 3)),
            cv2.LINE_AA,
        )
    return out


def _weave(rng: Random, size: int) -> NDArray[np.float32]:
    n = int(2 ** rng.integers(3, 7))
    i, j = np.mgrid[:size, :size] * (n / size)
    over = (i.astype(int) + j.astype(int)) % 2
    bulge = np.where(over, np.abs(np.sin(np.pi * i)), np.abs(np.sin(np.pi * j)))
    mask = (0.7 * bulge + 0.3 * noise(rng, size, 4)).astype(np.float32)
    return _blend(rng, mask)


MAKERS: dict[str, tuple[Callable[[Random, int], NDArray[np.float32]], ...]] = {
    'plain': (_plain,),
    'natural': (_clouds, _grain, _wood, _marble, _strokes),
    'pattern': (_bricks, _checks, _stripes, _dots, _keys, _weave),
    'print': (_print, _collage),
}
"""Makers by tag."""


def make(rng: Random, tag: str, size: int) -> Image:
    """Return one (size, size, 3) uint8 RGB texture of a tag of MAKERS."""
    makers = MAKERS[tag]
    image = makers[int(rng.integers(len(makers)))](rng, size)
    return np.clip(image, 0, 255).astype(np.uint8)
