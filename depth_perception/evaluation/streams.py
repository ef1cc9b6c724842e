"""Find the cameras and the ground truth of a recording, by the types of messages or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bags import (
    CAMERA_INFO,
    DISPARITY,
    IMAGE,
    Message,
    POINT_CLOUD,
    Recording,
)
import numpy as np

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
DEPTH_ENCODINGS = ('32FC1', '16UC1')
_VISIBLE = 'visible_in_both'
_COMPRESSED_DEPTH = '/compressedDepth'


@dataclass(frozen=True)
class CameraStreams:
    """The input topics of one camera or pair.

    Attributes:
        image: The (left) image.
        info: Its camera_info.
        right: The right image; '' for a single camera.
        right_info: Its camera_info.
        compressed: Whether the images are CompressedImage messages.
    """

    image: str
    info: str
    right: str = ''
    right_info: str = ''
    compressed: bool = False

    @property
    def is_stereo(self) -> bool:
        """Whether this is a pair."""
        return bool(self.right)

    @property
    def cameras(self) -> int:
        """Number of cameras."""
        return 2 if self.right else 1

    @property
    def topics(self) -> list[str]:
        """Topics of the images, then of their camera_infos."""
        if self.right:
            return [self.image, self.right, self.info, self.right_info]
        return [self.image, self.info]

    def mono(self) -> CameraStreams:
        """Return the (left) camera alone."""
        return CameraStreams(self.image, self.info, compressed=self.compressed)


@dataclass(frozen=True)
class TruthStreams:
    """The ground-truth topics that belong to one camera; '' where there is none.

    Attributes:
        depth: Depth image, raw or compressedDepth.
        depth_info: Its camera_info.
        points: Cloud of a laser or a depth camera.
        disparity: DisparityImage.
        visible: mono8 image, not 0 where the right camera sees the point of the pixel too.
    """

    depth: str = ''
    depth_info: str = ''
    points: str = ''
    disparity: str = ''
    visible: str = ''

    @property
    def topics(self) -> list[str]:
        """All topics there are."""
        every = (self.depth, self.depth_info, self.points, self.disparity, self.visible)
        return [topic for topic in every if topic]

    @property
    def kind(self) -> str:
        """What the true depth comes from: 'depth_image', 'cloud', 'disparity' or 'none'."""
        if self.depth:
            return 'depth_image'
        if self.points:
            return 'cloud'
        return 'disparity' if self.disparity else 'none'


def first_messages(recording: Recording, topics: Sequence[str]) -> dict[str, Any]:
    """Return topic -> its first message that can be read, in one pass that ends early."""
    found: dict[str, Any] = {}
    wanted = [topic for topic in topics if topic in recording.types and recording.count(topic)]
    if not wanted:
        return found
    message: Message
    for message in recording.messages(wanted):
        found.setdefault(message.topic, message.content)
        if len(found) == len(wanted):
            break
    return found


def find_cameras(recording: Recording) -> list[CameraStreams]:
    """Return all pairs and all single cameras of a recording, sorted by topic.

    An image topic counts if a camera_info lies beside it and it is not a depth image. The right
    camera of a pair is the one whose P[3] is negative; its partner has the most similar name and
    the same size. Where an image was recorded raw and compressed, the raw one is taken.

    Raises:
        RecordingError: If there is none.
    """
    images = _camera_topics(recording)
    infos = first_messages(recording, [info_topic_of(recording, topic) for topic in images])
    infos_of = {topic: infos.get(info_topic_of(recording, topic)) for topic in images}
    known = {topic: info for topic, info in infos_of.items() if info is not None}
    if not known:
        raise RecordingError(
            f'{recording.path} has no image with a camera_info beside it; its topics: '
            f'{listing(recording)}'
        )
    shifts = {topic: float(np.asarray(info.p).ravel()[3]) for topic, info in known.items()}
    pairs = _pairs(known, shifts)
    taken = {topic for pair in pairs for topic in pair}
    found = [_streams(recording, left, right) for left, right in pairs]
    found += [_streams(recording, topic) for topic in known if topic not in taken]
    return sorted(found, key=lambda streams: streams.image)


def chosen_camera(
    recording: Recording, image: str, right: str = '', info: str = '', right_info: str = ''
) -> CameraStreams:
    """Return the camera that the user named; its camera_info lies beside it unless named too.

    Raises:
        RecordingError: If a topic is not in the recording, or is not what it should be.
    """
    for topic in (image, right):
        if topic and recording.types.get(topic) not in {IMAGE, COMPRESSED}:
            raise RecordingError(
                f'{recording.path} has no image {topic}; its topics: {listing(recording)}'
            )
    if right and recording.types[image] != recording.types[right]:
        raise RecordingError(
            f'{image} and {right} must both be raw or both be compressed; '
            f'they are {recording.types[image]} and {recording.types[right]}'
        )
    info = info or info_topic_of(recording, image)
    right_info = right_info or (info_topic_of(recording, right) if right else '')
    for topic in (info, right_info):
        if topic and recording.types.get(topic) != CAMERA_INFO:
            raise RecordingError(
                f'{recording.path} has no camera_info {topic}; name it, or record it; its '
                f'topics: {listing(recording)}'
            )
    return CameraStreams(image, info, right, right_info, recording.types[image] == COMPRESSED)


def find_truth(
    recording: Recording, camera: CameraStreams, topic: str = '', reference: str = ''
) -> tuple[TruthStreams, list[str]]:
    """Return the ground truth of a camera, and what the user should know about the choice.

    Depth images are preferred to clouds, clouds to disparity; a disparity beside a depth image
    serves the figures of disparity. Topics named ground_truth come first, then those whose names
    are most similar to that of the camera.

    Args:
        recording: The bag.
        camera: Inputs to find the truth of.
        topic: The topic to take; '' finds one, 'none' takes none.
        reference: A topic that the estimator is given, so that it is found as truth only where
            there is nothing else.

    Raises:
        RecordingError: If `topic` is not there, or cannot be ground truth.
    """
    if topic == 'none':
        return TruthStreams(), []
    depths, clouds, disparities = _truth_topics(recording, camera)
    if topic:
        return _named_truth(recording, camera, topic, depths, disparities), []
    warnings = []
    own = [name for name in (*depths, *clouds, *disparities) if _is_output(recording, name)]
    candidates = [
        [name for name in kind if name not in own] for kind in (depths, clouds, disparities)
    ]
    if own and not any(candidates):
        warnings.append(
            f'{", ".join(own)} look like outputs of a depth node, so they are not taken for '
            'ground truth; name one with --truth if it is'
        )
    independent = [[name for name in kind if name != reference] for kind in candidates]
    candidates = independent if any(independent) else candidates
    depth, points, disparity = (_nearest(kind, camera.image) for kind in candidates)
    chosen = depth or points or disparity
    others = [name for kind in candidates for name in kind if name not in {chosen, disparity}]
    if chosen and others:
        warnings.append(f'{chosen} is taken for ground truth; there are {", ".join(others)} too')
    elif chosen and 'ground_truth' not in chosen:
        warnings.append(f'{chosen} is taken for ground truth; --truth none judges without it')
    streams = TruthStreams(
        depth=depth,
        depth_info=info_topic_of(recording, depth) if depth else '',
        points='' if depth else points,
        disparity=disparity,
        visible=_visible_topic(recording, camera),
    )
    return streams, warnings


def info_topic_of(recording: Recording, image: str) -> str:
    """Return the camera_info beside an image topic, raw or of a transport; '' if there is none."""
    for suffix in ('/compressed', _COMPRESSED_DEPTH):
        image = image.removesuffix(suffix)
    topic = image.rpartition('/')[0] + '/camera_info'
    return topic if recording.types.get(topic) == CAMERA_INFO else ''


def _camera_topics(recording: Recording) -> list[str]:
    """Return the topics of colour or grey images that have a camera_info."""
    raw = [t for t in recording.topics(IMAGE) if info_topic_of(recording, t)]
    firsts = first_messages(recording, raw)
    plain = [
        topic
        for topic in raw
        if topic in firsts
        and firsts[topic].encoding not in DEPTH_ENCODINGS
        and not topic.endswith(_VISIBLE)
    ]
    packed = [
        topic
        for topic in recording.topics(COMPRESSED)
        if topic.endswith('/compressed')
        and topic.removesuffix('/compressed') not in raw
        and info_topic_of(recording, topic)
        and recording.count(topic)
    ]
    return sorted({*plain, *packed})


def _pairs(infos: Mapping[str, Any], shifts: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return (left, right) topics; each camera is in one pair at most."""
    free = [topic for topic, shift in shifts.items() if shift >= 0.0]
    pairs = []
    for right in sorted(topic for topic, shift in shifts.items() if shift < 0.0):
        same = [t for t in free if _size(infos[t]) == _size(infos[right])]
        left = min(same, key=lambda topic: (_distance(topic, right), topic), default='')
        if left:
            free.remove(left)
            pairs.append((left, right))
    return pairs


