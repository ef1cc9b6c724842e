"""Crops in whole pixels, strict limits, and truths that never count."""

from depth_perception.errors import SettingsError, ShapeError
from depth_perception.evaluation.measures import masks
from depth_perception.evaluation.measures.masks import counted, crop_box, PROTOCOLS, truth_mask
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

NAN, INF = np.nan, np.inf


# From running ZoeDepth d87f17b, zoedepth/utils/misc.py, compute_metrics (truth of one row or one
# column at a time); monodepth2 b676244, evaluate_depth.py, has the same numbers for 'garg'.
@pytest.mark.parametrize(
    ('name', 'height', 'width', 'box'),
    [
        ('garg', 375, 1242, (153, 371, 44, 1197)),
        ('garg', 370, 1226, (151, 366, 44, 1181)),
        ('garg', 376, 1241, (153, 372, 44, 1196)),
        ('garg', 480, 640, (195, 476, 23, 616)),
        ('eigen', 375, 1242, (124, 342, 44, 1197)),
        ('eigen', 370, 1226, (122, 337, 44, 1181)),
        ('eigen', 376, 1241, (124, 343, 44, 1196)),
        ('eigen', 480, 640, (159, 438, 23, 616)),
        ('eigen', 474, 640, (157, 433, 23, 616)),
        ('nyu', 480, 640, (45, 471, 41, 601)),
        ('nyu', 240, 320, (22, 235, 20, 300)),
        ('none', 375, 1242, (0, 375, 0, 1242)),
    ],
)
def test_crops_in_whole_pixels(name, height, width, box):
    assert crop_box(name, height, width) == box
    rows, columns = np.nonzero(masks.crop_mask(name, height, width))
    top, bottom, left, right = box
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == box
    assert rows.size == (bottom - top) * (right - left)


@given(st.sampled_from(masks.CROPS), st.integers(1, 900), st.integers(1, 900))
def test_crops_lie_inside_any_image(name, height, width):
    top, bottom, left, right = crop_box(name, height, width)
    assert 0 <= top <= bottom <= height
    assert 0 <= left <= right <= width


def test_one_pixel_images():
    assert masks.crop_mask('none', 1, 1).all()
    assert not masks.crop_mask('garg', 1, 1).any()
    assert truth_mask(np.array([[2.0]])).tolist() == [[True]]


def test_unknown_crops_are_named():
    with pytest.raises(SettingsError, match=r"no crop 'ggarg'; there are none, garg, eigen, nyu"):
        masks.crop_mask('ggarg', 4, 4)
    with pytest.raises(ShapeError):
        truth_mask(np.ones(3))


def test_limits_are_strict():
    truth = np.array([[0.5, 0.75, 2.0, 3.0, 3.5]])
    assert truth_mask(truth, min_m=0.5, max_m=3.0).tolist() == [[False, True, True, False, False]]


def test_what_cannot_be_a_depth_never_counts():
    truth = np.array([[0.0, -0.0, -2.0, NAN, INF, -INF, 1e-6]], np.float32)
    assert truth_mask(truth, min_m=-5.0).tolist() == [[False] * 6 + [True]]
    assert not truth_mask(truth).any()


def test_protocols_are_those_of_the_benchmarks():
    limits = {k: (p.crop, p.min_m, p.max_m, p.clamp) for k, p in PROTOCOLS.items()}
    assert limits == {
        'none': ('none', 1e-3, INF, False),
        'kitti-eigen-garg': ('garg', 1e-3, 80.0, True),
        'kitti-eigen': ('eigen', 1e-3, 80.0, True),
        'kitti-improved': ('none', 1e-3, 80.0, True),
        'nyu': ('nyu', 1e-3, 10.0, True),
    }
    truth = np.full((480, 640), 5.0, np.float32)
    truth[100:200] = 10.0
    assert PROTOCOLS['nyu'].truth_mask(truth).sum() == (471 - 45 - 100) * (601 - 41)


def test_protocols_limit_what_is_finite():
    depth = np.array([[-1.0, 0.0, 5.0, 12.0, INF, -INF, NAN]], np.float32)
    limited = PROTOCOLS['nyu'].clamped(depth)
    np.testing.assert_allclose(limited, [[1e-3, 1e-3, 5.0, 10.0, INF, -INF, NAN]], rtol=1e-6)
    assert limited.dtype == np.float32
    assert PROTOCOLS['none'].clamped(depth) is depth


@pytest.mark.parametrize('positive', [True, False])
def test_blocks_of_rows_hold_every_counted_pixel_in_order(positive):
    noise = np.random.default_rng(2)
    truth = noise.uniform(-1.0, 5.0, (90, 1000)).astype(np.float32)
    predicted = noise.uniform(-1.0, 5.0, truth.shape).astype(np.float32)
    predicted[noise.random(truth.shape) < 0.2] = NAN
    predicted[:, 7], predicted[:, 8] = INF, -INF
    mask = noise.random(truth.shape) < 0.7
    blocks = list(counted(predicted, truth, mask, positive=positive))
    known = mask & (truth > 0)
    both = known & np.isfinite(predicted) & ((predicted > 0) | (not positive))
    assert len(blocks) == 6
    assert np.array_equal(np.concatenate([b.known for b in blocks]), known)
    assert np.array_equal(np.concatenate([b.predicted for b in blocks]), predicted[both])
    assert np.array_equal(np.concatenate([b.truth for b in blocks]), truth[both])


def test_sizes_must_agree():
    with pytest.raises(ShapeError, match='mask must be'):
        list(counted(np.ones((2, 3)), np.ones((2, 3)), np.ones((3, 2), bool)))
