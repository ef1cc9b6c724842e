"""The furnished rooms: their depth is exact and a seed always gives the same room."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('embreex', reason='the rooms are traced with embreex')
pytest.importorskip('cv2')

from training.mono.scenes.catalogue import read_catalogue
from training.mono.scenes.geometry import box, join, Materials, quad, Scene
from training.mono.scenes.light import Camera, Lamp, look, render
from training.mono.scenes.make_rooms import across

LISTING = """id#1=x
name#1=Table
category#1=Office
model#1=/things/table.obj
width#1=120
depth#1=60
height#1=74
"""
MODEL = """mtllib table.mtl
v 0 0 0
v 2 0 0
v 2 1 0
v 0 1 4
usemtl red
f 1 2 3
f 1 -2 -1
"""


def room():
    """Return a white room of 4 x 3 x 6 m with a grey box, seen from the origin's wall."""
    materials = Materials()
    white = materials.add(np.full(3, 0.7))
    grey = materials.add(np.full(3, 0.2))
    walls = box(np.array([4.0, 3.0, 6.0]), white)
    thing = box(np.array([1.0, 1.0, 1.0]), grey).moved(np.array([0.8, 0.0, 0.5]))
    return Scene(join([walls, thing]), materials.packed())


def camera(yaw=0.0, pitch=0.0):
    turn = look(yaw, pitch, 0.0)
    return Camera(np.array([0.0, 1.2, -2.5], np.float32), turn, 40.0, 48, 32)


def test_depth_is_along_the_axis_and_not_along_the_ray():
    lamp = Lamp(np.array([0, 2.8, 0]), np.zeros((2, 3)), np.zeros(3), np.ones(3))
    rng = np.random.default_rng(1)
    _, depth = render(room(), [lamp], camera(), np.full(3, 0.1), rng, samples=1)
    assert depth[12, [14, 23, 33]] == pytest.approx(5.5, abs=1e-4)  # the far wall
    assert depth[27, 11] == pytest.approx(2.5, abs=1e-4)  # the front of the box, to the left


def test_the_floor_follows_the_height_of_the_camera():
    rng = np.random.default_rng(1)
    _, depth = render(room(), [], camera(), np.full(3, 0.1), rng, samples=1)
    y = (31 - 15.5) / 40.0
    assert depth[31, 43] == pytest.approx(1.2 / y, rel=1e-4)


def test_a_box_stands_in_the_way_of_light():
    lamp = Lamp(np.array([0.8, 2.5, -0.9]), np.zeros((2, 3)), np.zeros(3), np.full(3, 4.0))
    scene = room()
    start = np.array([[0.8, 0.001, 1.5], [0.8, 0.001, -1.5]], np.float32)
    target = np.repeat(lamp.centre[None].astype(np.float32), 2, 0)
    assert scene.blocked(start, target).tolist() == [True, False]


def test_textures_are_looked_up_at_the_right_place_and_level():
    materials = Materials()
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[:, 128:] = 255  # right half white
    index = materials.add(np.ones(3), picture)
    packed = materials.packed()
    uv = np.array([[0.25, 0.5], [0.75, 0.5], [1.75, -0.5]])
    found = packed.sample(np.full(3, index), uv, np.zeros(3))
    assert found[:, 0].tolist() == [0.0, 1.0, 1.0]


def test_a_quad_repeats_its_texture_by_the_metre():
    corners = np.array([[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 0]])
    mesh = quad(corners, 0, repeat_m=0.5)
    assert mesh.uv.reshape(-1, 2).max(0).tolist() == [6.0, 4.0]


def test_the_catalogue_gives_sizes_in_metres(tmp_path):
    folder = tmp_path / 'Library'
    (folder / 'things').mkdir(parents=True)
    (folder / 'PluginFurnitureCatalog.properties').write_text(LISTING)
    (folder / 'things' / 'table.obj').write_text(MODEL)
    (folder / 'things' / 'table.mtl').write_text('newmtl red\nKd 1 0 0\n')
    from training.mono.scenes.catalogue import place

    (piece,) = read_catalogue(tmp_path)
    assert (piece.name, piece.size, piece.top) == ('Table', (1.2, 0.74, 0.6), 0.74)
    materials = Materials()
    mesh = place(piece, materials)
    low, high = mesh.bounds()
    np.testing.assert_allclose(low, [-0.6, 0.0, -0.3], atol=1e-6)
    np.testing.assert_allclose(high, [0.6, 0.74, 0.3], atol=1e-6)
    np.testing.assert_allclose(materials.colour[mesh.material[0]], [1.0, 0.0, 0.0])
    np.testing.assert_allclose(mesh.corners[1, 1], mesh.corners[0, 2])  # -2 is the third vertex


def test_a_view_across_the_room_starts_at_a_wall_and_looks_at_the_far_side():
    size = np.array([4.0, 2.6, 9.0])
    rng = np.random.default_rng(2)
    for _ in range(50):
        position, target = across(SimpleNamespace(size=size), rng)
        assert (position > 0.25).all()
        assert (position < size - 0.25).all()
        to_wall = np.minimum(position, size - position)[[0, 2]]
        assert to_wall.max() <= 0.8 + 1e-9
        assert (
            np.sign((target - position)[[0, 2]]).tolist()
            == np.where(position[[0, 2]] < size[[0, 2]] / 2, 1.0, -1.0).tolist()
        )
        assert 0.2 <= target[1] <= 1.3
