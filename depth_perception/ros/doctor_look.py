"""Make facts of what the probes hold: pictures, pairs, frames and the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
import os
from pathlib import Path
import shutil
from typing import Any

from depth_perception.core.frame import Picture
from depth_perception.core.transforms import TransformTree
from depth_perception.doctor import facts
from depth_perception.doctor.judge_cameras import usable_camera
from depth_perception.doctor.sight import sight_of
from depth_perception.errors import CalibrationError, DepthPerceptionError, FrameError
from depth_perception.fastdds import FAST_DDS_2, FAST_DDS_3, SHARED_MEMORY
from depth_perception.messages.compressed import picture_from_compressed
from depth_perception.messages.frames import CameraReader
from depth_perception.messages.images import picture_from_image
from depth_perception.parameters import MonoSettings
from depth_perception.ros.doctor_probe import PairKeeper, StreamProbe
from depth_perception.ros.standard import bgr_by_cv_bridge
from depth_perception.settings import settings_from_mapping
from rclpy.serialization import deserialize_message
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CameraInfo, CompressedImage

_READING = ('input_rectified', 'max_image_side_px')  # parameters that rule how images are read


def picture_facts(probe: StreamProbe, max_side_px: int) -> facts.Picture | None:
    """Return what the newest image of a topic is like; None before the first."""
    if not probe.newest:
        return None
    message = deserialize_message(probe.newest[-1][1], probe.kind)
    compressed = probe.kind is CompressedImage
    encoding = message.format if compressed else message.encoding
    size = (0, 0) if compressed else (int(message.width), int(message.height))
    try:
        picture = _decoded(message, max_side_px)
    except FrameError as error:
        return facts.Picture(*size, encoding, str(error), error.cause)
    except DepthPerceptionError as error:
        return facts.Picture(*size, encoding, str(error), 'decoder')
    values = picture.pixels[::4, ::4]
    return facts.Picture(
        picture.width,
        picture.height,
        encoding,
        contrast=float(values.std()),
        brightness=float(values.mean()),
    )


def _decoded(message: Any, max_side_px: int) -> Picture:
    if isinstance(message, CompressedImage):
        return picture_from_compressed(message, max_side_px)
    return picture_from_image(message, max_side_px, bgr_by_cv_bridge)


def info_facts(message: CameraInfo | None) -> facts.Info | None:
    """Return a camera_info as facts."""
    if message is None:
        return None
    roi = message.roi
    return facts.Info(
        width=int(message.width),
        height=int(message.height),
        distortion_model=str(message.distortion_model),
        d=_floats(message.d),
        k=_floats(message.k),
        r=_floats(message.r),
        p=_floats(message.p),
        binning_x=int(message.binning_x),
        binning_y=int(message.binning_y),
        roi=facts.Roi(
            int(roi.x_offset),
            int(roi.y_offset),
            int(roi.width),
            int(roi.height),
            bool(roi.do_rectify),
        ),
    )


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def sight_facts(
    keeper: PairKeeper, probes: Sequence[StreamProbe], parameters: dict[str, Any]
) -> facts.Sight:
    """Return what the kept pairs show, rectified where the node would do that.

    Args:
        keeper: Pairs of images.
        probes: Left and right images, then their camera_infos.
        parameters: Those of the node; empty without one.
    """
    left, right, left_info, right_info = probes
    try:
        readers = [
            _reader(probe, info, parameters)
            for probe, info in ((left, left_info), (right, right_info))
        ]
        pictures = [
            (
                readers[0].picture_from(deserialize_message(one, left.kind)),
                readers[1].picture_from(deserialize_message(other, right.kind)),
            )
            for one, other in keeper.pairs()
        ]
    except DepthPerceptionError as error:
        return facts.Sight(problem=str(error))
    cameras = [
        usable_camera(info) if info is not None else None
        for info in (left_info.info, right_info.info)
    ]
    doffs_px = cameras[1].cx - cameras[0].cx if cameras[0] and cameras[1] else 0.0
    return sight_of(pictures, doffs_px)


def _reader(probe: StreamProbe, info: StreamProbe, parameters: dict[str, Any]) -> CameraReader:
    """Return what decodes and, where that is possible, rectifies as the node would."""
    values = {name: parameters[name] for name in _READING if name in parameters}
    values['image_transport'] = 'compressed' if probe.kind is CompressedImage else 'raw'
    settings = settings_from_mapping(MonoSettings, values)
    reader = CameraReader(probe.topic, settings, probe.role, bgr_by_cv_bridge)
    if info.info is not None:
        with suppress(CalibrationError):  # judged by itself; the pictures are compared as are
            reader.calibrate(info.info)
    return reader


def frames_facts(
    tree: TransformTree, lacking: str, received: int, cameras: Mapping[str, int], base: str
) -> facts.Frames:
    """Return where TF has the cameras.

    Args:
        tree: The frames.
        lacking: Why there is no TF to look at; '' if there may be.
        received: Number of messages.
        cameras: Frame id of images -> stamp of one [ns].
        base: Frame that they should be connected to.
    """
    if lacking:
        return facts.Frames(lacking, base=base)
    placed = {name: _placed(tree, name, ns, base) for name, ns in cameras.items() if name}
    return facts.Frames('', received, base, tuple(tree.frames), placed)


def _placed(tree: TransformTree, frame: str, stamp_ns: int, base: str) -> facts.Placed:
    if frame not in tree:
        return facts.Placed()
    try:
        root = tree.root_of(frame)
        if base not in tree or tree.root_of(base) != root:
            return facts.Placed(root)
    except FrameError as error:
        return facts.Placed('?', problem=str(error))
    try:
        pose = tree.lookup(base, frame, stamp_ns)
    except FrameError as error:
        return facts.Placed(root, base=True, problem=str(error))
    return facts.Placed(root, base=True, down=float(pose[2, 2]))


def surroundings_facts() -> facts.Surroundings:
    """Return the machine and the middleware."""
    environment = os.environ
    discovery = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '')
    if environment.get('ROS_LOCALHOST_ONLY') == '1':
        discovery = 'LOCALHOST (ROS_LOCALHOST_ONLY=1)'
    memory_mib = -1
    if SHARED_MEMORY.is_dir():
        memory_mib = shutil.disk_usage(SHARED_MEMORY).free >> 20
    return facts.Surroundings(
        distribution=environment.get('ROS_DISTRO', ''),
        middleware=get_rmw_implementation_identifier(),
        domain=environment.get('ROS_DOMAIN_ID') or '0',
        discovery_range=discovery,
        profile=any(environment.get(name) for name in (FAST_DDS_2, FAST_DDS_3)),
        shared_memory_mib=memory_mib,
        receive_buffer_bytes=_number_in(Path('/proc/sys/net/core/rmem_max')),
    )


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text(encoding='ascii'))
    except (OSError, ValueError):
        return -1
