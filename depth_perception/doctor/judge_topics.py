"""Judge whether topics are there: published, of the right type, with QoS that matches, heard."""

from __future__ import annotations

from collections.abc import Iterator

from depth_perception.doctor.facts import (
    BEST_EFFORT,
    Endpoint,
    RELIABLE,
    Stream,
    Subject,
    TRANSIENT_LOCAL,
    VOLATILE,
)
from depth_perception.doctor.findings import Finding, finding

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def mismatch(publisher: Endpoint, subscriber: Endpoint) -> str:
    """Return why two ends do not match; '' when they do."""
    reasons = []
    if publisher.reliability == BEST_EFFORT and subscriber.reliability == RELIABLE:
        reasons.append('the publisher is best effort, the subscriber asks for reliable')
    if publisher.durability == VOLATILE and subscriber.durability == TRANSIENT_LOCAL:
        reasons.append('the publisher is volatile, the subscriber asks for transient local')
    return ' and '.join(reasons)


def judge_topics(subject: Subject) -> list[Finding]:
    """Return what is wrong with the input topics as such."""
    found: list[Finding] = []
    for stream in subject.streams:
        found += _judge_topic(subject, stream)
    return found


def _judge_topic(subject: Subject, stream: Stream) -> Iterator[Finding]:
    if not stream.publishers:
        yield _missing(subject, stream)
        return
    if not stream.matching:
        yield _wrong_type(subject, stream)
        return
    if len(stream.matching) > 1:
        names = ', '.join(sorted(one.node for one in stream.matching))
        yield finding(
            'topic.two_publishers',
            subject.name,
            stream.topic,
            f'{len(stream.matching)} publishers: {names}',
            'stop all but one (a bag that plays beside the driver, a driver started twice), or '
            f'remap one: --ros-args -r {stream.topic}:=...',
        )
    yield from _judge_qos(subject, stream)
    if not stream.stamps_ns:
        yield finding(
            'topic.silent',
            subject.name,
            stream.topic,
            f'{stream.matching[0].node} publishes it, but no message came',
            (
                f'look at the log of {stream.matching[0].node}: is the camera connected and '
                'streaming, does the publisher wait for a trigger or a subscriber?',
                f'on the machine of the camera: ros2 topic hz {stream.topic}; if it runs there, '
                'the network or a firewall swallows it',
            ),
        )


def _missing(subject: Subject, stream: Stream) -> Finding:
    option = '' if subject.node is None else f' (to the node: {_remap_of(stream)})'
    near = f'; of this type there are {", ".join(stream.similar)}' if stream.similar else ''
    cures = []
    if stream.other_transport:
        transport = 'raw' if stream.type == COMPRESSED else 'compressed'
        near = f', but there is {stream.other_transport}'
        cures.append(f'start the node with image_transport:={transport}')
    cures += ['start the camera driver, or remap the input to the topic that exists' + option]
    if stream.is_info:
        cures.append(
            'publish the camera_info beside the image, from the driver (camera_info_url) or from '
            'a calibration: ros2 run camera_calibration cameracalibrator'
        )
    return finding(
        'topic.missing', subject.name, stream.topic, f'nobody publishes it{near}', cures
    )


def _remap_of(stream: Stream) -> str:
    side, _, kind = stream.role.rpartition(' ')
    if kind == 'info':
        name = f'{side.split(" ")[0]}/camera_info' if ' ' in stream.role[:-5] else 'camera_info'
    else:
        name = f'{side}/image_rect' if side else 'image'
    return f'-r {name}:=TOPIC'


def _wrong_type(subject: Subject, stream: Stream) -> Finding:
    kinds = sorted({one.type for one in stream.publishers})
    cures = [f'remap to a topic of type {stream.type}']
    if stream.type == IMAGE and COMPRESSED in kinds:
        cures.insert(0, 'set the parameter image_transport:=compressed')
    elif stream.type == COMPRESSED and IMAGE in kinds:
        cures.insert(0, 'set the parameter image_transport:=raw')
    return finding(
        'topic.type',
        subject.name,
        stream.topic,
        f'carries {", ".join(kinds)}, wanted {stream.type}',
        cures,
    )


def _judge_qos(subject: Subject, stream: Stream) -> Iterator[Finding]:
    own = '' if subject.node is None else subject.node.name
    said = set()
    for subscriber in stream.subscribers:
        for publisher in stream.matching:
            reason = mismatch(publisher, subscriber) if subscriber.type == stream.type else ''
            if not reason or (subscriber.node, reason) in said:
                continue
            said.add((subscriber.node, reason))
            if subscriber.node == own:
                cure = (
                    f'take qos_overrides.{stream.topic}.subscription.* away from the parameters '
                    'of the node: it adapts to the publisher by itself'
                )
            else:
                cure = (
                    f'let {subscriber.node} subscribe with what is offered (sensor data QoS is '
                    f'best effort), or {publisher.node} publish reliable'
                )
            yield finding(
                'topic.qos',
                subject.name,
                stream.topic,
                f'{publisher.node} to {subscriber.node}: {reason}',
                cure,
                severity='error' if subscriber.node == own else 'warning',
            )


def judge_outputs(subject: Subject) -> list[Finding]:
    """Return which subscribers of the node's outputs get nothing, for their QoS."""
    found = []
    for output in subject.node.outputs if subject.node is not None else ():
        for subscriber in output.subscribers:
            reason = mismatch(output.publisher, subscriber)
            if reason and subscriber.type == output.publisher.type:
                found.append(
                    finding(
                        'output.qos',
                        subject.name,
                        output.topic,
                        f'{subscriber.node} gets nothing: {reason}',
                        f'change the QoS of {subscriber.node}, or of the node: '
                        f'-p qos_overrides.{output.topic}.publisher.reliability:=reliable (or '
                        '.durability:=transient_local)',
                    )
                )
    return found
