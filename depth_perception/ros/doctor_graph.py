"""Find out what there is to look at: depth nodes, and cameras by the names of their topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import difflib
import re
from typing import Any

from depth_perception.ros.doctor_probe import full_name
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

STATUS_TYPE = 'diagnostic_msgs/msg/DiagnosticStatus'
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
_EVERYWHERE = {'/rosout', '/parameter_events'}
_NO_CAMERA = re.compile(
    r'depth|dispar|confidence|uncertainty|label|mask|segment|debug|theora|zstd|ffmpeg', re.I
)
_SIMILAR = 4


@dataclass(frozen=True)
class Plan:
    """What to look at.

    Attributes:
        task: 'stereo', 'mono' or 'any'.
        nodes: Names of depth nodes; empty: all of them.
        left: Topic of left images; '' if not given.
        right: Topic of right images.
        image: Topic of mono images.
        seconds: How long to listen once all topics are heard [s].
        patience_s: How long to wait for what does not come [s].
        base_frame: Frame that cameras should be connected to.
        passive: Do not subscribe to outputs of depth nodes.
    """

    task: str = 'any'
    nodes: tuple[str, ...] = ()
    left: str = ''
    right: str = ''
    image: str = ''
    seconds: float = 4.0
    patience_s: float = 6.0
    base_frame: str = 'base_link'
    passive: bool = False


Wanted = tuple[str, str, 'type[Any]']
"""Role, topic and message class of one stream."""


def published_topics(node: Node) -> dict[str, list[str]]:
    """Return topic -> types, of those that somebody publishes."""
    return {
        topic: list(kinds)
        for topic, kinds in node.get_topic_names_and_types()
        if topic not in _EVERYWHERE and node.count_publishers(topic) > 0
    }


def published_by(node: Node, name: str) -> list[tuple[str, list[str]]]:
    """Return (topic, types) that a node publishes; nothing if it has just gone."""
    space, _, base = name.rpartition('/')
    try:
        return list(node.get_publisher_names_and_types_by_node(base, space or '/'))
    except Exception:  # noqa: BLE001 - rclpy has another class for it in each distribution
        return []


def other_nodes(node: Node) -> list[str]:
    """Return the names of all other nodes that are not hidden, one entry per node."""
    own = full_name(node.get_namespace(), node.get_name())
    names = (full_name(space, name) for name, space in node.get_node_names_and_namespaces())
    return sorted(
        name for name in names if name != own and not name.rsplit('/', 1)[-1].startswith('_')
    )


def depth_nodes(node: Node) -> list[str]:
    """Return the nodes that publish a depth status: name/status of the type DiagnosticStatus."""
    names = set(other_nodes(node))
    return sorted(
        topic.removesuffix('/status')
        for topic, kinds in published_topics(node).items()
        if STATUS_TYPE in kinds and topic.endswith('/status') and topic[:-7] in names
    )


def similar_topics(node: Node, topic: str, kind: str) -> tuple[str, ...]:
    """Return published topics of a type, the most similar names first."""
    names = [
        name for name, kinds in published_topics(node).items() if kind in kinds and name != topic
    ]
    names.sort(key=lambda name: (-difflib.SequenceMatcher(None, name, topic).ratio(), name))
    return tuple(names[:_SIMILAR])


def other_transport(node: Node, topic: str, kind: str) -> str:
    """Return the published topic of the same images, raw or compressed; '' if there is none."""
    other = {IMAGE: f'{topic}/compressed', COMPRESSED: topic.removesuffix('/compressed')}.get(kind)
    return other if other and node.count_publishers(other) > 0 else ''


def info_of(image_topic: str) -> str:
    """Return the camera_info beside an image, as image_transport has it."""
    return f'{image_topic.removesuffix("/compressed").rpartition("/")[0]}/camera_info'


def stereo_streams(
    left: str, right: str, kind: type[Any] = Image, infos: Sequence[str] = ()
) -> list[Wanted]:
    """Return the streams of a pair."""
    left_info, right_info = infos or (info_of(left), info_of(right))
    return [
        ('left image', left, kind),
        ('right image', right, kind),
        ('left image info', left_info, CameraInfo),
        ('right image info', right_info, CameraInfo),
    ]


def mono_streams(image: str, kind: type[Any] = Image, info: str = '') -> list[Wanted]:
    """Return the streams of one camera."""
    return [('image', image, kind), ('image info', info or info_of(image), CameraInfo)]


def streams_of_node(values: Mapping[str, str], parameters: Mapping[str, Any]) -> list[Wanted]:
    """Return the inputs of a depth node, as its status names them; none if it does not."""
    topics = {
        key.removeprefix('input '): text.partition(': ')[0]
        for key, text in values.items()
        if key.startswith('input ')
    }
    compressed = parameters.get('image_transport', 'raw') == 'compressed'
    kind = CompressedImage if compressed else Image
    stereo = ('left/image_rect', 'right/image_rect', 'left/camera_info', 'right/camera_info')
    if all(name in topics for name in stereo):
        left, right, *infos = (topics[name] for name in stereo)
        return stereo_streams(left, right, kind, infos)
    if 'image' in topics and 'camera_info' in topics:
        return mono_streams(topics['image'], kind, topics['camera_info'])
    return []


def guessed_cameras(
    topics: Mapping[str, Sequence[str]], task: str
) -> Iterator[tuple[str, list[Wanted]]]:
    """Yield name and streams of what looks like a camera or a pair.

    Args:
        topics: Published topics and their types.
        task: 'stereo', 'mono' or 'any'.
    """
    images = {
        topic: Image if IMAGE in kinds else CompressedImage
        for topic, kinds in topics.items()
        if (IMAGE in kinds or COMPRESSED in kinds) and not _NO_CAMERA.search(topic)
    }
    plain = {
        topic: kind
        for topic, kind in images.items()
        if kind is Image or topic.removesuffix('/compressed') not in images
    }
    best: dict[str, str] = {}
    for topic in sorted(plain, key=lambda name: (_rank(name), name)):
        best.setdefault(topic.removesuffix('/compressed').rpartition('/')[0], topic)
    used = set()
    if task != 'mono':
        for topic in best.values():
            other = other_side(topic)
            if other and topic not in used and _is_left(topic):
                used |= {topic, other}
                yield topic, stereo_streams(topic, other, plain[topic])
            elif other and topic not in used and other not in best.values():
                used |= {topic, other}
                yield other, stereo_streams(other, topic, plain[topic])
    if task != 'stereo':
        for topic in best.values():
            if topic not in used:
                yield topic, mono_streams(topic, plain[topic])


def _rank(topic: str) -> int:
    """Return how far from a rectified image a topic's name is."""
    name = topic.removesuffix('/compressed').rsplit('/', 1)[-1]
    order = ('image_rect', 'image_rect_color', 'image', 'image_raw', 'image_color', 'image_mono')
    return order.index(name) if name in order else len(order) + ('rect' not in name)


def _is_left(topic: str) -> bool:
    return bool(re.search(r'(^|[/_])left([/_]|$)', topic))


def other_side(topic: str) -> str:
    """Return the topic of the other camera of a pair; '' if the name tells of no side."""
    if _is_left(topic):
        return re.sub(r'(^|[/_])left(?=[/_]|$)', r'\1right', topic)
    other = re.sub(r'(^|[/_])right(?=[/_]|$)', r'\1left', topic)
    return other if other != topic else ''
