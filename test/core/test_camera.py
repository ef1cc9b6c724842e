"""Cameras: pixel centres, crops, resizes, and the rays of an asymmetric camera."""

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.errors import CalibrationError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = PinholeCamera(width=64, height=48, fx=100.0, fy=125.0, cx=20.0, cy=30.0)


def test_convention_axes_x_right_y_down_z_forward():
    # Pixel (u=45, v=5): X/Z = (45-20)/100 = 0.25, Y/Z = (5-30)/125 = -0.2 (above the centre).
    # Swapped axes would give X/Z = (5-20)/100 = -0.15.
    depth = np.full((48, 64), np.nan, np.float32)
    depth[5, 45] = 8.0
    points = points_from_depth(depth, CAMERA)
    np.testing.assert_allclose(points[5, 45], [2.0, -1.6, 8.0], rtol=1e-6)
    assert np.isnan(points[5, 44]).all()


def test_points_never_hold_infinity():
    depth = np.full((48, 64), np.inf, np.float32)
    depth[0, 0] = -np.inf
    assert np.isnan(points_from_depth(depth, CAMERA)).all()


def test_convention_resize_keeps_pixel_centres():
    # Halving: the centre of pixel 0 lies at 0.5 of the old grid, so cx = (20 + 0.5) / 2 - 0.5.
    half = CAMERA.resized(32, 24)
    assert (half.fx, half.fy) == (50.0, 62.5)
    assert half.cx == pytest.approx(9.75)  # cx * sx alone would be 10
    assert half.cy == pytest.approx(14.75)


def test_convention_crop_moves_the_principal_point():
    part = CAMERA.cropped(7, 11, 40, 30)
    assert (part.cx, part.cy, part.width, part.height) == (13.0, 19.0, 40, 30)


def test_binning_drops_the_incomplete_block():
    binned = PinholeCamera(65, 49, 100.0, 125.0, 20.0, 30.0).binned(2, 4)
    assert (binned.width, binned.height) == (32, 12)
    assert binned.fx == pytest.approx(50.0)
    assert binned.cy == pytest.approx((30.5) / 4 - 0.5)


@given(
    sx=st.integers(1, 4),
    sy=st.integers(1, 4),
    u=st.floats(-0.5, 63.5),
    v=st.floats(-0.5, 47.5),
)
def test_roundtrip_resized_camera_sees_the_same_ray(sx, sy, u, v):
    big = CAMERA.resized(64 * sx, 48 * sy)
    u_big, v_big = (u + 0.5) * sx - 0.5, (v + 0.5) * sy - 0.5
    assert (u_big - big.cx) / big.fx == pytest.approx((u - CAMERA.cx) / CAMERA.fx, abs=1e-9)
    assert (v_big - big.cy) / big.fy == pytest.approx((v - CAMERA.cy) / CAMERA.fy, abs=1e-9)


def test_ray_norm_is_distance_over_depth():
    # Pixel (u=120, v=30) of a wide camera: X/Z = 1, Y/Z = 0.
    camera = PinholeCamera(200, 48, 100.0, 125.0, 20.0, 30.0)
    assert camera.ray_norm[30, 120] == pytest.approx(np.sqrt(2.0))


def test_hfov_counts_whole_pixels():
    camera = PinholeCamera(200, 100, 100.0, 100.0, 99.5, 49.5)
    assert camera.hfov_deg == pytest.approx(90.0)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'fx': float('nan')}, 'not finite'),
        ({'cy': float('inf')}, 'not finite'),
        ({'fx': 0.0}, 'not calibrated'),
        ({'fy': -3.0}, 'positive'),
        ({'width': 0}, '1 to'),
        ({'height': 100_000}, '1 to'),
    ],
)
def test_bad_calibration_is_refused_with_the_reason(change, words):
    values = {'width': 64, 'height': 48, 'fx': 1.0, 'fy': 1.0, 'cx': 0.0, 'cy': 0.0, **change}
    with pytest.raises(CalibrationError, match=words):
        PinholeCamera(**values)
