"""Frames of a recording for the viewer, without ROS: as recorded, or as a model makes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
import threading
import time
from typing import Any

from depth_perception.errors import (
    CalibrationError,
    DepthPerceptionError,
    FrameError,
    ModelError,
    RecordingError,
)
from depth_perception.evaluation.bags import CAMERA_INFO, DIAGNOSTICS, IMAGE, Recording
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.session import Served, Session
from depth_perception.evaluation.streams import CameraStreams, find_cameras, TruthStreams
from depth_perception.evaluation.units import choose_models, Span, Unit
from depth_perception.view.feed import CameraFeed, Feeds
from depth_perception.view.frames import Decoded, jpeg_of
from depth_perception.view.status import status_as_dict
import numpy as np

DEPTH, SIGMA = 'depth/image_rect', 'uncertainty/image'
_LOOK_S = 0.2
_LATENCIES = 100


class BagShow:
    """Brings a recording to the viewer again and again, in its own time, while somebody looks.

    Args:
        feeds: Where its camera goes.
        bag: The recording.
        model: Model that makes depth of its images; '': what a depth node published, if that was
            recorded, else the default model.
        assignments: 'NAME=VALUE' of parameters of the model.
        rate: Speed; 1 is that of the recording. A slow model takes its time.

    Raises:
        RecordingError: If there is no camera in the recording.
        SettingsError: If a parameter is not known or not accepted.
        ModelError: If the model cannot be used.
    """

    def __init__(
        self, feeds: Feeds, bag: Path, model: str, assignments: Sequence[str], rate: float
    ) -> None:
        self._rate = rate
        self._stop = threading.Event()
        with Recording(bag) as recording:
            published = [] if model or assignments else _published(recording)
            cameras = [] if published else find_cameras(recording)
        self._bag = bag
        if published:
            self._source = self._recorded
            self._roles = _roles(bag, published[0])
            self._feed = feeds.feed(published[0] or '/')
        else:
            self._source = self._computed
            self._unit = _unit(bag, cameras[0], model, assignments)
            with Session(self._unit):
                pass  # refuses here what cannot be used
            self._feed = feeds.feed(cameras[0].image)
        self._thread = threading.Thread(target=self._run, name='bag', daemon=True)

    def start(self) -> None:
        """Begin to show."""
        self._thread.start()

    def close(self) -> None:
        """Stop to show."""
        self._stop.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for stamp_ns in self._in_time(self._source(self._feed)):
                    del stamp_ns
            except DepthPerceptionError as error:
                self._feed.status = _said(2, str(error))
                self._stop.wait(2.0)
            self._stop.wait(_LOOK_S)

    def _in_time(self, stamps_ns: Iterator[int]) -> Iterator[int]:
        """Yield what comes, so that the recording passes as it was recorded."""
        first_ns, started_s = None, time.monotonic()
        for stamp_ns in stamps_ns:
            while not self._feed.wanted and not self._stop.wait(_LOOK_S):
                first_ns = None  # time stands while nobody looks
            if first_ns is None:
                first_ns, started_s = stamp_ns, time.monotonic()
            due_s = started_s + (stamp_ns - first_ns) * 1e-9 / self._rate
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            yield stamp_ns

    def _recorded(self, feed: CameraFeed) -> Iterator[int]:
        """Bring what a node published; yield the time of the next message before it is brought."""
        with Recording(self._bag) as recording:
            for message in recording.messages([*self._roles]):
                yield message.log_ns
                role = self._roles[message.topic]
                if role != 'status':
                    feed.take(role, message.content)
                    continue
                for status in message.content.status:
                    if status.name.endswith(': depth'):
                        feed.status = status_as_dict(status)

    def _computed(self, feed: CameraFeed) -> Iterator[int]:
        """Bring what the model makes; yield the time of the next frame before it is made."""
        latencies_ms: deque[float] = deque(maxlen=_LATENCIES)
        with Session(self._unit) as session:
            for messages in session.sets():
                yield messages.stamp_ns
                try:
                    served = session.server.serve(messages)
                except (FrameError, CalibrationError, ModelError) as error:
                    feed.status = _said(1, str(error))
                    continue
                latencies_ms.append(served.total_ms)
                feed.status = self._status(served, latencies_ms)
                feed.put(_content(served))

    def _status(self, served: Served, latencies_ms: Sequence[float]) -> dict[str, Any]:
        scale = served.estimate.scale
        p50, p95, p99 = np.percentile(latencies_ms, (50, 95, 99))
        values = {
            'model': self._unit.model.label,
            'latency stamp to publish p50/p95/p99 [ms]': f'{p50:.1f} / {p95:.1f} / {p99:.1f}',
            'scale rung': scale.rung.value,
            'scale sigma [%]': f'{100.0 * scale.sigma_relative:.4g}',
            **{
                f'stage {name} [ms]': f'{ms:.2f}'
                for name, ms in served.estimate.timings_ms.items()
            },
        }
        return {**_said(0, f'recording {self._bag.name}'), 'values': values}


def _said(level: int, message: str) -> dict[str, Any]:
    return {'level': level, 'name': 'recording', 'message': message, 'values': {}}


def _content(served: Served) -> Decoded:
    frame, made = served.frame, served.estimate
    picture = jpeg_of(frame.image)
    return Decoded(frame.stamp_ns, frame.frame_id, made.depth, made.sigma, made.camera, picture)


def _published(recording: Recording) -> list[str]:
    """Return the namespaces in which depth and sigma of a depth node were recorded."""
    images = recording.topics(IMAGE)
    heads = [topic.removesuffix(f'/{DEPTH}') for topic in images if topic.endswith(f'/{DEPTH}')]
    return [head for head in heads if f'{head}/{SIGMA}' in images]


def _roles(bag: Path, namespace: str) -> dict[str, str]:
    """Return topic -> what it is for the viewer."""
    with Recording(bag) as recording:
        roles = {f'{namespace}/{DEPTH}': 'depth', f'{namespace}/{SIGMA}': 'sigma'}
        info = f'{namespace}/depth/camera_info'
        if recording.types.get(info) == CAMERA_INFO:
            roles[info] = 'info'
        roles |= dict.fromkeys(recording.topics(DIAGNOSTICS), 'status')
        try:
            cameras = [c for c in find_cameras(recording) if not c.image.startswith(info[:-11])]
        except RecordingError:
            cameras = []
        return roles | {camera.image: 'image' for camera in cameras[:1]}


def _unit(bag: Path, camera: CameraStreams, model: str, assignments: Sequence[str]) -> Unit:
    model = model or ('auto' if camera.is_stereo else 'auto-mono')
    (choice,) = choose_models([model], assignments)
    if choice.task == 'mono':
        camera = camera.mono()
    elif not camera.is_stereo:
        raise RecordingError(f'{choice.label} needs a pair, {bag} has one camera: {camera.image}')
    return Unit(
        bag, bag.name, '', choice, camera, TruthStreams(), JudgeOptions(), Span(), 0.0, Path()
    )
