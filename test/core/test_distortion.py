import math

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.distortion import LensModel, OUTSIDE_PX, rectification_map
from depth_perception.errors import CalibrationError
import numpy as np
import pytest

RAW = PinholeCamera(160, 120, 90.0, 91.0, 78.5, 61.25)
OUT = PinholeCamera(150, 110, 80.0, 82.0, 70.0, 57.5)
R = cv2.Rodrigues(np.array([0.02, -0.05, 0.01]))[0]


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [
        ('plumb_bob', (-0.31, 0.12, 1e-3, -2e-3, -0.02)),
        ('plumb_bob', (-0.31, 0.12, 1e-3, -2e-3)),
        ('rational_polynomial', (0.4, 0.1, 1e-3, 2e-3, 0.01, 0.7, 0.2, 0.02)),
    ],
)
def test_map_is_that_of_opencv(model, distortion):
    map_u, map_v = rectification_map(LensModel(RAW, distortion, model), R, OUT)
    wanted_u, wanted_v = cv2.initUndistortRectifyMap(
        RAW.K, np.array(distortion), R, OUT.K, (OUT.width, OUT.height), cv2.CV_32FC1
    )
    assert map_u.dtype == np.float32
    np.testing.assert_allclose(map_u, wanted_u, atol=1e-3)
    np.testing.assert_allclose(map_v, wanted_v, atol=1e-3)


def test_equidistant_map_is_that_of_opencv_fisheye():
    distortion = (0.03, -0.01, 0.004, -0.001)
    map_u, map_v = rectification_map(LensModel(RAW, distortion, 'equidistant'), R, OUT)
    wanted_u, wanted_v = cv2.fisheye.initUndistortRectifyMap(
        RAW.K, np.array(distortion), R, OUT.K, (OUT.width, OUT.height), cv2.CV_32FC1
    )
    np.testing.assert_allclose(map_u, wanted_u, atol=1e-3)
    np.testing.assert_allclose(map_v, wanted_v, atol=1e-3)


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial'])
def test_no_distortion_and_one_camera_give_the_identity(model):
    map_u, map_v = rectification_map(LensModel(RAW, (), model), np.eye(3), RAW)
    np.testing.assert_allclose(map_u, np.tile(np.arange(160.0), (120, 1)), atol=1e-4)
    np.testing.assert_allclose(map_v, np.tile(np.arange(120.0)[:, None], (1, 160)), atol=1e-4)


def test_equidistant_centre_is_finite():
    lens = LensModel(RAW, (0.1, 0.0, 0.0, 0.0), 'equidistant')
    u, v = lens.distorted(np.zeros(1), np.zeros(1))
    assert (u[0], v[0]) == (78.5, 61.25)


def test_directions_behind_the_raw_camera_point_outside():
    turned = cv2.Rodrigues(np.array([0.0, math.radians(100.0), 0.0]))[0]
    map_u, map_v = rectification_map(LensModel(RAW, (0.0,) * 5, 'plumb_bob'), turned, OUT)
    behind = map_u == OUTSIDE_PX
    assert behind.any()
    assert np.isfinite(map_u).all()
    np.testing.assert_array_equal(map_v[behind], OUTSIDE_PX)


@pytest.mark.parametrize(
    ('model', 'distortion', 'seen'),
    [
        ('omnidirectional', (), 'omnidirectional'),
        ('', (0.1, 0.0, 0.0, 0.0), "''"),
        ('plumb_bob', (0.1, math.nan, 0.0, 0.0, 0.0), 'finite'),
        ('plumb_bob', (0.1, 0.2), 'got 2'),
        ('plumb_bob', (0.1,) * 8, 'got 8'),
        ('equidistant', (0.1,) * 5, 'got 5'),
        ('rational_polynomial', (0.1,) * 5, 'got 5'),
    ],
)
def test_unusable_model_is_refused(model, distortion, seen):
    with pytest.raises(CalibrationError, match=seen):
        LensModel(RAW, distortion, model)


def test_trailing_zeros_are_no_coefficients():
    long = LensModel(RAW, (0.1, 0.2, 0.0, 0.0, 0.3, *[0.0] * 9), 'plumb_bob')
    short = LensModel(RAW, (0.1, 0.2, 0.0, 0.0, 0.3), 'plumb_bob')
    x, y = np.array([0.3]), np.array([-0.2])
    assert long.distorted(x, y) == short.distorted(x, y)


def test_columns_of_the_widest_images_are_inside():
    camera = PinholeCamera(16384, 2, 9000.0, 9000.0, 8191.5, 0.5)
    lens = LensModel(camera, (), 'plumb_bob')
    map_u, _ = rectification_map(lens, np.eye(3), camera)
    np.testing.assert_allclose(map_u, np.broadcast_to(np.arange(16384), (2, 16384)), atol=2e-3)
