"""Read rosbag2 recordings of images and depth, without rclpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import AnyArray
from depth_perception.errors import CalibrationError, RecordingError
import numpy as np
from numpy.typing import NDArray

IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
DISPARITY = 'stereo_msgs/msg/DisparityImage'
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
_COLOURS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4}
_LAYOUTS = {'mono8': 'u1', '8UC1': 'u1', '16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'}


@dataclass(frozen=True)
class Message:
    """One message of a recording.

    Attributes:
        topic: Its topic.
        stamp_ns: Stamp of its header [ns]; 0 if it has none.
        log_ns: When it was recorded [ns].
        content: The message, as rosbags deserialises it.
    """

    topic: str
    stamp_ns: int
    log_ns: int
    content: Any


def typestore() -> Any:
    """Return the types of the standard messages.

    Raises:
        RecordingError: If rosbags is not installed.
    """
    try:
        from rosbags.typesys import get_typestore, Stores
    except ImportError:
        raise RecordingError('bags need the package rosbags: pip install rosbags') from None
    return get_typestore(Stores.ROS2_JAZZY)


class Recording:
    """A rosbag2 recording (mcap or sqlite3), opened for reading; a context manager.

    Raises:
        RecordingError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._store = typestore()
        from rosbags.rosbag2 import Reader, ReaderError

        self.path = path
        try:
            self._reader = Reader(path)
            self._reader.open()
        except (ReaderError, OSError, ValueError) as error:
            raise RecordingError(f'{path} is not a rosbag2 recording: {error}') from error
        self.warnings: list[str] = []
        self.types = {c.topic: c.msgtype for c in self._reader.connections}
        self.start_ns = int(self._reader.start_time)
        self.duration_s = self._reader.duration * 1e-9

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    def topics(self, kind: str) -> list[str]:
        """Return the topics of a message type, sorted."""
        return sorted(topic for topic, other in self.types.items() if other == kind)

    def count(self, topic: str) -> int:
        """Return how many messages of a topic there are."""
        return sum(c.msgcount for c in self._reader.connections if c.topic == topic)

    def messages(
        self, topics: Sequence[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Message]:
        """Yield the messages of `topics` in the order of their recording.

        Raises:
            RecordingError: If a topic is not in the recording, or a message is damaged.
        """
        missing = sorted(set(topics) - self.types.keys())
        if missing:
            there = ', '.join(sorted(self.types)) or 'none'
            raise RecordingError(f'{self.path} has no {", ".join(missing)}; its topics: {there}')
        connections = [c for c in self._reader.connections if c.topic in topics]
        from rosbags.typesys import TypesysError

        for connection, log_ns, data in self._reader.messages(
            connections, start=start_ns, stop=stop_ns
        ):
            try:
                content = self._store.deserialize_cdr(data, connection.msgtype)
            except (TypesysError, KeyError, ValueError, IndexError) as error:
                raise RecordingError(
                    f'{self.path}: damaged message on {connection.topic}: {error!r}'
                ) from error
            yield Message(connection.topic, _stamp_ns(content), log_ns, content)

    def first(self, topic: str) -> Any:
        """Return the first message of a topic.

        Raises:
            RecordingError: If there is none.
        """
        for message in self.messages([topic]):
            return message.content
        raise RecordingError(f'{self.path}: nothing was recorded on {topic}')


def _stamp_ns(content: Any) -> int:
    stamp = getattr(getattr(content, 'header', None), 'stamp', None)
    return 0 if stamp is None else int(stamp.sec) * 10**9 + int(stamp.nanosec)


def array_from_image(image: Any) -> AnyArray:
    """Return the pixels of an image message: RGB (H, W, 3), or (H, W) of its own type.

    Raises:
        RecordingError: If the encoding is not one of the common ones, or the data is too short.
    """
    height, width, step = int(image.height), int(image.width), int(image.step)
    channels = _COLOURS.get(image.encoding, 1)
    if image.encoding not in _COLOURS and image.encoding not in _LAYOUTS:
        known = ', '.join([*_COLOURS, *_LAYOUTS])
        raise RecordingError(f'cannot read images of encoding {image.encoding}; only {known}')
    kind = np.dtype(_LAYOUTS.get(image.encoding, 'u1')).newbyteorder(
        '>' if image.is_bigendian else '<'
    )
    row_bytes = width * channels * kind.itemsize
    if step < row_bytes or image.data.size < step * (height - 1) + row_bytes or height < 1:
        raise RecordingError(
            f'image of {width}x{height} {image.encoding} with step {step} has only '
            f'{image.data.size} bytes'
        )
    rows = np.lib.stride_tricks.as_strided(image.data, (height, row_bytes), (step, 1))
    pixels = np.ascontiguousarray(rows).view(kind)
    if kind.byteorder == '>':
        pixels = pixels.astype(kind.newbyteorder('='))
    if channels == 1:
        return pixels
    colours = pixels.reshape(height, width, channels)[..., :3]
    return np.ascontiguousarray(colours[..., ::-1] if image.encoding[0] == 'b' else colours)


def depth_from_image(image: Any) -> NDArray[np.float32]:
    """Return (H, W) float32 [m] of a depth image message: 32FC1 as it is, 16UC1 from mm.

    Raises:
        RecordingError: If it has another encoding.
    """
    pixels = array_from_image(image)
    if pixels.dtype == np.float32:
        return pixels
    if image.encoding in {'16UC1', 'mono16'}:
        depth = pixels.astype(np.float32) * np.float32(1e-3)
        depth[pixels == 0] = np.nan
        return depth
    raise RecordingError(f'{image.encoding} is not a depth image; wanted 32FC1 or 16UC1')


def projection_from_info(info: Any) -> NDArray[np.float64]:
    """Return the 3x4 projection matrix of a camera_info."""
    return np.asarray(info.p, np.float64).reshape(3, 4)


def camera_from_info(info: Any) -> PinholeCamera:
    """Return the rectified camera of a camera_info.

    Raises:
        CalibrationError: If it is not calibrated, or binned or cropped.
    """
    if info.binning_x > 1 or info.binning_y > 1 or info.roi.width or info.roi.height:
        raise CalibrationError('camera_info with binning or a region of interest: play the bag')
    p = projection_from_info(info)
    return PinholeCamera(int(info.width), int(info.height), p[0, 0], p[1, 1], p[0, 2], p[1, 2])
