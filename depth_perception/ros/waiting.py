"""Explain why no frame arrives: which topic is silent, and what the graph offers instead."""

from __future__ import annotations

from collections.abc import Sequence
import difflib

from depth_perception.parameters import NodeSettings
from depth_perception.ros.input_topic import InputTopic, type_name
from rclpy.node import Node

_HINTS = 4  # topics named in one hint


def explain_waiting(node: Node, topics: Sequence[InputTopic], settings: NodeSettings) -> str:
    """Return which inputs do not arrive and why, or why those that do are not paired."""
    silent = [topic for topic in topics if not topic.arrives()]
    if not silent:
        return _explain_unpaired(topics, settings)
    names = ', '.join(topic.name for topic in silent)
    arriving = len(topics) - len(silent)
    text = f'waiting for {names} ({arriving} of {len(topics)} inputs arrive)'
    reasons = [_explain_silence(node, topic, topics) for topic in silent if not _pauses(topic)]
    pausing = ', '.join(topic.topic for topic in silent if _pauses(topic))
    if pausing:
        reasons.append(f'there are publishers, but they send nothing on {pausing}')
    return '; '.join([text, *dict.fromkeys(reasons)])


def _pauses(topic: InputTopic) -> bool:
    """Return whether a silent topic has a publisher that could be heard."""
    return topic.publishers > 0 and not topic.mismatches


def _explain_silence(node: Node, topic: InputTopic, inputs: Sequence[InputTopic]) -> str:
    if topic.mismatches:
        return topic.mismatches[0]
    if topic.wrong_types:
        kinds = ', '.join(topic.wrong_types)
        advice = ''
        if 'sensor_msgs/msg/CompressedImage' in topic.wrong_types:
            advice = '; set image_transport:=compressed'
        elif 'sensor_msgs/msg/Image' in topic.wrong_types:
            advice = '; set image_transport:=raw'
        return f'{topic.topic} carries {kinds}, not {type_name(topic.kind)}{advice}'
    twin = _other_transport(topic)
    if twin is not None and node.count_publishers(twin[0]) > 0:
        return f'nobody publishes {topic.topic}, but there is {twin[0]}; set {twin[1]}'
    others = _similar_topics(node, topic, {other.topic for other in inputs})
    if not others:
        return f'nobody publishes {topic.topic}'
    return (
        f'nobody publishes {topic.topic}; there are {", ".join(others)} '
        f'(remap with -r {topic.name}:=...)'
    )


def _other_transport(topic: InputTopic) -> tuple[str, str] | None:
    """Return where the images would be in the other transport, and how to choose it."""
    kind = type_name(topic.kind)
    if kind == 'sensor_msgs/msg/Image':
        return f'{topic.topic}/compressed', 'image_transport:=compressed'
    if kind == 'sensor_msgs/msg/CompressedImage':
        return topic.topic.removesuffix('/compressed'), 'image_transport:=raw'
    return None


def _similar_topics(node: Node, topic: InputTopic, taken: set[str]) -> list[str]:
    """Return published topics of the type that `topic` wants, most similar names first."""
    kind = type_name(topic.kind)
    own = {
        name
        for name, _ in node.get_publisher_names_and_types_by_node(
            node.get_name(), node.get_namespace()
        )
    }
    names = [
        name
        for name, kinds in node.get_topic_names_and_types()
        if kind in kinds
        and name not in taken
        and name not in own
        and node.count_publishers(name) > 0
    ]
    names.sort(key=lambda name: (-difflib.SequenceMatcher(None, name, topic.topic).ratio(), name))
    return names[:_HINTS]


def _explain_unpaired(topics: Sequence[InputTopic], settings: NodeSettings) -> str:
    unstamped = [topic.name for topic in topics if not topic.stamped]
    if unstamped:
        return (
            f'inputs arrive, but {", ".join(unstamped)} without usable stamps; the driver must '
            'stamp messages with the time of capture'
        )
    stamped = [topic for topic in topics if topic.last_stamp_ns is not None]
    if not stamped or (len(stamped) < len(topics) and not settings.cache_camera_info):
        return 'inputs arrived, but none since time jumped'
    first = stamped[0].last_stamp_ns or 0
    stamps = ', '.join(
        f'{topic.name} {((topic.last_stamp_ns or 0) - first) / 1e6:+.3f} ms' for topic in stamped
    )
    if settings.approximate_sync:
        advice = 'raise approximate_sync_tolerance_seconds'
    else:
        advice = 'synchronise the cameras, or set approximate_sync:=true'
    return f'inputs arrive, but their stamps do not agree (newest: {stamps}); {advice}'
