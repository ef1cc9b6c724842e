"""Say how the node is: one level, one sentence, and the figures behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


@dataclass(frozen=True)
class Condition:
    """What the level and the sentence of the status are judged from.

    Attributes:
        state: Lifecycle state.
        trouble: Why the last transition failed; '' if it did not.
        not_metric: Why there is no depth in metres; '' if there is.
        jump: A change of scale of the last seconds, held back or followed; '' if there was none.
        wanted: Names of the outputs that somebody listens to.
        waiting: What does not arrive; '' if frames do.
        losses: Why fewer frames come than images arrive; '' if none are lost.
        sparse: Why hardly any pixel has a depth; '' if enough have.
        dishonest: Why sigma cannot be trusted, by the references; '' while it can.
        mismatches: Publishers and subscribers whose QoS does not match.
        backend: Why the network runs on something slower than it should; '' if it does not.
        recent_drop: Why a frame was dropped in the last seconds; '' if none was.
        rate_hz: Frames published per second.
    """

    state: str = 'unconfigured'
    trouble: str = ''
    not_metric: str = ''
    jump: str = ''
    wanted: Sequence[str] = ()
    waiting: str = ''
    losses: str = ''
    sparse: str = ''
    dishonest: str = ''
    mismatches: Sequence[str] = field(default_factory=tuple)
    backend: str = ''
    recent_drop: str = ''
    rate_hz: float = 0.0


def judge(condition: Condition) -> tuple[bytes, str]:
    """Return level and sentence; the gravest finding speaks."""
    c = condition
    not_metric = c.not_metric and f'not metric, nothing is published: {c.not_metric}'
    if c.trouble or not_metric:
        return DiagnosticStatus.ERROR, c.trouble or not_metric
    if c.state != 'active':
        return DiagnosticStatus.OK, c.state
    if c.jump:
        return DiagnosticStatus.ERROR, c.jump
    findings = [f'incompatible QoS: {text}' for text in c.mismatches]
    judged = (c.waiting, c.losses, c.sparse, c.dishonest, c.backend)
    findings += [text for text in judged if text]
    findings += [f'frames dropped: {text}' for text in (c.recent_drop,) if text]
    if findings:
        return DiagnosticStatus.WARN, '; '.join(findings)
    if not c.wanted:
        return DiagnosticStatus.OK, 'idle: no output has a subscriber'
    return DiagnosticStatus.OK, f'{c.rate_hz:.1f} Hz to {", ".join(c.wanted)}'


def text_of(value: Any) -> str:
    """Return a value as it stands in the diagnostics."""
    if isinstance(value, float):
        return 'unknown' if math.isnan(value) else f'{value:.4g}'
    return str(value)


class DiagnosticsPublisher:
    """Publishes the status on /diagnostics and, held for late subscribers, on ~/status.

    Args:
        node: Node to publish with. The publishers are not managed: the status of a node that is
            not configured is the most interesting one.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name().lstrip('/')
        held = QoSProfile(
            depth=1,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._status = node.create_publisher(DiagnosticStatus, '~/status', held)
        self._array = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(self, condition: Condition, values: Mapping[str, Any]) -> None:
        """Publish level, sentence and figures."""
        level, message = judge(condition)
        pairs = [KeyValue(key=key, value=text_of(value)) for key, value in values.items()]
        status = DiagnosticStatus(
            level=level,
            name=f'{self._name}: depth',
            message=message,
            hardware_id=self._name,
            values=pairs,
        )
        self._status.publish(status)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._array.publish(array)
