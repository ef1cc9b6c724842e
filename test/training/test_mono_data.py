"""What the mono network is shown: pictures, truth and mask stay together."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('torch', reason='training needs PyTorch')
pytest.importorskip('cv2')

from training.mono.data import bordered, cropped, recoloured, relit, roughened, Scenes


def scene(seed=0, height=60, width=80):
    """Return a picture whose red is the inverse depth, and that depth."""
    rng = np.random.default_rng(seed)
    inverse = np.kron(rng.uniform(0.2, 1.0, (6, 8)), np.ones((height // 6, width // 8)))
    image = np.repeat((inverse * 255).astype(np.uint8)[..., None], 3, -1)
    return image, (1.0 / inverse).astype(np.float16)


@pytest.mark.parametrize('seed', range(8))
def test_crops_and_mirrors_keep_picture_and_truth_together(seed):
    image, depth = scene()
    depth[:10, :20] = 0
    found, inverse, known = cropped(image, depth, (48, 64), np.random.default_rng(seed))
    both = (known > 0) & (np.abs(found[..., 0] / 255 - inverse) > 0.1)
    assert both.mean() < 0.12  # only where blocks meet
    assert not inverse[known == 0].any()


def test_colours_change_and_stay_colours():
    image, _ = scene()
    rng = np.random.default_rng(4)
    found = [roughened(recoloured(image, rng), rng) for _ in range(4)]
    assert all(f.dtype == np.uint8 and f.shape == image.shape for f in found)
    assert len({f.tobytes() for f in found}) == 4
    for f in found:  # light stays lighter than dark
        assert np.corrcoef(f.mean(-1).ravel(), image.mean(-1).ravel())[0, 1] > 0.8


def test_light_changes_softly_over_the_picture_and_leaves_black_black():
    x = np.full((60, 80, 3), 0.4, np.float32)
    x[:, :8] = 0
    found = relit(x, np.random.default_rng(3))
    assert found.dtype == np.float32
    assert not found[:, :8].any()
    light = np.log(found[:, 8:] / 0.4)
    assert np.abs(light).max() > 0.1
    assert max(np.abs(np.diff(light, axis=k)).max() for k in (0, 1)) < 0.1


def test_a_border_is_empty_and_not_known():
    image, _ = scene()
    known = np.ones((60, 80), np.float32)
    found, left = bordered(image, known, np.random.default_rng(2))
    assert 0 < (left == 0).sum() < 0.2 * left.size
    assert len(np.unique(found[left == 0])) == 1
    np.testing.assert_array_equal(found[left == 1], image[left == 1])
    assert known.all()


def stored(folder):
    """Write a file of rooms and a shard; the picture says which (all 50, all 200)."""
    depth = np.full((4, 60, 80), 2.0, np.float16)
    images = np.full((4, 60, 80, 3), 50, np.uint8)
    np.savez(folder / 'rooms_00000.npz', image=images, depth=depth, focal=np.ones(4))
    base = str(folder / '80x60-00000000')
    np.save(f'{base}.left.npy', np.full((6, 60, 80, 3), 200, np.uint8))
    np.save(f'{base}.disparity.npy', np.full((6, 60, 80), 8.0, np.float16))
    masks = np.zeros((6, 60, 80), np.uint8)
    masks[:, :30] = 2
    np.save(f'{base}.masks.npy', masks)
    kinds = ['room', 'flying', 'table', 'flying', 'shelf', 'relief']
    about = {'kinds': kinds, 'focal_px': [100.0] * 6, 'baseline_m': [0.2] * 6}
    (folder / '80x60-00000000.json').write_text(json.dumps(about))


def test_both_forms_are_read_in_their_shares_and_units(tmp_path):
    stored(tmp_path)
    pictures = Scenes([tmp_path], (48, 64), 1, shards=0.4)._some(np.random.default_rng(0))
    values = [int(image[0, 0, 0]) for image, _ in pictures]
    assert values.count(50) == 4
    assert values.count(200) == 3  # 0.4 / 0.6 of 4, rounded up; only rooms, tables, shelves
    depth = pictures[values.index(200)][1]
    assert depth[-1, 0] == pytest.approx(100.0 * 0.2 / 8.0)
    assert depth[0, 0] == 0.0  # sky


def test_a_seed_always_gives_the_same_samples(tmp_path):
    stored(tmp_path)

    def first(seed):
        stream = iter(Scenes([tmp_path], (32, 64), seed))
        return [next(stream)['image'].numpy().tobytes() for _ in range(5)]

    assert first(3) == first(3)
    assert first(3) != first(4)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no rendered scenes'):
        next(iter(Scenes([tmp_path], (32, 64), 0)))
