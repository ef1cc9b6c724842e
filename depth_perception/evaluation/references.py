"""What the node would have known around each image, from a recording."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import NOTHING_KNOWN, Surroundings
from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.bags import IMAGE, POINT_CLOUD, Recording
from depth_perception.evaluation.streams import (
    COMPRESSED,
    DEPTH_ENCODINGS,
    first_messages,
    info_topic_of,
    listing,
)
from depth_perception.evaluation.transforms import TF_MESSAGE
from depth_perception.messages.cameras import camera_from_info, info_key
from depth_perception.messages.frames import MessageSet
from depth_perception.messages.references import DEPTH, POINTS, ReferenceBuffer
from depth_perception.parameters import NodeSettings


@dataclass(frozen=True)
class ReferenceStreams:
    """The topics that serve as references; '' where there is none.

    Attributes:
        points: Cloud.
        depth: Depth image, raw or compressedDepth.
        depth_info: Its camera_info.
    """

    points: str = ''
    depth: str = ''
    depth_info: str = ''

    @property
    def topics(self) -> list[str]:
        """All topics there are."""
        return [topic for topic in (self.points, self.depth, self.depth_info) if topic]


NO_REFERENCE = ReferenceStreams()


def find_reference(recording: Recording, topic: str) -> ReferenceStreams:
    """Return the topics of a reference that the user named; '' is none.

    Raises:
        RecordingError: If `topic` is not there, or can be no reference.
    """
    if not topic:
        return NO_REFERENCE
    kind = recording.types.get(topic)
    if kind == POINT_CLOUD:
        return ReferenceStreams(points=topic)
    first = first_messages(recording, [topic]).get(topic)
    packed = kind == COMPRESSED and topic.endswith('/compressedDepth')
    if packed or (kind == IMAGE and first is not None and first.encoding in DEPTH_ENCODINGS):
        return ReferenceStreams(depth=topic, depth_info=info_topic_of(recording, topic))
    if kind is None:
        raise RecordingError(f'{recording.path} has no {topic}; its topics: {listing(recording)}')
    raise RecordingError(
        f'{topic} is a {kind}, which is no reference; wanted a depth image (32FC1, 16UC1) or a '
        'PointCloud2'
    )


class RecordedReferences:
    """Hears references and TF of a recording in the order in which they were recorded.

    Static transforms are known from the start, as the node gets them when it subscribes.

    Attributes:
        buffer: The node's own.
        topics: What it wants to hear.
        wait_ns: How long after an image a reference may come [ns].

    Args:
        recording: The bag.
        streams: Topics of the references.
        settings: Parameters of the node.
    """

    def __init__(
        self, recording: Recording, streams: ReferenceStreams, settings: NodeSettings
    ) -> None:
        self.buffer = ReferenceBuffer(settings, max_side_px=settings.max_image_side_px)
        self.buffer.info_expected = bool(streams.depth_info)
        self.wait_ns = round(settings.reference__wait_s * 1e9)
        self._kinds = {streams.points: POINTS, streams.depth: DEPTH}
        self._info = streams.depth_info
        frames = recording.topics(TF_MESSAGE)
        self._moving = [topic for topic in frames if 'static' not in topic]
        static = [topic for topic in frames if 'static' in topic]
        for message in recording.messages(static) if static else ():
            self.buffer.locator.add(message.content, static=True)
        if not frames:
            self.buffer.locator.lacking = (
                'the recording has no /tf or /tf_static; record them too, or set '
                'reference.extrinsics'
            )
        self.topics = [topic for topic in (*streams.topics, *self._moving) if topic]
        self._camera: tuple[Hashable, PinholeCamera] | None = None

    def offer(self, topic: str, message: Any) -> None:
        """Take a message of one of `topics`."""
        if topic in self._moving:
            self.buffer.locator.add(message, static=False)
        elif topic == self._info:
            self.buffer.add_depth_info(message)
        else:
            self.buffer.add(self._kinds[topic], message)

    def around(self, messages: MessageSet) -> Surroundings:
        """Return what is known around an image by now."""
        info = messages.infos[0]
        try:
            key = info_key(info)
            if self._camera is None or self._camera[0] != key:
                self._camera = key, camera_from_info(info)
        except CalibrationError:
            return NOTHING_KNOWN  # the frame itself is refused for it
        frame_id = str(messages.images[0].header.frame_id)
        return self.buffer.surroundings_at(messages.stamp_ns, self._camera[1], frame_id)

    def warnings(self) -> list[str]:
        """Return what the user should know: what was refused, and why nothing was used at last."""
        counts = sorted(self.buffer.refused.items())
        refused = [f'{count} x {cause}: not used as reference' for cause, count in counts]
        problem = self.buffer.newest.problem
        return [*refused, *([f'references of the last frame: {problem}'] if problem else [])]
