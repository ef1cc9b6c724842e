"""Rectify raw images here, where nobody has done it before."""

from __future__ import annotations

from typing import Any

from depth_perception.core.distortion import rectification_map
from depth_perception.core.frame import Picture
from depth_perception.errors import BackendUnavailableError, FrameError
from depth_perception.messages.cameras import (
    camera_from_info,
    info_key,
    lens_from_info,
    rectifying_rotation,
)
import numpy as np


class Rectifier:
    """Turns raw images of one calibration into rectified ones.

    The maps are made once; make a new rectifier when `info_key` of the camera_info changes.
    Pixels that the raw image does not show are black.

    Args:
        info: camera_info of the raw images.
        role: What to call the camera in messages, e.g. 'left'.

    Attributes:
        camera: Camera of the rectified images.
        key: info_key of `info`.

    Raises:
        CalibrationError: If the calibration cannot be used.
        BackendUnavailableError: If OpenCV is not installed.
    """

    def __init__(self, info: Any, role: str = 'camera') -> None:
        try:
            import cv2
        except ImportError as error:
            raise BackendUnavailableError(
                'rectifying raw images needs OpenCV: pip install opencv-python-headless, or apt '
                'install python3-opencv; or give rectified images'
            ) from error
        self.camera = camera_from_info(info, role)
        self.key = info_key(info)
        self._role = role
        lens = lens_from_info(info, role)
        self._raw_size = (lens.camera.width, lens.camera.height)
        maps = rectification_map(lens, rectifying_rotation(info, role), self.camera)
        self._maps = cv2.convertMaps(*maps, cv2.CV_16SC2)

    def rectified(self, picture: Picture) -> Picture:
        """Return the rectified picture, in the channel order of `picture`.

        Raises:
            FrameError: If the picture does not have the size that the camera_info says.
        """
        import cv2

        if (picture.width, picture.height) != self._raw_size:
            width, height = self._raw_size
            raise FrameError(
                'size_mismatch',
                f'{self._role} image is {picture.width}x{picture.height} but its camera_info '
                f'describes {width}x{height}; publish the camera_info of the same resolution',
            )
        pixels = cv2.remap(picture.pixels, *self._maps, cv2.INTER_LINEAR)
        return Picture(np.asarray(pixels, np.uint8), picture.order)
