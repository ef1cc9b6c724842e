"""Real pictures with depth, packed for training: what is known stays true to its place."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip('torch', reason='training needs PyTorch')
pytest.importorskip('cv2')

import cv2

from training.mono.data import rooms, Scenes
from training.mono.real import COLUMNS, main, pair, ROWS, small


def test_a_pixel_is_the_median_of_its_cell_and_doubtful_cells_are_unknown():
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 320:] = 200
    depth = np.full((480, 640), 2.0, np.float32)
    depth[0:2, 0:2] = [[2.0, 2.1], [2.05, 0.0]]  # three of four known
    depth[0:2, 2:4] = [[2.0, 0.0], [0.0, 0.0]]  # one of four
    depth[0:2, 4:6] = [[2.0, 2.0], [3.0, 3.0]]  # an edge
    depth[2:4] = 20.0  # beyond what counts
    found, z = small(image, depth, 12.0)
    assert found.shape == (ROWS, COLUMNS, 3)
    assert z.shape == (ROWS, COLUMNS)
    assert z[0, :4] == pytest.approx([2.05, 0.0, 0.0, 2.0])
    assert not z[1].any()
    assert (z[2:] == 2.0).all()
    assert not found[:, :159].any()
    assert (found[:, 161:] == 200).all()


def test_wide_pictures_lose_their_sides():
    image = np.zeros((240, 426, 3), np.uint8)
    image[:, 53:373] = 90
    depth = np.zeros((240, 426), np.float32)
    depth[:, 53:373] = 1.5
    found, z = small(image, depth)
    assert (found == 90).all()
    assert (z == 1.5).all()


def test_units_and_the_mark_of_nothing(tmp_path):
    raw = np.array([[10000, 0], [65535, 20000]], np.uint16)
    cv2.imwrite(str(tmp_path / 'd.png'), raw)
    cv2.imwrite(str(tmp_path / 'c.png'), np.full((2, 2, 3), (1, 2, 3), np.uint8))
    image, z = pair(tmp_path / 'c.png', tmp_path / 'd.png', 1e-4)
    np.testing.assert_allclose(z, [[1.0, 0.0], [0.0, 2.0]])
    assert image[0, 0].tolist() == [3, 2, 1]  # RGB
    with pytest.raises(ValueError, match='16-bit'):
        pair(tmp_path / 'c.png', tmp_path / 'c.png', 1e-4)


def packed(folder, monkeypatch):
    """Pack six pairs, of which every second is taken; their grey tells which they are."""
    for name in ('colour', 'depth'):
        (folder / name).mkdir()
    for k in range(6):
        grey = np.full((240, 320, 3), 10 * k, np.uint8)
        cv2.imwrite(str(folder / 'colour' / f'{k}.png'), grey)
        cv2.imwrite(str(folder / 'depth' / f'{k}.png'), np.full((240, 320), 1000 + k, np.uint16))
    words = ['real', str(folder / 'out'), '--name', 'hall', '--every', '2']
    words += ['--colour', str(folder / 'colour'), '--depth', str(folder / 'depth')]
    monkeypatch.setattr(sys, 'argv', words)
    main()
    return folder / 'out'


def test_what_is_packed_is_read_back(tmp_path, monkeypatch):
    pictures = rooms(packed(tmp_path, monkeypatch) / 'hall_000.npz')
    assert [int(image[0, 0, 0]) for image, _ in pictures] == [0, 20, 40]
    assert [float(z.mean()) for _, z in pictures] == pytest.approx([1.0, 1.002, 1.004], abs=1e-3)


def test_real_pictures_are_given_in_their_share(tmp_path, monkeypatch):
    out = packed(tmp_path, monkeypatch)
    (tmp_path / 'rooms').mkdir()
    rendered = np.full((12, 60, 80, 3), 250, np.uint8)
    depth = np.full((12, 60, 80), 2.0, np.float16)
    np.savez(tmp_path / 'rooms' / 'rooms_00000.npz', image=rendered, depth=depth)
    scenes = Scenes([tmp_path / 'rooms'], (48, 64), 1, real=out, real_share=0.25)
    values = [int(i[0, 0, 0]) for i, _ in scenes._some(np.random.default_rng(0))]
    assert values.count(250) == 12
    assert len(values) == 16
    assert set(values) <= {0, 20, 40, 250}
    with pytest.raises(FileNotFoundError, match='no packed pictures'):
        Scenes([tmp_path / 'rooms'], (48, 64), 1, real=tmp_path / 'colour')
