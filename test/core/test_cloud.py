"""The bytes of a cloud, pinned by asymmetric numbers; the fast packer writes the same ones."""

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.cloud import (
    CLOUD_FIELDS,
    cloud_size,
    pack_cloud,
    POINT_STEP,
    SigmaGate,
)
from depth_perception.core.frame import Picture
from depth_perception.errors import ShapeError
from depth_perception.inference.cloud_packer import pack_cloud_fast
import numpy as np
import pytest

CAMERA = PinholeCamera(width=53, height=37, fx=50.0, fy=61.0, cx=20.0, cy=11.0)
RNG = np.random.default_rng(5)
DEPTH = RNG.uniform(0.5, 9.0, (37, 53)).astype(np.float32)
DEPTH[0, 0], DEPTH[1, 1], DEPTH[2, 3] = np.inf, -np.inf, np.nan
SIGMA = np.where(np.isfinite(DEPTH), DEPTH * np.float32(0.125), np.float32(np.nan))
PICTURES = {
    'rgb': Picture(RNG.integers(0, 256, (37, 53, 3), np.uint8), 'rgb'),
    'bgr': Picture(RNG.integers(0, 256, (37, 53, 3), np.uint8), 'bgr'),
    'grey': Picture(RNG.integers(0, 256, (37, 53), np.uint8), 'grey'),
    'padded': Picture(RNG.integers(0, 256, (37, 60, 3), np.uint8)[:, :53], 'rgb'),
    'none': None,
}
TYPE = np.dtype({'names': [n for n, _ in CLOUD_FIELDS], 'formats': ['<f4'] * 3 + ['<u4', '<f4'],
                 'offsets': [o for _, o in CLOUD_FIELDS], 'itemsize': POINT_STEP})  # fmt: skip


def packed(picture):
    out = bytearray(cloud_size(CAMERA))
    pack_cloud(DEPTH, SIGMA, CAMERA, picture, out)
    return np.frombuffer(out, TYPE).reshape(37, 53)


def test_points_lie_where_the_camera_sees_them():
    cloud = packed(PICTURES['rgb'])
    expected = points_from_depth(DEPTH, CAMERA)
    for axis, name in enumerate('xyz'):
        np.testing.assert_array_equal(cloud[name], expected[..., axis])
    np.testing.assert_array_equal(cloud['uncertainty'], SIGMA)


def test_nothing_infinite_reaches_a_cloud():
    cloud = packed(PICTURES['rgb'])
    for row, column in ((0, 0), (1, 1), (2, 3)):
        point = cloud[row, column]
        assert all(np.isnan(point[name]) for name in ('x', 'y', 'z', 'uncertainty'))


def test_convention_rgb_is_00rrggbb():
    pixels = np.zeros((37, 53, 3), np.uint8)
    pixels[:] = (0x11, 0x22, 0x33)
    assert set(packed(Picture(pixels, 'rgb'))['rgb'].flat) == {0x112233}
    assert set(packed(Picture(pixels, 'bgr'))['rgb'].flat) == {0x332211}
    assert set(packed(Picture(pixels[..., 1], 'grey'))['rgb'].flat) == {0x222222}


@pytest.mark.parametrize('name', PICTURES)
def test_fast_packer_writes_the_same_bytes(name):
    out = bytearray(cloud_size(CAMERA))
    pack_cloud_fast(DEPTH, SIGMA, CAMERA, PICTURES[name], out)
    assert out == packed(PICTURES[name]).tobytes()


def test_fast_packer_writes_the_same_bytes_over_several_blocks():
    camera = PinholeCamera(640, 480, 500.0, 510.0, 301.0, 222.0)
    depth = np.random.default_rng(2).uniform(0.5, 9.0, (480, 640)).astype(np.float32)
    slow, fast = bytearray(cloud_size(camera)), bytearray(cloud_size(camera))
    pack_cloud(depth, depth, camera, None, slow)
    pack_cloud_fast(depth, depth, camera, None, fast)
    assert slow == fast


