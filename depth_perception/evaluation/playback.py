"""Judge what a node published: pair its recording with what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import disparity_from_depth, StereoRig
from depth_perception.core.types import DepthMap, Pixels, SigmaMap
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bags import CAMERA_INFO, IMAGE, Recording
from depth_perception.evaluation.metrics import (
    depth_figures,
    disparity_figures,
    sigma_figures,
)
from depth_perception.evaluation.streams import DEPTH_ENCODINGS
from depth_perception.inference.images import pixels_in
from depth_perception.messages.cameras import camera_from_info, rig_from_infos
from depth_perception.messages.images import depth_from_image, picture_from_image
import numpy as np


@dataclass(frozen=True)
class Streams:
    """The topics of a recording that the nodes are fed with; '' where there is none."""

    left: str
    left_info: str
    right: str = ''
    right_info: str = ''
    truth: str = ''

    @property
    def inputs(self) -> list[str]:
        """The topics to play."""
        return [t for t in (self.left, self.left_info, self.right, self.right_info) if t]


def find_streams(recording: Recording) -> Streams:
    """Return the stereo pair of a recording, or its one camera, found by message type.

    A colour or grey image with a sibling camera_info counts; the right one of a pair is the one
    whose projection matrix holds a baseline.

    Raises:
        RecordingError: If there is no such image.
    """
    infos = set(recording.topics(CAMERA_INFO))
    cameras, truth = {}, ''
    for topic in recording.topics(IMAGE):
        first = recording.first(topic)
        info = topic.rpartition('/')[0] + '/camera_info'
        if first.encoding in DEPTH_ENCODINGS:
            truth = topic if 'ground_truth' in topic else truth
        elif info in infos:
            cameras[topic] = info, float(recording.first(info).p[3])
    plain = [topic for topic, (_, shift) in cameras.items() if shift >= 0.0]
    shifted = [topic for topic, (_, shift) in cameras.items() if shift < 0.0]
    if not plain:
        raise RecordingError(
            f'{recording.path} has no image with a camera_info beside it; its topics: '
            + ', '.join(sorted(recording.types))
        )
    left = plain[0]
    right = min(shifted, key=lambda topic: _distance(left, topic), default='')
    if right:
        left = min(plain, key=lambda topic: _distance(right, topic))
    return Streams(left, cameras[left][0], right, cameras[right][0] if right else '', truth)


def _distance(one: str, other: str) -> int:
    """Return how many parts of two topic names differ."""
    a, b = one.split('/'), other.split('/')
    return abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b, strict=False))


@dataclass(frozen=True)
class Given:
    """What the nodes were given: the first picture, the rig and the truth."""

    picture: Pixels
    camera: PinholeCamera
    rig: StereoRig | None
    truth: DepthMap | None
    frames: int
    rate_hz: float


def read_given(recording: Recording, streams: Streams) -> Given:
    """Return what is in the input recording.

    Raises:
        RecordingError: If nothing was recorded on a topic.
        FrameError: If the picture or the truth cannot be used.
        CalibrationError: If a camera_info cannot be used.
    """
    picture = pixels_in('rgb', picture_from_image(recording.first(streams.left)))
    info = recording.first(streams.left_info)
    camera = camera_from_info(info)
    rig = None
    if streams.right:
        rig = rig_from_infos(info, recording.first(streams.right_info))
    truth = None
    if streams.truth:
        measured = depth_from_image(recording.first(streams.truth))
        truth = np.where(np.isfinite(measured), measured, np.float32(np.nan))
    stamps_ns = [message.stamp_ns for message in recording.messages([streams.left])]
    return Given(picture, camera, rig, truth, len(stamps_ns), _rate_hz(stamps_ns))


@dataclass(frozen=True)
class Published:
    """What one node published, and what it is worth.

    Attributes:
        depth, sigma: The last frame [m].
        frames: Number of depth images.
        rate_hz: Depth images per second.
        latency_ms: Time from the stamp of the image to its arrival at the recorder, per frame.
        figures: Means over the frames: depth, disparity and sigma against the truth, coverage of
            the whole image.
    """

    depth: DepthMap
    sigma: SigmaMap
    frames: int
    rate_hz: float
    latency_ms: list[float]
    figures: dict[str, Any] = field(default_factory=dict)

    def latency_percentiles_ms(self) -> dict[str, float]:
        """Return p50, p95, p99 and the greatest latency [ms]."""
        p50, p95, p99 = (float(x) for x in np.percentile(self.latency_ms, (50, 95, 99)))
        return {'p50': p50, 'p95': p95, 'p99': p99, 'max': max(self.latency_ms)}


def read_published(recording: Recording, namespace: str, given: Given) -> Published | None:
    """Return what the node in `namespace` published; None if it published no depth."""
    depth_topic, sigma_topic = f'{namespace}/depth/image_rect', f'{namespace}/uncertainty/image'
    if depth_topic not in recording.types or sigma_topic not in recording.types:
        return None
    sigmas = {m.stamp_ns: m.content for m in recording.messages([sigma_topic])}
    stamps_ns, latency_ms, judged = [], [], []
    depth = sigma = None
    for message in recording.messages([depth_topic]):
        stamps_ns.append(message.stamp_ns)
        latency_ms.append((message.log_ns - message.stamp_ns) * 1e-6)
        if message.stamp_ns not in sigmas:
            continue
        depth = depth_from_image(message.content)
        sigma = depth_from_image(sigmas[message.stamp_ns])
        judged.append(_judge(depth, sigma, given))
    if depth is None or sigma is None:
        return None
    return Published(
        depth, sigma, len(stamps_ns), _rate_hz(stamps_ns), latency_ms, _mean_of(judged)
    )


def _judge(depth: DepthMap, sigma: SigmaMap, given: Given) -> dict[str, Any]:
    figures: dict[str, Any] = {'valid': float(np.isfinite(depth).mean())}
    if given.truth is None or given.truth.shape != depth.shape:
        return figures
    figures['depth'] = depth_figures(depth, given.truth)
    figures['sigma'] = sigma_figures(depth, sigma, given.truth)
    if given.rig is not None:
        ranged = np.where(np.isfinite(depth), depth, np.float32(np.nan))  # beyond range: no claim
        disparity = disparity_from_depth(ranged, given.rig)
        figures['disparity'] = disparity_figures(
            disparity, disparity_from_depth(given.truth, given.rig)
        )
    return figures


def _mean_of(judged: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of each figure over the frames, as plain dictionaries."""
    result: dict[str, Any] = {'valid': float(np.mean([one['valid'] for one in judged]))}
    for group in judged[0]:
        if group != 'valid':
            result[group] = _means([asdict(one[group]) for one in judged])
    return result


def _means(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each figure, NaN where one of them is."""
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


def _rate_hz(stamps_ns: Sequence[int]) -> float:
    if len(stamps_ns) < 2 or stamps_ns[-1] <= stamps_ns[0]:
        return 0.0
    return (len(stamps_ns) - 1) * 1e9 / (stamps_ns[-1] - stamps_ns[0])


def diagnostics_of(recording: Recording, name: str) -> dict[str, str]:
    """Return key -> value of the last diagnostics whose name holds `name`; empty if none."""
    topic = '/diagnostics'
    found: dict[str, str] = {}
    if topic not in recording.types:
        return found
    for message in recording.messages([topic]):
        for status in message.content.status:
            if name in status.name:
                found = {value.key: value.value for value in status.values}
    return found
