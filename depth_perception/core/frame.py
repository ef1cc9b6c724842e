"""What an estimator is given: images with their calibration, stamp and frame."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Literal

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.scale_types import References
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import Pixels
from depth_perception.errors import FrameError, ShapeError
import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class GroundPose:
    """The camera above the floor; angles as in `core.ground`.

    Attributes:
        height_m: Height of the optical centre above the floor [m].
        pitch_rad: Tilt of the optical axis below the horizon [rad].
        roll_rad: Rotation about the optical axis [rad], clockwise seen from behind the camera.
        height_sigma_m: Standard deviation of the height [m].
        tilt_sigma_rad: Standard deviation of pitch and of roll [rad].

    Raises:
        ShapeError: If the height is not positive, a sigma negative, or a number not finite.
    """

    height_m: float
    pitch_rad: float
    roll_rad: float = 0.0
    height_sigma_m: float = 0.01
    tilt_sigma_rad: float = math.radians(0.5)

    def __post_init__(self) -> None:
        numbers = (self.height_m, self.pitch_rad, self.roll_rad)
        sigmas = (self.height_sigma_m, self.tilt_sigma_rad)
        finite = all(math.isfinite(value) for value in numbers + sigmas)
        if not finite or self.height_m <= 0.0 or min(sigmas) < 0.0:
            raise ShapeError(f'a camera cannot stand above the floor like this: {self}')


@dataclass(frozen=True)
class Surroundings:
    """What is known beside the pixels, at the stamp of the image.

    Attributes:
        references: Points measured by something else, projected into this image; None if nothing
            measures.
        ground: Where the floor is by TF; it wins over the parameters `ground.*`.
        fixed_from_camera: (4, 4) float64 pose of the optical frame in a frame that stands still,
            e.g. odom [m]; None if it is not known.
        problem: Why something that should be here is not; '' if nothing is missing.
    """

    references: References | None = None
    ground: GroundPose | None = None
    fixed_from_camera: NDArray[np.float64] | None = None
    problem: str = ''


NOTHING_KNOWN = Surroundings()


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
    surroundings: Surroundings = NOTHING_KNOWN

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
    surroundings: Surroundings = NOTHING_KNOWN

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
