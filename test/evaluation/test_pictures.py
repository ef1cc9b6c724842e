"""Pictures: values that a person reads off them."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.pictures import (
    colourise,
    ColourScale,
    depth_mm_from_depth,
    depth_scale,
    encoded,
    FAR_RGB,
    NEAR_RGB,
    read_picture,
    render_cloud,
    sigma_scale,
    UNKNOWN_RGB,
    with_colour_bar,
    write_image,
)
import numpy as np
import pytest

pytest.importorskip('cv2')


def test_special_values_have_colours_of_their_own():
    values = np.array([[np.nan, np.inf, -np.inf, 2.0]], np.float32)
    rgb = colourise(values, ColourScale(1.0, 4.0, inverse=True))
    assert [tuple(pixel) for pixel in rgb[0, :3]] == [UNKNOWN_RGB, FAR_RGB, NEAR_RGB]
    assert tuple(rgb[0, 3]) not in (UNKNOWN_RGB, FAR_RGB, NEAR_RGB)


def test_near_is_red_and_far_is_blue():
    near, far = colourise(np.array([[1.0, 4.0]]), ColourScale(1.0, 4.0, inverse=True))[0]
    assert near[0] > 100 > near[2]
    assert far[2] > far[1]
    assert far[2] > 40


def test_scale_of_depth_is_even_in_inverse_depth():
    scale = ColourScale(1.0, 4.0, inverse=True)
    assert scale.value(0.5) == pytest.approx(1.6)
    assert scale.fraction(np.array([1.0, 1.6, 4.0])) == pytest.approx([0.0, 0.5, 1.0])
    assert ColourScale(1.0, 4.0).value(0.5) == 2.5


def test_scales_leave_out_outliers_and_unknown():
    depth = np.linspace(2.0, 3.0, 1000, dtype=np.float32).reshape(20, 50)
    depth[0, 0], depth[0, 1], depth[0, 2] = 500.0, np.nan, np.inf
    scale = depth_scale([depth])
    assert 2.0 < scale.low < 2.05
    assert 2.9 < scale.high < 3.0
    assert sigma_scale(depth).low == 0.0
    assert depth_scale([np.full((2, 2), np.nan, np.float32)]).low > 0.0


def test_millimetres():
    depth = np.array([[1.2344, 1.2346, np.nan, np.inf, -np.inf, 100.0, 0.0001]], np.float32)
    assert depth_mm_from_depth(depth).tolist() == [[1234, 1235, 0, 0, 0, 65535, 1]]


def test_colour_bar_stands_below_the_picture():
    rgb = np.zeros((40, 300, 3), np.uint8)
    scale = ColourScale(0.0, 1.0)
    whole = with_colour_bar(rgb, scale, 'Depth')
    assert whole.shape[1] == 300
    assert whole.shape[0] > 60
    assert not whole[:40].any()


def test_files_keep_colours_and_16_bits(tmp_path):
    rgb = np.zeros((4, 5, 3), np.uint8)
    rgb[1, 2] = 250, 100, 7
    write_image(tmp_path / 'a.png', rgb)
    assert np.array_equal(read_picture(tmp_path / 'a.png'), rgb)
    assert encoded(rgb, '.jpg')[:2] == b'\xff\xd8'
    import cv2

    write_image(tmp_path / 'd.png', np.array([[0, 1234, 65535]], np.uint16))
    assert cv2.imread(str(tmp_path / 'd.png'), cv2.IMREAD_UNCHANGED).tolist() == [[0, 1234, 65535]]


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / 'a.png').write_text('not a picture')
    (tmp_path / 'empty.png').write_bytes(b'')
    for name in ('a.png', 'empty.png'):
        with pytest.raises(RecordingError, match='not an image'):
            read_picture(tmp_path / name)
    with pytest.raises(RecordingError, match='No such file'):
        read_picture(tmp_path / 'none.png')


def test_cloud_from_the_front_is_the_picture_and_near_covers_far():
    camera = PinholeCamera(40, 30, 30.0, 30.0, 19.5, 14.5)
    depth = np.full((30, 40), 4.0, np.float32)
    depth[10:20, 10:20] = 2.0
    rgb = np.zeros((30, 40, 3), np.uint8)
    rgb[..., 1] = 200
    rgb[10:20, 10:20] = 255, 0, 0
    seen = render_cloud(depth, rgb, camera, yaw_deg=40.0, pitch_deg=0.0)
    red = (seen == (255, 0, 0)).all(axis=2)
    assert 20 < red.sum() < 100
    assert not np.array_equal(np.argwhere(red).min(axis=0), [10, 10])
    nothing = render_cloud(np.full((30, 40), np.nan, np.float32), rgb, camera)
    assert (nothing == UNKNOWN_RGB).all()
