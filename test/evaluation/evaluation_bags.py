"""Small recordings with known truth, for the tests of the evaluation."""

from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.evaluation.bag_writer import BagWriter, Transform
import numpy as np

WIDTH, HEIGHT = 160, 120
RIG = StereoRig(
    PinholeCamera(WIDTH, HEIGHT, 200.0, 200.0, 78.5, 61.25),
    PinholeCamera(WIDTH, HEIGHT, 200.0, 200.0, 81.5, 61.25),
    0.1,
)
START_NS = 1_700_000_000 * 10**9
PERIOD_NS = 100_000_000
SGBM = 'sgbm,sgbm.num_disparities=32'


@dataclass(frozen=True)
class View:
    """A textured scene seen by the rig: a plane in front of a slanted one."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray

    @property
    def depth(self):
        return (RIG.focal_baseline / (self.disparity + RIG.doffs_px)).astype(np.float32)


def view(seed):
    """Return a view; the left image is the right one sampled at u - d."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.0, 255.0, (HEIGHT, WIDTH + 2))
    right = 0.5 * noise[:, 1:-1] + 0.25 * (noise[:, :-2] + noise[:, 2:])
    disparity = np.full((HEIGHT, WIDTH), 8.0 + seed % 3)
    disparity[HEIGHT // 2 :] = np.linspace(9.0, 15.0, HEIGHT - HEIGHT // 2)[:, None]
    columns = np.arange(WIDTH)
    rows = zip(right, disparity, strict=True)
    left = np.array([np.interp(columns - d, columns, row) for row, d in rows])
    return View(left.astype(np.uint8), right.astype(np.uint8), disparity.astype(np.float32))


def stamp_ns(number):
    return START_NS + number * PERIOD_NS


def write_stereo(
    path, frames=6, *, truth='depth', stamps=None, logs=None, moving=True, still=False,
    truth_factor=1.0,
):  # fmt: skip
    """Write a bag of `frames` views.

    Args:
        path: New folder.
        frames: Number of frames.
        truth: 'depth', 'disparity' or 'none'.
        stamps: Stamps of the frames [ns].
        logs: When they were recorded [ns]; the stamps by default.
        moving: Write poses of a camera that moves; else there are none.
        still: Show the same view all the time.
        truth_factor: What the true depth is multiplied by, to make it wrong.
    """
    stamps = [stamp_ns(number) for number in range(frames)] if stamps is None else stamps
    with BagWriter(path) as bag:
        for number, stamp in enumerate(stamps):
            if logs is not None:
                bag.log_ns = logs[number]
            seen = view(0 if still else number)
            for side, pixels, camera, baseline_m in (
                ('left', seen.left, RIG.left, 0.0),
                ('right', seen.right, RIG.right, RIG.baseline_m),
            ):
                bag.write_camera_info(f'/{side}/camera_info', stamp, 'eye', camera, baseline_m)
                bag.write_image(f'/{side}/image_rect', stamp, 'eye', pixels, 'mono8')
            if truth == 'depth':
                depth = seen.depth * np.float32(truth_factor)
                bag.write_image('/ground_truth/depth', stamp, 'eye', depth, '32FC1')
            elif truth == 'disparity':
                bag.write_disparity(
                    stamp, 'eye', seen.disparity, RIG, topic='/ground_truth/disparity'
                )
            if moving:
                pose = np.eye(4)
                pose[0, 3] = 0.01 * number
                bag.write_transforms(stamp, [Transform('map', 'eye', pose)], static=False)
    return path
