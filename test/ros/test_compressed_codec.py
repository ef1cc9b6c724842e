import struct

from compressed_depth import read
import cv2
from depth_perception.messages.compressed import (
    depth_from_compressed_depth,
)
from depth_perception.ros.compressed_codec import (
    compressed_depth_from_depth,
    compressed_millimetres_from_depth,
)
import numpy as np
import pytest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


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


def noisy_depth():
    """Return (40, 53) float32 [m] with a slope, noise, an edge and all kinds of holes."""
    rng = np.random.default_rng(3)
    depth = np.linspace(1.0, 9.0, 40 * 53).reshape(40, 53) * rng.normal(1.0, 0.01, (40, 53))
    depth[10:20, 20:30] = 0.7
    depth[rng.random(depth.shape) < 0.3] = np.nan
    depth[0, :6] = np.inf, -np.inf, 19.99, 20.5, 66.0, 0.0001
    return depth.astype(np.float32)


@pytest.mark.parametrize('coding', ['png', 'rvl'])
def test_an_independent_reader_gets_the_depth_to_half_a_step(coding):
    depth = noisy_depth()
    msg = compressed_depth_from_depth(depth, Header(), 20.0, 100.0, coding=coding)
    assert msg.format == f'32FC1; compressedDepth {coding}'
    back = read(msg)
    held = np.isfinite(depth) & (depth > 0.2) & (depth <= 20.0)
    np.testing.assert_array_equal(np.isfinite(back), held)
    assert np.abs(1.0 / back[held] - 1.0 / depth[held]).max() <= 0.502 / 10100.0
    np.testing.assert_array_equal(depth_from_compressed_depth(msg), back)


@pytest.mark.parametrize('coding', ['png', 'rvl'])
def test_an_independent_reader_gets_the_millimetres(coding):
    depth = noisy_depth()
    msg = compressed_millimetres_from_depth(depth, Header(), 20.0, coding=coding)
    assert msg.format == f'16UC1; compressedDepth {coding}'
    held = np.isfinite(depth) & (depth >= 0.0005) & (depth <= 20.0)
    wanted = np.rint(np.where(held, depth, 0.0) * np.float32(1000.0))
    np.testing.assert_array_equal(read(msg), wanted)
    back = depth_from_compressed_depth(msg)
    np.testing.assert_allclose(back[held], wanted[held] / 1000.0, rtol=1e-6)


def test_an_image_without_any_depth_is_not_refused_by_the_standard_reader():
    nothing = np.full((480, 640), np.nan, np.float32)
    msg = compressed_depth_from_depth(nothing, Header(), coding='rvl')
    assert len(msg.data) - 12 == 480 * 640 // 5
    assert np.isnan(read(msg)).all()
    assert np.isnan(depth_from_compressed_depth(msg)).all()