def _size(info: Any) -> tuple[int, int]:
    return int(info.width), int(info.height)


def _streams(recording: Recording, image: str, right: str = '') -> CameraStreams:
    return CameraStreams(
        image,
        info_topic_of(recording, image),
        right,
        info_topic_of(recording, right) if right else '',
        recording.types[image] == COMPRESSED,
    )


def _distance(one: str, other: str) -> tuple[int, int]:
    """Return how different two topic names are: parts that differ, then letters."""
    a, b = one.split('/'), other.split('/')
    letters = sum(x != y for x, y in zip(one, other, strict=False)) + abs(len(one) - len(other))
    return abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b, strict=False)), letters


def _truth_topics(
    recording: Recording, camera: CameraStreams
) -> tuple[list[str], list[str], list[str]]:
    """Return the topics of depth images, clouds and disparities, apart from the inputs."""
    images = [t for t in recording.topics(IMAGE) if t not in camera.topics]
    firsts = first_messages(recording, images)
    depths = [
        topic
        for topic in images
        if topic in firsts and firsts[topic].encoding in DEPTH_ENCODINGS and not _is_sigma(topic)
    ]
    packed = [
        topic
        for topic in recording.topics(COMPRESSED)
        if topic.endswith(_COMPRESSED_DEPTH)
        and topic.removesuffix(_COMPRESSED_DEPTH) not in depths
    ]
    return [*depths, *packed], recording.topics(POINT_CLOUD), recording.topics(DISPARITY)


