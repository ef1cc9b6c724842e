"""The ears of the doctor: subscriptions that note what comes, and questions to nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
import struct
import time
from typing import Any

from depth_perception.doctor.facts import Endpoint
from depth_perception.messages.cameras import info_key
from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.ros.input_topic import type_name
from depth_perception.ros.qos import SubscriptionEventCallbacks
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

_MAX_MESSAGES = 3000
_STEP_S, _LATE = 0.1, 2.5  # of listening, and how much longer it may take
_KEPT = 4  # newest images, to find the one of the other camera among
_DEPTH, _INFO_DEPTH = 8, 50
_HEADER = 4  # bytes before the first field of a serialised message: how it is written


def header_of(data: bytes) -> tuple[int, str]:
    """Return stamp [ns] and frame_id of a serialised message that begins with a header.

    Reading 20 bytes in place of all pixels is what lets the doctor listen to many cameras.
    """
    order = '<' if data[1] & 1 else '>'
    seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', data, _HEADER)
    start = _HEADER + 12
    text = data[start : start + max(0, min(length, 256) - 1)]
    return seconds * 1_000_000_000 + nanoseconds, text.decode('utf-8', 'replace')


def full_name(namespace: str, name: str) -> str:
    """Return the fully qualified name of a node."""
    return f'{namespace.rstrip("/")}/{name}'


def endpoints_of(node: Node, infos: Sequence[Any]) -> tuple[Endpoint, ...]:
    """Return the ends of a topic that are not the doctor's own."""
    own = full_name(node.get_namespace(), node.get_name())
    found = []
    for info in infos:
        name = full_name(info.node_namespace, info.node_name)
        if name == own:
            continue
        qos = info.qos_profile
        found.append(
            Endpoint(
                name, info.topic_type, qos.reliability.name.lower(), qos.durability.name.lower()
            )
        )
    return tuple(sorted(found, key=lambda one: (one.node, one.type)))


def profile_for(offered: Sequence[Endpoint], depth: int) -> QoSProfile:
    """Return what to ask for, so that all of `offered` match."""
    reliable = all(one.reliability == 'reliable' for one in offered)
    held = all(one.durability == 'transient_local' for one in offered)
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if held else DurabilityPolicy.VOLATILE,
    )


class Pace:
    """Waits and serves what comes, and counts the time in which the doctor could listen.

    On a machine that hardly lets the doctor run, a second on the wall is not a second of
    listening: what has not come by then may well be on its way.

    Attributes:
        passed_s: Time that counts [s].
        busy_s: Time in which the doctor did not keep up [s].
        total_s: Time on the wall [s].
        served: Number of messages served.
        clock_ns: Newest time of /clock [ns]; None if none came.

    Args:
        spin_once: Waits for a moment and serves one message, or none. The moment must always be
            the same: with another timeout rclpy's executor forgets which messages wait, and
            serves the first subscriptions again and again.
        limit_s: Time on the wall after which listening has to end [s].
    """

    def __init__(self, spin_once: Callable[[], None], limit_s: float) -> None:
        self.passed_s = self.busy_s = self.total_s = 0.0
        self.served = 0
        self.clock_ns: int | None = None
        self._spin_once = spin_once
        self._limit_s = limit_s

    @property
    def is_exhausted(self) -> bool:
        """Whether listening has to end."""
        return self.total_s > self._limit_s

    def step(self) -> None:
        """Listen for a tenth of a second."""
        start_s = time.monotonic()
        idle = False
        while time.monotonic() < start_s + _STEP_S:
            before = self.served
            self._spin_once()
            idle = idle or self.served == before
        took_s = time.monotonic() - start_s
        kept_up = idle and took_s < _LATE * _STEP_S
        self.passed_s += _STEP_S if kept_up else 0.5 * _STEP_S
        self.busy_s += 0.0 if kept_up else took_s
        self.total_s += took_s


