"""The result type refuses what no topic may carry."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.core.frame import MonoFrame, Picture
from depth_perception.errors import FrameError, ShapeError
import numpy as np
import pytest

CAMERA = PinholeCamera(3, 2, 10.0, 10.0, 1.0, 0.5)
DEPTH = np.array([[1.0, np.inf, np.nan], [2.0, -np.inf, 3.0]], np.float32)
VALID = np.isfinite(DEPTH)
SIGMA = np.where(VALID, np.float32(0.1), np.float32(np.nan))


def make(**changes):
    values = {'depth': DEPTH, 'sigma': SIGMA, 'valid': VALID, 'camera': CAMERA}
    return DepthEstimate(**{**values, **changes}, scale=Scale(Rung.STEREO))


def test_far_is_plus_infinity_only():
    assert make().far.tolist() == [[False, True, False], [False, False, False]]


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'depth': DEPTH.astype(np.float64)}, 'float32'),
        ({'valid': ~VALID}, 'valid must be true'),
        ({'sigma': np.full_like(SIGMA, 0.1)}, 'sigma must be positive'),
        ({'sigma': np.where(VALID, np.float32(0.0), SIGMA)}, 'sigma must be positive'),
        ({'depth': np.where(VALID, np.float32(0.0), DEPTH)}, 'must not be 0'),
        ({'sigma': SIGMA[:1]}, 'sigma must be'),
        ({'camera': PinholeCamera(2, 3, 10.0, 10.0, 1.0, 0.5)}, 'camera is 2x3'),
    ],
)
def test_what_breaks_the_rules_is_refused(changes, words):
    with pytest.raises(ShapeError, match=words):
        make(**changes)


def test_frame_of_another_size_than_its_camera_is_refused():
    with pytest.raises(FrameError, match='4x2 but its camera_info describes 3x2') as caught:
        MonoFrame(Picture(np.zeros((2, 4, 3), np.uint8), 'rgb'), CAMERA)
    assert caught.value.cause == 'size_mismatch'


@pytest.mark.parametrize(
    ('pixels', 'order'),
    [
        (np.zeros((2, 3), np.uint8), 'rgb'),
        (np.zeros((2, 3, 4), np.uint8), 'bgr'),
        (np.zeros((2, 3, 3), np.float32), 'rgb'),
        (np.zeros((0, 3), np.uint8), 'grey'),
    ],
)
def test_picture_must_be_what_it_says(pixels, order):
    with pytest.raises(FrameError, match=f'a {order} image must be uint8'):
        Picture(pixels, order)
