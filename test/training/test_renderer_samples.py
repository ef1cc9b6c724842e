"""Random samples of the renderer: every kind, the same for one seed, faults, shards."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('numba', reason='the renderer needs numba')

from training.renderer import degrade, KINDS, render
from training.renderer.degrade import degrade_images
from training.renderer.stream import fill, GLASS, OCCLUDED, shards, SKY
from training.renderer.textures import load, procedural_pool, pyramid

SIZE = (112, 80)


@pytest.fixture(autouse=True)
def _without_a_pool(monkeypatch):
    monkeypatch.delenv('DEPTH_TRAINING_TEXTURES', raising=False)


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_renders(kind):
    for seed in (1, 2, 3):
        pair = render(seed, *SIZE, kind=kind)
        assert pair.kind == kind
        assert pair.left.shape == pair.right.shape == (80, 112, 3)
        assert pair.left.dtype == pair.right.dtype == np.uint8
        assert 3 < pair.left.mean() < 252
        assert pair.left.std() > 2
        assert np.isfinite(pair.disparity).all()
        known = ~pair.sky
        assert known.mean() > 0.2
        assert (pair.disparity[known] > 0).all()
        product = pair.focal_px * pair.baseline_m
        np.testing.assert_allclose(pair.disparity[known] * pair.depth[known], product, rtol=1e-5)
        assert 0.01 * 112 < np.quantile(pair.disparity[known], 0.995) < 0.5 * 112
        assert pair.textures == 'procedural'


def test_one_seed_makes_one_pair_and_another_makes_another():
    first, again, other = render(7, *SIZE), render(7, *SIZE), render(8, *SIZE)
    for name in ('left', 'right', 'disparity', 'occluded', 'sky'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.left, other.left)
    assert first.baseline_m == again.baseline_m


def test_the_largest_disparity_can_be_limited_and_is_spread():
    pairs = [render(seed, *SIZE, kind='flying', max_disparity_px=20) for seed in range(24)]
    largest = np.array([np.quantile(p.disparity[~p.sky], 0.995) for p in pairs])
    assert largest.max() < 21
    assert largest.min() < 8
    assert len(np.unique(largest.round(2))) == 24


def test_pixels_said_to_be_seen_look_alike_in_both_views():
    errors, shifted = [], []
    y, x = np.mgrid[:80, :112]
    for seed in range(6):
        pair = render(seed, *SIZE, kind='table')
        seen = ~pair.occluded & ~pair.sky & ~pair.glass
        for shift, into in ((0.0, errors), (3.0, shifted)):
            there = np.clip(x - pair.disparity - shift, 0, 110.999)
            low = there.astype(int)
            a = (there - low)[..., None]
            warped = (1 - a) * pair.right[y, low] + a * pair.right[y, low + 1]
            into.append(np.abs(warped - pair.left)[seen].mean())
    assert np.mean(errors) < 0.4 * np.mean(shifted)


def test_faults_are_repeatable_and_leave_the_scene_recognisable():
    pair = render(3, *SIZE)
    alike = []
    for seed in range(12):
        left, right = degrade(pair, np.random.default_rng(seed))
        again = degrade_images(pair.left, pair.right, np.random.default_rng(seed))
        np.testing.assert_array_equal(left, again[0])
        np.testing.assert_array_equal(right, again[1])
        assert left.shape == right.shape == pair.left.shape
        assert left.dtype == right.dtype == np.uint8
        alike.append(np.corrcoef(left.ravel(), pair.left.ravel())[0, 1])
        assert not np.array_equal(left, pair.left)
    assert min(alike) > 0.5
    assert len({round(a, 6) for a in alike}) == 12


def test_shards_hold_what_was_rendered_and_are_not_made_twice(tmp_path):
    said = []
    fill(tmp_path, range(20, 25), SIZE, per_shard=3, report=said.append)
    fill(tmp_path, range(20, 25), SIZE, per_shard=3, report=said.append)
    assert [len(shard) for shard in shards(tmp_path)] == [3, 2]
    assert len(said) == 2
    first = next(shards(tmp_path))
    pair = render(21, *SIZE)
    np.testing.assert_array_equal(first.left[1], pair.left)
    np.testing.assert_array_equal(first.right[1], pair.right)
    np.testing.assert_allclose(first.disparity[1], pair.disparity, rtol=1e-3)
    np.testing.assert_array_equal(first.masks[1] & OCCLUDED > 0, pair.occluded)
    np.testing.assert_array_equal(first.masks[1] & SKY > 0, pair.sky)
    np.testing.assert_array_equal(first.masks[1] & GLASS > 0, pair.glass)
    assert first.info['seeds'] == [20, 21, 22]
    assert first.info['focal_px'][1] == pair.focal_px
    next(tmp_path.glob('*.json')).unlink()
    assert len(list(shards(tmp_path))) == 1


def test_a_pool_is_read_from_a_folder(tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 1] = 200
    np.save(tmp_path / 'pool.npy', np.stack([pyramid(image)] * 2))
    manifest = {'name': 'green', 'size': 32, 'tags': ['photo', 'plain']}
    (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
    pool = load(str(tmp_path))
    assert pool.size == 32
    assert {tag: list(rows) for tag, rows in pool.by_tag.items()} == {'plain': [1], 'photo': [0]}
    assert pool.pick(np.random.default_rng(0), photo=1) == 0
    pair = render(2, *SIZE, kind='relief', textures=str(tmp_path))
    assert pair.textures == 'green'
    assert pair.left[..., 1].mean() > 2 * pair.left[..., 0].mean()


def test_a_pyramid_halves_down_to_one_pixel():
    pool = procedural_pool(size=16, seed=1)
    assert pool.data.shape[1] == 3 * (256 + 64 + 16 + 4 + 1)
    largest = pool.data[0, : 3 * 256].reshape(16, 16, 3).mean(axis=(0, 1))
    np.testing.assert_allclose(pool.data[0, -3:], largest, atol=2)
