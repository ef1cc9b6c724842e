from array import array

from depth_perception.core.camera import PinholeCamera
from depth_perception.messages.cameras import (
    camera_from_info,
    rectification_needed,
)
from depth_perception.ros.camera_codec import info_from_camera
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


def info(*, tx=0.0, cx=310.0, d=(), roi=(0, 0, 0, 0), binning=(0, 0)):
    """Return the camera_info of a 640x480 camera; roi is x, y, width, height."""
    msg = CameraInfo(width=640, height=480, distortion_model='plumb_bob')
    msg.d = array('d', d)
    msg.k = [501.0, 0.0, 311.0, 0.0, 502.0, 242.0, 0.0, 0.0, 1.0]
    msg.r = np.eye(3).ravel()
    msg.p = [400.0, 0.0, cx, tx, 0.0, 402.0, 236.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    msg.roi = RegionOfInterest(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3])
    msg.binning_x, msg.binning_y = binning
    return msg


def test_our_info_describes_our_camera():
    camera = PinholeCamera(320, 200, 210.0, 211.0, 158.25, 99.5)
    header = Header(frame_id='left_optical')
    msg = info_from_camera(camera, header)
    assert camera_from_info(msg) == camera
    assert (msg.header, msg.distortion_model) == (header, 'plumb_bob')
    assert (list(msg.d), msg.p[3], msg.binning_x, msg.roi.width) == ([0.0] * 5, 0.0, 0, 0)
    np.testing.assert_array_equal(msg.k.reshape(3, 3), camera.K)
    np.testing.assert_array_equal(msg.r.reshape(3, 3), np.eye(3))
    assert not rectification_needed(msg, '/image_rect', 'auto')
