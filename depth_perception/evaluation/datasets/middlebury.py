"""Middlebury stereo (2001 to 2021) and the two-view pairs of ETH3D.

Sources:
    The pages of the data sets at vision.middlebury.edu/stereo/data (scenes2001, scenes2003,
    scenes2005, scenes2006, scenes2014, scenes2021) and the Middlebury SDK (MiddEval3); ETH3D
    states that its two-view data has the format of MiddEval3.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import Mask
from depth_perception.errors import RecordingError
from depth_perception.evaluation.calibration_files import rig_from_files, rig_from_numbers
from depth_perception.evaluation.datasets.files import (
    first_existing,
    image_at,
    missing,
    read_image,
    read_numbers,
    read_pfm,
    read_scaled,
    read_unchanged,
)
from depth_perception.evaluation.datasets.sample import Entry, Options, Sample

_SCALES_2001 = {
    'barn1': 8, 'barn2': 8, 'bull': 8, 'poster': 8, 'sawtooth': 8, 'venus': 8,
}  # fmt: skip
_LARGE_2003_PX, _LARGE_2005_PX = 1800, 1240  # least width at full size
_FOCAL_2005_PX, _BASELINE_2005_M = 3740.0, 0.160  # published, at full size
_TRUTHS = ('disp0GT.pfm', 'disp0.pfm')
_PAIRS = (('view1', 'view5', 'disp1'), ('im2', 'im6', 'disp2'))
_LOOKED_FOR = (
    'im0 and im1 with calib.txt (2014, 2021, ETH3D)',
    'view1 and view5 (2005, 2006)',
    'im2 and im6 (2001, 2003)',
)


def open_middlebury(options: Options) -> list[Entry]:
    """Return the scenes of a folder of scenes, or the one of a scene's own folder.

    Raises:
        RecordingError: If there is none.
    """
    entries = [entry for folder in _folders(options.source) for entry in _entries(folder, options)]
    if not entries:
        raise missing(options.source, 'Middlebury scene', _LOOKED_FOR)
    return entries


def open_eth3d(options: Options) -> list[Entry]:
    """Return the two-view scenes of ETH3D; the truth may be unpacked in a folder of its own.

    Raises:
        RecordingError: If there is none.
    """
    folders = [folder for folder in _folders(options.source) if image_at(folder, 'im0')]
    if not folders:
        raise missing(options.source, 'ETH3D two-view scene', _LOOKED_FOR[:1])
    return [
        Entry(folder.name, folder.name, partial(_read_floats, folder, options))
        for folder in folders
    ]


def _folders(source: Path) -> list[Path]:
    inside = sorted(path for path in source.glob('*') if path.is_dir())
    return [source, *inside]


def _entries(folder: Path, options: Options) -> list[Entry]:
    if image_at(folder, 'im0') is not None:
        return [Entry(folder.name, folder.name, partial(_read_floats, folder, options))]
    for names in _PAIRS:
        if image_at(folder, names[0]) is not None and image_at(folder, names[1]) is not None:
            read = partial(_read_integers, folder, names, options)
            return [Entry(folder.name, folder.name, read)]
    return []


def _image(folder: Path, stem: str) -> Path:
    path = image_at(folder, stem)
    if path is None:
        raise RecordingError(f'{folder} has no {stem}.png')
    return path


def _read_floats(folder: Path, options: Options) -> Sample:
    """Read a scene with calib.txt.

    Coding:
        Disparity in px as PFM, inf unknown; calib.txt: cam0 [px], doffs = cx1 - cx0 [px],
        baseline [mm], Z = baseline f / (d + doffs); mask0nocc.png: 255 seen by both, 128
        occluded, 0 unknown.
    """
    left, right = read_image(_image(folder, 'im0')), read_image(_image(folder, 'im1'))
    height, width = left.shape[:2]
    rig = options.rig(width, height) or rig_from_files(folder / 'calib.txt', width, height)
    beside = folder.parent.parent / f'{folder.parent.name}_gt' / folder.name
    inside = folder.parent / 'two_view_training_gt' / folder.name
    places = (folder, beside, inside)
    truth = first_existing(place / name for place in places for name in _TRUTHS)
    if truth is None:
        options.remark(f'no ground truth ({" or ".join(_TRUTHS)})', folder.name)
    mask_path = first_existing(place / 'mask0nocc.png' for place in places)
    mask: Mask | None = None if mask_path is None else read_unchanged(mask_path) == 255
    return Sample(
        left,
        rig.left,
        right,
        rig,
        disparity=None if truth is None else read_pfm(truth),
        visible_in_both=mask,
    )


def _read_integers(folder: Path, names: tuple[str, str, str], options: Options) -> Sample:
    """Read a scene of 2001 to 2006.

    Coding:
        8 bits, disparity [px] = value / scale, 0 unknown. Scale: 8 in 2001; 4, 2, 1 at quarter,
        half and full size in 2003; 3, 2, 1 at third, half and full size in 2005 and 2006.
    """
    left, right = (read_image(_image(folder, name)) for name in names[:2])
    height, width = left.shape[:2]
    scale = _scale(folder.name, names[0], width)
    truth = image_at(folder, names[2])
    if truth is None:
        options.remark(f'no ground truth ({names[2]}.png)', folder.name)
    rig, is_metric = options.rig(width, height), True
    if rig is None:
        rig, is_metric = _published_rig(folder, names[0], scale, (width, height), options)
    return Sample(
        left,
        rig.left,
        right,
        rig,
        disparity=None if truth is None else read_scaled(truth, 1.0 / scale),
        disparity_step_px=1.0 / scale,
        is_metric=is_metric,
    )


def _scale(scene: str, first: str, width: int) -> int:
    """Return the units of the disparity image per pixel; for 2005 and 2006 the reduction."""
    if first == 'view1':
        return max(1, round(_LARGE_2005_PX / width))
    if scene.lower() in _SCALES_2001:
        return _SCALES_2001[scene.lower()]
    if scene.lower() in {'cones', 'teddy'} or width % 450 == 0:
        return max(1, round(_LARGE_2003_PX / width))
    raise RecordingError(
        f'the scale of the disparities of {scene} is not known: not a scene of 2001 '
        f'({", ".join(_SCALES_2001)}) nor cones or teddy of 2003'
    )


def _published_rig(
    folder: Path, first: str, scale: int, size: tuple[int, int], options: Options
) -> tuple[StereoRig, bool]:
    """Return what is known of the rig, and whether that is enough for depth.

    dmin.txt (2005, 2006) holds the disparity [px at full size] that was cropped away, which is
    the offset of the principal points.
    """
    width, height = size
    middle = ((width - 1) / 2, (height - 1) / 2)
    if first != 'view1':
        options.remark(
            f'no calibration is published; camera_info holds fx = {width} px and '
            f'a baseline of {_BASELINE_2005_M} m as stand-ins, so there is disparity ground '
            'truth only, and depth from this bag is not metric',
            folder.name,
        )
        camera = PinholeCamera(width, height, float(width), float(width), *middle)
        return rig_from_numbers(camera, _BASELINE_2005_M, 0.0), False
    focal_px = _FOCAL_2005_PX / scale
    camera = PinholeCamera(width, height, focal_px, focal_px, *middle)
    offset = first_existing([folder / 'dmin.txt'])
    if offset is None:
        options.remark(
            f'no dmin.txt, so the offset of the principal points is not known; '
            f'disparity ground truth only (published: fx = {focal_px:.2f} px, baseline '
            f'{_BASELINE_2005_M} m), and depth from this bag is not metric',
            folder.name,
        )
        return rig_from_numbers(camera, _BASELINE_2005_M, 0.0), False
    doffs_px = float(read_numbers(offset)[0, 0]) / scale
    return rig_from_numbers(camera, _BASELINE_2005_M, doffs_px), True
