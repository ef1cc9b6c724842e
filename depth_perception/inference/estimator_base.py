"""The way of a frame through any estimator: prepare, infer, decode, make metric, judge."""

from __future__ import annotations

import abc
from collections.abc import Mapping
import contextlib
from dataclasses import dataclass
import time
from types import TracebackType
from typing import Generic, TypeVar

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.types import AnyArray
from depth_perception.errors import InferenceError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import decode, Decoded
from depth_perception.inference.frame_jobs import Pending, Published
from depth_perception.inference.frame_plan import (
    network_job,
    preparation_problem,
    publication_problem,
    publish_job,
)
from depth_perception.inference.honesty import HonestSigma, references_to_fit
from depth_perception.inference.postprocess import (
    Maps,
    MATCHER_CORRELATION,
    NETWORK_CORRELATION,
    Postprocessor,
    RawEstimate,
)
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.relative import decode_relative, Relative
from depth_perception.inference.resize import plan_resize, ResizePlan
from depth_perception.inference.scaling import ground_pose
from depth_perception.inference.scores import ScoreSet
from depth_perception.parameters import EstimatorSettings

S = TypeVar('S', bound=EstimatorSettings)


@dataclass
class Ticket(Generic[S]):
    """A frame whose estimate was begun.

    Attributes:
        frame: The frame.
        settings: Those it is served with.
        preparation: How it reaches the network.
        began_s: When it was begun, on the clock of `time.perf_counter` [s].
        prepared_s: When its inputs were ready.
        running: The run of the network, if it goes on by itself; None: it waits for `finish`.
        inferred_s: When the run had ended; 0 before.
    """

    frame: MonoFrame | StereoFrame
    settings: S
    preparation: Preparation
    began_s: float
    prepared_s: float
    running: Pending | None
    inferred_s: float = 0.0

    def wait(self) -> None:
        """Wait until the run of the network has ended, whichever way; `finish` tells how."""
        if self.running is not None and not self.inferred_s:
            with contextlib.suppress(Exception):
                self.running.result()
            self.inferred_s = time.perf_counter()


