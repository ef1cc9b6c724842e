"""Features of rendered pairs: rows, roll, order and sameness to a fraction of a pixel."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture
from depth_perception.doctor.judge_pairs import LEAST_MATCHES, SLOPE_PX, VERTICAL_PX
from depth_perception.doctor.sight import sight_of
from depth_perception.evaluation.pictures import read_picture
from depth_perception.evaluation.rendered import rendered_view, shifted
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
BASELINE_M, F = 0.12, 260.0


@pytest.fixture(scope='module')
def views():
    camera = PinholeCamera(320, 240, F, F, 159.5, 109.5)
    left, depth = rendered_view(camera)
    right, _ = rendered_view(camera, shifted(np.eye(4), BASELINE_M))
    return left, right, float(np.median(F * BASELINE_M / depth))


def seen(left, right, doffs_px=0.0):
    return sight_of(
        [(Picture(left, 'rgb'), Picture(np.ascontiguousarray(right), 'rgb'))], doffs_px
    )


def turned(pixels, degrees, scale=1.0):
    turn = cv2.getRotationMatrix2D((159.5, 119.5), degrees, scale)
    return cv2.warpAffine(pixels, turn, (320, 240))


def test_a_rectified_pair_has_its_rows_in_line(views):
    left, right, disparity_px = views
    sight = seen(left, right)
    assert sight.matches > 300
    assert sight.agree > 0.97
    assert abs(sight.vertical_px) < 0.05
    assert max(abs(sight.roll_px), abs(sight.scale_px)) < 0.2
    assert sight.disparity_px == pytest.approx(disparity_px, abs=1.0)
    assert sight.behind < 0.02


@pytest.mark.parametrize('rows', [-17, -1, 2, 25])
def test_the_vertical_offset_is_measured(views, rows):
    left, right, _ = views
    sight = seen(left, np.roll(right, rows, axis=0))
    assert sight.vertical_px == pytest.approx(-rows, abs=0.06)


def test_half_a_row_is_measured(views):
    left, right, _ = views
    move = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])
    assert seen(left, cv2.warpAffine(right, move, (320, 240))).vertical_px == pytest.approx(
        -0.5, abs=0.06
    )


def test_roll_and_scale_are_told_apart(views):
    left, right, _ = views
    rolled = seen(left, turned(right, 1.0))  # anticlockwise: the right edge goes up
    assert rolled.roll_px == pytest.approx(320 * np.tan(np.radians(1.0)), abs=0.5)
    assert abs(rolled.scale_px) < 0.5
    scaled = seen(left, turned(right, 0.0, 0.98))
    assert scaled.scale_px == pytest.approx(240 * 0.02, abs=0.5)
    assert abs(scaled.roll_px) < 0.5


def test_swapped_images_lie_behind_the_cameras(views):
    left, right, disparity_px = views
    sight = seen(right, left)
    assert sight.behind > 0.97
    assert sight.disparity_px == pytest.approx(-disparity_px, abs=1.0)
    assert seen(right, left, doffs_px=40.0).behind < 0.03  # cameras that squint


def test_two_scenes_do_not_agree(views):
    left, _, _ = views
    noise = np.random.default_rng(3).integers(0, 255, left.shape, np.uint8)
    sight = seen(left, noise)
    assert sight.matches * sight.agree < 10


def test_one_camera_twice_is_noticed(views):
    left, right, _ = views
    assert seen(left, left).identical
    assert not seen(left, right).identical


@pytest.mark.parametrize('pixels', [np.zeros((240, 320), np.uint8), np.zeros((20, 20), np.uint8)])
def test_nothing_to_see_is_no_verdict(pixels):
    sight = sight_of([(Picture(pixels, 'grey'), Picture(pixels.copy(), 'grey'))], 0.0)
    assert (sight.pairs, sight.features, sight.matches) == (1, 0.0, 0)


def test_pairs_that_cannot_be_compared(views):
    left, _, _ = views
    assert 'no pair' in sight_of([], 0.0).problem
    small = Picture(np.ascontiguousarray(left[:100]), 'rgb')
    assert 'different sizes' in sight_of([(Picture(left, 'rgb'), small)], 0.0).problem


def test_real_rectified_pairs_raise_no_alarm(shared_dir):
    folders = sorted((shared_dir / 'data').glob('middlebury_20*/*'))
    for folder in folders:
        left, right = folder / 'view1.png', folder / 'view5.png'
        if not left.is_file():
            left, right = folder / 'im0.png', folder / 'im1.png'
        sight = seen(read_picture(left), read_picture(right))
        assert abs(sight.vertical_px) < 0.5 * VERTICAL_PX, folder
        assert max(abs(sight.roll_px), abs(sight.scale_px)) < 0.6 * SLOPE_PX, folder
        assert sight.matches * sight.agree > 4 * LEAST_MATCHES, folder
        assert sight.behind < 0.1, folder
    assert len(folders) >= 10
