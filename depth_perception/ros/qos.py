"""Quality of service: what outputs offer, what inputs ask for, and why two ends do not match.

Outputs are RELIABLE, VOLATILE, KEEP_LAST(1): every kind of subscriber matches. Inputs adapt to
what their publishers offer, because a best-effort subscription loses images of a megabyte on a
stock Fast DDS and a reliable one gets nothing from a best-effort publisher. Both can be
overridden with ROS's own `qos_overrides.<topic>.<publisher|subscription>.<policy>` parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from depth_perception.errors import SettingsError
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    qos_check_compatible,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = [
    'InputQoS',
    'PublisherEventCallbacks',
    'SubscriptionEventCallbacks',
    'mismatch',
    'output_overrides',
    'output_qos',
    'same_request',
]

ADAPT = 'adapt'
_RELIABILITIES = (ADAPT, 'reliable', 'best_effort', 'system_default')
_DURABILITIES = (ADAPT, 'volatile', 'transient_local', 'system_default')


def output_qos() -> QoSProfile:
    """Return what an output offers; a new object, because rclpy writes overrides into it."""
    return QoSProfile(
        depth=1,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def output_overrides() -> QoSOverridingOptions:
    """Return the policies of an output that parameters may override."""
    return QoSOverridingOptions(
        (
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


class InputQoS:
    """What one input asks for: the user's overrides, else what suits its publishers.

    The parameters are ROS's own, but their default is 'adapt'. With rclpy's declaration the first
    choice would become the parameter's value and bind every later one.

    Attributes:
        latched: Whether a message is good until the next one.

    Args:
        node: Node to declare the parameters on.
        topic: Resolved name of the input.
        depth: Messages kept by the middleware, unless overridden.
        latched: Whether a message is good until the next one, so that a transient-local
            publisher is asked for its last one.

    Raises:
        SettingsError: If an override is not a policy that ROS knows.
    """

    def __init__(self, node: Node, topic: str, depth: int, *, latched: bool = False) -> None:
        self._topic = topic
        self.latched = latched
        self._depth = self._override(node, 'depth', depth, ())
        history = self._override(node, 'history', 'keep_last', ('keep_last', 'keep_all'))
        self._history = HistoryPolicy[history.upper()]
        self._reliability = self._override(node, 'reliability', ADAPT, _RELIABILITIES)
        self._durability = self._override(node, 'durability', ADAPT, _DURABILITIES)

    def profile_for(self, offered: Sequence[QoSProfile]) -> QoSProfile:
        """Return the profile to subscribe with, given what the publishers offer.

        Reliable unless one of them is best effort. Without a publisher: reliable, because the
        first message of a reliable publisher would otherwise be at risk; a best-effort one is
        adapted to when it shows up.
        """
        if self._reliability != ADAPT:
            reliability = ReliabilityPolicy[self._reliability.upper()]
        elif all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered):
            reliability = ReliabilityPolicy.RELIABLE
        else:
            reliability = ReliabilityPolicy.BEST_EFFORT
        held = offered and all(
            profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered
        )
        if self._durability != ADAPT:
            durability = DurabilityPolicy[self._durability.upper()]
        elif self.latched and held:
            durability = DurabilityPolicy.TRANSIENT_LOCAL
        else:
            durability = DurabilityPolicy.VOLATILE
        return QoSProfile(
            depth=self._depth,
            history=self._history,
            reliability=reliability,
            durability=durability,
        )

    def _override(self, node: Node, policy: str, default: Any, choices: Sequence[str]) -> Any:
        """Return the value of one qos_overrides parameter, declaring it the first time."""
        name = f'qos_overrides.{self._topic}.subscription.{policy}'
        if not node.has_parameter(name):
            text = f'{policy} of the subscription to {self._topic}'
            note = f'one of: {", ".join(choices)}' if choices else ''
            described = ParameterDescriptor(
                description=text, additional_constraints=note, read_only=True
            )
            try:
                node.declare_parameter(name, default, described)
            except InvalidParameterTypeException as error:
                raise SettingsError(f'{name}: wants {type(default).__name__}; {error}') from error
        value = node.get_parameter(name).value
        if choices and value not in choices:
            raise SettingsError(f'{name}: {value!r} is not one of {", ".join(choices)}')
        if not choices and not value > 0:
            raise SettingsError(f'{name}: wants at least 1, got {value}')
        return value


def same_request(a: QoSProfile, b: QoSProfile) -> bool:
    """Return whether two profiles ask for the same reliability and durability."""
    return bool(a.reliability == b.reliability and a.durability == b.durability)


def mismatch(offered: QoSProfile, asked: QoSProfile) -> str:
    """Return why a publisher and a subscription do not match; '' when they do.

    Only reliability and durability count: the graph reports deadlines and lease durations that
    nobody set as huge numbers, which rclpy's check takes for a difference.
    """
    compatibility, reason = qos_check_compatible(_essence(offered), _essence(asked))
    if compatibility != QoSCompatibility.ERROR:
        return ''
    return str(reason).replace('ERROR: ', '').strip('; ')


def _essence(profile: QoSProfile) -> QoSProfile:
    return QoSProfile(depth=1, reliability=profile.reliability, durability=profile.durability)
