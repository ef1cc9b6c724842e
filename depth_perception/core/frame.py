"""What an estimator is given: images with their calibration, stamp and frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import Pixels
from depth_perception.errors import FrameError
import numpy as np

ColourOrder = Literal['rgb', 'bgr', 'grey']


@dataclass(frozen=True)
class Picture:
    """An 8-bit image that knows its channel order, so that nobody converts it without need.

    Attributes:
        pixels: (H, W) uint8 for 'grey', else (H, W, 3) uint8.
        order: Channel order.

    Raises:
        FrameError: If the array is not what `order` promises, or is empty.
    """

    pixels: Pixels
    order: ColourOrder

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        wanted = len(shape) == 2 if self.order == 'grey' else len(shape) == 3 and shape[2] == 3
        if not wanted or self.pixels.dtype != np.uint8 or 0 in shape:
            raise FrameError(
                'image_layout',
                f'a {self.order} image must be uint8 '
                f'{"(H, W)" if self.order == "grey" else "(H, W, 3)"} and not empty, '
                f'got {self.pixels.dtype} {shape}',
            )

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])


def _check_size(name: str, picture: Picture, camera: PinholeCamera) -> None:
    if (picture.width, picture.height) != (camera.width, camera.height):
        raise FrameError(
            'size_mismatch',
            f'{name} image is {picture.width}x{picture.height} but its camera_info describes '
            f'{camera.width}x{camera.height}; publish the camera_info of the same resolution',
        )


@dataclass(frozen=True)
class MonoFrame:
    """One rectified image with its camera.

    Raises:
        FrameError: If the image does not have the size of the camera.
    """

    image: Picture
    camera: PinholeCamera
    stamp_ns: int = 0
    frame_id: str = ''

    def __post_init__(self) -> None:
        _check_size('the', self.image, self.camera)


@dataclass(frozen=True)
class StereoFrame:
    """One rectified pair with its rig; stamp and frame are those of the left image.

    Raises:
        FrameError: If an image does not have the size of the rig.
    """

    left: Picture
    right: Picture
    rig: StereoRig
    stamp_ns: int = 0
    frame_id: str = ''

    def __post_init__(self) -> None:
        _check_size('left', self.left, self.rig.left)
        _check_size('right', self.right, self.rig.right)

    @property
    def image(self) -> Picture:
        """The reference image, on whose grid the depth is given."""
        return self.left

    @property
    def camera(self) -> PinholeCamera:
        """The reference camera."""
        return self.rig.left