class StreamProbe:
    """Listens to one input topic of a camera, as soon as somebody publishes it.

    Attributes:
        role: As in `facts.Stream`.
        topic: Resolved name.
        kind: Message class that is wanted.
        arrivals_s: When messages came, on the steady clock [s].
        stamps_ns: Their stamps [ns].
        ages_s: How old they were by the system clock [s].
        sim_ages_s: How old by /clock [s].
        newest: Stamp and bytes of the newest images.
        bytes: Size of the newest message.
        frame_ids: Those seen.
        keys: Different calibrations.
        info: Newest camera_info.
    """

    def __init__(
        self,
        node: Node,
        role: str,
        topic: str,
        kind: type[Any],
        pace: Pace,
    ) -> None:
        self.role, self.topic, self.kind = role, topic, kind
        self.arrivals_s: list[float] = []
        self.stamps_ns: list[int] = []
        self.ages_s: list[float] = []
        self.sim_ages_s: list[float] = []
        self.newest: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self.bytes = 0
        self.frame_ids: list[str] = []
        self.keys: set[Hashable] = set()
        self.info: CameraInfo | None = None
        self.on_image: Callable[[int, bytes], None] = lambda *_: None
        self._node = node
        self._pace = pace
        self._subscription: Any = None

    @property
    def is_info(self) -> bool:
        """Whether camera_infos are wanted here, not images."""
        return self.kind is CameraInfo

    @property
    def is_settled(self) -> bool:
        """Whether it is connected to its publishers, or has heard them."""
        count = getattr(self._subscription, 'get_publisher_count', None)  # since Iron
        return bool(self.stamps_ns) or (count is not None and count() > 0)

    def publishers(self) -> tuple[Endpoint, ...]:
        """Return who publishes the topic."""
        return endpoints_of(self._node, self._node.get_publishers_info_by_topic(self.topic))

    def subscribers(self) -> tuple[Endpoint, ...]:
        """Return who else listens."""
        return endpoints_of(self._node, self._node.get_subscriptions_info_by_topic(self.topic))

    def follow(self) -> None:
        """Subscribe, if that is not done and somebody publishes the type that is wanted."""
        if self._subscription is not None:
            return
        wanted = type_name(self.kind)
        offered = [one for one in self.publishers() if one.type == wanted]
        if not offered:
            return
        self._subscription = self._node.create_subscription(
            self.kind,
            self.topic,
            self._take_info if self.is_info else self._take_image,
            profile_for(offered, _INFO_DEPTH if self.is_info else _DEPTH),
            raw=not self.is_info,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _take_image(self, data: bytes) -> None:
        if len(data) < 20 or len(self.stamps_ns) >= _MAX_MESSAGES:
            return
        stamp_ns, frame_id = header_of(data)
        self._note(stamp_ns, frame_id)
        self.bytes = len(data)
        self.newest.append((stamp_ns, bytes(data)))
        self.on_image(stamp_ns, self.newest[-1][1])

    def _take_info(self, message: CameraInfo) -> None:
        if len(self.stamps_ns) >= _MAX_MESSAGES:
            return
        self._note(stamp_ns_of(message), message.header.frame_id)
        self.info = message
        self.keys.add(info_key(message))

    def _note(self, stamp_ns: int, frame_id: str) -> None:
        self.arrivals_s.append(time.monotonic())
        self.ages_s.append((time.time_ns() - stamp_ns) / 1e9)
        self._pace.served += 1
        clock_ns = self._pace.clock_ns
        if clock_ns is not None:
            self.sim_ages_s.append((clock_ns - stamp_ns) / 1e9)
        self.stamps_ns.append(stamp_ns)
        if frame_id not in self.frame_ids:
            self.frame_ids.append(frame_id)


class PairKeeper:
    """Keeps a few images of both cameras with one stamp, to be compared when all is heard.

    Args:
        left: Probe of the left images.
        right: Probe of the right images.
        most: Number of pairs kept.
        apart_s: Time between two of them [s].
    """

    def __init__(
        self, left: StreamProbe, right: StreamProbe, most: int = 2, apart_s: float = 0.7
    ) -> None:
        self._left, self._right = left, right
        self._most, self._apart_s = most, apart_s
        self._last_s = float('-inf')
        self._kept: list[tuple[bytes, bytes]] = []
        left.on_image = lambda stamp_ns, data: self._add(stamp_ns, data, right, left_came=True)
        right.on_image = lambda stamp_ns, data: self._add(stamp_ns, data, left, left_came=False)

    def _add(self, stamp_ns: int, data: bytes, others: StreamProbe, *, left_came: bool) -> None:
        now_s = time.monotonic()
        if len(self._kept) >= self._most or now_s - self._last_s < self._apart_s:
            return
        for other_ns, other in others.newest:
            if other_ns == stamp_ns:
                self._kept.append((data, other) if left_came else (other, data))
                self._last_s = now_s
                return

    def pairs(self, within_ns: int = 50_000_000) -> list[tuple[bytes, bytes]]:
        """Return the pairs; without a common stamp the two newest that are near in time."""
        if self._kept or not (self._left.newest and self._right.newest):
            return self._kept
        near = [
            (abs(one_ns - other_ns), one, other)
            for one_ns, one in self._left.newest
            for other_ns, other in self._right.newest
        ]
        apart_ns, one, other = min(near, key=lambda item: item[0])
        return [(one, other)] if apart_ns <= within_ns else []


class NodeProbe:
    """Asks a depth node for its state and parameters, and listens to its status.

    Attributes:
        name: Fully qualified name.
        answers: Whether it answered a question.
        state: Lifecycle state; '' if it did not say.
        parameters: Name -> value.
        statuses: Number of status messages.
        status: The newest one.
        heard_ages_s: Ages of what came on its output [s].
        woken: Whether an output is subscribed to.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self.answers = False
        self.state = ''
        self.parameters: dict[str, Any] = {}
        self.statuses = 0
        self.status: DiagnosticStatus | None = None
        self.heard_ages_s: list[float] = []
        self.woken = False
        self._node = node
        held = QoSProfile(
            depth=5,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._silent = SubscriptionEventCallbacks(use_default_callbacks=False)
        node.create_subscription(
            DiagnosticStatus,
            f'{name}/status',
            self._take_status,
            held,
            event_callbacks=self._silent,
        )
        self._questions = [
            (node.create_client(GetState, f'{name}/get_state'), GetState.Request(), self._state),
            (
                node.create_client(ListParameters, f'{name}/list_parameters'),
                ListParameters.Request(),
                self._names,
            ),
        ]

    @property
    def is_known(self) -> bool:
        """Whether it has said all that it was asked."""
        return bool(self.statuses and self.state and self.parameters)

    @property
    def values(self) -> dict[str, str]:
        """Figures of the newest status."""
        return {} if self.status is None else {one.key: one.value for one in self.status.values}

    @property
    def level(self) -> int:
        """Level of the newest status: 0 OK, 1 WARN, 2 ERROR; -1 without one."""
        level = -1 if self.status is None else self.status.level
        return level[0] if isinstance(level, bytes) else int(level)

    def ask(self) -> None:
        """Send the questions whose services are there by now."""
        left = []
        for client, request, take in self._questions:
            if client.service_is_ready():
                client.call_async(request).add_done_callback(take)
            else:
                left.append((client, request, take))
        self._questions = left

    def wake(self, kind: type[Any], topic: str) -> None:
        """Subscribe to an output, so that the node works and can be heard."""
        if not self.woken:
            self.woken = True
            self._node.create_subscription(
                kind, topic, self._take_output, 5, event_callbacks=self._silent
            )

    def _take_output(self, message: Any) -> None:
        self.heard_ages_s.append((time.time_ns() - stamp_ns_of(message)) / 1e9)

    def _take_status(self, message: DiagnosticStatus) -> None:
        self.statuses += 1
        self.status = message

    def _state(self, future: Any) -> None:
        if future.exception() is None and future.result() is not None:
            self.answers = True
            self.state = str(future.result().current_state.label)

    def _names(self, future: Any) -> None:
        if future.exception() is not None or future.result() is None:
            return
        self.answers = True
        names = list(future.result().result.names)
        client = self._node.create_client(GetParameters, f'{self.name}/get_parameters')

        def take(answer: Any) -> None:
            if answer.exception() is None and answer.result() is not None:
                values = [parameter_value_to_python(one) for one in answer.result().values]
                self.parameters = dict(zip(names, values, strict=False))

        client.call_async(GetParameters.Request(names=names)).add_done_callback(take)