@pytest.mark.parametrize(
    ('gate', 'kept'),
    [
        (SigmaGate(), [1, 1, 1, 1]),
        (SigmaGate(max_m=0.3), [1, 1, 0, 0]),
        (SigmaGate(max_relative=0.05), [1, 0, 1, 0]),
        (SigmaGate(max_m=0.3, max_relative=0.05), [1, 0, 0, 0]),
        (SigmaGate(max_m=0.31, max_relative=0.16), [1, 1, 1, 0]),
    ],
)
@pytest.mark.parametrize('pack', [pack_cloud, pack_cloud_fast])
def test_points_that_are_not_sure_enough_are_left_out(pack, gate, kept):
    camera = PinholeCamera(width=4, height=1, fx=50.0, fy=61.0, cx=1.0, cy=0.25)
    depth = np.float32([[4.0, 2.0, 8.0, 2.0]])
    sigma = np.float32([[0.15, 0.3, 0.31, 0.33]])
    picture = Picture(np.uint8([[[1, 2, 3]] * 4]), 'rgb')
    out = bytearray(cloud_size(camera))
    pack(depth, sigma, camera, picture, out, gate)
    (row,) = np.frombuffer(out, TYPE).reshape(1, 4)
    wanted = np.where(np.array(kept, bool), 1.0, np.nan)
    for name, values in zip(('x', 'y', 'z', 'uncertainty'), (
        depth[0] * camera.ray_x, depth[0] * camera.ray_y, depth[0], sigma[0]
    ), strict=True):  # fmt: skip
        np.testing.assert_allclose(row[name], values * wanted, rtol=1e-6)
    assert set(row['rgb']) == {0x010203}


def test_gate_stops_what_has_no_sigma_and_leaves_the_arrays_alone():
    depth, sigma = np.float32([[4.0, np.nan, np.inf, 4.0]]), np.float32([[np.nan, 0.1, 0.1, 0.1]])
    before = depth.copy(), sigma.copy()
    holes = SigmaGate(max_relative=0.5).holes(depth, sigma)
    np.testing.assert_array_equal(holes, [[np.nan, np.nan, 0.0, 0.0]])
    camera = PinholeCamera(width=4, height=1, fx=50.0, fy=61.0, cx=1.0, cy=0.25)
    for pack in (pack_cloud, pack_cloud_fast):
        out = bytearray(cloud_size(camera))
        pack(depth, sigma, camera, None, out, SigmaGate(max_relative=0.01))
        np.testing.assert_array_equal([depth, sigma], before)
        assert np.isnan(np.frombuffer(out, TYPE)['z']).all()


def test_gated_packers_write_the_same_bytes_over_several_blocks():
    rng = np.random.default_rng(2)
    camera = PinholeCamera(640, 480, 500.0, 510.0, 301.0, 222.0)
    depth, sigma = (rng.uniform(low, 9.0, (480, 640)).astype(np.float32) for low in (0.5, 0.0))
    slow, fast = bytearray(cloud_size(camera)), bytearray(cloud_size(camera))
    pack_cloud(depth, sigma, camera, None, slow, SigmaGate(5.0, 0.8))
    pack_cloud_fast(depth, sigma, camera, None, fast, SigmaGate(5.0, 0.8))
    assert slow == fast
    known = np.isfinite(np.frombuffer(fast, TYPE)['z']).reshape(480, 640)
    np.testing.assert_array_equal(known, (sigma <= 5.0) & (sigma <= depth * np.float32(0.8)))


@pytest.mark.parametrize('pack', [pack_cloud, pack_cloud_fast])
def test_buffer_of_another_size_is_refused(pack):
    with pytest.raises(ShapeError, match='buffer of'):
        pack(DEPTH, SIGMA, CAMERA, None, bytearray(cloud_size(CAMERA) - POINT_STEP))


@pytest.mark.parametrize('pack', [pack_cloud, pack_cloud_fast])
def test_parts_of_another_size_are_refused(pack):
    out = bytearray(cloud_size(CAMERA))
    with pytest.raises(ShapeError, match='sigma must be'):
        pack(DEPTH, SIGMA[:-1], CAMERA, None, out)
    with pytest.raises(ShapeError, match='picture is'):
        pack(DEPTH, SIGMA, CAMERA, Picture(PICTURES['rgb'].pixels[:, :-1], 'rgb'), out)
    with pytest.raises(ShapeError, match='3 bytes'):
        pack(DEPTH, SIGMA, CAMERA, None, bytearray(3))
