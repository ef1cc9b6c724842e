"""The kinds of scenes: each function furnishes a scene and places its camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.renderer import outdoors, things
from training.renderer.meshes import box, field, quad, tube, turned, yaw
from training.renderer.placing import angles, bumps, FLAT, slanted, UPRIGHT
from training.renderer.scene import Scene

Floats = NDArray[np.float64]


def flying(scene: Scene) -> None:
    """Let many bodies float at all depths before a slanted or bumpy background."""
    rng = scene.rng
    scene.hfov_deg = float(rng.uniform(40, 90))
    tan = np.tan(np.radians(scene.hfov_deg) / 2)
    far = rng.uniform(6, 15)
    if rng.random() < 0.15:
        scene.outdoor = True
    elif rng.random() < 0.4:
        mesh = turned(
            field(far * 6, far * 5, bumps(scene, 40, 40, far * 0.1)), UPRIGHT, np.zeros(3)
        )
        scene.add(mesh, scene.look(far * rng.uniform(0.2, 2)), (0, 0, far))
    else:
        wall = quad(far * 10, far * 10)
        scene.add(
            wall,
            scene.look(far * rng.uniform(0.2, 2)),
            (0, 0, far),
            slanted(scene, 0.3),
            casts=False,
        )
    count = int(np.exp(rng.uniform(np.log(10), np.log(110))))
    nearest = far * rng.uniform(0.08, 0.25)
    for _ in range(count):
        z = float(np.exp(rng.uniform(np.log(nearest), np.log(far * 0.95))))
        at = np.array([rng.uniform(-1.2, 1.2) * z * tan, rng.uniform(-0.9, 0.9) * z * tan, z])
        things.floating(scene, at, z * tan * float(np.exp(rng.uniform(np.log(0.06), np.log(0.9)))))
    for _ in range(int(rng.integers(0, 8))):
        z = float(np.exp(rng.uniform(np.log(nearest), np.log(far * 0.8))))
        ends = rng.uniform(-1.3, 1.3, (2, 3)) * z * tan
        ends[:, 2] = z * rng.uniform(0.7, 1.3, 2)
        scene.add(tube(ends, z * tan * rng.uniform(0.002, 0.02), 5), scene.look())


def _walls(scene: Scene, width: float, height: float, depth: float) -> None:
    """Close a room whose floor is y = 0, from z = -2 to depth."""
    rng = scene.rng
    long = depth + 2
    middle = depth / 2 - 1
    paint = scene.look(rng.uniform(0.8, 4), plain=4, natural=2, pattern=1, surface=2, photo=0.5)
    other = scene.look(rng.uniform(0.8, 4), plain=3, natural=2, pattern=2, surface=2, photo=1)
    ground = scene.look(rng.uniform(0.5, 2.5), natural=3, pattern=3, surface=4, plain=1)
    scene.add(turned(quad(width, long), FLAT, np.zeros(3)), ground, (0, 0, middle))
    plaster = scene.look(2.0, plain=3, natural=1)
    ceiling = turned(quad(width, long), FLAT, np.zeros(3))
    scene.add(ceiling, plaster, (0, -height, middle), casts=False)
    scene.add(quad(width, height), other, (0, -height / 2, depth), casts=False)
    for side in (-1, 1):
        scene.add(
            quad(long, height),
            paint,
            (side * width / 2, -height / 2, middle),
            yaw(np.pi / 2),
            casts=False,
        )
    if rng.random() < 0.6:
        skirting = scene.look(1.0, plain=2, natural=1)
        for side in (-1, 1):
            scene.add(box(0.02, 0.1, long), skirting, (side * (width / 2 - 0.01), -0.05, middle))


def _hangings(scene: Scene, width: float, height: float, depth: float, count: int) -> None:
    """Hang pictures, mirrors, windows and doors on the walls."""
    rng = scene.rng
    for _ in range(count):
        w, h = rng.uniform(0.2, 1.2, 2)
        y = -rng.uniform(0.35, 0.8) * height
        kind = rng.random()
        look = (
            scene.mirror() if kind < 0.15 else scene.look(max(w, h), photo=5, print=2, pattern=1)
        )
        if rng.random() < 0.4:
            place, turn = (rng.uniform(-0.4, 0.4) * width, y, depth - 0.03), yaw(0)
        else:
            side = rng.choice([-1, 1])
            place = (side * (width / 2 - 0.03), y, rng.uniform(0.1, 0.95) * depth)
            turn = yaw(np.pi / 2)
        scene.add(box(w, h, 0.03), look, place, turn)


def room(scene: Scene) -> None:
    """Furnish a room."""
    rng = scene.rng
    w, h, d = rng.uniform(2.5, 7), rng.uniform(2.2, 3.2), rng.uniform(2.5, 8)
    scene.hfov_deg = float(rng.uniform(50, 105))
    scene.aim(
        (rng.uniform(-0.25, 0.25) * w, -rng.uniform(0.3, 1.7), -rng.uniform(0, 1.5)),
        *angles(scene, 0.1, 0.2),
    )
    _walls(scene, w, h, d)
    _hangings(scene, w, h, d, int(rng.integers(1, 9)))
    for _ in range(int(rng.integers(0, 3))):
        at = np.array([rng.uniform(-0.4, 0.4) * w, 0, rng.uniform(0.25, 0.9) * d])
        size = np.array([rng.uniform(0.6, 1.8), rng.uniform(0.4, 0.8), rng.uniform(0.5, 1.0)])
        things.table(scene, at, size, rng.random() * 6.3)
        half = np.array([size[0] * 0.35, 0, size[2] * 0.35])
        top = at - np.array([0, size[1] + 0.015, 0])
        things.clutter(scene, top - half, top + half, int(rng.integers(1, 8)), (0.06, 0.35))
    for _ in range(int(rng.integers(0, 6))):
        at = np.array([rng.uniform(-0.45, 0.45) * w, 0, rng.uniform(0.2, 0.95) * d])
        kind = rng.integers(4)
        if kind < 2:
            things.chair(scene, at, rng.random() * 6.3)
        elif kind == 2:
            things.lamp(scene, at)
        else:
            things.plant(scene, at, rng.uniform(0.4, 1.6))
    if rng.random() < 0.5:
        things.drape(
            scene,
            np.array([rng.uniform(-0.4, 0.4) * w, 0, d - 0.15]),
            rng.uniform(0.6, 2),
            h * 0.9,
            0.0,
        )
    low, high = np.array([-0.45 * w, 0, 0.15 * d]), np.array([0.45 * w, 0, 0.95 * d])
    things.clutter(scene, low, high, int(rng.integers(2, 12)), (0.15, 1.3))


def corridor(scene: Scene) -> None:
    """Look along a corridor with doors and a few things."""
    rng = scene.rng
    w, h, d = rng.uniform(1.4, 3), rng.uniform(2.1, 3), rng.uniform(5, 20)
    scene.hfov_deg = float(rng.uniform(50, 100))
    scene.aim(
        (rng.uniform(-0.25, 0.25) * w, -rng.uniform(0.3, 1.7), -1.0), *angles(scene, 0.05, 0.12)
    )
    _walls(scene, w, h, d)
    door = scene.look(1.0, natural=3, plain=3)
    for side in (-1, 1):
        for z in np.arange(rng.uniform(0.5, 2), d, rng.uniform(1.5, 4)):
            scene.add(box(0.06, 2.0, 0.9), door, (side * (w / 2 - 0.02), -1.0, z))
    _hangings(scene, w, h, d, int(rng.integers(0, 6)))
    low, high = np.array([-0.45 * w, 0, 0.3]), np.array([0.45 * w, 0, d * 0.9])
    things.clutter(scene, low, high, int(rng.integers(1, 10)), (0.15, 1.2))
    if rng.random() < 0.4:
        things.chair(
            scene,
            np.array([rng.uniform(-0.3, 0.3) * w, 0, rng.uniform(1, d * 0.6)]),
            rng.random() * 6,
        )
    if rng.random() < 0.3:
        scene.add(quad(w, h), scene.glass(), (0, -h / 2, rng.uniform(0.4, 0.8) * d))


def table_top(scene: Scene) -> None:
    """Heap things upon a table before a wall, seen from near."""
    rng = scene.rng
    scene.hfov_deg = float(rng.uniform(38, 75))
    deep = rng.uniform(0.8, 2.2)
    scene.aim((0, -rng.uniform(0.15, 0.7), -rng.uniform(0.4, 0.9)), *angles(scene, 0.25, 0.1))
    scene.add(
        turned(quad(8, 2 * deep), FLAT, np.zeros(3)), scene.look(rng.uniform(0.3, 1.5)), (0, 0, 0)
    )
    turn = yaw(rng.normal(0, 0.2))
    scene.add(quad(12, 8), scene.look(rng.uniform(0.5, 3)), (0, 0, deep), turn, casts=False)
    reach = deep * 0.9
    low, high = np.array([-reach * 0.8, 0, -0.1]), np.array([reach * 0.8, 0, reach])
    things.clutter(scene, low, high, int(rng.integers(6, 30)), (0.06, 0.55))
    for _ in range(int(rng.integers(0, 5))):
        panel = box(rng.uniform(0.2, 0.8), rng.uniform(0.2, 1.0), 0.01)
        at = (rng.uniform(-0.8, 0.8) * reach, -rng.uniform(0.1, 0.5), rng.uniform(0.3, 1) * reach)
        scene.add(panel, scene.look(rng.uniform(0.2, 0.8)), at, slanted(scene, 0.4))
    for _ in range(int(rng.integers(0, 4))):
        at = np.array([rng.uniform(-0.7, 0.7) * reach, 0, rng.uniform(0.1, 0.9) * reach])
        if rng.random() < 0.5:
            things.plant(scene, at, rng.uniform(0.2, 0.7))
        else:
            sticks = rng.normal(0, 0.15, (2, 3)) + np.array([0, -0.3, 0])
            scene.add(tube(sticks, rng.uniform(0.002, 0.01)), scene.look(0.2), at)
    if rng.random() < 0.3:
        things.drape(
            scene,
            np.array([rng.uniform(-0.5, 0.5), 0, deep * 0.95]),
            rng.uniform(0.5, 1.5),
            1.5,
            0.0,
        )


def shelf(scene: Scene) -> None:
    """Stand before shelves full of books and things."""
    rng = scene.rng
    scene.hfov_deg = float(rng.uniform(45, 85))
    far = rng.uniform(0.8, 2.5)
    scene.aim((rng.uniform(-0.4, 0.4), -rng.uniform(0.7, 1.5), 0), *angles(scene, 0.0, 0.15))
    _walls(scene, 8.0, 2.8, far + 0.4)
    wood = scene.look(rng.uniform(0.5, 2), natural=4, plain=2, surface=1)
    y, span = 0.0, rng.uniform(0.7, 1.3)
    while y > -2.4:
        scene.add(box(span * 3 + 0.03, 0.02, 0.3), wood, (0, y, far + 0.15))
        for k in range(3):
            left = (k - 1.5) * span
            if rng.random() < 0.6:
                things.books(
                    scene,
                    left + 0.03,
                    left + span * rng.uniform(0.4, 0.98),
                    y - 0.01,
                    far + rng.uniform(0.01, 0.08),
                )
            else:
                low = np.array([left + 0.08, y - 0.01, far + 0.05])
                high = np.array([left + span - 0.08, y - 0.01, far + 0.2])
                things.clutter(scene, low, high, int(rng.integers(1, 7)), (0.05, 0.25))
        y -= rng.uniform(0.28, 0.45)
    for k in range(4):
        scene.add(box(0.025, 2.4, 0.3), wood, ((k - 1.5) * span, -1.2, far + 0.15))
    low, high = np.array([-1.2, 0, 0.4 * far]), np.array([1.2, 0, 0.8 * far])
    things.clutter(scene, low, high, int(rng.integers(0, 4)), (0.3, 0.9))
    if rng.random() < 0.4:
        things.chair(
            scene,
            np.array([rng.uniform(-0.6, 0.6), 0, rng.uniform(0.5, 0.8) * far]),
            rng.random() * 6,
        )


KINDS: dict[str, tuple[float, Callable[[Scene], None]]] = {
    'flying': (0.34, flying),
    'table': (0.16, table_top),
    'room': (0.13, room),
    'road': (0.11, outdoors.road),
    'park': (0.08, outdoors.park),
    'shelf': (0.08, shelf),
    'corridor': (0.05, corridor),
    'relief': (0.05, outdoors.relief),
}
"""Weight and maker of each kind."""
