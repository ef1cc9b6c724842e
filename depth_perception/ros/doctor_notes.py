"""Write down, as facts, what a visit to the graph has shown."""

from __future__ import annotations

from depth_perception.doctor import facts
from depth_perception.ros.doctor_graph import (
    other_nodes,
    other_transport,
    published_by,
    published_topics,
    similar_topics,
)
from depth_perception.ros.doctor_look import (
    frames_facts,
    info_facts,
    picture_facts,
    sight_facts,
    surroundings_facts,
)
from depth_perception.ros.doctor_probe import endpoints_of, NodeProbe, StreamProbe
from depth_perception.ros.doctor_visit import Patient, Visit
from depth_perception.ros.input_topic import type_name
from rclpy.node import Node

_NO_OUTPUT = {'/rosout', '/parameter_events', '/diagnostics'}


def notes_of(visit: Visit) -> facts.Facts:
    """Return the facts of a visit."""
    node = visit.node
    clocks = endpoints_of(node, node.get_publishers_info_by_topic('/clock'))
    cameras = {
        stream.frame_ids[-1]: stream.stamps_ns[-1]
        for patient in visit.patients
        for stream in patient.streams
        if stream.frame_ids
    }
    return facts.Facts(
        seconds=visit.pace.total_s,
        busy=visit.pace.busy_s / max(visit.pace.total_s, 1e-3),
        nodes=tuple(other_nodes(node)),
        topics=len(published_topics(node)),
        clock_publishers=tuple(one.node for one in clocks),
        subjects=tuple(_subject(node, patient) for patient in visit.patients),
        missing_nodes=visit.missing_nodes,
        frames=frames_facts(
            visit.tree, visit.lacking, visit.transforms, cameras, visit.plan.base_frame
        ),
        surroundings=surroundings_facts(),
    )


def _subject(node: Node, patient: Patient) -> facts.Subject:
    sight = None
    if patient.keeper is not None:
        sight = sight_facts(patient.keeper, patient.streams, patient.parameters)
    return facts.Subject(
        patient.name,
        tuple(_stream(node, patient, stream) for stream in patient.streams),
        _node_facts(node, patient.node) if patient.node is not None else None,
        sight,
    )


def _stream(node: Node, patient: Patient, stream: StreamProbe) -> facts.Stream:
    kind = type_name(stream.kind)
    publishers = stream.publishers()
    limit_px = int(patient.parameters.get('max_image_side_px', 8192))
    return facts.Stream(
        role=stream.role,
        topic=stream.topic,
        type=kind,
        publishers=publishers,
        subscribers=stream.subscribers(),
        similar=() if publishers else similar_topics(node, stream.topic, kind),
        other_transport='' if publishers else other_transport(node, stream.topic, kind),
        arrivals_s=tuple(stream.arrivals_s),
        stamps_ns=tuple(stream.stamps_ns),
        ages_s=tuple(stream.ages_s),
        sim_ages_s=tuple(stream.sim_ages_s),
        bytes=stream.bytes,
        frame_ids=tuple(stream.frame_ids),
        calibrations=len(stream.keys),
        info=info_facts(stream.info),
        picture=None if stream.is_info else picture_facts(stream, limit_px),
    )


def _node_facts(node: Node, probe: NodeProbe) -> facts.NodeFacts:
    outputs = []
    for topic, _ in published_by(node, probe.name):
        ends = endpoints_of(node, node.get_publishers_info_by_topic(topic))
        own = [one for one in ends if one.node == probe.name]
        if own and topic not in _NO_OUTPUT:
            listeners = endpoints_of(node, node.get_subscriptions_info_by_topic(topic))
            outputs.append(facts.Output(topic, own[0], listeners))
    status = probe.status
    return facts.NodeFacts(
        name=probe.name,
        count=other_nodes(node).count(probe.name),
        answers=probe.answers,
        state=probe.values.get('state', probe.state),
        parameters={
            key: value
            for key, value in probe.parameters.items()
            if isinstance(value, (bool, int, float, str))
        },
        statuses=probe.statuses,
        level=probe.level,
        message='' if status is None else status.message,
        values=probe.values,
        outputs=tuple(outputs),
        woken=probe.woken,
        heard=len(probe.heard_ages_s),
        heard_ages_s=tuple(probe.heard_ages_s),
    )
