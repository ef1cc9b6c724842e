"""RGB-D frames in folders: NYU Depth V2, 7-Scenes and ScanNet.

Sources:
    NYU: `camera_params.m` of the toolbox of Silberman et al. (fx_rgb and so on, 640x480); depth
    projected into the colour image, as PNG in mm. 7-Scenes: the page of the data set (Microsoft
    Research): frame-XXXXXX.color.png, .depth.png in mm with 65535 invalid, .pose.txt 4x4 camera
    to world, focal length 585 px, principal point (320, 240). ScanNet: SensReader of the
    repository of the data set: color/N.jpg, depth/N.png in mm with 0 invalid, pose/N.txt 4x4
    camera to world (-inf where tracking was lost), intrinsic/intrinsic_{color,depth}.txt 4x4.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
import re

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.datasets.files import (
    image_at,
    images_in,
    missing,
    read_depth_mm,
    read_image,
    read_numbers,
)
from depth_perception.evaluation.datasets.sample import Entry, Options, Sample
from depth_perception.evaluation.datasets.tum import camera_for
import numpy as np
from numpy.typing import NDArray

_NYU = (518.85790117450188, 519.46961112127485, 325.58244941119034, 253.73616633400465)
_SEVEN_SCENES = (585.0, 585.0, 320.0, 240.0)
_RIGID = 1e-3  # how far a rotation matrix may be from one


def open_nyu(options: Options) -> list[Entry]:
    """Return the frames of a folder of colour and depth images.

    The names of a pair agree but for rgb or color(s) against (sync_)depth, in one folder or in
    the folders rgb/ (color/, image/) and depth/.

    Raises:
        RecordingError: If there is no pair.
    """
    source = options.source
    pairs: list[tuple[Path, Path]] = []
    for folder in (source, *sorted(path for path in source.glob('*') if path.is_dir())):
        pairs += _pairs(folder, folder)
        for name in ('rgb', 'color', 'image'):
            pairs += _pairs(folder / name, folder / 'depth')
    if not pairs:
        raise missing(source, 'pair of colour and depth images', (
            'rgb_N and sync_depth_N', 'N_colors and N_depth', 'rgb/N and depth/N'))  # fmt: skip
    return [
        Entry(colour.parent.name, f'{colour.parent.name}/{colour.name}',
              partial(_read_nyu, colour, depth, options))
        for colour, depth in pairs
    ]  # fmt: skip


def _pairs(colours: Path, depths: Path) -> list[tuple[Path, Path]]:
    """Return the colour images that have a depth image of the same name but for its kind."""
    kinds = re.compile(r'(sync_depth|depth|colors?|rgb|image)')
    by_name = {
        kinds.sub('', path.stem): path
        for path in images_in(depths)
        if 'depth' in path.stem or colours != depths
    }
    return [
        (path, by_name[kinds.sub('', path.stem)])
        for path in images_in(colours)
        if 'depth' not in path.stem and kinds.sub('', path.stem) in by_name
    ]


def _read_nyu(colour: Path, depth: Path, options: Options) -> Sample:
    image = read_image(colour)
    camera = camera_for(options, (image.shape[1], image.shape[0]), _NYU)
    return Sample(image, camera, depth=read_depth_mm(depth))


def open_seven_scenes(options: Options) -> list[Entry]:
    """Return the frames frame-XXXXXX of a sequence, or of the sequences in a scene's folder.

    Raises:
        RecordingError: If there is none.
    """
    source = options.source
    folders = (source, *sorted(path for path in source.glob('*') if path.is_dir()))
    entries = []
    for folder in folders:
        for path in images_in(folder):
            if path.name.startswith('frame-') and path.stem.endswith('.color'):
                read = partial(_read_seven_scenes, path, options)
                entries.append(Entry(folder.name, f'{folder.name}/{path.name}', read))
    if not entries:
        raise missing(source, '7-Scenes frame', ('frame-XXXXXX.color.png', '.depth.png',
                                                 '.pose.txt'))  # fmt: skip
    return entries


def _read_seven_scenes(path: Path, options: Options) -> Sample:
    stem = path.stem[: -len('.color')]
    image = read_image(path)
    height, width = image.shape[:2]
    depth = image_at(path.parent, f'{stem}.depth')
    if depth is None:
        raise RecordingError(f'{path.parent} has no {stem}.depth.png')
    own = path.parent / 'camera-intrinsics.txt'
    if own.is_file() and options.calib is None and options.intrinsics is None:
        camera = _camera_of(own, width, height)
    else:
        camera = camera_for(options, (width, height), _SEVEN_SCENES)
    pose = _pose_of(path.parent / f'{stem}.pose.txt', options)
    return Sample(image, camera, depth=read_depth_mm(depth), map_from_camera=pose)


def open_scannet(options: Options) -> list[Entry]:
    """Return the frames of an exported ScanNet scene, or of the scenes in a folder.

    Raises:
        RecordingError: If there is none.
    """
    source = options.source
    folders = (source, *sorted(path for path in source.glob('*') if path.is_dir()))
    entries = [
        Entry(folder.name, f'{folder.name}/{path.name}', partial(_read_scannet, path, options))
        for folder in folders
        if (folder / 'intrinsic').is_dir()
        for path in images_in(folder / 'color')
    ]
    if not entries:
        raise missing(source, 'ScanNet scene', ('color/', 'depth/', 'pose/', 'intrinsic/'))
    return entries


def _read_scannet(path: Path, options: Options) -> Sample:
    scene = path.parent.parent
    image = read_image(path)
    height, width = image.shape[:2]
    depth_path = image_at(scene / 'depth', path.stem)
    if depth_path is None:
        raise RecordingError(f'{scene / "depth"} has no image {path.stem}')
    depth = read_depth_mm(depth_path)
    camera = options.camera(width, height) or _camera_of(
        scene / 'intrinsic' / 'intrinsic_color.txt', width, height
    )
    depth_camera = None
    if depth.shape != (height, width):
        intrinsic = scene / 'intrinsic' / 'intrinsic_depth.txt'
        depth_camera = _camera_of(intrinsic, depth.shape[1], depth.shape[0])
    return Sample(
        image,
        camera,
        depth=depth,
        depth_camera=depth_camera,
        map_from_camera=_pose_of(scene / 'pose' / f'{path.stem}.txt', options),
    )


def _camera_of(path: Path, width: int, height: int) -> PinholeCamera:
    """Return the camera of a file with a 3x3 or 4x4 intrinsic matrix."""
    k = read_numbers(path)
    if k.shape not in {(3, 3), (4, 4)}:
        raise RecordingError(f'{path} holds a matrix {k.shape}, wanted (3, 3) or (4, 4)')
    return PinholeCamera(width, height, k[0, 0], k[1, 1], k[0, 2], k[1, 2])


def _pose_of(path: Path, options: Options) -> NDArray[np.float64] | None:
    """Return the (4, 4) pose of the camera in the world; None where it is not known."""
    if not path.is_file():
        options.remark('frames without a pose file have no /tf')
        return None
    pose = read_numbers(path)
    if pose.shape != (4, 4):
        raise RecordingError(f'{path} holds a matrix {pose.shape}, wanted (4, 4)')
    rotation = pose[:3, :3]
    if not np.isfinite(pose).all() or np.abs(rotation @ rotation.T - np.eye(3)).max() > _RIGID:
        options.remark('frames whose pose was lost have no /tf')
        return None
    return pose
