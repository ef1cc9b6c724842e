"""TUM RGB-D sequences, and the flat folders of numbered frames cut from them.

Source:
    The page 'File Formats' of the TUM RGB-D benchmark and its tools `associate.py` and
    `generate_pointcloud.py`: depth is a PNG of 16 bits, 5000 units a metre, 0 unknown, registered
    to the colour image; its point clouds are made with fx = fy = 525, cx = 319.5, cy = 239.5.
    groundtruth.txt: `stamp tx ty tz qx qy qz qw`, the pose of the colour camera in the world.
    The flat layout (color/N.png, depth/N.pgm, pose.txt) has depth in mm.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.datasets.files import (
    image_at,
    images_in,
    missing,
    pose_from_quaternion,
    read_bytes,
    read_depth_mm,
    read_image,
    read_numbers,
    read_scaled,
)
from depth_perception.evaluation.datasets.sample import Entry, Options, Sample
import numpy as np
from numpy.typing import NDArray

UNITS_PER_M = 5000.0
ASSOCIATE_NS = 20_000_000  # as associate.py
POSE_GAP_NS = 100_000_000  # poses further apart than this are not interpolated
_INTRINSICS = (525.0, 525.0, 319.5, 239.5)
_FLAT_INTRINSICS = (518.0, 519.0, 325.5, 253.5)
_SIZE = (640, 480)


def open_tum(options: Options) -> list[Entry]:
    """Return the frames of a sequence, paired by stamp; or those of a flat folder.

    Raises:
        RecordingError: If the folder is neither.
    """
    source = options.source
    if (source / 'color').is_dir() and (source / 'depth').is_dir():
        return _open_flat(options)
    colours, depths = (_listed(source, name) for name in ('rgb', 'depth'))
    if not colours:
        raise missing(source, 'TUM sequence', ('rgb.txt or rgb/, depth.txt or depth/',
                                               'color/ and depth/ (flat)'))  # fmt: skip
    poses = _poses(source / 'groundtruth.txt', options)
    pose_stamps = [stamp_ns for stamp_ns, _ in poses]
    entries, unpaired = [], 0
    stamps = [stamp_ns for stamp_ns, _ in depths]
    for stamp_ns, path in colours:
        nearest = _nearest(stamps, stamp_ns)
        depth = None if nearest is None else depths[nearest][1]
        unpaired += depth is None
        pose = partial(_pose_at, poses, pose_stamps, stamp_ns)
        read = partial(_read, path, depth, pose, options)
        entries.append(Entry(source.name, path.name, read, stamp_ns))
    if unpaired:
        options.remark(f'{unpaired} colour images have no depth within {ASSOCIATE_NS * 1e-6:g} ms')
    return entries


def _stamp_ns(text: str) -> int:
    """Return ns of decimal seconds, exactly."""
    return int(Decimal(text) * 10**9)


def _listed(source: Path, name: str) -> list[tuple[int, Path]]:
    """Return stamp and path of every image: from the list, else from the names of the files."""
    listing = source / f'{name}.txt'
    found = []
    if listing.is_file():
        for line in read_bytes(listing).decode('utf-8', 'replace').splitlines():
            words = line.split()
            if len(words) == 2 and not line.startswith('#'):
                found.append((words[0], source / words[1]))
    else:
        found = [(path.stem, path) for path in images_in(source / name)]
    try:
        return sorted((_stamp_ns(stamp), path) for stamp, path in found)
    except InvalidOperation as error:
        raise RecordingError(f'the images of {source / name} are not named by stamp') from error


def _nearest(stamps: Sequence[int], stamp_ns: int) -> int | None:
    """Return the index of the stamp next to `stamp_ns`; None if it is too far."""
    i = bisect_left(stamps, stamp_ns)
    near = min(
        (j for j in (i - 1, i) if 0 <= j < len(stamps)),
        key=lambda j: abs(stamps[j] - stamp_ns),
        default=None,
    )
    return None if near is None or abs(stamps[near] - stamp_ns) > ASSOCIATE_NS else near


def _poses(path: Path, options: Options) -> list[tuple[int, NDArray[np.float64]]]:
    if not path.is_file():
        options.remark('no groundtruth.txt, so the bag has no /tf')
        return []
    found = []
    for line in read_bytes(path).decode('utf-8', 'replace').splitlines():
        words = line.split()
        if len(words) == 8 and not line.startswith('#'):
            try:
                found.append((_stamp_ns(words[0]), np.array([float(word) for word in words[1:]])))
            except (InvalidOperation, ValueError) as error:
                raise RecordingError(f'{path}: not a pose: {line}') from error
    return sorted(found, key=lambda item: item[0])


def _pose_at(
    poses: Sequence[tuple[int, NDArray[np.float64]]], stamps: Sequence[int], stamp_ns: int
) -> NDArray[np.float64] | None:
    """Return the (4, 4) pose at a stamp, between its two neighbours; None if they are far.

    Poses come at 100 Hz, so a linear quaternion, normalised, is as good as a spherical one.
    """
    i = bisect_left(stamps, stamp_ns)
    if i < len(poses) and poses[i][0] == stamp_ns:
        return pose_from_quaternion(poses[i][1])
    if i in {0, len(poses)}:
        return None
    (before_ns, before), (after_ns, after) = poses[i - 1], poses[i]
    if after_ns - before_ns > POSE_GAP_NS:
        return None
    part = (stamp_ns - before_ns) / (after_ns - before_ns)
    if np.dot(before[3:], after[3:]) < 0.0:
        after = np.concatenate([after[:3], -after[3:]])
    return pose_from_quaternion((1.0 - part) * before + part * after)


def camera_for(
    options: Options, size: tuple[int, int], published: tuple[float, float, float, float]
) -> PinholeCamera:
    """Return the camera given by the user, else the published one for 640x480.

    Raises:
        RecordingError: If the images have another size than the published camera.
    """
    given = options.camera(*size)
    if given is not None:
        return given
    if size != _SIZE:
        raise RecordingError(
            f'the published intrinsics are for 640x480, the images are {size[0]}x{size[1]}; give '
            '--calib or --fx, --fy, --cx and --cy'
        )
    fx, fy, cx, cy = published
    options.remark(f'intrinsics as published: fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} px')
    return PinholeCamera(*size, *published)


def _read(
    path: Path,
    depth: Path | None,
    pose: Callable[[], NDArray[np.float64] | None],
    options: Options,
) -> Sample:
    image = read_image(path)
    camera = camera_for(options, (image.shape[1], image.shape[0]), _INTRINSICS)
    metres = None if depth is None else read_scaled(depth, 1.0 / UNITS_PER_M)
    return Sample(image, camera, depth=metres, map_from_camera=pose())


def _open_flat(options: Options) -> list[Entry]:
    source = options.source
    colours = images_in(source / 'color')
    path = source / 'pose.txt'
    poses = read_numbers(path) if path.is_file() else np.empty((0, 7))
    if len(poses) and (poses.shape[1] != 7 or len(poses) < len(colours)):
        raise RecordingError(
            f'{path} has {poses.shape[0]} rows of {poses.shape[1]} numbers, wanted x y z qx qy '
            f'qz qw for each of {len(colours)} images'
        )
    if not len(poses):
        options.remark('no pose.txt, so the bag has no /tf')
    entries = []
    for i, colour in enumerate(colours):
        pose = poses[i] if len(poses) else None
        read = partial(_read_flat, colour, source / 'depth', pose, options)
        entries.append(Entry(source.name, colour.name, read))
    return entries


def _read_flat(
    path: Path, depths: Path, pose: NDArray[np.float64] | None, options: Options
) -> Sample:
    image = read_image(path)
    camera = camera_for(options, (image.shape[1], image.shape[0]), _FLAT_INTRINSICS)
    depth = image_at(depths, path.stem)
    if depth is None:
        raise RecordingError(f'{depths} has no image {path.stem}')
    map_from_camera = None if pose is None else pose_from_quaternion(pose)
    return Sample(image, camera, depth=read_depth_mm(depth), map_from_camera=map_from_camera)
