"""A visit to the graph: find cameras and depth nodes, wake them, and listen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import time
from typing import Any

from depth_perception.core.transforms import TransformTree
from depth_perception.ros.doctor_graph import (
    depth_nodes,
    guessed_cameras,
    mono_streams,
    other_nodes,
    other_side,
    Plan,
    published_by,
    published_topics,
    stereo_streams,
    streams_of_node,
    Wanted,
)
from depth_perception.ros.doctor_probe import NodeProbe, Pace, PairKeeper, StreamProbe
from depth_perception.ros.input_topic import type_name
from depth_perception.ros.qos import SubscriptionEventCallbacks
from depth_perception.ros.transforms import tf_message_class, TOPICS
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

_GRAPH_S = 0.25  # between two looks at the graph
_LEAST_DISCOVERY_S = 1.5
_STILL_S = 1.0  # a graph that has not changed for this long is known


class Patient:
    """A camera or a pair, with its depth node: the probes that look at it."""

    def __init__(self, visit: Visit, name: str, wanted: Sequence[Wanted]) -> None:
        self.name = name
        self.node: NodeProbe | None = None
        self.keeper: PairKeeper | None = None
        self.streams: list[StreamProbe] = []
        self._visit = visit
        self.look_at(wanted)

    def look_at(self, wanted: Sequence[Wanted]) -> None:
        """Listen to these topics."""
        self.streams = [
            StreamProbe(self._visit.node, role, topic, kind, self._visit.pace)
            for role, topic, kind in wanted
        ]
        if len(self.streams) == 4:
            left, right, *_ = self.streams
            self.keeper = PairKeeper(left, right)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the node; empty without one."""
        return {} if self.node is None else self.node.parameters


