"""Subscribe to the cameras and pair what belongs together; no pixel is touched here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
import time
from typing import Any

from depth_perception.parameters import NodeSettings
from depth_perception.ros.input_topic import ARRIVING_S, InputTopic
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.pairing_watch import PairingWatch
from depth_perception.ros.qos import InputQoS
from depth_perception.ros.standard import make_synchroniser
from depth_perception.ros.waiting import explain_waiting
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

_JUMP_NS = 100_000_000  # stamps going back by more than this are another recording or clock
_PAUSE_S = 1.0  # an input without a message for this long pauses


@dataclass(frozen=True)
class MessageSet:
    """The messages of one frame.

    Attributes:
        images: One image message per camera.
        infos: The camera_info of each.
        received_s: When the set was complete, on the clock of time.perf_counter.
        epoch: Changes when time jumped back, or frames were not received for a while: what was
            remembered of earlier frames is no longer of use.
    """

    images: tuple[Any, ...]
    infos: tuple[Any, ...]
    received_s: float
    epoch: int

    @property
    def stamp_ns(self) -> int:
        """Stamp of the first image [ns]."""
        return stamp_ns_of(self.images[0])


def stamp_ns_of(message: Any) -> int:
    """Return the header stamp of a message [ns]."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def info_topic_of(node: Node, image_name: str) -> tuple[str, str]:
    """Return (name, resolved topic) of the camera_info that belongs to an image.

    It is the sibling of the image after remapping, as image_transport has it; a remapping of the
    camera_info itself wins over that.
    """
    namespace, _, _ = image_name.rpartition('/')
    name = f'{namespace}/camera_info' if namespace else 'camera_info'
    resolved = node.resolve_topic_name(name)
    if resolved != node.resolve_topic_name(name, only_expand=True):
        return name, resolved
    parent, _, _ = node.resolve_topic_name(image_name).removesuffix('/compressed').rpartition('/')
    return name, node.resolve_topic_name(f'{parent}/camera_info')


def image_topic_of(node: Node, image_name: str, transport: str) -> str:
    """Return the resolved topic of an image in the given transport, raw or compressed."""
    topic: str = node.resolve_topic_name(image_name)
    if transport == 'raw' or topic.endswith('/compressed'):
        return topic
    return str(node.resolve_topic_name(f'{topic}/compressed'))


