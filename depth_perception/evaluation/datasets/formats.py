"""The data sets that can be converted, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from depth_perception.errors import RecordingError
from depth_perception.evaluation.datasets.folder import open_folder
from depth_perception.evaluation.datasets.kitti import open_kitti_object, open_kitti_stereo
from depth_perception.evaluation.datasets.kitti_raw import open_kitti_depth, open_kitti_raw
from depth_perception.evaluation.datasets.middlebury import open_eth3d, open_middlebury
from depth_perception.evaluation.datasets.rgbd import (
    open_nyu,
    open_scannet,
    open_seven_scenes,
)
from depth_perception.evaluation.datasets.sample import Entry, Options
from depth_perception.evaluation.datasets.sintel import open_sintel
from depth_perception.evaluation.datasets.tum import open_tum


@dataclass(frozen=True)
class Format:
    """A data set.

    Attributes:
        open: Finds its frames.
        title: What it is, for the help.
    """

    open: Callable[[Options], list[Entry]]
    title: str


FORMATS = {
    'middlebury': Format(open_middlebury, 'Middlebury stereo, 2001 to 2021'),
    'eth3d': Format(open_eth3d, 'ETH3D two-view stereo'),
    'kitti-stereo': Format(open_kitti_stereo, 'KITTI stereo 2012 and 2015'),
    'kitti-object': Format(open_kitti_object, 'KITTI object: images and laser scans'),
    'kitti-raw': Format(open_kitti_raw, 'KITTI raw: synchronised, rectified drives'),
    'kitti-depth': Format(open_kitti_depth, 'KITTI depth maps with their images'),
    'tum-rgbd': Format(open_tum, 'TUM RGB-D sequences with poses'),
    'nyu': Format(open_nyu, 'NYU Depth V2 as colour and depth images in mm'),
    'seven-scenes': Format(open_seven_scenes, '7-Scenes: frame-XXXXXX with poses'),
    'scannet': Format(open_scannet, 'ScanNet scenes as SensReader exports them'),
    'sintel': Format(open_sintel, 'MPI Sintel stereo and depth training data'),
    'folder': Format(open_folder, 'a folder of images, or left/ and right/, with calibration'),
}


def entries_of(
    name: str, options: Options, scenes: Sequence[str] = (), limit: int | None = None
) -> list[Entry]:
    """Return the frames of a data set.

    Args:
        name: One of FORMATS.
        options: Where it is, and what is known of it.
        scenes: Only these scenes (drives, sequences); all if empty.
        limit: At most this many frames.

    Raises:
        RecordingError: If there is none, or a scene is not there.
    """
    entries = FORMATS[name].open(options)
    there = sorted({entry.scene for entry in entries})
    absent = sorted(set(scenes) - set(there))
    if absent:
        raise RecordingError(
            f'{options.source} has no scene {", ".join(absent)}; there are: {", ".join(there)}'
        )
    return [entry for entry in entries if not scenes or entry.scene in scenes][:limit]