class DepthEstimator(abc.ABC, Generic[S]):
    """Turns frames into metric depth with its standard deviation.

    One frame may be begun while the estimate of the one before is published: `begin`, `wait` for
    the ticket, `finish`, in the order of the frames. `estimate` does all of it at once.

    Attributes:
        card: The model that is run.
        backend: What runs it.
        settings: The settings in force; replace the whole object to change them.
        sigma: Makes sigma of the score, and watches it at the references.
        scores: Gives estimates their raw score.
        fallback: Why this is not the first choice of `auto`; '' where it is, or was asked for.
        wants_cloud: Whether estimates may come with their cloud, where that costs nothing.
    """

    def __init__(self, card: ModelCard, backend: Backend, settings: S) -> None:
        self.card = card
        self.backend = backend
        self.settings: S = settings
        builtin = card.builtin is not None
        self._postprocessor = Postprocessor(
            MATCHER_CORRELATION if builtin else NETWORK_CORRELATION,
            card.uncertainty.disparity_limit_px,
        )
        self.fallback = ''
        self.wants_cloud = False
        self._plan: ResizePlan | None = None
        self._camera: PinholeCamera | None = None
        self.scores = ScoreSet(card, backend, settings.uncertainty__sources, settings.threads)
        self.sigma = HonestSigma(card, settings, self.scores.name)

    @property
    def metric_problem(self) -> str | None:
        """Why the settings in force give no metres, and what to do; None when they may."""
        return None

    @property
    def temporal_problem(self) -> str:
        """Why the newest frame was not fused with earlier ones as asked for; '' when it was."""
        return self._postprocessor.temporal_problem

    def reset(self) -> None:
        """Forget earlier frames."""
        self._postprocessor.reset()
        self.sigma.reset()
        self.scores.reset()

    def close(self) -> None:
        """Free what the backend holds."""
        self.backend.close()
        self.scores.close()

    def __enter__(self) -> DepthEstimator[S]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def estimate(self, frame: MonoFrame | StereoFrame) -> DepthEstimate:
        """Return the metric depth of one frame.

        Args:
            frame: A MonoFrame or StereoFrame, as the model wants.

        Raises:
            FrameError: If the frame cannot be used.
            NotMetricError: If the model is relative and has no scale.
            ModelError: If the network fails or answers what its card does not say.
        """
        return self.finish(self.begin(frame))

    def begin(self, frame: MonoFrame | StereoFrame) -> Ticket[S]:
        """Start the estimate of a frame; where the network can, it runs from now on by itself.

        Args:
            frame: As for `estimate`.

        Raises:
            FrameError: If the frame cannot be used.
            NotMetricError: If the network needs the floor, and nobody says where it is.
        """
        began = time.perf_counter()
        settings = self.settings
        self._prepare(frame, settings)
        preparation = self._preparation(frame, settings)
        running = None
        if self.backend.takes_frames:
            kernels = not self.backend.kernels_problem
            running = self.backend.begin(network_job(self.card, preparation, kernels=kernels))
            if running is None and kernels and self.backend.kernels_problem:  # found out just now
                running = self.backend.begin(network_job(self.card, preparation, kernels=False))
        return Ticket(frame, settings, preparation, began, time.perf_counter(), running)

    def finish(self, ticket: Ticket[S]) -> DepthEstimate:
        """Return the estimate of a frame that was begun.

        Args:
            ticket: Of `begin`; those of earlier frames must have been finished or given up.

        Raises:
            NotMetricError: If the model is relative and has no scale.
            ModelError: If the network fails or answers what its card does not say.
        """
        frame, settings, preparation = ticket.frame, ticket.settings, ticket.preparation
        if frame.camera != self._camera:
            self._camera = frame.camera
            self.reset()
        if ticket.running is not None:
            self._prepare(frame, settings)
        outputs = self._outputs(ticket)
        inferred = time.perf_counter()
        decoded: Decoded | Relative
        if self.card.is_relative:
            decoded = decode_relative(outputs, self.card, preparation)
        else:
            decoded = decode(outputs, self.card, preparation)
        read = time.perf_counter()
        if isinstance(decoded, Decoded):
            decoded = self._improved(decoded, frame, settings)
        improved = time.perf_counter()
        raw = self._raw(decoded, frame, settings)
        scaled = time.perf_counter()
        raw = self.scores.add(raw, decoded, preparation, references_to_fit(frame, settings))
        raw.timings_ms.update(
            preprocess=(ticket.prepared_s - ticket.began_s) * 1e3,
            infer=((ticket.inferred_s or inferred) - ticket.prepared_s) * 1e3,
            decode=(read - inferred) * 1e3,
            scale=(scaled - improved) * 1e3,
            score=(time.perf_counter() - scaled) * 1e3,
        )
        if self.card.matcher:
            raw.timings_ms['match'] = (improved - read) * 1e3
        honest = self.sigma.applied(raw, frame, settings)

        def publish(maps: Maps, most_sigma: float) -> Published | None:
            if not self.backend.takes_frames or self.backend.kernels_problem:
                return None
            picture = frame.image if self.wants_cloud else None
            job = publish_job(maps, frame.camera, picture, settings, most_sigma)
            return self.backend.publish(job)

        estimate = self._postprocessor.finish(honest, frame, settings, publish)
        self.sigma.observe(raw, estimate, frame, settings)
        return estimate

    def _improved(
        self,
        decoded: Decoded,
        frame: MonoFrame | StereoFrame,  # noqa: ARG002
        settings: S,  # noqa: ARG002
    ) -> Decoded:
        """Return the answer of the network, better by what else can be found in the frame."""
        return decoded

    def _outputs(self, ticket: Ticket[S]) -> Mapping[str, AnyArray]:
        """Return what the network says; a run that failed is made again, by what is left."""
        if ticket.running is not None:
            ticket.wait()
            try:
                return ticket.running.result()
            except InferenceError:  # the backend has taken note, and may have another way
                pass
        prepared = time.perf_counter()
        feeds = tensors_from(self.card.inputs, ticket.preparation)
        ticket.prepared_s += time.perf_counter() - prepared
        return self.backend.infer(feeds)

    @property
    def kernels(self) -> str:
        """What of a frame runs on the GPU beside the network, and why not the rest."""
        problem = self.backend.kernels_problem
        if problem:
            return f'none: {problem}'
        before, after = preparation_problem(self.card), publication_problem(self.settings)
        parts = [
            f'images on the CPU ({before})' if before else 'images on the GPU',
            f'depth and cloud on the CPU ({after})' if after else 'depth and cloud on the GPU',
        ]
        return ', '.join(parts)

    def _preparation(self, frame: MonoFrame | StereoFrame, settings: S) -> Preparation:
        size = frame.camera.width, frame.camera.height
        if self._plan is None or self._plan.source != size:
            self._plan = plan_resize(self.card.resize, *size)
        pose = ground_pose(frame, settings)
        return Preparation(frame, self._plan, self.card.resize, pose)

    @abc.abstractmethod
    def _prepare(self, frame: MonoFrame | StereoFrame, settings: S) -> None:
        """Check that the frame suits, and tell the backend what it must know of it."""

    @abc.abstractmethod
    def _raw(
        self, decoded: Decoded | Relative, frame: MonoFrame | StereoFrame, settings: S
    ) -> RawEstimate:
        """Make it metric, and add where the scale came from."""
