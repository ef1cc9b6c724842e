"""Play a recording to the inputs of a node: the same pairing and decoding, without time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from depth_perception.evaluation.bags import Message, Recording
from depth_perception.evaluation.references import RecordedReferences
from depth_perception.evaluation.streams import CameraStreams
from depth_perception.evaluation.truth import TruthSource
from depth_perception.evaluation.units import Span
from depth_perception.messages.frames import FrameReader, MessageSet, MonoReader, StereoReader
from depth_perception.messages.pairing import (
    FramePairing,
    InputSynchroniser,
    own_synchroniser,
    paired_inputs,
    tolerance_ns_of,
)
from depth_perception.parameters import NodeSettings

LOOK_AHEAD_NS = 500_000_000
"""The truth of a frame may be recorded so much later than the frame, beyond the tolerance."""


class DropCounter:
    """Counts what is dropped, and keeps the first reason of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.warnings: dict[str, str] = {}

    def drop(self, cause: str, message: str) -> None:
        """Count a frame that is not served, with the reason."""
        self.counts[cause] += 1
        self.reasons.setdefault(cause, message)

    def count(self, cause: str) -> None:
        """Count a frame that is not served for a reason that needs no words."""
        self.counts[cause] += 1

    def warn(self, key: str, message: str) -> None:
        """Keep a warning once."""
        self.warnings.setdefault(key, message)


@dataclass
class _Waiting:
    log_ns: int
    messages: MessageSet
    unsurrounded: bool


class OfflineInputs:
    """Yields the complete sets of inputs of one camera, while their truth is kept at hand.

    Attributes:
        pairing: Pairs the inputs as the node does.
        references: What else the node would hear, given to frames as it was known when they were
            complete; None: nothing.

    Args:
        recording: The bag.
        camera: Topics of the inputs.
        settings: Parameters of the node.
        truth: Is offered the messages of its topics.
        drops: Told of what is not used.
        look_ahead_ns: How long after a frame its truth may be recorded [ns].
    """

    def __init__(
        self,
        recording: Recording,
        camera: CameraStreams,
        settings: NodeSettings,
        truth: TruthSource,
        drops: DropCounter,
        look_ahead_ns: int = LOOK_AHEAD_NS,
    ) -> None:
        count = paired_inputs(camera.cameras, settings)
        tolerance_ns = tolerance_ns_of(settings)
        synchroniser: InputSynchroniser[Any] = InputSynchroniser(
            count, lambda: own_synchroniser(count, tolerance_ns, settings.queue_size)
        )
        self._recording = recording
        self._inputs = {topic: index for index, topic in enumerate(camera.topics)}
        self._truth = truth
        self._look_ahead_ns = look_ahead_ns
        self.references: RecordedReferences | None = None
        self.pairing = FramePairing(camera.cameras, settings, synchroniser, drops)

    def sets(self, span: Span) -> Iterator[MessageSet]:
        """Yield the sets of `span` in order."""
        taken = 0
        for position, messages in enumerate(self._all_sets(span)):
            if span.limit and taken == span.limit:
                return
            if position % span.every == 0:
                taken += 1
                yield messages

    def _all_sets(self, span: Span) -> Iterator[MessageSet]:
        waiting: deque[_Waiting] = deque()
        matches = 0
        for message in self._messages(span):
            self._surround(waiting, message.log_ns)
            while waiting and message.log_ns > waiting[0].log_ns + self._look_ahead_ns:
                yield waiting.popleft().messages
            if message.topic in self._truth.topics:
                self._truth.offer(message.topic, message.content)
            if self.references is not None and message.topic in self.references.topics:
                self.references.offer(message.topic, message.content)
            index = self._inputs.get(message.topic)
            if index is None:
                continue
            matched = self.pairing.add(index, message.content, message.topic)
            if matched is not None:
                wanted = self.references is not None and matches % span.every == 0
                waiting.append(_Waiting(message.log_ns, matched, wanted))
                matches += 1
        self._surround(waiting, None)
        while waiting:
            yield waiting.popleft().messages

    def _surround(self, waiting: Iterable[_Waiting], log_ns: int | None) -> None:
        """Give frames what was heard before `log_ns`; None: at all."""
        for frame in waiting:
            if not frame.unsurrounded:
                continue
            assert self.references is not None
            if log_ns is None or log_ns > frame.log_ns + self.references.wait_ns:
                surroundings = self.references.around(frame.messages)
                frame.messages = replace(frame.messages, surroundings=surroundings)
                frame.unsurrounded = False

    def _messages(self, span: Span) -> Iterator[Message]:
        heard = self.references.topics if self.references is not None else []
        topics = list(dict.fromkeys([*self._inputs, *self._truth.topics, *heard]))
        start_ns = self._recording.start_ns + round(span.start_s * 1e9)
        stop_ns = None
        if span.duration_s < float('inf'):
            stop_ns = start_ns + round(span.duration_s * 1e9)
        return self._recording.messages(topics, start_ns if span.start_s else None, stop_ns)


def reader_of(camera: CameraStreams, settings: NodeSettings) -> FrameReader:
    """Return what makes frames of the messages of a camera, as the node does."""
    if camera.is_stereo:
        return StereoReader(camera.topics, settings)
    return MonoReader(camera.topics, settings)
