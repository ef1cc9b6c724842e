"""Real stereo pairs with ground truth in metres, for the benchmarks that need sigma."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import depth_from_disparity
from depth_perception.core.types import DepthMap
from depth_perception.evaluation.datasets.kitti import open_kitti_stereo
from depth_perception.evaluation.datasets.middlebury import open_middlebury
from depth_perception.evaluation.datasets.sample import Options

KITTI_INTRINSICS = 721.5377, 721.5377, 609.5593, 172.854  # of the same rig, another frame
KITTI_BASELINE_M = 0.5327


@dataclass(frozen=True)
class StereoScene:
    """A pair and its true depth [m], NaN where unknown."""

    name: str
    frame: StereoFrame
    truth: DepthMap


def stereo_scenes(data: Path) -> Iterator[StereoScene]:
    """Yield the scenes of middlebury_2014_q and kitti_2015 in a folder."""
    kitti = Options(data / 'kitti_2015', intrinsics=KITTI_INTRINSICS, baseline_m=KITTI_BASELINE_M)
    entries = open_middlebury(Options(data / 'middlebury_2014_q')) + open_kitti_stereo(kitti)
    for entry in entries:
        sample = entry.read()
        assert sample.right is not None
        assert sample.rig is not None
        assert sample.disparity is not None
        frame = StereoFrame(Picture(sample.image, 'rgb'), Picture(sample.right, 'rgb'), sample.rig)
        truth = depth_from_disparity(sample.disparity, sample.rig)
        yield StereoScene(entry.scene or entry.name, frame, truth)
