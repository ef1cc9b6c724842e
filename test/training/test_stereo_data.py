"""Training pairs: what the layers show, and what cropping and shifting do to their truth."""

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('torch', reason='training needs PyTorch (training/requirements.txt)')

from training.stereo.data import (  # noqa: E402
    Crop,
    Pairs,
    PER_PX,
    placed,
    seen_by_camera,
    visible4,
)
from training.stereo.layers import layered_pair  # noqa: E402


def moved_to_left(right, disparity):
    """Return the colours that the right image has where each left pixel is seen."""
    height, width = disparity.shape
    x = np.arange(width, dtype=np.float32) - np.nan_to_num(disparity)
    y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, 1)
    return cv2.remap(np.ascontiguousarray(right), x.astype(np.float32), y, cv2.INTER_LINEAR)


def mismatch(left, right, disparity, offset=0.0):
    moved = moved_to_left(right, disparity + np.float32(offset))
    seen = visible4(disparity)
    return np.abs(moved - left).mean(2)[::4, ::4][seen].mean()


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_both_views_of_layers_agree_at_the_true_disparity_only(seed):
    pair = layered_pair(np.random.default_rng(seed), 256, 160, 60.0)
    left, right = (image.astype(np.float32) for image in (pair.left, pair.right))
    best = mismatch(left, right, pair.disparity)
    assert pair.disparity.min() >= 0.0
    assert pair.disparity.max() <= 60.0
    for offset in (-1.0, 1.0):
        assert mismatch(left, right, pair.disparity, offset) > 1.1 * best


@pytest.mark.parametrize('seed', range(8))
def test_crops_scaled_and_shifted_still_agree(seed):
    random = np.random.default_rng(seed)
    pair = layered_pair(random, 320, 200, 60.0)
    left, right = (image.astype(np.float32) for image in (pair.left, pair.right))
    crop = Crop(256, 160, 80.0)
    left, right, truth = placed(random, left, right, pair.disparity, crop)
    assert left.shape == right.shape == (160, 256, 3)
    assert np.nanmax(truth) <= 80.0
    best = mismatch(left, right, truth)
    assert mismatch(left, right, truth, -1.0) > 1.05 * best
    assert mismatch(left, right, truth, 1.0) > 1.05 * best


def test_visible_is_what_no_nearer_surface_hides():
    disparity = np.full((8, 64), 4.0, np.float32)
    disparity[:, 32:48] = 12.0
    seen = visible4(disparity)[0]
    # 32..47 moves to 20..35 and hides the wall that is there: at 24..39 in the left image
    expected = [x >= 4 and not 24 <= x < 32 for x in range(0, 64, 4)]
    assert seen.tolist() == expected


def test_cameras_change_both_views_but_not_their_size():
    random = np.random.default_rng(4)
    images = [random.uniform(0, 255, (64, 96, 3)).astype(np.float32) for _ in range(2)]
    a, b = seen_by_camera(random, *images)
    assert a.shape == b.shape == (64, 96, 3)
    assert min(a.min(), b.min()) >= 0.0
    assert max(a.max(), b.max()) <= 255.0
    assert np.abs(a - images[0]).mean() > 1.0


def test_the_same_seed_draws_the_same_crops(tmp_path):
    pair = layered_pair(np.random.default_rng(3), 320, 200, 60.0)
    steps = np.rint(pair.disparity * PER_PX).astype(np.uint16)
    np.savez(tmp_path / 'a.npz', left=pair.left, right=pair.right, disparity=steps)
    first, second = (
        next(iter(Pairs({tmp_path: 1.0}, Crop(128, 96, 80.0), seed=5, rank=0))) for _ in range(2)
    )
    other = next(iter(Pairs({tmp_path: 1.0}, Crop(128, 96, 80.0), seed=5, rank=1)))
    assert all((first[name] == second[name]).all() for name in first)
    assert (first['left'] != other['left']).any()
