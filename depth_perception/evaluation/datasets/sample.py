"""What every reader of a data set delivers: frames that are read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import DepthMap, DisparityMap, Mask, Pixels
from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.calibration_files import (
    camera_from_file,
    rig_from_files,
    rig_from_numbers,
)
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lidar:
    """A scan of a laser.

    Attributes:
        points: (N, 4) float32: x, y, z [m] in the frame of the laser, and intensity.
        camera_from_lidar: (4, 4) float64, to the optical frame of the (left) camera.
    """

    points: NDArray[np.float32]
    camera_from_lidar: NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One frame of a data set.

    Attributes:
        image: The (left) image: (H, W) grey or (H, W, 3) RGB, uint8.
        camera: Its camera.
        right: The right image; None for a mono frame.
        rig: The pair, of which `camera` is the left one; None for a mono frame.
        disparity: True disparity [px] of the left image, NaN unknown, without doffs.
        disparity_step_px: Resolution of its coding [px]; 0 for floats.
        depth: True depth [m], NaN unknown; None derives it from `disparity`.
        depth_camera: Camera of `depth`, if it is not that of the image.
        visible_in_both: Pixels of the left image that the right one shows too; None unknown.
        lidar: Scan taken with the image.
        map_from_camera: (4, 4) float64 pose of the (left) camera.
        is_metric: Whether depth may be derived from disparity; False if the rig is not known.
    """

    image: Pixels
    camera: PinholeCamera
    right: Pixels | None = None
    rig: StereoRig | None = None
    disparity: DisparityMap | None = None
    disparity_step_px: float = 0.0
    depth: DepthMap | None = None
    depth_camera: PinholeCamera | None = None
    visible_in_both: Mask | None = None
    lidar: Lidar | None = None
    map_from_camera: NDArray[np.float64] | None = None
    is_metric: bool = True


@dataclass(frozen=True)
class Entry:
    """A frame that is there but has not been read.

    Attributes:
        scene: Name of its scene or drive.
        name: What the user knows it by.
        read: Reads it; raises a DepthPerceptionError if it cannot be used.
        stamp_ns: When it was taken [ns]; None if the data set does not say.
    """

    scene: str
    name: str
    read: Callable[[], Sample]
    stamp_ns: int | None = None


@dataclass
class Options:
    """What a reader is asked for, and where it leaves what the user should know.

    Attributes:
        source: Root folder of the data set.
        calib: Calibration file in place of the one of the data set.
        calib_right: The right one, if `calib` is a ROS camera_info.
        intrinsics: fx, fy, cx, cy [px] in place of those of the data set; NaN: not given.
        baseline_m: Distance of the cameras [m], if given with `intrinsics`.
        doffs_px: c_R - c_L [px], if given with `intrinsics`.
        remarks: What the reader had to assume -> the scenes it holds for; '' for all of them.
    """

    source: Path
    calib: Path | None = None
    calib_right: Path | None = None
    intrinsics: tuple[float, float, float, float] | None = None
    baseline_m: float | None = None
    doffs_px: float = 0.0
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def remark(self, text: str, scene: str = '') -> None:
        """Note what the user should know, once for each scene."""
        scenes = self.remarks.setdefault(text, [])
        if scene not in scenes:
            scenes.append(scene)

    def camera(self, width: int, height: int) -> PinholeCamera | None:
        """Return the camera that the user gave; None if none was given."""
        if self.calib is not None:
            return camera_from_file(self.calib, width, height)
        if self.intrinsics is None:
            return None
        middle = (self.intrinsics[0], (width - 1) / 2, (height - 1) / 2)
        fx, fy, cx, cy = self.intrinsics
        fy, cx, cy = (
            default if np.isnan(value) else value
            for value, default in zip((fy, cx, cy), middle, strict=True)
        )
        return PinholeCamera(width, height, fx, fy, cx, cy)

    def rig(self, width: int, height: int) -> StereoRig | None:
        """Return the rig that the user gave; None if none was given.

        Raises:
            CalibrationError: If the focal length was given without the baseline.
        """
        if self.calib is not None:
            return rig_from_files(self.calib, width, height, self.calib_right)
        camera = self.camera(width, height)
        if camera is None:
            return None
        if self.baseline_m is None:
            raise CalibrationError('a stereo pair needs --baseline-m beside --fx')
        return rig_from_numbers(camera, self.baseline_m, self.doffs_px)


def check_size(what: str, shape: Sequence[int], camera: PinholeCamera) -> None:
    """Check that an array lies on the grid of a camera.

    Raises:
        RecordingError: If not.
    """
    if tuple(shape[:2]) != (camera.height, camera.width):
        raise RecordingError(
            f'{what} is {shape[1]}x{shape[0]}, the image of its camera '
            f'{camera.width}x{camera.height}'
        )
