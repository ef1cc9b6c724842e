"""PLY: every byte of a small cloud."""

import struct

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import ShapeError
from depth_perception.evaluation.ply import points_of, write_ply
import numpy as np
import pytest

CAMERA = PinholeCamera(3, 2, 10.0, 20.0, 1.0, 0.5)


def small():
    depth = np.array([[np.nan, 2.0, np.inf], [4.0, -np.inf, np.nan]], np.float32)
    sigma = np.array([[np.nan, 0.1, np.nan], [0.3, np.nan, np.nan]], np.float32)
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    return depth, sigma, rgb


def test_points_are_those_with_a_depth():
    points = points_of(*small(), CAMERA)
    assert points.size == 2
    first, second = points
    # They are column 1 of row 0, and column 0 of row 1.
    assert [first[k] for k in 'xyz'] == pytest.approx([0.0, -0.5 / 20 * 2, 2.0])
    assert [second[k] for k in 'xyz'] == pytest.approx([-1 / 10 * 4, 0.5 / 20 * 4, 4.0])
    assert [second[k] for k in ('red', 'green', 'blue')] == [9, 10, 11]
    assert second['uncertainty'] == pytest.approx(0.3)


def test_file_is_binary_little_endian(tmp_path):
    path = tmp_path / 'cloud.ply'
    write_ply(path, points_of(*small(), CAMERA))
    header, body = path.read_bytes().split(b'end_header\n')
    assert header.startswith(b'ply\nformat binary_little_endian 1.0\n')
    assert b'element vertex 2\n' in header
    assert header.count(b'property') == 7
    assert len(body) == 2 * 19
    x, y, z, r, g, b, sigma = struct.unpack_from('<3f3Bf', body)
    assert (x, y, z) == pytest.approx((0.0, -0.05, 2.0))
    assert (r, g, b) == (3, 4, 5)
    assert sigma == pytest.approx(0.1)


def test_sizes_must_agree():
    depth, sigma, rgb = small()
    with pytest.raises(ShapeError):
        points_of(depth, sigma, rgb[:1], CAMERA)
