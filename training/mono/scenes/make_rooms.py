"""Renders views of furnished rooms into numbered .npz files; goes on where it stopped.

Each file holds ``image`` (N, H, W, 3) uint8 sRGB, ``depth`` (N, H, W) float16 [m] z-depth (0 =
none) and ``focal`` (N,) [px].
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

import numpy as np

from training.mono.scenes.catalogue import read_catalogue
from training.mono.scenes.furnish import furnished
from training.mono.scenes.light import Camera, look, render
from training.mono.scenes.rooms import Room, Stock
from training.mono.scenes.textures import Textures

VIEWS_PER_ROOM = 6
ROOMS_PER_FILE = 8
WHOLE_ROOM = 0.35  # of the views


def pose(room: Room, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns a camera position (3,) and its rows right, down, forward (3, 3)."""
    w, h, d = room.size
    roll = float(rng.normal(0, 0.04)) if rng.random() < 0.8 else float(rng.normal(0, 0.25))
    if rng.random() < WHOLE_ROOM:
        position, target = across(room, rng)
    elif room.tops and rng.random() < 0.45:
        low, high = room.tops[int(rng.integers(len(room.tops)))]
        target = rng.uniform(low, high) + np.array([0, rng.uniform(-0.1, 0.25), 0])
        away = float(rng.uniform(0.55, 2.0))
        angle, up = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.05, 0.85))
        level = np.array([np.sin(angle) * np.cos(up), np.sin(up), np.cos(angle) * np.cos(up)])
        position = np.clip(target + away * level, 0.25, room.size - 0.25)
    else:
        position = np.array([rng.uniform(0.25, w - 0.25), rng.uniform(0.15, min(2.0, h - 0.3)),
                             rng.uniform(0.25, d - 0.25)])  # fmt: skip
        target = np.array([rng.uniform(0, w), rng.uniform(0.0, 1.6), rng.uniform(0, d)])
    to = target - position
    yaw = float(np.arctan2(to[0], to[2]))
    pitch = float(np.clip(np.arctan2(to[1], np.hypot(to[0], to[2])), -1.1, 0.5))
    return position.astype(np.float32), look(yaw, pitch, roll)


def across(room: Room, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns where one stands near a wall or a corner, and looks through the whole room."""
    size = room.size
    corner = np.where(rng.random(3) < 0.5, 0.0, 1.0)
    inwards = 1.0 - 2.0 * corner
    position = corner * size + inwards * rng.uniform(0.3, 0.8, 3)
    position[1] = rng.uniform(0.4, min(1.8, size[1] - 0.4))
    target = (1.0 - corner) * size - inwards * rng.uniform(0.0, 0.5, 3) * size
    target[1] = rng.uniform(0.2, 1.3)
    return position, target


def acceptable(depth: np.ndarray) -> bool:
    """Tells whether a view is neither inside something nor of almost nothing."""
    seen = depth[depth > 0]
    if len(seen) < 0.9 * depth.size:
        return False
    near, middle, far = np.percentile(seen, [2, 50, 97])
    return bool(near > 0.25 and middle > 0.5 and far / near > 1.25)


def expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns sRGB uint8 of a linear image, exposed as a camera would, more or less."""
    bright = np.percentile(image, 50) + 0.25 * np.percentile(image, 95)
    image = image * (rng.uniform(0.18, 0.42) / max(bright, 1e-4))
    if rng.random() < 0.5:
        image = image / (1 + 0.35 * image)
    return (np.clip(image, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def views(seed: int, stock: Stock, textures: Textures, height: int, width: int):  # noqa: ANN201
    """Returns images, depths and focal lengths of the room of a seed."""
    _, room, scene, lamps = furnished(seed, stock, textures)
    rng = np.random.default_rng(seed + 10**9)
    images, depths, focals = [], [], []
    for _ in range(VIEWS_PER_ROOM * 5):
        if len(images) == VIEWS_PER_ROOM:
            break
        position, turn = pose(room, rng)
        focal = width / 2 / np.tan(np.radians(rng.uniform(46, 80)) / 2)
        small = Camera(position, turn, focal / 8, width // 8, height // 8)
        rays = small.rays(np.zeros(2))
        hits = scene.cast(np.broadcast_to(position, rays.shape), rays)
        z = np.where(hits.face >= 0, hits.distance * (rays @ turn[2]), 0)
        if not acceptable(z):
            continue
        camera = Camera(position, turn, focal, width, height)
        image, depth = render(scene, lamps, camera, room.ambient, rng)
        images.append(expose(image, rng))
        depths.append(depth.astype(np.float16))
        focals.append(focal)
    return images, depths, focals


def main() -> None:
    """Renders files ``first`` to ``last``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--furniture', type=Path, required=True)
    parser.add_argument('--textures', type=Path, nargs='+', required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--last', type=int, default=100)
    parser.add_argument('--height', type=int, default=240)
    parser.add_argument('--width', type=int, default=320)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stock = Stock(read_catalogue(arguments.furniture))
    textures = Textures(arguments.textures)
    for number in range(arguments.first, arguments.last):
        path = arguments.out / f'rooms_{number:05d}.npz'
        if path.exists():
            continue
        started, parts = time.monotonic(), ([], [], [])
        for k in range(ROOMS_PER_FILE):
            found = views(number * ROOMS_PER_FILE + k, stock, textures,
                          arguments.height, arguments.width)  # fmt: skip
            for part, more in zip(parts, found, strict=True):
                part.extend(more)
        temporary = path.with_suffix('.tmp')
        with temporary.open('wb') as file:
            np.savez(file, image=np.stack(parts[0]), depth=np.stack(parts[1]),
                     focal=np.array(parts[2], np.float32))  # fmt: skip
        temporary.rename(path)
        taken_s = time.monotonic() - started
        sys.stdout.write(f'{path.name}: {len(parts[0])} views, {taken_s:.1f} s\n')
        sys.stdout.flush()


if __name__ == '__main__':
    main()
