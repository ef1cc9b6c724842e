"""Subscribe to the cameras and pair what belongs together; no pixel is touched here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import time
from typing import Any

from depth_perception.messages.frames import MessageSet
from depth_perception.messages.pairing import FramePairing, paired_inputs
from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.parameters import NodeSettings
from depth_perception.ros.input_topic import ARRIVING_S, InputTopic
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.pairing_watch import PairingWatch
from depth_perception.ros.qos import InputQoS
from depth_perception.ros.standard import make_synchroniser
from depth_perception.ros.waiting import explain_waiting
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

_PAUSE_S = 1.0  # an input without a message for this long pauses


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
        synchroniser = make_synchroniser(
            paired_inputs(self._cameras, settings),
            approximate=settings.approximate_sync,
            tolerance_s=settings.approximate_sync_tolerance_seconds,
            queue_size=settings.queue_size,
        )
        self._pairing = FramePairing(self._cameras, settings, synchroniser, ledger)
        self._stamped_images = 0
        self._watch = PairingWatch()
        self._opened_s = self._paired_s = float('-inf')
        self.topics = [self._image_topic(i, name) for i, name in enumerate(image_names)]
        self.topics += [self._info_topic(i, name) for i, name in enumerate(image_names)]

    @property
    def sync_failures(self) -> int:
        """Messages that left without a partner."""
        return self._pairing.sync_failures

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
        self._pairing.forget()
        for topic in self.topics:
            topic.last_stamp_ns = None

    def losses(self) -> str:
        """Return why fewer frames come than images arrive; '' when nothing is lost."""
        if not self.is_open or self._cameras < 2:
            return ''
        if any(topic.silence_s() > _PAUSE_S for topic in self.topics[: self._pairing.paired]):
            self._watch.forget()  # whoever waits for a silent topic has lost nothing
            return ''
        paired = self._pairing.paired_images
        return self._watch.observe(time.monotonic(), self._stamped_images, paired)

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
        return InputTopic(
            self._node,
            name,
            topic,
            CameraInfo,
            qos,
            self._ledger.surviving('pairing', receive),
        )

    def _receive(self, index: int, message: Any) -> None:
        topic = self.topics[index]
        if index < self._pairing.paired:
            stamp_ns = stamp_ns_of(message)
            topic.stamped = stamp_ns > 0
            self._stamped_images += topic.stamped and index < self._cameras
        sets, epoch = self._pairing.sets, self._pairing.epoch
        messages = self._pairing.add(index, message, topic.name)
        if self._pairing.epoch != epoch:
            for other in self.topics:
                other.last_stamp_ns = None
        topic.last_stamp_ns = self._pairing.last_stamp_ns(index)
        self._ledger.frames_in += self._pairing.sets - sets
        if messages is not None:
            self._paired_s = time.monotonic()
            self._deliver(messages)
