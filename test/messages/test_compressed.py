from array import array
import contextlib
import struct
import time
import zlib

import cv2
from depth_perception.errors import FrameError
from depth_perception.messages.compressed import (
    depth_from_compressed_depth,
    picture_from_compressed,
)
from depth_perception.ros.compressed_codec import compressed_depth_from_depth
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


COLOUR = np.tile(np.array([[[200, 90, 30], [20, 160, 220]]], np.uint8), (24, 16, 1))


COLOUR = np.repeat(COLOUR, 2, axis=1)[:, 1:-1]  # 24 rows of 62


def message(data, kind='jpeg'):
    return CompressedImage(format=kind, data=array('B', data))


def encoded(pixels, extension):
    return cv2.imencode(extension, pixels)[1].tobytes()


def png(width, height, *, body=b''):
    """Return a PNG file whose header claims a size, whatever the body holds."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', check)

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(body)), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def test_png_keeps_its_pixels():
    picture = picture_from_compressed(
        message(encoded(COLOUR, '.png'), 'bgr8; png compressed bgr8')
    )
    assert picture.order == 'bgr'
    np.testing.assert_array_equal(picture.pixels, COLOUR)


def test_jpeg_keeps_its_size_and_colours():
    smooth = np.full((40, 70, 3), [200, 90, 30], np.uint8)
    picture = picture_from_compressed(message(encoded(smooth, '.jpg')))
    assert (picture.width, picture.height, picture.order) == (70, 40, 'bgr')
    assert np.abs(picture.pixels.astype(int) - smooth).max() <= 3


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_grey_file_stays_grey(extension):
    grey = np.full((24, 62), 91, np.uint8)
    picture = picture_from_compressed(message(encoded(grey, extension)))
    assert picture.order == 'grey'
    assert np.abs(picture.pixels.astype(int) - grey).max() <= 1


def test_progressive_jpeg_with_segments_before_the_frame():
    data = cv2.imencode('.jpg', COLOUR, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    comment = b'\xff\xfe' + struct.pack('>H', 2 + 300) + b'\xff\xc0' * 150
    picture = picture_from_compressed(message(data[:2] + comment + data[2:]))
    assert (picture.width, picture.height) == (62, 24)


@pytest.mark.parametrize('size', [(16384, 16384), (8193, 4), (2**31 - 1, 1)])
def test_png_bomb_is_refused_before_decoding(size, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(FrameError, match=f'{size[0]}x{size[1]}') as caught:
        picture_from_compressed(message(png(*size, body=bytes(1 << 20))), 8192)
    assert caught.value.cause == 'too_large'


def test_jpeg_bomb_is_refused_before_decoding(monkeypatch):
    data = bytearray(encoded(COLOUR, '.jpg'))
    frame = data.index(b'\xff\xc0')
    data[frame + 5 : frame + 9] = struct.pack('>HH', 16000, 16001)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(FrameError, match='16001x16000') as caught:
        picture_from_compressed(message(data), 8192)
    assert caught.value.cause == 'too_large'


def test_png_chunk_that_claims_gigabytes_is_refused_before_decoding(monkeypatch):
    data = bytearray(encoded(COLOUR, '.png'))
    data[33:37] = struct.pack('>I', 2**31 - 1)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(FrameError) as caught:
        picture_from_compressed(message(data))
    assert caught.value.cause == 'truncated'


def test_zero_size_is_refused():
    with pytest.raises(FrameError, match='0x4') as caught:
        picture_from_compressed(message(png(0, 4)))
    assert caught.value.cause == 'zero_size'


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
@pytest.mark.parametrize('part', [0.02, 0.5, 0.97])
def test_truncated_file_is_refused(extension, part):
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    data = encoded(noise, extension)
    with pytest.raises(FrameError, match='whole files') as caught:
        picture_from_compressed(message(data[: int(len(data) * part)]))
    assert caught.value.cause == 'truncated'


@pytest.mark.parametrize(
    'file',
    [
        b'\xff\xd8' + b'\xff' * 50_000_000 + b'\xff\xd9',
        encoded(COLOUR, '.png')[:33] + (bytes(4) + b'tEXt' + bytes(4)) * 4_000_000,
    ],
    ids=['jpeg', 'png'],
)
def test_endless_file_does_not_keep_us_walking(file):
    msg = CompressedImage(format='jpeg')
    msg.data.frombytes(file)
    start = time.process_time()
    with pytest.raises(FrameError) as caught:
        picture_from_compressed(msg)
    assert caught.value.cause == 'corrupt'
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_zeros_after_the_file_do_no_harm(extension):
    picture = picture_from_compressed(message(encoded(COLOUR, extension) + bytes(5000)))
    assert (picture.width, picture.height) == (62, 24)


@settings(deadline=None)
@given(st.sampled_from(['.png', '.jpg']), st.data())
def test_damaged_file_gives_a_picture_or_a_frame_error(extension, data):
    file = bytearray(encoded(COLOUR, extension))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FrameError):
        picture = picture_from_compressed(message(file), 1000)
        assert max(picture.width, picture.height) <= 1000


@pytest.mark.parametrize(
    ('data', 'cause'),
    [
        (b'', 'encoding'),
        (b'GIF89a' + bytes(100), 'encoding'),
        (b'\x89PNG\r\n\x1a\n' + bytes(100), 'corrupt'),
        (b'\x89PNG\r\n\x1a\n', 'corrupt'),
        (b'\xff\xd8\xff\xd9', 'corrupt'),
        (b'\xff\xd8' + bytes(100) + b'\xff\xd9', 'corrupt'),
        (b'\xff\xd8\xff\xe0\x00\x00' + bytes(100) + b'\xff\xd9', 'corrupt'),
        (b'\xff\xd8\xff\x00\x00\x04' + bytes(100) + b'\xff\xd9', 'corrupt'),
        (b'\xff\xd8' + b'\xff' * 100 + b'\xff\xd9', 'corrupt'),
        (b'\xff\xd8\xff\xda\x00\x08' + bytes(100) + b'\xff\xd9', 'corrupt'),
    ],
)
def test_what_is_no_picture_is_refused(data, cause):
    with pytest.raises(FrameError) as caught:
        picture_from_compressed(message(data))
    assert caught.value.cause == cause


def test_depth_is_no_camera_image():
    msg = compressed_depth_from_depth(np.ones((4, 5), np.float32), Header())
    with pytest.raises(FrameError, match='compressedDepth') as caught:
        picture_from_compressed(msg)
    assert caught.value.cause == 'encoding'


def test_millimetres_are_read():
    values = np.array([[0, 1500], [65535, 7]], np.uint16)
    data = bytes(12) + encoded(values, '.png')
    back = depth_from_compressed_depth(message(data, '16UC1; compressedDepth png'))
    wanted = np.array([[np.nan, 1.5], [65.535, 0.007]], np.float32)
    np.testing.assert_allclose(back, wanted, rtol=1e-6)


def depth_file(a=10100.0, b=-1009.0, *, file=None):
    if file is None:
        file = encoded(np.array([[0, 100]], np.uint16), '.png')
    return struct.pack('<iff', 0, a, b) + file


@pytest.mark.parametrize(
    ('data', 'kind', 'cause'),
    [
        (depth_file(), 'jpeg', 'encoding'),
        (depth_file(), '32FC1; compressedDepth rvl', 'too_large'),
        (depth_file(), '8UC1; compressedDepth png', 'encoding'),
        (depth_file(a=np.nan), '32FC1; compressedDepth png', 'encoding'),
        (depth_file(a=-1.0), '32FC1; compressedDepth png', 'encoding'),
        (depth_file(b=np.inf), '32FC1; compressedDepth png', 'encoding'),
        (depth_file(file=encoded(COLOUR, '.png')), '32FC1; compressedDepth png', 'encoding'),
        (depth_file()[:9], '32FC1; compressedDepth png', 'truncated'),
        (depth_file()[:-20], '32FC1; compressedDepth png', 'truncated'),
        (depth_file(file=png(16384, 16384)), '32FC1; compressedDepth png', 'too_large'),
    ],
)
def test_lying_compressed_depth_is_refused(data, kind, cause):
    with pytest.raises(FrameError) as caught:
        depth_from_compressed_depth(message(data, kind), 8192)
    assert caught.value.cause == cause