def _is_sigma(topic: str) -> bool:
    """Return whether a topic is named as one of our images that hold no depth."""
    return topic.endswith(('uncertainty/image', 'confidence/image'))


def _is_output(recording: Recording, topic: str) -> bool:
    """Return whether a topic was published by a depth_perception node: sigma lies beside it."""
    if 'ground_truth' in topic:
        return False
    parent = topic.rpartition('/')[0]
    for namespace in (parent, parent.rpartition('/')[0]):
        if f'{namespace}/uncertainty/image' in recording.types:
            return True
    return False


def _nearest(topics: Sequence[str], image: str) -> str:
    return min(topics, key=lambda t: ('ground_truth' not in t, _distance(t, image), t), default='')


def _visible_topic(recording: Recording, camera: CameraStreams) -> str:
    if not camera.is_stereo:
        return ''
    found = [topic for topic in recording.topics(IMAGE) if topic.endswith(_VISIBLE)]
    return _nearest(found, camera.image)


def _named_truth(
    recording: Recording,
    camera: CameraStreams,
    topic: str,
    depths: Sequence[str],
    disparities: Sequence[str],
) -> TruthStreams:
    kind = recording.types.get(topic)
    visible = _visible_topic(recording, camera)
    if kind == POINT_CLOUD:
        return TruthStreams(points=topic, disparity=_nearest(disparities, topic), visible=visible)
    if kind == DISPARITY:
        return TruthStreams(disparity=topic, visible=visible)
    if topic in depths:
        info = info_topic_of(recording, topic)
        disparity = _nearest([d for d in disparities if 'ground_truth' in d], topic)
        return TruthStreams(topic, info, disparity=disparity, visible=visible)
    if kind is None:
        raise RecordingError(f'{recording.path} has no {topic}; its topics: {listing(recording)}')
    raise RecordingError(
        f'{topic} is a {kind}, which is no ground truth; wanted a depth image (32FC1, 16UC1), a '
        'PointCloud2 or a DisparityImage'
    )


def listing(recording: Recording) -> str:
    """Return the topics of a recording with their types, for messages."""
    return (
        ', '.join(f'{topic} ({kind})' for topic, kind in sorted(recording.types.items())) or 'none'
    )
