"""Cameras to CameraInfo messages."""

from __future__ import annotations

from array import array
from typing import Any

from depth_perception.core.camera import PinholeCamera
import numpy as np
from sensor_msgs.msg import CameraInfo


def info_from_camera(camera: PinholeCamera, header: Any) -> CameraInfo:
    """Return the camera_info of an image of our own: rectified, no window, no binning.

    Args:
        camera: Camera of the image.
        header: Header of the image; stamp and frame of the two must be identical.
    """
    info = CameraInfo(
        header=header, width=camera.width, height=camera.height, distortion_model='plumb_bob'
    )
    info.d = array('d', bytes(40))
    info.k = camera.K.ravel()
    info.r = np.eye(3).ravel()
    info.p = np.hstack([camera.K, np.zeros((3, 1))]).ravel()
    return info