class Visit:
    """Looks at the graph with one node, spun by whoever calls.

    Attributes:
        node: The node.
        plan: What to look at.
        patients: Cameras and depth nodes found.
        missing_nodes: Nodes asked for that are not there.
        tree: Frames of TF.
        transforms: Number of TF messages.
        lacking: Why TF cannot be looked at; '' if it can.

    Args:
        node: Node to look with.
        plan: What to look at.
        pace: Waits, serves what comes, and knows the time.
    """

    def __init__(self, node: Node, plan: Plan, pace: Pace) -> None:
        self.node = node
        self.patients: list[Patient] = []
        self.plan = plan
        self.pace = pace
        self._probes: dict[str, NodeProbe] = {}
        self.missing_nodes: tuple[str, ...] = ()
        self._clock: Any = None
        self._looked_s = float('-inf')
        self.tree = TransformTree()
        self.transforms = 0
        self.lacking = ''

    def make(self) -> None:
        """Look and listen as long as the plan says, and longer where nothing comes."""
        self._listen_to_transforms()
        if self._discover():
            self._meet_nodes()
            self._listen()
        self.missing_nodes = tuple(set(self._asked_for()) - set(self._probes))

    def _discover(self) -> bool:
        """Wait until the graph keeps still, and return whether there is anything on it."""
        pace = self.pace
        start_s = changed_s = pace.passed_s
        before: object = None
        while True:
            pace.step()
            now_s = pace.passed_s
            seen = (other_nodes(self.node), sorted(published_topics(self.node)))
            if seen != before:
                before, changed_s = seen, now_s
            still = now_s - changed_s > _STILL_S and any(seen)
            if (still and now_s - start_s > _LEAST_DISCOVERY_S) or (
                now_s - start_s > self.plan.patience_s
            ):
                return any(seen)

    def _asked_for(self) -> list[str]:
        return [name if name.startswith('/') else f'/{name}' for name in self.plan.nodes]

    def _meet_nodes(self) -> None:
        """Ask the depth nodes who they are."""
        end_s = self.pace.passed_s + self.plan.patience_s
        while self.pace.passed_s < end_s:
            self._find_nodes()
            self.pace.step()
            all_here = {*self._asked_for()} <= {*self._probes}
            if all_here and all(one.is_known for one in self._probes.values()):
                return

    def _find_nodes(self) -> None:
        """Take up depth nodes that have shown up, and ask what is still to be asked."""
        wanted = self._asked_for()
        for name in depth_nodes(self.node):
            if name not in self._probes and (not wanted or name in wanted):
                self._probes[name] = NodeProbe(self.node, name)
        for probe in self._probes.values():
            probe.ask()

    def _find_cameras(self) -> None:
        """Take up cameras that have shown up."""
        plan = self.plan
        if plan.image or plan.left or plan.right:
            self._find_given()
        elif self._probes:
            self.patients = [one for one in self.patients if one.node is not None]
            known = {patient.node for patient in self.patients}
            for name, probe in self._probes.items():
                if probe not in known:
                    self._add(name, self._inputs_of(probe)).node = probe
        elif not plan.nodes:
            known_names = {patient.name for patient in self.patients}
            for name, wanted in guessed_cameras(published_topics(self.node), plan.task):
                if name not in known_names:
                    self._add(name, wanted)

    def _find_given(self) -> None:
        if not self.patients:
            for wanted in self._given_cameras():
                _, topic, _ = wanted[0]
                self._add(topic, wanted)
        for name, probe in self._probes.items():
            inputs = {topic for _, topic, _ in self._inputs_of(probe)}
            for patient in self.patients:
                if self.plan.nodes or patient.streams[0].topic in inputs:
                    patient.node, patient.name = probe, name

    def _add(self, name: str, wanted: Sequence[Wanted]) -> Patient:
        patient = Patient(self, name, wanted)
        self.patients.append(patient)
        return patient

    def _inputs_of(self, probe: NodeProbe) -> list[Wanted]:
        return streams_of_node(probe.values, probe.parameters)

    def _given_cameras(self) -> Iterator[list[Wanted]]:
        plan, resolve = self.plan, self.node.resolve_topic_name
        if plan.image:
            yield mono_streams(resolve(plan.image))
        if plan.left or plan.right:
            left = plan.left or other_side(plan.right)
            right = plan.right or other_side(plan.left)
            yield stereo_streams(resolve(left), resolve(right))

    def _listen(self) -> None:
        """Listen until all has been heard for long enough, or patience ends."""
        plan, pace = self.plan, self.pace
        start_s = changed_s = pace.passed_s
        heard_s = 0.0
        heard_before = -1
        while not pace.is_exhausted:
            self._follow()
            pace.step()
            now_s = pace.passed_s
            streams = [stream for patient in self.patients for stream in patient.streams]
            heard = sum(stream.is_settled for stream in streams)
            if heard != heard_before:
                heard_before, changed_s = heard, now_s
            all_heard = bool(streams) and all(stream.stamps_ns for stream in streams)
            if not heard_s and (all_heard or now_s - max(start_s, changed_s) > plan.patience_s):
                heard_s = now_s
            if heard_s and now_s - heard_s > plan.seconds:
                late = now_s - heard_s > plan.seconds + plan.patience_s
                if late or self._outputs_heard():
                    return

    def _follow(self) -> None:
        """Subscribe to what has appeared since the last look, every few steps."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _GRAPH_S:
            return
        self._looked_s = now_s
        self._listen_to_clock()
        self._find_nodes()
        self._find_cameras()
        for patient in self.patients:
            probe = patient.node
            if probe is not None:
                if not patient.streams and (wanted := self._inputs_of(probe)):
                    patient.look_at(wanted)
                if not self.plan.passive:
                    self._wake(probe)
            for stream in patient.streams:
                stream.follow()

    def _wake(self, probe: NodeProbe) -> None:
        if probe.woken:
            return
        kind = type_name(CameraInfo)
        topics = [topic for topic, kinds in published_by(self.node, probe.name) if kind in kinds]
        topics.sort(key=lambda topic: 'depth' not in topic)
        if topics:
            probe.wake(CameraInfo, topics[0])

    def _outputs_heard(self) -> bool:
        """Return whether every active node that gets images has answered with depth."""
        return all(
            patient.node is None
            or not patient.node.woken
            or patient.node.state != 'active'
            or patient.node.level > 0  # it says itself why it gives nothing
            or bool(patient.node.heard_ages_s)
            or not all(stream.stamps_ns for stream in patient.streams)
            for patient in self.patients
        )

    def _listen_to_clock(self) -> None:
        if self._clock is None and self.node.count_publishers('/clock') > 0:
            best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._clock = self.node.create_subscription(
                Clock, '/clock', self._take_clock, best_effort
            )

    def _take_clock(self, message: Clock) -> None:
        clock = message.clock
        self.pace.clock_ns = clock.sec * 1_000_000_000 + clock.nanosec

    def _listen_to_transforms(self) -> None:
        kind, self.lacking = tf_message_class()
        if kind is None:
            return
        for topic in TOPICS:
            static = topic.endswith('static')
            durability = DurabilityPolicy.TRANSIENT_LOCAL if static else DurabilityPolicy.VOLATILE
            self.node.create_subscription(
                kind,
                topic,
                self._take_static if static else self._take_moving,
                QoSProfile(depth=100, durability=durability),
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )

    def _take_moving(self, message: Any) -> None:
        self.transforms += 1
        self.tree.add(message, static=False)

    def _take_static(self, message: Any) -> None:
        self.transforms += 1
        self.tree.add(message, static=True)
