from array import array
import contextlib

import cv2
from depth_perception.errors import FrameError
from depth_perception.messages.images import depth_from_image, picture_from_image
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros


HEIGHT, WIDTH = 4, 6


def image(pixels, encoding, *, padding=0, big_endian=False):
    """Return a message whose rows end with `padding` bytes of rubbish."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rubbish = np.full((rows.shape[0], padding), 0xAB, np.uint8)
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    msg.step = rows.shape[1] + padding
    msg.is_bigendian = int(big_endian)
    msg.data = array('B', np.hstack([rows, rubbish]).tobytes())
    return msg


def noise(*shape, seed=1, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


@pytest.mark.parametrize(
    ('encoding', 'order', 'channels'),
    [('rgb8', 'rgb', 3), ('bgr8', 'bgr', 3), ('8UC3', 'bgr', 3), ('mono8', 'grey', 0)],
)
@pytest.mark.parametrize('padding', [0, 5])
def test_plain_encodings_keep_their_pixels(encoding, order, channels, padding):
    pixels = noise(HEIGHT, WIDTH, *([channels] if channels else []))
    msg = image(pixels, encoding, padding=padding)
    picture = picture_from_image(msg, 100)
    assert picture.order == order
    np.testing.assert_array_equal(picture.pixels, pixels)
    shared = np.shares_memory(picture.pixels, np.frombuffer(msg.data, np.uint8))
    assert shared == (padding == 0)


@pytest.mark.parametrize(('encoding', 'order'), [('rgba8', 'rgb'), ('bgra8', 'bgr')])
def test_alpha_is_left_out(encoding, order):
    pixels = noise(HEIGHT, WIDTH, 4)
    picture = picture_from_image(image(pixels, encoding, padding=3))
    assert picture.order == order
    np.testing.assert_array_equal(picture.pixels, pixels[..., :3])


@pytest.mark.parametrize(('order', 'big_endian'), [('<', False), ('>', True)])
def test_mono16_is_scaled_in_either_byte_order(order, big_endian):
    values = np.array([[0, 128, 129, 257], [65535, 65407, 32896, 2]], f'{order}u2')
    picture = picture_from_image(image(values, 'mono16', padding=2, big_endian=big_endian))
    assert picture.order == 'grey'
    np.testing.assert_array_equal(picture.pixels, [[0, 0, 1, 1], [255, 255, 128, 0]])


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_patterns_give_the_colour_of_the_scene(pattern):
    colour = {'r': 200, 'g': 120, 'b': 30}
    cell = np.array([[colour[pattern[0]], colour[pattern[1]]], [colour[pattern[2]], 0]], np.uint8)
    cell[1, 1] = colour[pattern[3]]
    picture = picture_from_image(image(np.tile(cell, (4, 5)), f'bayer_{pattern}8', padding=1))
    assert picture.order == 'rgb'
    np.testing.assert_array_equal(picture.pixels[2:-2, 2:-2], np.full((4, 6, 3), [200, 120, 30]))


@pytest.mark.parametrize(
    ('encoding', 'luma'), [('uyvy', 1), ('yuv422', 1), ('yuyv', 0), ('yuv422_yuy2', 0)]
)
def test_yuv422_has_luma_and_chroma_in_their_places(encoding, luma):
    packed = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    packed[..., luma] = 81
    packed[:, 0::2, 1 - luma] = 90  # U
    packed[:, 1::2, 1 - luma] = 240  # V: the red of BT.601
    red, green, blue = picture_from_image(image(packed, encoding)).pixels[1, 2]
    assert red > 250
    assert green < 5
    assert blue < 5


def broken(**changes):
    msg = image(noise(HEIGHT, WIDTH, 3), 'rgb8')
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ('changes', 'cause', 'seen'),
    [
        ({'width': 0}, 'zero_size', '0x4'),
        ({'height': 0, 'data': array('B')}, 'zero_size', '6x0'),
        ({'width': 16384}, 'too_large', '16384x4'),
        ({'height': 2**32 - 1}, 'too_large', '4294967295'),
        ({'step': 17}, 'step', '17'),
        ({'step': 0}, 'step', 'step is 0'),
        ({'step': 2**32 - 1}, 'truncated', '72 bytes'),
        ({'data': array('B', bytes(71))}, 'truncated', '71 bytes'),
        ({'data': array('B')}, 'truncated', '0 bytes'),
        ({'data': array('B', bytes(73))}, 'data_size', '73 bytes'),
        ({'encoding': 'rgb9'}, 'encoding', "'rgb9'"),
        ({'encoding': ''}, 'encoding', "''"),
        ({'encoding': '32FC1'}, 'encoding', '32FC1'),
        ({'encoding': 'mono16', 'step': 11}, 'step', '12'),
    ],
)
def test_hostile_image_is_refused_with_its_cause(changes, cause, seen):
    with pytest.raises(FrameError, match=seen) as caught:
        picture_from_image(broken(**changes), 8192)
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    ('encoding', 'shape', 'cause'),
    [('yuyv', (4, 5, 2), 'odd_size'), ('bayer_rggb8', (2, 2), 'too_small')],
)
def test_sizes_that_an_encoding_cannot_have(encoding, shape, cause):
    with pytest.raises(FrameError, match=encoding) as caught:
        picture_from_image(image(noise(*shape), encoding))
    assert caught.value.cause == cause


def test_depth_in_millimetres_is_read_in_either_byte_order():
    for order in '<>':
        values = np.array([[0, 1, 2500], [65535, 300, 7]], f'{order}u2')
        msg = image(values, '16UC1', padding=4, big_endian=order == '>')
        wanted = np.array([[np.nan, 0.001, 2.5], [65.535, 0.3, 0.007]], np.float32)
        np.testing.assert_allclose(depth_from_image(msg), wanted, rtol=1e-6)


def test_depth_in_metres_keeps_infinities_and_drops_what_is_not_depth():
    inf, nan = np.inf, np.nan
    for order in '<>':
        values = np.array([[0.0, 1.25, -3.0], [nan, inf, -inf]], f'{order}f4')
        depth = depth_from_image(image(values, '32FC1', padding=8, big_endian=order == '>'))
        np.testing.assert_array_equal(depth, [[nan, 1.25, nan], [nan, inf, -inf]])
        assert depth.dtype == np.dtype('f4')
        assert depth.flags.writeable


def test_depth_of_a_camera_image_is_refused():
    with pytest.raises(FrameError, match='rgb8') as caught:
        depth_from_image(broken())
    assert caught.value.cause == 'encoding'


def test_yuv_agrees_with_opencv():
    packed = noise(4, 8, 2)
    wanted = cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_UYVY)
    np.testing.assert_array_equal(picture_from_image(image(packed, 'uyvy')).pixels, wanted)


@settings(deadline=None)
@given(
    encoding=st.sampled_from(
        ['rgb8', 'mono8', 'mono16', 'bgra8', 'bayer_gbrg8', 'yuyv', 'x', '32FC1']
    ),
    size=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    step=st.integers(0, 40),
    length=st.integers(0, 500),
    big_endian=st.integers(0, 255),
)
def test_whatever_the_header_says_no_other_error_comes(encoding, size, step, length, big_endian):
    msg = Image(width=size[0], height=size[1], encoding=encoding, step=step)
    msg.is_bigendian, msg.data = big_endian, array('B', bytes(length))
    with contextlib.suppress(FrameError):
        picture = picture_from_image(msg, 10)
        assert (picture.width, picture.height) == size
    with contextlib.suppress(FrameError):
        assert depth_from_image(msg, 10).shape == size[::-1]
