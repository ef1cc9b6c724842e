"""Stereo scenes with truth, as frames for the whole estimator: photographs and rendered ones.

The errors of the truth itself (rounding to 1/3 px in 2006, the laser in KITTI) are counted as
errors of the matcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import hashlib
from pathlib import Path
from unittest import mock

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import disparity_from_depth, StereoRig
from depth_perception.core.types import AnyArray, DisparityMap
from depth_perception.evaluation import rendered
from depth_perception.evaluation.calibration_files import rig_from_files, rig_from_numbers
from depth_perception.evaluation.datasets.files import read_pfm
import numpy as np

DOFFS_2006_PX = 77.0  # not with the data; of the size that the published scenes have
RENDERED = 6
NOISE = 1.5  # grey levels, added to rendered pictures


@dataclass(frozen=True)
class HonestyScene:
    """A pair with its true disparity.

    Attributes:
        name: Unique.
        frame: What the estimator gets.
        truth: (H, W) float32 [px], NaN unknown.
        sha256: Of the files it was read from, or of the arrays that were rendered.
    """

    name: str
    frame: StereoFrame
    truth: DisparityMap
    sha256: str

    @property
    def is_rendered(self) -> bool:
        """Whether it is no photograph."""
        return self.name.startswith('rendered')


def real_scenes(data: Path) -> Iterator[HonestyScene]:
    """Yield Middlebury 2014 and 2006, and one frame of KITTI 2015."""
    for folder in sorted((data / 'middlebury_2014_q').iterdir()):
        files = [folder / name for name in ('im0.png', 'im1.png', 'disp0GT.pfm', 'calib.txt')]
        truth = read_pfm(files[2])
        rig = rig_from_files(files[3], truth.shape[1], truth.shape[0])
        yield _scene(f'2014 {folder.name}', files, rig, truth)
    for folder in sorted((data / 'middlebury_2006').iterdir()):
        files = [folder / name for name in ('view1.png', 'view5.png', 'disp1.png')]
        truth = cv2.imread(str(files[2]), cv2.IMREAD_UNCHANGED) / np.float32(3.0)
        truth[truth == 0.0] = np.nan
        height, width = truth.shape
        focal = 3740.0 / 3.0
        camera = PinholeCamera(width, height, focal, focal, width / 2.0, height / 2.0)
        rig = rig_from_numbers(camera, 0.16, DOFFS_2006_PX)
        yield _scene(f'2006 {folder.name}', files, rig, truth)
    folder = data / 'kitti_2015'
    files = [folder / part / '000046_10.png' for part in ('image_2', 'image_3', 'disp_occ_0')]
    truth = cv2.imread(str(files[2]), cv2.IMREAD_UNCHANGED) / np.float32(256.0)
    truth[truth == 0.0] = np.nan
    height, width = truth.shape
    camera = PinholeCamera(width, height, 721.5377, 721.5377, 609.5593, 172.854)
    yield _scene('kitti 000046', files, rig_from_numbers(camera, 0.5327, 0.0), truth)


def rendered_scenes(count: int = RENDERED) -> Iterator[HonestyScene]:
    """Yield boxes before a wall, at other places and with other noise in each."""
    for seed in range(count):
        random = np.random.default_rng(seed)
        boxes = rendered._BOXES if seed == 0 else _random_boxes(random)  # noqa: SLF001
        with mock.patch.object(rendered, '_BOXES', boxes):
            scene = rendered.rendered_scene()
        pair = [_noisy(picture, random) for picture in (scene.left, scene.right)]
        assert scene.truth is not None
        truth = disparity_from_depth(scene.truth, scene.rig)
        digest = hashlib.sha256(b''.join(a.tobytes() for a in (*pair, truth))).hexdigest()
        frame = StereoFrame(Picture(pair[0], 'rgb'), Picture(pair[1], 'rgb'), scene.rig)
        yield HonestyScene(f'rendered {seed}', frame, truth, digest)


def _random_boxes(random: np.random.Generator) -> tuple[object, ...]:
    boxes = list(rendered._BOXES[:2])  # noqa: SLF001
    for _ in range(6):
        z, x = random.uniform(1.5, 5.0), random.uniform(-0.5, 0.5)
        low = x * z, 1.0 - random.uniform(0.2, 1.8), z
        high = low[0] + random.uniform(0.1, 0.8), 1.0, z + random.uniform(0.2, 0.8)
        boxes.append(rendered._Box(low, high, tuple(random.uniform(0.2, 0.9, 3))))  # noqa: SLF001
    return tuple(boxes)


def _noisy(picture: AnyArray, random: np.random.Generator) -> AnyArray:
    values = picture + random.normal(0.0, NOISE, picture.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _scene(name: str, files: list[Path], rig: StereoRig, truth: DisparityMap) -> HonestyScene:
    pictures = [cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1].copy() for path in files[:2]]
    frame = StereoFrame(*(Picture(p, 'rgb') for p in pictures), rig)
    digest = hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest()
    return HonestyScene(name, frame, truth, digest)