class Inputs:
    """The subscriptions of one node, and their pairing. Belongs to the executor's thread.

    Attributes:
        topics: Images first, then their camera_infos.
        sync_failures: Messages that found no partner.

    Args:
        node: Node to subscribe with.
        image_names: Names of the image topics, e.g. ('left/image_rect', 'right/image_rect').
        settings: How to pair.
        ledger: Where drops are counted.
        deliver: Called with each complete set.
    """

    def __init__(
        self,
        node: Node,
        image_names: Sequence[str],
        settings: NodeSettings,
        ledger: Ledger,
        deliver: Callable[[MessageSet], None],
    ) -> None:
        self._node = node
        self._settings = settings
        self._ledger = ledger
        self._deliver = deliver
        self._cameras = len(image_names)
        self._cached: list[Any] = [None] * self._cameras
        self._paired_topics = self._cameras * (1 if settings.cache_camera_info else 2)
        self._pairing = make_synchroniser(
            self._paired_topics,
            approximate=settings.approximate_sync,
            tolerance_s=settings.approximate_sync_tolerance_seconds,
            queue_size=settings.queue_size,
        )
        self._epoch = 0
        self._stamped_images = self._paired_images = 0
        self._watch = PairingWatch()
        self._opened_s = self._paired_s = float('-inf')
        self.topics = [self._image_topic(i, name) for i, name in enumerate(image_names)]
        self.topics += [self._info_topic(i, name) for i, name in enumerate(image_names)]

    @property
    def sync_failures(self) -> int:
        """Messages that left without a partner."""
        return sum(self._pairing.dropped)

    @property
    def is_open(self) -> bool:
        """Whether the topics are subscribed to."""
        return self.topics[0].is_open

    def follow(self) -> None:
        """Subscribe where that is not done, and adapt to what the publishers offer."""
        if not self.is_open:
            self._opened_s = time.monotonic()
        for topic in self.topics:
            topic.follow()

    def close(self) -> None:
        """Give up all subscriptions and forget what waits for a partner."""
        for topic in self.topics:
            topic.close()
        self._watch.forget()
        self.forget()

    def forget(self) -> None:
        """Drop what waits for a partner, and begin a new epoch."""
        self._pairing.reset()
        self._epoch += 1
        for topic in self.topics:
            topic.last_stamp_ns = None

    def losses(self) -> str:
        """Return why fewer frames come than images arrive; '' when nothing is lost."""
        if not self.is_open or self._cameras < 2:
            return ''
        if any(topic.silence_s() > _PAUSE_S for topic in self.topics[: self._paired_topics]):
            self._watch.forget()  # whoever waits for a silent topic has lost nothing
            return ''
        return self._watch.observe(time.monotonic(), self._stamped_images, self._paired_images)

    def mismatches(self) -> list[str]:
        """Return why publishers do not match, for all inputs."""
        return [reason for topic in self.topics for reason in topic.mismatches]

    def waiting(self) -> str:
        """Return what is missing, and why as far as the graph can tell; '' when frames arrive."""
        now = time.monotonic()
        if not self.is_open or now - max(self._opened_s, self._paired_s) < ARRIVING_S:
            return ''
        return explain_waiting(self._node, self.topics, self._settings)

    def _image_topic(self, index: int, name: str) -> InputTopic:
        compressed = self._settings.image_transport == 'compressed'
        topic = image_topic_of(self._node, name, self._settings.image_transport)
        qos = InputQoS(self._node, topic, depth=self._cameras)
        kind = CompressedImage if compressed else Image
        receive = functools.partial(self._receive, index)
        return InputTopic(
            self._node, name, topic, kind, qos, self._ledger.surviving('pairing', receive)
        )

    def _info_topic(self, index: int, image_name: str) -> InputTopic:
        name, topic = info_topic_of(self._node, image_name)
        cached = self._settings.cache_camera_info
        qos = InputQoS(self._node, topic, depth=self._settings.queue_size, latched=cached)
        receive = functools.partial(self._receive, self._cameras + index)
        if cached:
            receive = functools.partial(self._keep_info, index)
        return InputTopic(
            self._node,
            name,
            topic,
            CameraInfo,
            qos,
            self._ledger.surviving('pairing', receive),
        )

    def _keep_info(self, index: int, info: Any) -> None:
        self._cached[index] = info

    def _receive(self, index: int, message: Any) -> None:
        """Take a message that is paired by its stamp."""
        topic = self.topics[index]
        stamp_ns = stamp_ns_of(message)
        topic.stamped = stamp_ns > 0
        if not topic.stamped:
            if index < self._cameras:
                self._ledger.drop(
                    'zero_stamp',
                    f'{topic.name} has stamp {stamp_ns}; the driver must stamp images with the '
                    'time of capture',
                )
            return
        self._stamped_images += index < self._cameras
        if topic.last_stamp_ns is not None and stamp_ns < topic.last_stamp_ns - _JUMP_NS:
            back_s = (topic.last_stamp_ns - stamp_ns) / 1e9
            self._ledger.warn(
                'jump', f'stamps of {topic.name} jumped back by {back_s:.3f} s; starting afresh'
            )
            self.forget()
        topic.last_stamp_ns = stamp_ns
        matched = self._pairing.add(index, stamp_ns, message)
        if matched is not None:
            self._complete(matched)

    def _complete(self, matched: tuple[Any, ...]) -> None:
        infos = matched[self._cameras :] or tuple(self._cached)
        self._ledger.frames_in += 1
        self._paired_images += self._cameras
        if any(info is None for info in infos):
            self._ledger.count('no_camera_info')
            return
        self._paired_s = time.monotonic()
        images = matched[: self._cameras]
        self._deliver(MessageSet(images, infos, time.perf_counter(), self._epoch))
