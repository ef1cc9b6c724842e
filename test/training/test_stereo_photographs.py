"""Pairs made from one photograph: the right view shows what the truth says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')

from training.stereo.cut_outs import CutOut, laid_over  # noqa: E402
from training.stereo.layers import LayeredPair  # noqa: E402
from training.stereo.patches import joined, merged, planes, segments  # noqa: E402
from training.stereo.photographs import (  # noqa: E402
    coloured,
    filled,
    photographic_pair,
    seen_from_right,
)


def waves(height, width):
    """Return colours that change smoothly, so that every column differs from the others."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bands = [110 + 60 * np.sin(x / p + y / q) for p, q in ((5.0, 9.0), (7.0, -11.0), (13.0, 4.0))]
    return np.stack(bands, 2).round().astype(np.uint8)


def test_the_right_view_lies_left_by_the_disparity_to_a_fraction_of_a_pixel():
    disparity = np.full((3, 40), 4.25, np.float32)
    disparity[1] = 6.5
    source, right = seen_from_right(disparity, 30)
    assert source[0, :3] == pytest.approx([4.25, 5.25, 6.25])
    assert source[1, 7] == pytest.approx(13.5)
    assert right[:, 5] == pytest.approx([4.25, 6.5, 4.25])


def test_a_slant_is_solved_between_the_pixels():
    disparity = np.broadcast_to(2.0 + 0.25 * np.arange(60, dtype=np.float32), (2, 60))
    source, right = seen_from_right(np.ascontiguousarray(disparity), 40)
    # x - 2 - x / 4 = x' is at x = (x' + 2) / 0.75
    assert source[1] == pytest.approx((np.arange(40) + 2.0) / 0.75, abs=1e-4)
    assert right[1] == pytest.approx(source[1] - np.arange(40), abs=1e-4)


def test_the_nearest_wins_and_what_it_bared_is_a_hole():
    disparity = np.full((1, 60), 3.0, np.float32)
    disparity[0, 20:30] = 11.0
    source, right = seen_from_right(disparity, 50)
    assert right[0, 9:19] == pytest.approx(11.0)
    assert source[0, 9:19] == pytest.approx(np.arange(20, 30))
    assert source[0, 8] == pytest.approx(11.0)  # behind, up to the edge
    assert (source[0, 19:27] == -1.0).all()
    assert source[0, 27] == pytest.approx(30.0)


def test_holes_are_painted_by_the_mirrored_background():
    image = np.arange(12, dtype=np.uint8)[None, :, None].repeat(3, 2) * 10
    disparity = np.full((1, 12), 2.0, np.float32)
    disparity[0, :3] = 9.0
    disparity[0, 3:6] = -1.0
    colours, known = filled(image, disparity)
    assert colours[0, 3:6, 0].tolist() == [90, 80, 70]
    assert known[0, 3:6].tolist() == [2.0, 2.0, 2.0]
    colours, _ = filled(image[:, ::-1], disparity[:, ::-1])
    assert colours[0, 6:9, 0].tolist() == [70, 80, 90]
    disparity[0, 7:] = 30.0  # one column of background only
    assert (filled(image, disparity)[0][0, 3:6] == 60).all()


def test_planes_are_exact_and_heed_no_outliers():
    y, x = np.mgrid[0:60, 0:80].astype(np.float32)
    labels = (x > 33).astype(np.int32)
    labels[5, 7] = 2  # between the rows and columns that count
    want = np.where(labels == 1, 50.0 - 0.2 * x + 0.05 * y, 10.0 + 0.1 * x - 0.3 * y)
    rough = want.astype(np.float32)
    rough[20:26, 50:58] += 30.0
    found = planes(rough, labels, calm=0.001)
    apart = labels != 2
    assert np.abs(found - want)[apart].max() < 0.05
    assert found[5, 7] == pytest.approx(rough[5, 7], abs=1e-4)


def test_small_steps_between_patches_are_joined_and_great_ones_kept():
    values = np.zeros((20, 90), np.float32)
    values[:, 30:] = 1.5
    values[:, 60:] = 9.5
    labels = (values > 1).astype(np.int32) + (values > 9)
    found = joined(values, labels, 2.0)
    assert np.abs(np.diff(found[:, :50], axis=1)).max() < 0.3
    assert (found[:, 60] - found[:, 59]).min() > 7.8


def test_patches_end_at_edges_and_small_ones_join_the_likest():
    photo = np.full((60, 80, 3), 60, np.uint8)
    photo[:, 37:] = 170
    photo[30:43, 55:68] = 190
    inverse = np.zeros((60, 80), np.float32)
    labels = segments(photo, 5.0)
    assert labels[10, 10] != labels[10, 70] != labels[36, 61]
    assert np.unique(labels[10:50, 5:34]).size == 1
    found = merged(labels, photo, inverse, 200)
    assert sorted(np.unique(found)) == [0, 1]
    assert np.abs((found != found[0, 0]).argmax(1) - 37).max() <= 1


def test_a_cut_out_hides_in_both_views_what_is_farther_only():
    far = np.full((4, 30), 2.0, np.float32)
    far[2:] = 20.0
    grey = np.full((4, 30, 3), 50, np.uint8)
    cover = np.zeros((4, 45), np.float32)
    cover[:, 16:21] = 1.0
    piece = CutOut((5.5, 0.0, 0.25), cover, np.full((4, 45, 3), 210, np.uint8))
    pair = laid_over(LayeredPair(grey, grey, far), far, [piece])
    assert pair.disparity[:2, 18].tolist() == [5.5, 5.75]
    assert (pair.disparity[2:] == 20.0).all()
    assert (pair.left[:2, 16:21] == 210).all()
    assert (pair.left[2:] == 50).all()
    # the first row from 10.5 to 14.5, half a pixel at both ends
    assert pair.right[0, 9:17, 0].tolist() == [50, 130, 210, 210, 210, 210, 130, 50]


@pytest.mark.parametrize('seed', range(6))
def test_both_views_agree_wherever_both_see(seed):
    random = np.random.default_rng(seed)
    photo = waves(96, 220)
    photo[30:60, 50:90] = photo[30:60, 50:90][:, ::-1] // 2
    inverse = random.random((5, 7)).astype(np.float32)
    inverse = cv2.resize(inverse, (220, 96), interpolation=cv2.INTER_CUBIC)
    pair = photographic_pair(random, photo, inverse, 160, 50.0, [photo[::-1].copy()])
    assert pair.left.shape == pair.right.shape == (96, 160, 3)
    assert 0.0 < pair.disparity.min() <= pair.disparity.max() <= 50.01
    _, right = seen_from_right(pair.disparity, 160)
    y, x = np.mgrid[0:96, 0:160].astype(np.float32)
    place = x - pair.disparity
    there = cv2.remap(right, place, y, cv2.INTER_LINEAR, borderValue=-9)
    moved = cv2.remap(pair.right, place, y, cv2.INTER_CUBIC)
    seen = (np.abs(there - pair.disparity) < 0.02).astype(np.uint8)
    seen = cv2.erode(seen, np.ones((1, 7), np.uint8)) > 0  # edges of the pieces are mixed
    off = np.abs(moved.astype(int) - pair.left).max(2)[seen]
    assert seen.mean() > 0.3
    assert np.median(off) <= 1
    assert (off <= 4).mean() > 0.92


def test_what_is_coloured_keeps_to_its_row():
    photo = waves(9, 50)
    source = np.full((9, 4), 17.0, np.float32)
    assert np.array_equal(coloured(photo, source), photo[:, [17] * 4])
