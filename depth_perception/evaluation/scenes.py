"""The scenes of the demo, as recordings: a stereo pair with calibration and, if known, truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import depth_from_disparity, StereoRig
from depth_perception.core.types import DepthMap, Pixels
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.evaluation.pictures import read_picture
import numpy as np

LEFT = '/camera/left/image_rect'
RIGHT = '/camera/right/image_rect'
LEFT_INFO = '/camera/left/camera_info'
RIGHT_INFO = '/camera/right/camera_info'
TRUTH = '/ground_truth/depth'
LEFT_FRAME, RIGHT_FRAME = 'camera_left_optical', 'camera_right_optical'
START_NS = 1_700_000_000 * 10**9  # an arbitrary day: the same recording every time
SEED = 7


@dataclass(frozen=True)
class GroundPose:
    """How the camera stands above the floor, as a robot knows it from its own geometry.

    Attributes:
        height_m: Height of the optical centre [m].
        pitch_deg: Tilt below the horizon [deg].
        roll_deg: Rotation about the optical axis [deg], clockwise seen from behind.
    """

    height_m: float
    pitch_deg: float
    roll_deg: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A still scene before a stereo camera.

    Attributes:
        name: Short title.
        origin: Where the pictures and the truth come from.
        left: (H, W, 3) uint8 RGB.
        right: (H, W, 3) uint8 RGB.
        rig: Calibration.
        truth: (H, W) float32 [m] on the left image, NaN unknown; None if there is none.
        ground: Pose of the camera above the floor; None if it is not known.
    """

    name: str
    origin: str
    left: Pixels
    right: Pixels
    rig: StereoRig
    truth: DepthMap | None = None
    ground: GroundPose | None = None


# Height and tilt were fitted once to the floor of the ground truth (RANSAC; 31 % of its pixels lie
# within 1 cm of this plane, none below it by 3 cm), in place of the TF tree of a robot.
MOTORCYCLE_GROUND = GroundPose(height_m=1.074, pitch_deg=14.86, roll_deg=-0.47)
MOTORCYCLE_FILES = {  # name -> sha256
    'motorcycle_left.png': 'db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179',
    'motorcycle_right.png': '5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797',
    'motorcycle_disp.npz': '2e49c8cebff3fa20359a0cc6880c82e1c03bbb106da81a177218281bc2f113d7',
}


def motorcycle_scene(folder: Path) -> Scene:
    """Return the Motorcycle scene of Middlebury 2014 from the files in `folder`."""
    left = read_picture(folder / 'motorcycle_left.png')
    right = read_picture(folder / 'motorcycle_right.png')
    height, width = left.shape[:2]
    camera = PinholeCamera(width, height, 994.978, 994.978, 311.193, 254.877)
    rig = rig_from_numbers(camera, baseline_m=0.193001, doffs_px=31.086)
    with np.load(folder / 'motorcycle_disp.npz', allow_pickle=False) as arrays:
        disparity = arrays['arr_0'].astype(np.float32)
    disparity[~np.isfinite(disparity)] = np.nan
    return Scene(
        name='Motorcycle',
        origin=(
            'Photographs, calibration and structured-light ground truth of the Middlebury 2014 '
            'stereo data set (Scharstein et al.), as packed in scikit-image 0.15.0.'
        ),
        left=left,
        right=right,
        rig=rig,
        truth=depth_from_disparity(disparity, rig),
        ground=MOTORCYCLE_GROUND,
    )


def write_recording(path: Path, scene: Scene, frames: int, rate_hz: float) -> None:
    """Write a rosbag2 (mcap) in which the camera looks at a still scene.

    Each frame has its own sensor noise and a slight flicker of exposure, from a fixed seed, and
    the truth where there is one.

    Args:
        path: New folder.
        scene: What is seen.
        frames: Number of stereo pairs.
        rate_hz: Pairs per second.
    """
    noise = np.random.default_rng(SEED)
    with BagWriter(path) as bag:
        for i in range(frames):
            stamp_ns = START_NS + round(i * 1e9 / rate_hz)
            gain = 1.0 + 0.02 * noise.standard_normal()
            left = _photographed(scene.left, gain, noise)
            right = _photographed(scene.right, gain * (1.0 + 0.005 * noise.random()), noise)
            bag.write_image(LEFT, stamp_ns, LEFT_FRAME, left, 'rgb8')
            bag.write_camera_info(LEFT_INFO, stamp_ns, LEFT_FRAME, scene.rig.left)
            bag.write_image(RIGHT, stamp_ns, RIGHT_FRAME, right, 'rgb8')
            bag.write_camera_info(
                RIGHT_INFO, stamp_ns, RIGHT_FRAME, scene.rig.right, scene.rig.baseline_m
            )
            if scene.truth is not None:
                bag.write_image(TRUTH, stamp_ns, LEFT_FRAME, scene.truth, '32FC1')


def _photographed(rgb: Pixels, gain: float, noise: np.random.Generator) -> Pixels:
    """Return the picture as a camera gives it: exposure `gain`, noise of 1.5 grey values."""
    grain = noise.standard_normal(rgb.shape, np.float32) * np.float32(1.5)
    return np.clip(rgb * np.float32(gain) + grain + 0.5, 0.0, 255.0).astype(np.uint8)
