"""Size, cost and false marks of the clouds for navigation.

    python benchmark/nav_points.py [--frames 20] [--json FILE]

Rendered rooms, seen by the builtin matcher with sensor noise, at the default settings of `nav.*`.
Size and cost at 640x480; false marks at 320x240, where sigma is twice as large. A false mark is a
cell of 5 cm that `points_nav` marks in one frame where nothing stands, by more than 0.6 px of
disparity. They are counted with the use of sigma on and off: without it a point needs neither a
small sigma (`nav.max_sigma_m`, `nav.max_sigma_relative`) nor a height that its sigma cannot
explain (`nav.height_sigmas`); support, range, height and k of n frames stay as they are.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
from pathlib import Path
import sys
import time

from depth_perception.core.nav_clear import clearing_ends
from depth_perception.core.nav_points import NavPoints
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import view_of
from depth_perception.inference.nav_clouds import nav_rules
from depth_perception.parameters import StereoSettings
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test' / 'nav'))
from nav_scenes import Box, CAMERA, ground_pose, pose_of, Room, StereoCamera
from robots import cells_off

CELL_M = 0.05
BOXES = (Box(1.8, -0.45, 0.25, 0.2), Box(2.6, 0.5, 0.3, 0.5), Box(3.8, -0.2, 0.25, 0.2))
DULL = (Box(3.0, 0.0, 0.6, 1.0, contrast=0.1), Box(4.5, 0.0, 20.0, 1.4, contrast=0.1))
ROOMS = {
    'floor': Room(),
    'wall and sky': Room(wall_x=7.0, wall_height=1.5),
    'gloss': Room(wall_x=6.5, wall_height=1.2, gloss=(1.5, 3.5, -1.0, 1.0)),
    'boxes': Room(BOXES),
    'boxes and wall': Room(BOXES, wall_x=4.6, wall_height=1.4),
    'boxes on gloss': Room(BOXES, wall_x=4.6, wall_height=1.4, gloss=(1.2, 4.5, -1.5, 1.5)),
    'mirror before wall': Room(
        (Box(3.0, 0.0, 0.6, 1.0),), wall_x=4.6, gloss=(0.9, 4.0, -1.5, 1.5), contrast=0.3
    ),
    'dull box and wall': Room(DULL, contrast=0.2),
}


def study(room: Room, frames: int, seed: int) -> dict[str, float]:
    """Return the figures of one room."""
    gated = nav_rules(StereoSettings())
    free = replace(gated, max_sigma_m=0.0, max_sigma_relative=0.0, height_sigmas=0.0)
    figures = size_and_cost(StereoCamera(seed, CAMERA.resized(640, 480)), room, frames, gated)
    camera = StereoCamera(seed, CAMERA)
    makers = {'on': (gated, NavPoints()), 'off': (free, NavPoints())}
    marks = dict.fromkeys(makers, 0)
    for _ in range(frames):
        estimate = camera.estimate(room)
        for name, (rules, maker) in makers.items():
            cloud = maker.points(view_of(estimate, rules, ground_pose()), rules)
            marks[name] += 0 if cloud is None else false_cells(cloud.points, room)
    return figures | marks


def size_and_cost(
    camera: StereoCamera, room: Room, frames: int, rules: NavRules
) -> dict[str, float]:
    """Return the greatest share of the pixels that become points, and median times [ms]."""
    maker = NavPoints()
    shares, nav_ms, clear_ms = [], [], []
    for _ in range(frames):
        estimate = camera.estimate(room)
        start = time.perf_counter()
        view = view_of(estimate, rules, ground_pose())
        cloud = maker.points(view, rules)
        done = time.perf_counter()
        clearing_ends(view, rules)
        clear_ms.append((time.perf_counter() - done) * 1e3)
        nav_ms.append((done - start) * 1e3)
        shares.append(0.0 if cloud is None else len(cloud.points) / estimate.depth.size)
    return {
        'share': max(shares),
        'ms': float(np.median(nav_ms)),
        'clear ms': float(np.median(clear_ms)),
    }


def false_cells(points: np.ndarray, room: Room) -> int:
    """Return the number of cells that points mark where nothing stands."""
    pose = pose_of()
    world = points @ pose[:3, :3].T + pose[:3, 3]
    cells = np.unique(np.floor(world[:, :2] / CELL_M), axis=0)
    return len(cells_off((cells + 0.5) * CELL_M, room.solids))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=20)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    import cv2

    cv2.setNumThreads(1)
    print('| room | points, most | points_nav ms | points_clear ms | false, sigma on | off |')
    print('|---|---|---|---|---|---|')
    figures = {}
    for seed, (name, room) in enumerate(ROOMS.items()):
        found = figures[name] = study(room, arguments.frames, seed)
        print(
            f'| {name} | {100.0 * found["share"]:.2f} % | {found["ms"]:.2f} '
            f'| {found["clear ms"]:.2f} | {found["on"]} | {found["off"]} |'
        )
    total = {key: sum(found[key] for found in figures.values()) for key in ('on', 'off')}
    print(f'\nfalse marks in all: {total["on"]} with sigma, {total["off"]} without')
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding='utf-8')


if __name__ == '__main__':
    main()
