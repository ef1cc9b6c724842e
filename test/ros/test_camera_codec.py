from depth_perception.core.camera import PinholeCamera
from depth_perception.messages.cameras import (
    camera_from_info,
    rectification_needed,
)
from depth_perception.ros.camera_codec import info_from_camera
import numpy as np
import pytest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


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
