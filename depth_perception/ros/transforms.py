"""Listen to TF, where its messages are installed; the tree of frames is our own."""

from __future__ import annotations

import importlib
from typing import Any

from depth_perception.messages.locating import Locator
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.qos import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

TOPICS = ('/tf', '/tf_static')
_DEPTH = 100  # as tf2 has it


def tf_message_class() -> tuple[type[Any] | None, str]:
    """Return tf2_msgs/TFMessage, or None and why not: it is in no package on PyPI."""
    try:
        return importlib.import_module('tf2_msgs.msg').TFMessage, ''
    except ModuleNotFoundError:
        return None, (
            'tf2_msgs is not installed; install it (apt: ros-$ROS_DISTRO-tf2-msgs), or set '
            'reference.extrinsics and ground.* instead'
        )
    except (ImportError, AttributeError, OSError) as error:
        return None, f'tf2_msgs is broken: {error}'


class TransformInputs:
    """The subscriptions to /tf and /tf_static. Belongs to the executor's thread.

    Args:
        node: Node to subscribe with.
        locator: Is given every message.
        ledger: Told of defects.
    """

    def __init__(self, node: Node, locator: Locator, ledger: Ledger) -> None:
        self._node = node
        self._locator = locator
        self._receive = {
            False: ledger.surviving('reading TF', self._receive_moving),
            True: ledger.surviving('reading TF', self._receive_static),
        }
        self._subscriptions: list[Any] = []

    @property
    def is_open(self) -> bool:
        """Whether TF is listened to."""
        return bool(self._subscriptions)

    def open(self) -> None:
        """Subscribe, unless that is done or not possible."""
        if self._subscriptions:
            return
        kind, self._locator.lacking = tf_message_class()
        if kind is None:
            return
        for topic in TOPICS:
            static = topic.endswith('static')
            durability = DurabilityPolicy.TRANSIENT_LOCAL if static else DurabilityPolicy.VOLATILE
            profile = QoSProfile(
                depth=_DEPTH,
                history=HistoryPolicy.KEEP_LAST,
                reliability=ReliabilityPolicy.RELIABLE,
                durability=durability,
            )
            silent = SubscriptionEventCallbacks(use_default_callbacks=False)
            subscription = self._node.create_subscription(
                kind, topic, self._receive[static], profile, event_callbacks=silent
            )
            self._subscriptions.append(subscription)

    def close(self) -> None:
        """Give up the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _receive_moving(self, message: Any) -> None:
        self._locator.add(message, static=False)

    def _receive_static(self, message: Any) -> None:
        self._locator.add(message, static=True)
