"""Things that scenes are furnished with, each added to a scene at a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.renderer.meshes import (
    any_rotation,
    ball,
    box,
    cylinder,
    field,
    joined,
    lathe,
    leaves,
    Mesh,
    prism,
    quad,
    tube,
    turned,
    yaw,
)  # fmt: skip
from training.renderer.scene import Scene

Floats = NDArray[np.float64]
Random = np.random.Generator
_LEVEL = np.eye(3)


def blob(rng: Random, size: float) -> Mesh:
    """Make a body of random form, about size across, standing upright about its middle."""
    return _BODIES[int(rng.integers(len(_BODIES)))](rng, size)


def star(rng: Random, radius: float) -> Floats:
    """Return a random star-shaped outline (N, 2)."""
    n = int(rng.integers(3, 11))
    angle = np.sort(rng.random(n)) * 2 * np.pi + np.arange(n) * 1e-3
    reach = radius * rng.uniform(0.4, 1.2, n)
    return np.c_[reach * np.cos(angle), reach * np.sin(angle)]


def bottle(rng: Random, size: float) -> Mesh:
    """Turn a random smooth profile: vases, bottles, bowls, lamps."""
    n = int(rng.integers(5, 9))
    profile = np.interp(np.linspace(0, 1, n * 2), np.linspace(0, 1, n), rng.uniform(0.08, 0.5, n))
    radii = np.r_[1e-4, profile, 1e-4] * size
    h = np.linspace(0.5, -0.5, n * 2) * rng.uniform(0.6, 1.6) * size
    return lathe(radii, np.r_[h[0], h, h[-1]], 14)


def rock(rng: Random, size: float) -> Mesh:
    """Dent a sphere."""
    mesh = ball(size * 0.5, 14)
    p = mesh.points
    for _ in range(3):
        p = (
            p
            * (1 + 0.15 * np.sin(p @ (rng.normal(size=3) * 6 / size) + rng.random() * 6))[:, None]
        )
    return mesh._replace(points=p * rng.uniform(0.5, 1.3, 3))


def knot(rng: Random, size: float) -> Mesh:
    """Bend a tube at random: cables, handles, branches, toys."""
    t = np.linspace(0, 1, 24)[:, None]
    path = sum(
        rng.normal(size=3) * size * 0.5 * np.sin((k + 1) * np.pi * t + rng.random(3) * 6)
        for k in range(3)
    )
    return tube(np.asarray(path), size * float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))), 6)


_BODIES: tuple[Callable[[Random, float], Mesh], ...] = (
    lambda rng, size: box(*(size * rng.uniform(0.25, 1.2, 3))),
    lambda rng, size: ball(size * rng.uniform(0.3, 0.6), 16),
    lambda rng, size: cylinder(size * rng.uniform(0.1, 0.5), size * rng.uniform(0.3, 1.5)),
    lambda rng, size: prism(star(rng, size * 0.5), size * rng.uniform(0.05, 0.8)),
    lambda rng, size: knot(rng, size * 0.5),
    bottle,
    rock,
)


def clutter(
    scene: Scene, low: Floats, high: Floats, count: int, size: tuple[float, float]
) -> None:
    """Stand things upon a level place between two corners (x, z), its height low[1]."""
    rng = scene.rng
    for _ in range(count):
        s = float(np.exp(rng.uniform(np.log(size[0]), np.log(size[1]))))
        mesh = blob(rng, s)
        tall = mesh.points[:, 1].max()
        place = rng.uniform(low, high)
        place[1] = low[1] - tall
        scene.add(mesh, scene.look(s * rng.uniform(0.3, 2.0)), place, yaw(rng.random() * 6.3))


def books(scene: Scene, left: float, right: float, base: float, front: float) -> None:
    """Fill a stretch of a shelf, its upper side at y = base, with books."""
    rng = scene.rng
    x, tall = left, rng.uniform(0.18, 0.3)
    while x < right:
        thick = rng.uniform(0.012, 0.06)
        h = tall * rng.uniform(0.75, 1.0)
        deep = rng.uniform(0.12, 0.22)
        lean = yaw(rng.normal(0, 0.03))
        look = scene.look(rng.uniform(0.05, 0.3), print=4, plain=2, photo=2, natural=1)
        scene.add(box(thick, h, deep), look, (x + thick / 2, base - h / 2, front + deep / 2), lean)
        x += thick + (rng.uniform(0, 0.12) if rng.random() < 0.1 else 0.001)


def table(scene: Scene, place: Floats, size: Floats, turn: float) -> None:
    """Put a table of size (width, height, depth) upon the floor at place."""
    rng = scene.rng
    w, h, d = size
    leg = rng.uniform(0.02, 0.06)
    meshes = [turned(box(w, 0.03, d), _LEVEL, np.array([0, -h, 0]))]
    for sx in (-1, 1):
        for sz in (-1, 1):
            at = np.array([sx * (w / 2 - leg), -h / 2, sz * (d / 2 - leg)])
            meshes.append(turned(box(leg, h, leg), _LEVEL, at))
    scene.add(joined(meshes), scene.look(natural=3, photo=1, plain=1), place, yaw(turn))


def chair(scene: Scene, place: Floats, turn: float) -> None:
    """Put a chair with thin legs and rungs upon the floor at place."""
    rng = scene.rng
    w, h, r = rng.uniform(0.38, 0.5), rng.uniform(0.42, 0.5), rng.uniform(0.008, 0.02)
    back = rng.uniform(0.35, 0.6)
    meshes = [turned(box(w, 0.03, w), _LEVEL, np.array([0, -h, 0]))]
    for sx in (-1, 1):
        for sz in (-1, 1):
            top = h + (back if sz > 0 else 0)
            path = np.array(
                [(sx * w * 0.45, 0, sz * w * 0.45), (sx * w * 0.45, -top, sz * w * 0.47)]
            )
            meshes.append(tube(path, r, 5))
    for k in range(int(rng.integers(1, 5))):
        y = -h - back * (0.3 + 0.2 * k)
        meshes.append(
            turned(box(w, rng.uniform(0.02, 0.08), 0.015), _LEVEL, np.array([0, y, w * 0.47]))
        )
    scene.add(joined(meshes), scene.look(natural=3, plain=2), place, yaw(turn))


def lamp(scene: Scene, place: Floats) -> None:
    """Put a standing lamp upon the floor at place."""
    rng = scene.rng
    tall = rng.uniform(1.2, 1.8)
    path = np.array([(0, 0, 0), (0, -tall, 0)], float)
    scene.add(tube(path, rng.uniform(0.006, 0.02)), scene.look(plain=1), place)
    shade = lathe(np.array([0.1, 0.2]) * rng.uniform(0.7, 1.3), np.array([0.25, 0.0]), 14)
    scene.add(shade, scene.look(plain=2, natural=1), place - np.array([0, tall, 0]))


def plant(scene: Scene, place: Floats, tall: float) -> None:
    """Put a plant with branches and many leaves upon the ground at place."""
    rng = scene.rng
    tips = []
    for _ in range(int(rng.integers(3, 8))):
        t = np.linspace(0, 1, 6)[:, None]
        lean = rng.normal(size=3) * (0.35, 0, 0.35) * tall
        path = t * np.array([0, -tall * rng.uniform(0.6, 1), 0]) + t**2 * lean
        scene.add(
            tube(path, tall * 0.012 * (1.1 - t[:, 0]), 4), scene.look(natural=1, plain=1), place
        )
        tips.append(path[1:])
    heads = np.concatenate(tips)
    count = int(rng.integers(40, 160))
    places = heads[rng.integers(len(heads), size=count)] + rng.normal(0, 0.1 * tall, (count, 3))
    green = scene.look(0.3, natural=2, surface=1, plain=1)
    scene.add(leaves(places, tall * rng.uniform(0.03, 0.1), rng), green, place)


def tree(scene: Scene, place: Floats, tall: float) -> None:
    """Put a tree upon the ground at place."""
    rng = scene.rng
    trunk = np.array([(0, 0, 0), (rng.normal(0, 0.05) * tall, -tall * 0.55, 0)])
    scene.add(
        tube(trunk, tall * rng.uniform(0.02, 0.05), 7), scene.look(natural=2, surface=1), place
    )
    for _ in range(int(rng.integers(0, 5))):
        crown = rock(rng, tall * rng.uniform(0.3, 0.6))
        at = place + trunk[1] + rng.normal(0, 0.12, 3) * tall - np.array([0, tall * 0.1, 0])
        scene.add(crown, scene.look(rng.uniform(0.5, 2), natural=2, surface=2), at)
    count = int(rng.integers(80, 250))
    places = trunk[1] - np.array([0, tall * 0.15, 0]) + rng.normal(0, 0.17, (count, 3)) * tall
    scene.add(
        leaves(places, tall * rng.uniform(0.02, 0.05), rng), scene.look(0.5, natural=1), place
    )


def fence(scene: Scene, start: Floats, end: Floats, tall: float) -> None:
    """Stand a fence of bars, or of wire mesh, between two places on the ground."""
    rng = scene.rng
    along = end - start
    length = float(np.linalg.norm(along))
    gap = rng.uniform(0.07, 0.3)
    thick = gap * rng.uniform(0.06, 0.5)
    count = min(int(length / gap), 90)
    turn = yaw(-float(np.arctan2(along[2], along[0])))
    bars = [
        turned(box(thick, tall, thick), _LEVEL, np.array([(k + 0.5) * gap, -tall / 2, 0]))
        for k in range(count)
    ]
    for k in range(int(rng.integers(1, 6))):
        y = -tall * (0.12 + 0.18 * k)
        bars.append(turned(box(length, thick, thick), _LEVEL, np.array([length / 2, y, 0])))
    scene.add(joined(bars), scene.look(plain=2, natural=2), start, turn)


def car(scene: Scene, place: Floats, turn: float) -> None:
    """Put a car on the road at place: glossy body, windows, wheels."""
    rng = scene.rng
    long, wide, tall = rng.uniform(3.4, 4.8), rng.uniform(1.6, 1.9), rng.uniform(1.3, 1.9)
    nose, roof = rng.uniform(0.15, 0.35), rng.uniform(0.5, 0.65)
    a = nose - 0.5
    outline = [(-0.5, -0.3), (0.4 * nose - 0.5, -0.55), (a, -0.6), (a + 0.1, -1), (0.38, -1)]
    outline += [(0.45, -roof), (0.5, -roof), (0.5, -0.15), (-0.5, -0.15)]
    side = np.array(outline) * (long, tall)
    middle = np.array([0, -0.45 * tall])
    turned_by = yaw(turn)
    body = prism(side - middle, wide)
    paint = scene.look(rng.uniform(1, 4), plain=5, natural=1)
    mirror = float(rng.uniform(0.02, 0.2))
    paint = replace(paint, gloss=0.7, shininess=60.0, mirror=mirror)
    scene.add(body, paint, place + np.array([0, middle[1], 0]), turned_by)
    pane = scene.mirror()
    pane = replace(pane, mirror=0.35, tint=(0.05, 0.05, 0.06))
    for sz in (-1, 1):
        at = np.array([long * 0.08, -tall * 0.8, sz * (wide / 2 + 0.005)])
        scene.add(quad(long * 0.45, tall * 0.26), pane, place + turned_by @ at, turned_by)
    wheel = turned(
        cylinder(tall * 0.21, 0.22, 12),
        np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)], float),
        np.zeros(3),
    )
    dark = scene.look(plain=1)
    dark = replace(dark, tint=(0.06, 0.06, 0.06))
    wheels = [
        turned(wheel, _LEVEL, np.array([sx * long * 0.32, -tall * 0.21, sz * wide * 0.46]))
        for sx in (-1, 1) for sz in (-1, 1)
    ]  # fmt: skip
    scene.add(joined(wheels), dark, place, turned_by)


def house(scene: Scene, place: Floats, size: Floats, turn: float) -> None:
    """Put a house of size (width, height, depth) with windows on the ground at place."""
    rng = scene.rng
    w, h, d = size
    turned_by = yaw(turn)
    wall = scene.look(rng.uniform(1, 5), surface=4, pattern=3, natural=2, plain=2, photo=1)
    scene.add(box(w, h, d), wall, place - np.array([0, h / 2, 0]), turned_by)
    if rng.random() < 0.6:
        roof = prism(np.array([(-w * 0.55, 0), (0, -h * 0.4), (w * 0.55, 0), (0, 0.01)]), d * 1.1)
        at = place - np.array([0, h, 0])
        scene.add(
            roof, scene.look(rng.uniform(1, 3), surface=2, pattern=2, natural=1), at, turned_by
        )
    pane = scene.mirror()
    cell, margin = rng.uniform(1.8, 3.5), rng.uniform(0.4, 0.75)
    for face in (-1, 1):
        for i in range(min(int(w / cell), 6)):
            for j in range(min(int(h / cell), 4)):
                at = np.array([(i + 0.5) * cell - w / 2, -(j + 0.6) * cell, face * (d / 2 + 0.03)])
                scene.add(
                    quad(cell * margin, cell * margin), pane, place + turned_by @ at, turned_by
                )


def drape(scene: Scene, place: Floats, width: float, tall: float, turn: float) -> None:
    """Hang a curtain with folds, its lower edge at place."""
    rng = scene.rng
    x = np.linspace(-0.5, 0.5, 40)
    y = np.linspace(0, 1, 8)[:, None]
    fold = (
        0.04 * width * (np.sin(rng.uniform(20, 60) * x) + np.sin(rng.uniform(8, 30) * x + 2 * y))
    )
    mesh = field(width, tall, np.broadcast_to(fold, (8, 40)) * 1.0)
    upright = np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0)], float)
    hung = turned(mesh, upright, np.array([0, -tall / 2, 0]))
    scene.add(hung, scene.look(rng.uniform(0.2, 1.5)), place, yaw(turn))


def floating(scene: Scene, place: Floats, size: float) -> None:
    """Let a body of random form float at place, turned anyhow."""
    rng = scene.rng
    if rng.random() < 0.45:
        outline = star(rng, size * 0.6)
        mesh = prism(outline, size * 0.01)
    else:
        mesh = blob(rng, size)
    look = scene.glass() if rng.random() < 0.04 else scene.look(size * rng.uniform(0.3, 2.5))
    scene.add(mesh, look, place, any_rotation(rng))
