"""Collecting textures from unpacked packages, without fetching anything."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest

pytest.importorskip('numba', reason='the renderer needs numba')

from training.renderer import fetch_textures
from training.renderer.fetch_textures import collect, crops, pictures, read
from training.renderer.textures import load


def photograph(seed, height=300, width=400):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height))


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def test_only_pictures_of_colours_are_read(tmp_path):
    save(tmp_path / 'wall.png', photograph(1))
    save(tmp_path / 'wall_normal.png', photograph(2))
    save(tmp_path / 'small.png', photograph(3, 50, 50))
    save(tmp_path / 'grey.png', np.full((300, 300, 3), 90, np.uint8))
    blue = np.full((300, 300, 3), (250, 128, 128), np.uint8)
    save(
        tmp_path / 'blue.png',
        blue + np.random.default_rng(4).integers(0, 5, blue.shape, np.uint8),
    )
    (tmp_path / 'notes.txt').write_text('no picture')
    assert [p.name for p in pictures(tmp_path)] == [
        'blue.png',
        'grey.png',
        'small.png',
        'wall.png',
    ]
    read_ones = [p.name for p in pictures(tmp_path) if read(p, 200) is not None]
    assert read_ones == ['wall.png']
    np.testing.assert_array_equal(read(tmp_path / 'wall.png', 200), photograph(1)[..., ::-1])


def test_what_is_transparent_is_left_out_or_laid_upon_a_colour(tmp_path):
    image = np.dstack([photograph(5), np.full((300, 400), 255, np.uint8)])
    image[:, :200, 3] = 0
    save(tmp_path / 'stamp.png', image)
    assert read(tmp_path / 'stamp.png', 200) is None
    laid = read(tmp_path / 'stamp.png', 200, ground=np.array([10, 20, 30]))
    assert (laid[:, :200] == (30, 20, 10)).all()
    np.testing.assert_array_equal(laid[:, 200:], photograph(5)[:, 200:, ::-1])


def test_crops_are_squares_of_the_photograph():
    image = photograph(6)
    parts = list(crops(image, 20, np.random.default_rng(0)))
    assert all(part.shape[0] == part.shape[1] for part in parts)
    sides = [part.shape[0] for part in parts]
    assert min(sides) >= 0.35 * 300 - 1
    assert max(sides) <= 300
    assert len(set(sides)) > 10


def test_a_pool_is_collected_with_its_licences(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_textures, 'PHOTOS', {'photos': 4})
    monkeypatch.setattr(fetch_textures, 'SURFACES', {'game': 2, 'missing': 9})
    monkeypatch.setattr(fetch_textures, '_MADE', {'plain': 1, 'pattern': 2})
    monkeypatch.setattr(fetch_textures, 'SIZE', 32)
    monkeypatch.setattr(fetch_textures, '_scikit', lambda _: (None, []))
    unpack = fetch_textures.unpack
    known = {'photos', 'game'}
    monkeypatch.setattr(
        fetch_textures, 'unpack', lambda p, f: unpack(p, f) if p in known else None
    )
    for package in known:
        folder = tmp_path / 'unpacked' / package
        for k in range(3):
            save(folder / f'{package}{k}.png', photograph(k))
        (folder / 'version').write_text('1.2\n')
    notice = tmp_path / 'unpacked/game/usr/share/doc/game/copyright'
    notice.parent.mkdir(parents=True)
    notice.write_text('Files: *\nLicense: CC0-1.0\nLicense: CC-BY-4.0\n')
    manifest = collect(tmp_path)
    assert manifest['tags'] == ['photo'] * 3 + ['surface'] * 2 + ['plain'] + ['pattern'] * 2
    game = {'package': 'game', 'version': '1.2', 'licences': 'CC-BY-4.0, CC0-1.0', 'textures': 2}
    assert manifest['sources'][1] == game
    assert load(str(tmp_path)).data.shape[0] == 8


def test_archives_of_games_give_an_even_choice(tmp_path):
    coded = cv2.imencode('.png', photograph(7))[1].tobytes()
    with zipfile.ZipFile(tmp_path / 'data.pk3', 'w') as archive:
        for k in range(10):
            archive.writestr(f'textures/t{k}.png', coded)
        archive.writestr('textures/t0_normal.png', coded)
        archive.writestr('readme.txt', 'words')
    fetch_textures._unzip(tmp_path, most=5)
    names = [path.name for path in pictures(tmp_path)]
    assert names == ['t0.png', 't2.png', 't4.png', 't6.png', 't8.png']
    assert not (tmp_path / 'data.pk3').exists()
