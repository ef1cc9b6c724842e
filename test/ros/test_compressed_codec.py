import struct
import zlib

import cv2
from depth_perception.messages.compressed import (
    depth_from_compressed_depth,
)
from depth_perception.ros.compressed_codec import compressed_depth_from_depth
import numpy as np
import pytest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


COLOUR = np.tile(np.array([[[200, 90, 30], [20, 160, 220]]], np.uint8), (24, 16, 1))


COLOUR = np.repeat(COLOUR, 2, axis=1)[:, 1:-1]  # 24 rows of 62


def png(width, height, *, body=b''):
    """Return a PNG file whose header claims a size, whatever the body holds."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', check)

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(body)), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def test_wire_format_of_compressed_depth():
    header = Header(frame_id='left_optical')
    depth = np.array([[2.0, 5.0, 10.0, 10.1, np.nan, np.inf, -np.inf]], np.float32)
    msg = compressed_depth_from_depth(depth, header, 10.0, 100.0, 1)
    assert (msg.format, msg.header) == ('32FC1; compressedDepth png', header)
    kind, a, b = struct.unpack('<iff', bytes(msg.data[:12]))
    assert (kind, a, b) == (0, 10100.0, -1009.0)
    codes = cv2.imdecode(np.array(msg.data[12:], np.uint8), cv2.IMREAD_UNCHANGED)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [[4041, 1011, 1, 0, 0, 0, 0]]


@pytest.mark.parametrize(('depth_max', 'q'), [(10.0, 100.0), (20.0, 100.0), (100.0, 1.0)])
def test_round_trip_is_within_half_a_step(depth_max, q):
    a = q * (q + 1.0)
    nearest = 1.01 * a / (65534.0 + a / depth_max)
    depth = np.linspace(nearest, depth_max, 3000, dtype=np.float32).reshape(50, 60)
    back = depth_from_compressed_depth(compressed_depth_from_depth(depth, Header(), depth_max, q))
    assert back.dtype == np.float32
    assert np.abs(1.0 / back - 1.0 / depth).max() <= 0.502 / a


@pytest.mark.parametrize(('depth_max', 'q'), [(10.0, 100.0), (1000.0, 1.0)])
def test_what_the_format_cannot_hold_is_unknown(depth_max, q):
    values = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-30, 1e-6, 1.01 * depth_max, 1e30]
    depth = np.array([values, [depth_max] * 9], np.float32)
    back = depth_from_compressed_depth(compressed_depth_from_depth(depth, Header(), depth_max, q))
    assert np.isnan(back[0]).all()
    np.testing.assert_allclose(back[1], depth_max, rtol=1e-3)
