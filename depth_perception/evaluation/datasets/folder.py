"""A plain folder of images, or of left/ and right/, with a calibration file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.datasets.files import (
    image_at,
    images_in,
    missing,
    read_depth_mm,
    read_image,
)
from depth_perception.evaluation.datasets.sample import Entry, Options, Sample

_STEREO = (('left', 'right'), ('image_2', 'image_3'), ('image_0', 'image_1'))
_MONO = ('image', 'images', 'rgb', 'color', '.')
_CALIBRATIONS = ('calib.txt', 'left.yaml', 'camera_info.yaml', 'camera.yaml')


def open_folder(options: Options) -> list[Entry]:
    """Return the images of a folder; a depth/ beside them holds PNG of 16 bits in mm.

    The calibration is what the user gave, else calib.txt (Middlebury or KITTI), left.yaml and
    right.yaml, camera_info.yaml or camera.yaml (ROS) in the folder.

    Raises:
        RecordingError: If there is no image.
        CalibrationError: If there is no calibration.
    """
    source = options.source
    given = _with_calibration(options)
    for left, right in _STEREO:
        images = images_in(source / left)
        if images and (source / right).is_dir():
            return [_entry(path, source, source / right, given) for path in images]
    for name in _MONO:
        images = images_in(source / name)
        if images:
            return [_entry(path, source, None, given) for path in images]
    raise missing(source, 'image', ('left/ and right/', 'image/, images/, rgb/ or color/',
                                    'images in the folder itself'))  # fmt: skip


def _entry(path: Path, source: Path, right: Path | None, options: Options) -> Entry:
    return Entry(source.name, path.name, partial(_read, path, source, right, options))


def _with_calibration(options: Options) -> Options:
    if options.calib is not None or options.intrinsics is not None or not options.source.is_dir():
        return options
    source = options.source
    found = next((source / name for name in _CALIBRATIONS if (source / name).is_file()), None)
    if found is None:
        raise CalibrationError(
            f'{source} has no calibration; looked for {", ".join(_CALIBRATIONS)}; give --calib '
            'FILE or --fx PX'
        )
    right = source / 'right.yaml'
    return replace(options, calib=found, calib_right=right if right.is_file() else None)


def _read(path: Path, source: Path, right: Path | None, options: Options) -> Sample:
    image = read_image(path)
    height, width = image.shape[:2]
    depth_path = image_at(source / 'depth', path.stem)
    depth = None if depth_path is None else read_depth_mm(depth_path)
    if right is None:
        camera = options.camera(width, height)
        if camera is None:
            raise CalibrationError('no calibration: give --calib FILE or --fx PX')
        return Sample(image, camera, depth=depth)
    rig = options.rig(width, height)
    other = image_at(right, path.stem)
    if rig is None:
        raise CalibrationError('no calibration: give --calib FILE or --fx PX')
    if other is None:
        raise RecordingError(f'{right} has no image {path.stem}')
    return Sample(image, rig.left, read_image(other), rig, depth=depth)
