"""Nav2's own obstacle and voxel layer on our clouds, and on those our tests read.

    python benchmark/nav2_layers.py NAV2_CHECKOUT --include FOLDER...

The plugins need rclcpp, tf2, message_filters, laser_geometry, pluginlib and more as C++, which a
machine with PyPI alone has not. What they do with a cloud needs little: the bodies of
`updateBounds` and `raytraceFreespace` of both layers are cut out of the checkout and compiled with
its Costmap2D, ray tracing and voxel grid; declarations, logging and node are stand-ins
(nav2_layers.cpp). FOLDERs hold the C++ headers of messages, as the PyPI wheels of ROS 2 install
them in include/. Nothing of Nav2 is kept.

Prints, for the rooms of test/nav: cells marked on each obstacle after 5 frames, left 10 frames
after it was taken away, marked where nothing is, and how many cells the reading in
test/nav/consumers.py and the real code differ in.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import re
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test' / 'nav'))
from consumers import LETHAL, xyz_of
from nav_scenes import CAMERA, pose_of, Room
from robots import cells_off, cells_on, Robot
from test_costmaps import EMPTY, ROOMS

HERE = Path(__file__).resolve().parent
PLUGINS = Path('nav2_costmap_2d', 'plugins')
HEADERS = Path('nav2_costmap_2d', 'include', 'nav2_costmap_2d')
LAYERS = {
    'ObstacleLayer': ('updateBounds', 'raytraceFreespace', 'updateRaytraceBounds'),
    'VoxelLayer': ('updateBounds', 'raytraceFreespace'),
}
INLINE = ('bool worldToMap3DFloat', 'bool worldToMap3D', 'double dist', 'double getSizeInMetersZ')
LOGGING = """#pragma once
#include <cassert>
#include <cstdio>
#include <memory>
#include <string>
namespace rclcpp {struct Logger {}; inline Logger get_logger(const std::string &) {return {};}}
#define RCLCPP_DEBUG(...)
#define RCLCPP_INFO(...)
#define RCLCPP_WARN(logger, ...) fprintf(stderr, __VA_ARGS__)
#define RCLCPP_SMART_PTR_DEFINITIONS(C) \\
  using SharedPtr = std::shared_ptr<C>; using ConstSharedPtr = std::shared_ptr<const C>;
