"""One subscribed topic, whose quality of service follows that of its publishers."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from depth_perception.ros.qos import (
    InputQoS,
    mismatch,
    same_request,
    SubscriptionEventCallbacks,
)
from rclpy.node import Node
from rclpy.qos import QoSProfile

ARRIVING_S = 3.0  # an input without a message for this long is waited for


def type_name(kind: type[Any]) -> str:
    """Return the ROS name of a message class, e.g. sensor_msgs/msg/Image."""
    package, *_ = kind.__module__.split('.')
    return f'{package}/msg/{kind.__name__}'


class InputTopic:
    """A subscription that can be opened and closed, and is made anew when publishers change.

    All methods belong to the executor's thread: a subscription that is destroyed from another
    one while the executor waits for it crashes the process.

    Attributes:
        name: Name as the user knows it, e.g. 'right/camera_info'.
        topic: Resolved name.
        kind: Message class.
        received: Number of messages so far.
        last_stamp_ns: Stamp of the newest message that had one; None before the first.
        stamped: Whether the newest message had a usable stamp.
        mismatches: Why publishers do not match, if they do not.
        publishers: Number of publishers of this topic and type.
        wrong_types: Types that are published on this topic but not asked for.

    Args:
        node: Node to subscribe with.
        name: Name as the user knows it.
        topic: Resolved name.
        kind: Message class.
        qos: What to ask for.
        on_message: Called with each message.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        topic: str,
        kind: type[Any],
        qos: InputQoS,
        on_message: Callable[[Any], None],
    ) -> None:
        self.name = name
        self.topic = topic
        self.kind = kind
        self.received = 0
        self.last_stamp_ns: int | None = None
        self.stamped = True
        self.mismatches: list[str] = []
        self.publishers = 0
        self.wrong_types: list[str] = []
        self._node = node
        self._qos = qos
        self._on_message = on_message
        self._profile: QoSProfile | None = None
        self._subscription: Any = None
        self._last_arrival_s = float('-inf')

    @property
    def is_open(self) -> bool:
        """Whether the topic is subscribed to."""
        return self._subscription is not None

    @property
    def reliability(self) -> str:
        """The reliability asked for, or 'closed'."""
        return 'closed' if self._profile is None else str(self._profile.reliability.name).lower()

    def arrives(self) -> bool:
        """Return whether there was a message lately, or at all where one is enough."""
        if self._qos.latched and self.received:
            return True
        return self.silence_s() < ARRIVING_S

    def silence_s(self) -> float:
        """Return the time since the last message [s]; infinite before the first."""
        return time.monotonic() - self._last_arrival_s

    def follow(self) -> None:
        """Subscribe, or subscribe anew if the publishers now call for another profile."""
        kind = type_name(self.kind)
        endpoints = [
            e
            for e in self._node.get_publishers_info_by_topic(self.topic)
            if e.node_name != self._node.get_name()
            or e.node_namespace != self._node.get_namespace()
        ]
        offered = [e.qos_profile for e in endpoints if e.topic_type == kind]
        wanted = self._qos.profile_for(offered)
        if self._profile is None or not same_request(self._profile, wanted):
            self.close()
            self._open(wanted)
        self.publishers = len(offered)
        self.wrong_types = sorted({e.topic_type for e in endpoints} - {kind})
        self.mismatches = [
            f'{self.name}: publisher {e.node_name} does not match: {reason}'
            for e in endpoints
            if e.topic_type == kind and (reason := mismatch(e.qos_profile, wanted))
        ]

    def close(self) -> None:
        """Give up the subscription."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._profile = None
        self.mismatches = []

    def _open(self, profile: QoSProfile) -> None:
        self._profile = profile
        self._subscription = self._node.create_subscription(
            self.kind,
            self.topic,
            self._receive,
            profile,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _receive(self, message: Any) -> None:
        self.received += 1
        self._last_arrival_s = time.monotonic()
        self._on_message(message)
