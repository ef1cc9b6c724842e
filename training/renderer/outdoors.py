"""Scenes under the sky, and reliefs seen from near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.renderer import things
from training.renderer.meshes import box, field, Mesh, quad, tube, turned, yaw
from training.renderer.placing import angles, bumps, FLAT, slanted, UPRIGHT
from training.renderer.scene import Scene

Floats = NDArray[np.float64]


def _ground(scene: Scene, reach: float, rough: float) -> Mesh:
    if scene.rng.random() < 0.5:
        return turned(quad(2 * reach, 2 * reach), FLAT, np.zeros(3))
    heights = bumps(scene, 48, 48, rough)
    return field(2 * reach, 2 * reach, heights - heights[24, 24] - rough * 0.3)


def _verge(scene: Scene, half: float, far: float) -> None:
    """Line one road with houses, trees, poles and fences."""
    rng = scene.rng
    for side in (-1, 1):
        z, edge = rng.uniform(0, 8), half + rng.uniform(1.5, 4)
        row = rng.random()
        while z < far:
            kind = rng.random()
            x = side * (edge + rng.uniform(0, 3))
            if row < 0.6 and kind < 0.6:
                size = np.array([rng.uniform(5, 14), rng.uniform(3, 12), rng.uniform(5, 12)])
                place = np.array([x + side * (size[2] / 2 + 1.5), 0, z + size[0] / 2])
                things.house(scene, place, size, np.pi / 2)
                z += size[0] + rng.uniform(0, 6)
            elif kind < 0.85:
                things.tree(scene, np.array([x, 0, z]), rng.uniform(2.5, 9))
                z += rng.uniform(3, 10)
            else:
                end = np.array([x + rng.normal(0, 0.5), 0, z + rng.uniform(4, 12)])
                things.fence(scene, np.array([x, 0, z]), end, rng.uniform(0.8, 2))
                z = end[2]
    poles = np.arange(rng.uniform(3, 10), far, rng.uniform(8, 25))
    side, tall = rng.choice([-1, 1]), rng.uniform(4, 9)
    grey = scene.look(2.0, plain=3, natural=1)
    for z in poles:
        foot = np.array([side * (half + 0.8), 0, z])
        scene.add(
            tube(np.array([(0, 0, 0), (0, -tall, 0)], float), rng.uniform(0.05, 0.15), 6),
            grey,
            foot,
        )
        if rng.random() < 0.4:
            sign = scene.look(0.8, print=3, plain=1)
            scene.add(box(0.7, 0.7, 0.02), sign, foot - (0, rng.uniform(1.8, 2.6), 0.1))
    if rng.random() < 0.5 and len(poles) > 1:
        for k in range(int(rng.integers(1, 4))):
            t = np.linspace(poles[0], poles[-1], 40)
            gap = poles[1] - poles[0]
            sag = 0.5 * (1 - (2 * ((t - poles[0]) / gap % 1) - 1) ** 2)
            path = np.c_[np.full(40, side * (half + 0.8) + 0.15 * k), sag - tall + 0.1, t]
            scene.add(tube(path, 0.012, 4), scene.look(plain=1))


def road(scene: Scene) -> None:
    """Drive along a street with cars, houses, trees and poles."""
    rng = scene.rng
    scene.outdoor = True
    scene.hfov_deg = float(rng.uniform(50, 100))
    half, far = rng.uniform(3, 8), rng.uniform(35, 90)
    tall = rng.uniform(0.4, 2.2)
    scene.aim((rng.uniform(-0.5, 0.5) * half, -tall, -2.0), *angles(scene, 0.03, 0.06))
    wild = scene.look(rng.uniform(2, 6), natural=3, surface=4)
    scene.add(turned(quad(400, 400), FLAT, np.zeros(3)), wild, (0, 0.06, 150))
    asphalt = scene.look(rng.uniform(1.5, 5), natural=3, surface=2, plain=2)
    scene.add(turned(quad(2 * half, 220), FLAT, np.zeros(3)), asphalt, (0, 0, 100))
    kerb = scene.look(1.0, plain=2, natural=2)
    for side in (-1, 1):
        scene.add(box(0.2, 0.15, 200), kerb, (side * (half + 0.1), -0.05, 90))
    white = scene.look(2.0, plain=1)
    for z in np.arange(0, far, 6.0):
        scene.add(turned(quad(0.15, 3), FLAT, np.zeros(3)), white, (0, -0.012, z))
    _verge(scene, half, far)
    for _ in range(int(rng.integers(0, 9))):
        side = rng.choice([-1, 1])
        lane = side * half * (0.8 if rng.random() < 0.6 else 0.4)
        place = np.array([lane, 0, rng.uniform(3, far * 0.7)])
        things.car(scene, place, np.pi / 2 * side + rng.normal(0, 0.05))
    low, high = np.array([-half, 0, 4]), np.array([half, 0, far * 0.6])
    things.clutter(scene, low, high, int(rng.integers(0, 5)), (0.4, 1.6))


def park(scene: Scene) -> None:
    """Look through fences, branches, wires and leaves at what is behind."""
    rng = scene.rng
    scene.outdoor = rng.random() < 0.8
    scene.hfov_deg = float(rng.uniform(45, 90))
    far = rng.uniform(4, 20)
    scene.aim((0, -rng.uniform(0.5, 1.7), -1.5), *angles(scene, 0.05, 0.15))
    grass = scene.look(rng.uniform(0.7, 4), natural=3, surface=4, photo=1)
    scene.add(_ground(scene, 4 * far, 0.05 * far), grass, (0, 0, 2 * far))
    if rng.random() < 0.7:
        place = np.array([rng.normal(0, 2), 0, far + 3])
        things.house(scene, place, np.array([far * 2.5, rng.uniform(3, 8), 4]), rng.normal(0, 0.3))
    for _ in range(int(rng.integers(0, 4))):
        a = np.array([rng.uniform(-1, 0) * far, 0, rng.uniform(0.5, far)])
        b = np.array([rng.uniform(0, 1) * far, 0, rng.uniform(0.5, far)])
        things.fence(scene, a, b, rng.uniform(0.6, 2.0))
    for _ in range(int(rng.integers(1, 6))):
        place = np.array([rng.uniform(-0.7, 0.7) * far, 0, rng.uniform(0.1, 1) * far])
        if rng.random() < 0.5:
            things.tree(scene, place, rng.uniform(1.5, 6))
        else:
            things.plant(scene, place, rng.uniform(0.5, 2.2))
    for _ in range(int(rng.integers(0, 8))):
        ends = rng.uniform(-1, 1, (2, 3)) * (far, 1.5, 0.4 * far) + (0, -1.5, 0.5 * far)
        ends[:, 2] = np.maximum(ends[:, 2], 0.3)
        wire = scene.look(0.5, plain=2, natural=1)
        scene.add(tube(ends, rng.uniform(0.004, 0.03), 5), wire)
    low, high = np.array([-0.6 * far, 0, 0.2 * far]), np.array([0.6 * far, 0, far])
    things.clutter(scene, low, high, int(rng.integers(0, 8)), (0.2, 1.5))


def relief(scene: Scene) -> None:
    """Look at one large bumpy, folded or slanted surface, with a few things before it."""
    rng = scene.rng
    scene.hfov_deg = float(rng.uniform(40, 85))
    far = rng.uniform(0.5, 6)
    rough = far * rng.uniform(0.0, 0.15)
    mesh = turned(field(far * 5, far * 5, bumps(scene, 60, 60, rough)), UPRIGHT, np.zeros(3))
    scene.add(
        mesh,
        scene.look(far * rng.uniform(0.15, 2)),
        (0, 0, far),
        slanted(scene, 0.55),
        casts=False,
    )
    for _ in range(int(rng.integers(0, 3))):
        place = np.array([rng.uniform(-0.6, 0.6) * far, far * 0.6, far * rng.uniform(0.6, 0.9)])
        things.drape(scene, place, far * rng.uniform(0.3, 1), far * 1.3, rng.normal(0, 0.3))
    for _ in range(int(rng.integers(0, 6))):
        at = rng.uniform(-0.5, 0.5, 3) * far + (0, 0, far * 0.65)
        things.floating(scene, at, far * rng.uniform(0.05, 0.35))
    if rng.random() < 0.25:
        scene.add(
            quad(far, far),
            scene.glass(),
            (rng.normal(0, 0.2), 0, far * 0.5),
            yaw(rng.normal(0, 0.3)),
        )
