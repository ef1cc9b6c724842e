"""Judge images and camera_infos, each camera by itself."""

from __future__ import annotations

from collections.abc import Iterator
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.doctor.facts import Info, Stream, Subject
from depth_perception.doctor.findings import Finding, finding
from depth_perception.errors import CalibrationError
from depth_perception.messages.cameras import (
    camera_from_info,
    lens_from_info,
    rectification_needed,
    rectifying_rotation,
)
import numpy as np

BLANK_CONTRAST = 1.5  # grey values; the noise of a camera alone is about this
_CALIBRATE = (
    'calibrate the camera (ros2 run camera_calibration cameracalibrator), and give the driver the '
    'file (camera_info_url)'
)


def judge_cameras(subject: Subject) -> list[Finding]:
    """Return what is wrong with the images and the calibration of each camera."""
    found: list[Finding] = []
    for stream in subject.streams:
        if not stream.is_info:
            found += _judge_picture(subject, stream)
            info = subject.stream(f'{stream.role} info')
            if info is not None:
                found += _judge_info(subject, stream, info)
    return found


def _judge_picture(subject: Subject, stream: Stream) -> Iterator[Finding]:
    picture = stream.picture
    if picture is None:
        return
    size = f'{picture.width}x{picture.height} {picture.encoding}'
    if picture.cause == 'encoding':
        yield finding(
            'image.encoding',
            subject.name,
            stream.topic,
            f'{picture.encoding!r}: {picture.problem}',
            'let the driver publish rgb8, bgr8 or mono8, or convert with image_proc; a depth '
            'image (16UC1, 32FC1) is no input: take the topic of the camera image',
        )
    elif picture.cause == 'too_large':
        yield finding(
            'image.too_large',
            subject.name,
            stream.topic,
            f'{size}, max_image_side_px is {subject.parameter("max_image_side_px", 8192)}',
            'let the camera bin or scale the image, or raise max_image_side_px',
        )
    elif picture.problem:
        yield finding(
            'image.broken',
            subject.name,
            stream.topic,
            f'{size}: {picture.problem}',
            'mend the publisher: step is the bytes of a row, data holds step * height bytes',
        )
    elif picture.contrast < BLANK_CONTRAST:
        yield finding(
            'image.blank',
            subject.name,
            stream.topic,
            f'{size}: mean {picture.brightness:.0f}, standard deviation {picture.contrast:.1f} '
            'grey values',
            'is the lens covered, the light off, the exposure far too long or too short?',
        )


def _judge_info(subject: Subject, stream: Stream, info_stream: Stream) -> Iterator[Finding]:
    info = info_stream.info
    if info is None:
        return
    if info_stream.calibrations > 1:
        yield finding(
            'info.changes',
            subject.name,
            info_stream.topic,
            f'{info_stream.calibrations} different calibrations within '
            f'{len(info_stream.stamps_ns)} messages',
            'two publishers of one topic, or a driver that refines its calibration on line: '
            'use one calibration, each change makes the node start afresh',
        )
    broken = list(_judge_numbers(subject, info_stream, info))
    if broken:
        yield from broken
        return
    yield from _judge_rectification(subject, stream, info_stream, info)
    yield from _judge_size(subject, stream, info_stream, info)
    camera = usable_camera(info)
    if camera is not None and not 5.0 <= camera.hfov_deg <= 150.0:
        yield finding(
            'info.focal',
            subject.name,
            info_stream.topic,
            f'fx = {camera.fx:.1f} px on {camera.width} px is a field of view of '
            f'{camera.hfov_deg:.1f} degrees',
            'is the calibration that of another resolution, or in other units than pixels? '
            + _CALIBRATE,
        )


def _judge_numbers(subject: Subject, stream: Stream, info: Info) -> Iterator[Finding]:
    blank = [name for name, values in (('K', info.k), ('P', info.p)) if not any(values)]
    if blank:
        cures = [_CALIBRATE]
        if blank == ['P']:
            cures.insert(0, 'for one rectified camera publish P = [K | 0]')
        yield finding(
            'info.empty', subject.name, stream.topic, f'{" and ".join(blank)} all zeros', cures
        )
        return
    try:
        camera_from_info(info)
        rectifying_rotation(info)
        if any(info.d):
            lens_from_info(info)
    except CalibrationError as error:
        yield finding('info.unusable', subject.name, stream.topic, str(error), _CALIBRATE)


def _judge_rectification(
    subject: Subject, stream: Stream, info_stream: Stream, info: Info
) -> Iterator[Finding]:
    wanted = str(subject.parameter('input_rectified', 'auto'))
    distortion = f'D = [{", ".join(f"{value:g}" for value in info.d)}]'
    try:
        needed = rectification_needed(info, stream.topic, wanted)
    except CalibrationError:
        yield finding(
            'info.raw',
            subject.name,
            info_stream.topic,
            f'{distortion} describes a raw image, but {stream.topic} is named as rectified',
            (
                'if the image is rectified (image_proc repeats the camera_info of the raw image): '
                'set input_rectified:=yes',
                'if it is raw: remap the input to a topic that does not say rect, or set '
                'input_rectified:=no; the node then rectifies it',
            ),
        )
        return
    except ValueError:
        return  # a value that no node can have
    if needed:
        yield finding(
            'info.rectified_here',
            subject.name,
            info_stream.topic,
            f'{distortion}, input_rectified is {wanted}',
            'nothing to do; image_proc upstream would save the time for other consumers too',
        )
    if wanted == 'yes' and any(info.d) and 'raw' in stream.topic.rsplit('/', 1)[-1]:
        yield finding(
            'param.rectified',
            subject.name,
            stream.topic,
            f'input_rectified is yes, but the topic says raw and {distortion}',
            'start the node with -p input_rectified:=auto; or remap to the rectified topic',
        )


def _judge_size(
    subject: Subject, stream: Stream, info_stream: Stream, info: Info
) -> Iterator[Finding]:
    camera, picture = usable_camera(info), stream.picture
    if camera is None or picture is None or picture.problem:
        return
    if (camera.width, camera.height) == (picture.width, picture.height):
        return
    seen = f'camera_info {camera.width}x{camera.height}, image {picture.width}x{picture.height}'
    if (info.width, info.height) != (camera.width, camera.height):
        seen += f' (full {info.width}x{info.height}, with binning and roi)'
    yield finding(
        'info.size',
        subject.name,
        info_stream.topic,
        seen,
        (
            'choose the calibration of the resolution in use, or calibrate at it',
            'if a node scales the image (image_proc resize), take the camera_info that it '
            'publishes beside its image',
        ),
    )


def usable_camera(info: Info) -> PinholeCamera | None:
    """Return the camera of a camera_info; None if it has none."""
    try:
        return camera_from_info(info)
    except CalibrationError:
        return None


def projection(info: Info) -> tuple[float, float, float]:
    """Return fx, P[3] and P[7]; NaN where P is not finite."""
    values = np.asarray(info.p, np.float64)
    if values.size != 12 or not np.isfinite(values).all():
        return math.nan, math.nan, math.nan
    return float(values[0]), float(values[3]), float(values[7])