"""


def function(text: str, start: str) -> str:
    """Return the function that begins with `start`, up to the bracket that closes it."""
    begin = text.index(start + '(')
    depth = 0
    for place in range(text.index('{', begin), len(text)):
        depth += {'{': 1, '}': -1}.get(text[place], 0)
        if depth == 0:
            return text[begin : place + 1]
    raise SystemExit(f'{start} does not end')


def build(nav2: Path, includes: list[Path], folder: Path) -> Path:
    """Compile the layers and return the program."""
    bodies = []
    for layer, names in LAYERS.items():
        file = re.sub(r'(?<!^)(?=[A-Z])', '_', layer).lower() + '.cpp'
        text = (nav2 / PLUGINS / file).read_text(encoding='utf-8')
        bodies += ['void ' + function(text, f'{layer}::{name}') for name in names]
    (folder / 'layers.inc').write_text('\n\n'.join(bodies), encoding='utf-8')
    header = (nav2 / HEADERS / 'voxel_layer.hpp').read_text(encoding='utf-8')
    inline = '\n'.join(function(header, name) for name in INLINE)
    (folder / 'voxel_layer.inc').write_text(inline, encoding='utf-8')
    (folder / 'rclcpp').mkdir()
    for name in ('logger', 'logging', 'macros'):
        (folder / 'rclcpp' / f'{name}.hpp').write_text(LOGGING)
    paths = [folder, *(nav2 / part / 'include' for part in (
        'nav2_costmap_2d', 'nav2_util', 'nav2_voxel_grid'))]  # fmt: skip
    for place in includes:
        paths += [place, *(path for path in place.iterdir() if path.is_dir())]
    sources = [
        HERE / 'nav2_layers.cpp',
        nav2 / 'nav2_costmap_2d' / 'src' / 'costmap_2d.cpp',
        nav2 / 'nav2_voxel_grid' / 'src' / 'voxel_grid.cpp',
    ]
    program = folder / 'layers'
    command = ['g++', '-std=c++17', '-O2', '-w', *(f'-I{path}' for path in paths)]
    subprocess.run([*command, *map(str, sources), '-o', str(program)], check=True)
    return program


class RealLayers:
    """The compiled layers, with the parameters of the layers of a robot."""

    def __init__(self, program: Path, robot: Robot) -> None:
        self.flat, self.voxel = robot.obstacle, robot.voxel
        self.costs: dict[str, Any] = {}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([program], stdin=pipe, stdout=pipe)
        flat, voxel = self.flat.parameters, self.voxel.parameters
        heights = ('min_obstacle_height', 'max_obstacle_height')
        grid = (*heights, 'origin_z', 'z_resolution', 'z_voxels', 'mark_threshold')
        self._write([*self.flat.size, self.flat.resolution, *self.flat.low])
        self._write([flat[name] for name in heights] + [voxel[name] for name in grid])

    def update(self, robot: Robot, pose: np.ndarray) -> None:
        """Give both layers the newest clouds of the robot."""
        names = {
            'min_obstacle_height': 0.0, 'max_obstacle_height': 0.0, 'obstacle_max_range': 2.5,
            'obstacle_min_range': 0.0, 'raytrace_max_range': 3.0, 'raytrace_min_range': 0.0,
        }  # fmt: skip
        for layer in (self.flat, self.voxel):
            for source, message in (('depth_mark', robot.mark), ('depth_clear', robot.clear)):
                said = layer.parameters[source]
                points = xyz_of(message) @ pose[:3, :3].T + pose[:3, 3]
                self._write([*pose[:3, 3], *(said.get(name, names[name]) for name in names)])
                self._write([len(points), *points.ravel()])
        self._process.stdin.flush()
        for name in ('obstacle', 'voxel'):
            values = self._process.stdout.read(int(np.prod(self.flat.size)))
            costs = np.frombuffer(values, np.uint8).reshape(self.flat.size[::-1])
            self.costs[name] = costs.T

    def marked(self, name: str) -> np.ndarray:
        """Return the centres of the lethal cells, (N, 2) [m]."""
        cells = np.argwhere(self.costs[name] == LETHAL)
        return (cells + 0.5) * self.flat.resolution + self.flat.low

    def close(self) -> None:
        """End the program."""
        self._process.communicate()

    def _write(self, values: list[float]) -> None:
        self._process.stdin.write(np.asarray(values, np.float64).tobytes())


def visit(program: Path, room: Room) -> tuple[int, int]:
    """Print what the layers mark, and return cells that differ from ours, and cells marked."""
    robot, pose = Robot(), pose_of()
    real = RealLayers(program, robot)
    empty = Room(wall_x=room.wall_x, wall_height=room.wall_height)
    differ = marked = 0
    for number, seen in enumerate([room] * 5 + [empty] * 10):
        robot.see(seen, pose)
        real.update(robot, pose)
        for name, costs in real.costs.items():
            ours = getattr(robot, name).costs == LETHAL
            differ += np.count_nonzero(ours != (costs == LETHAL))
            marked += np.count_nonzero(costs == LETHAL)
            cells = real.marked(name)
            if number == 4:
                on = [len(cells_on(cells, box)) for box in room.boxes]
                off = len(cells_off(cells, room.solids))
                print(f'  {name}: on obstacles {on}, elsewhere {off}')
    for name in real.costs:
        print(f'  {name}: left {len(cells_off(real.marked(name), empty.solids))}')
    real.close()
    return differ, marked


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('nav2', type=Path, help='checkout of navigation2')
    parser.add_argument('--include', type=Path, nargs='+', required=True, help='message headers')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build(arguments.nav2, arguments.include, Path(folder))
        totals = np.zeros(2, int)
        for name, room in ROOMS.items():
            print(name)
            totals += visit(program, room)
        for name, room in EMPTY.items():
            robot = Robot(1, CAMERA.resized(240, 180))
            real, most = RealLayers(program, robot), 0
            for _ in range(200):
                robot.look(room)
                real.update(robot, pose_of())
                most = max(most, *(int((c == LETHAL).sum()) for c in real.costs.values()))
            real.close()
            print(f'{name}: at most {most} cells marked in 200 frames')
    print(
        f'\n{totals[0]} of {totals[1]} marked cells differ between the real code and our reading'
    )


if __name__ == '__main__':
    main()
