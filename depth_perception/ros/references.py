"""Subscribe to references and TF while they are needed, and give frames their surroundings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import functools
import time
from typing import Any

from depth_perception.core.frame import Surroundings
from depth_perception.messages.frames import Frame
from depth_perception.messages.locating import frames_wanted
from depth_perception.messages.references import DEPTH, POINTS, ReferenceBuffer
from depth_perception.parameters import NodeSettings
from depth_perception.ros.input_topic import InputTopic
from depth_perception.ros.inputs import info_topic_of
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.qos import InputQoS
from depth_perception.ros.transforms import TransformInputs
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

_TYPES = {POINTS: PointCloud2, DEPTH: Image}
_DEPTH = 2


class ReferenceInputs:
    """What a node hears beside its images.

    All methods belong to the executor's thread but `with_surroundings`, which is the worker's.

    Attributes:
        buffer: Keeps what was heard.
        topics: The subscribed topics.

    Args:
        node: Node to subscribe with.
        settings: Returns the settings in force.
        ledger: Where problems are told.
    """

    def __init__(self, node: Node, settings: Callable[[], NodeSettings], ledger: Ledger) -> None:
        self._node = node
        self._settings = settings
        self._ledger = ledger
        self._took_ms = 0.0
        self.buffer = ReferenceBuffer(settings(), max_side_px=settings().max_image_side_px)
        self._transforms = TransformInputs(node, self.buffer.locator, ledger)
        self.topics = {kind: self._topic(kind) for kind in self.buffer.listens}
        self._info = self._info_topic() if DEPTH in self.topics else None

    def follow(self, *, motion: bool = False) -> None:
        """Subscribe to what is asked for; with `auto`, to what somebody publishes.

        Args:
            motion: Whether an output wants to know how the camera moves.
        """
        automatic = self._settings().reference__source == 'auto'
        for topic in self.topics.values():
            if not automatic or topic.is_open or self._node.count_publishers(topic.topic):
                topic.follow()
        if self._info is not None and self.topics[DEPTH].is_open:
            self._info.follow()
            self.buffer.info_expected = self._info.publishers > 0
        heard = any(topic.is_open for topic in self.topics.values())
        if motion or heard or frames_wanted(self._settings()):
            self._transforms.open()

    def close(self) -> None:
        """Give up all subscriptions."""
        for topic in self.topics.values():
            topic.close()
        if self._info is not None:
            self._info.close()
        self._transforms.close()
        self.buffer.forget()

    def forget(self) -> None:
        """Drop the past, for time jumped."""
        self.buffer.forget()

    def mismatches(self) -> list[str]:
        """Return why publishers do not match, for all references."""
        topics = [*self.topics.values(), *([self._info] if self._info else [])]
        return [reason for topic in topics for reason in topic.mismatches]

    def figures(self) -> dict[str, Any]:
        """Return what is heard and what is used of it, for the diagnostics."""
        report = self.buffer.newest
        figures: dict[str, Any] = {}
        for kind, topic in self.topics.items():
            text = f'{topic.topic}: {topic.received} received, {topic.reliability}'
            if kind in report.used:
                text += (
                    f', {report.used[kind]} points used, stamp {report.offset_s[kind]:+.3f} s '
                    'from the image'
                )
            figures[kind] = text
        for cause, count in sorted(self.buffer.refused.items()):
            figures[f'refused {cause}'] = count
        if self.buffer.thinned:
            figures['large reference/points thinned'] = self.buffer.thinned
        texts = {
            'reference problem': report.problem,
            'reference motion': report.motion,
            'ground problem': report.ground,
        }
        figures |= {name: text for name, text in texts.items() if text}
        if report.used:
            figures['references took [ms]'] = self._took_ms
        if self._transforms.is_open:
            figures['tf messages'] = self.buffer.locator.received
        return figures

    def with_surroundings(self, frame: Frame) -> Frame:
        """Return a frame with what is known around it; costs no frame, whatever happens."""
        self.buffer.settings = self._settings()
        start = time.perf_counter()
        try:
            surroundings: Surroundings = self.buffer.surroundings_at(
                frame.stamp_ns, frame.camera, frame.frame_id
            )
        except Exception as error:  # noqa: BLE001 - the image is good, whatever lies beside it
            self._ledger.defect('finding references', error)
            return frame
        self._took_ms = (time.perf_counter() - start) * 1e3
        if surroundings.problem:
            self._ledger.warn('surroundings', surroundings.problem)
        return replace(frame, surroundings=surroundings)

    def _topic(self, kind: str) -> InputTopic:
        topic = self._node.resolve_topic_name(kind)
        receive = functools.partial(self.buffer.add, kind)
        return self._input(kind, topic, _TYPES[kind], receive)

    def _info_topic(self) -> InputTopic:
        name, topic = info_topic_of(self._node, DEPTH)
        return self._input(name, topic, CameraInfo, self.buffer.add_depth_info, latched=True)

    def _input(
        self, name: str, topic: str, kind: type[Any], receive: Any, *, latched: bool = False
    ) -> InputTopic:
        qos = InputQoS(self._node, topic, depth=_DEPTH, latched=latched)
        guarded = self._ledger.surviving('keeping references', receive)
        return InputTopic(self._node, name, topic, kind, qos, guarded)
