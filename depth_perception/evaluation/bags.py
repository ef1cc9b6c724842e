"""Read rosbag2 recordings without rclpy, also damaged ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_parts import DamagedError
from depth_perception.evaluation.bag_storage import RawRecording
from depth_perception.evaluation.bag_types import MessageTypes, typestore

__all__ = [
    'CAMERA_INFO', 'DIAGNOSTICS', 'DISPARITY', 'IMAGE', 'POINT_CLOUD', 'Message', 'Recording',
    'typestore',
]  # fmt: skip
IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
DISPARITY = 'stereo_msgs/msg/DisparityImage'
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'


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


class Recording:
    """A rosbag2 recording (mcap or sqlite3), opened for reading; a context manager.

    A folder with or without metadata.yaml, or one of its files. What is cut or damaged is told in
    `warnings`, and the rest is read.

    Attributes:
        path: As it was given.
        types: Topic -> type of its messages.
        storage: 'mcap' or 'sqlite3'.
        bytes: Size of the files.
        start_ns: Time of the first message [ns].
        duration_s: From the first message to the last [s].
        damaged: Topic -> number of messages that were left out so far, each counted once.
    """

    def __init__(self, path: Path) -> None:
        """Open a recording.

        Raises:
            RecordingError: If nothing in it can be read, or a package is missing.
        """
        self.path = path
        self._raw = RawRecording(path)
        try:
            self._messages = MessageTypes(self._raw.channels)
        except BaseException:
            self._raw.close()
            raise
        self.types = dict(self._raw.kinds)
        self.storage = self._raw.kind
        self.bytes = self._raw.bytes
        self.start_ns = self._raw.start_ns
        self.duration_s = (self._raw.stop_ns - self._raw.start_ns) * 1e-9
        self.damaged: Counter[str] = Counter()
        self._causes: dict[str, str] = {}
        self._skipped: dict[str, str] = {}
        self._seen: set[tuple[int, tuple[int, int]]] = set()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._raw.close()

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the files and, as far as they have been read, the messages."""
        damage = [
            f'{count} damaged message{"s" if count > 1 else ""} on {topic} '
            f'{"were" if count > 1 else "was"} left out; the first: {self._causes[topic]}'
            for topic, count in sorted(self.damaged.items())
        ]
        trouble = [self._messages.trouble] if self._messages.trouble else []
        return [*self._raw.warnings, *trouble, *self._skipped.values(), *damage]

    def topics(self, kind: str) -> list[str]:
        """Return the topics of a message type, sorted."""
        return sorted(topic for topic, other in self.types.items() if other == kind)

    def count(self, topic: str) -> int:
        """Return how many messages of a topic there are, with those that may be damaged."""
        return self._raw.counts[topic]

    def messages(
        self, topics: Sequence[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Message]:
        """Yield the messages of `topics` in the order of their recording.

        Damaged ones are left out and counted; topics of a type that is neither a standard one
        nor described in the recording are left out with a warning.

        Args:
            topics: Names of topics.
            start_ns: Only what was recorded from this time on [ns].
            stop_ns: Only what was recorded before this time [ns].

        Raises:
            RecordingError: If a topic is not in the recording.
        """
        missing = sorted(set(topics) - self.types.keys())
        if missing:
            there = ', '.join(sorted(self.types)) or 'none'
            raise RecordingError(f'{self.path} has no {", ".join(missing)}; its topics: {there}')
        readable = [topic for topic in topics if self._readable(topic)]
        for number, raw in self._raw.messages(readable, start_ns, stop_ns):
            channel = raw.channel
            if channel.encoding != 'cdr' or channel.kind != self.types[channel.topic]:
                self._skipped[channel.topic] = (
                    f'{channel.topic}: messages of type {channel.kind!r} in the encoding '
                    f'{channel.encoding!r} were left out'
                )
                continue
            try:
                if raw.data is None:
                    raise DamagedError(raw.cause)
                content = self._messages.message(raw.data, channel.kind)
            except DamagedError as error:
                self._damage(channel.topic, (number, raw.place), raw.lost or 1, str(error))
                continue
            yield Message(channel.topic, _stamp_ns(content), raw.log_ns, content)

    def first(self, topic: str) -> Any:
        """Return the first message of a topic.

        Raises:
            RecordingError: If there is none.
        """
        for message in self.messages([topic]):
            return message.content
        raise RecordingError(f'{self.path}: nothing that can be read was recorded on {topic}')

    def _readable(self, topic: str) -> bool:
        kind = self.types[topic]
        if kind in self._messages:
            return True
        why = self._messages.warnings.get(kind, 'the recording does not describe it')
        self._skipped[topic] = f'{topic} was left out: the type {kind!r} is not known, and {why}'
        return False

    def _damage(
        self, topic: str, place: tuple[int, tuple[int, int]], lost: int, cause: str
    ) -> None:
        if place not in self._seen:
            self._seen.add(place)
            self.damaged[topic] += lost
            self._causes.setdefault(topic, cause)


def _stamp_ns(content: Any) -> int:
    stamp = getattr(getattr(content, 'header', None), 'stamp', None)
    return 0 if stamp is None else int(stamp.sec) * 10**9 + int(stamp.nanosec)
