"""Costmap layers, as their sources read a cloud, on rendered rooms with the default model."""

from nav_scenes import Box, CAMERA, Room
import pytest
from robots import cells_off, cells_on, Robot

pytest.importorskip('cv2')

SMALL = (
    Box(1.2, 0.25, 0.25, 0.2),
    Box(1.8, -0.45, 0.25, 0.2),
    Box(2.5, 0.6, 0.25, 0.2),
    Box(3.1, -0.3, 0.25, 0.2),
    Box(3.9, 0.9, 0.25, 0.2),
)
ROOMS = {
    'open': Room(SMALL),
    # Farther behind the last box than the 3 sigma (0.5 m) that a ray keeps from what it hits.
    'before a wall': Room(SMALL, wall_x=5.0, wall_height=1.4),
    'tall': Room((Box(3.9, 0.0, 0.25, 1.0), Box(2.0, 0.6, 0.3, 0.6)), wall_x=7.0),
}


@pytest.mark.parametrize('name', ROOMS)
def test_every_obstacle_is_marked_in_5_frames_and_gone_10_after_it_left(name):
    room, robot = ROOMS[name], Robot()
    for _ in range(5):
        robot.see(room)
    for layer_name, layer in robot.layers.items():
        for box in room.boxes:
            assert len(cells_on(layer.marked(), box)) >= 3, (layer_name, box)
        assert not len(cells_off(layer.marked(), room.solids)), layer_name
    empty = Room(wall_x=room.wall_x, wall_height=room.wall_height)
    for _ in range(10):
        robot.see(empty)
    for layer_name, layer in robot.layers.items():
        for box in room.boxes:
            assert not len(cells_on(layer.marked(), box)), (layer_name, box)
        assert not len(cells_off(layer.marked(), empty.solids)), layer_name


EMPTY = {
    'floor': Room(),
    'wall and sky': Room(wall_x=7.0, wall_height=1.5),
    'gloss': Room(wall_x=6.5, wall_height=1.2, gloss=(1.5, 3.5, -1.0, 1.0)),
}


@pytest.mark.parametrize('name', EMPTY)
def test_nothing_is_marked_in_200_frames_where_nothing_is(name):
    robot = Robot(seed=1, lens=CAMERA.resized(240, 180))
    for number in range(200):
        robot.look(EMPTY[name])
        assert robot.mark.width == 0, number
    assert robot.clear.width > 1000
