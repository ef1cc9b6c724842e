from array import array

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture
from depth_perception.errors import FrameError
from depth_perception.messages.cameras import info_key
from depth_perception.messages.rectifier import Rectifier
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

pytestmark = pytest.mark.ros


def raw_info():
    msg = CameraInfo(width=320, height=240, distortion_model='plumb_bob')
    msg.d = array('d', [-0.28, 0.07, 1e-3, -1e-3, 0.0])
    msg.k = [210.0, 0.0, 158.0, 0.0, 211.0, 121.0, 0.0, 0.0, 1.0]
    msg.r = cv2.Rodrigues(np.array([0.01, -0.03, 0.005]))[0].ravel()
    msg.p = [200.0, 0.0, 150.0, 0.0, 0.0, 200.0, 118.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return msg


def scene(columns, rows):
    """Return a smooth grey picture of the given pixel coordinates."""
    values = 120.0 + 60.0 * np.sin(columns / 23.0) + 50.0 * np.cos(rows / 17.0)
    return np.clip(values, 0, 255)


def test_raw_picture_becomes_the_rectified_picture():
    msg = raw_info()
    rectifier = Rectifier(msg)
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float64)
    K, P = msg.k.reshape(3, 3), msg.p.reshape(3, 4)[:, :3]
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(pixels, K, np.array(msg.d), R=msg.r.reshape(3, 3), P=P)
    u, v = straight.reshape(240, 320, 2).transpose(2, 0, 1)
    raw = Picture(np.rint(scene(u, v)).astype(np.uint8), 'grey')
    picture = rectifier.rectified(raw)
    inner = np.s_[60:180, 60:260]
    difference = picture.pixels[inner].astype(float) - scene(columns, rows)[inner]
    assert np.abs(difference).max() < 2.0
    assert picture.order == 'grey'
    assert np.abs(raw.pixels[inner].astype(float) - scene(columns, rows)[inner]).max() > 10.0


def test_camera_and_key_are_those_of_the_info():
    rectifier = Rectifier(raw_info())
    assert rectifier.camera == PinholeCamera(320, 240, 200.0, 200.0, 150.0, 118.0)
    assert rectifier.key == info_key(raw_info())


def test_binned_raw_picture():
    msg = raw_info()
    msg.binning_x = msg.binning_y = 2
    picture = Rectifier(msg).rectified(Picture(np.full((120, 160, 3), 77, np.uint8), 'bgr'))
    assert (picture.width, picture.height, picture.order) == (160, 120, 'bgr')
    assert picture.pixels[60, 80].tolist() == [77, 77, 77]


def test_wrong_size_is_refused():
    with pytest.raises(FrameError, match=r'left image is 100x90.*320x240') as caught:
        Rectifier(raw_info(), 'left').rectified(Picture(np.zeros((90, 100), np.uint8), 'grey'))
    assert caught.value.cause == 'size_mismatch'
