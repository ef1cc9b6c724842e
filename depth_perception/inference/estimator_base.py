"""The way of a frame through any estimator: prepare, infer, decode, make metric, judge."""

from __future__ import annotations

import abc
import time
from types import TracebackType
from typing import Generic, TypeVar

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import decode, Decoded
from depth_perception.inference.honesty import HonestSigma, references_to_fit
from depth_perception.inference.postprocess import (
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


class DepthEstimator(abc.ABC, Generic[S]):
    """Turns frames into metric depth with its standard deviation.

    Attributes:
        card: The model that is run.
        backend: What runs it.
        settings: The settings in force; replace the whole object to change them.
        sigma: Makes sigma of the score, and watches it at the references.
        scores: Gives estimates their raw score.
    """

    def __init__(self, card: ModelCard, backend: Backend, settings: S) -> None:
        self.card = card
        self.backend = backend
        self.settings: S = settings
        builtin = card.builtin is not None
        self._postprocessor = Postprocessor(
            MATCHER_CORRELATION if builtin else NETWORK_CORRELATION
        )
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
        settings = self.settings
        self._prepare(frame, settings)
        start = time.perf_counter()
        preparation = self._preparation(frame, settings)
        feeds = tensors_from(self.card.inputs, preparation)
        prepared = time.perf_counter()
        outputs = self.backend.infer(feeds)
        inferred = time.perf_counter()
        decoded: Decoded | Relative
        if self.card.is_relative:
            decoded = decode_relative(outputs, self.card, preparation)
        else:
            decoded = decode(outputs, self.card, preparation)
        read = time.perf_counter()
        raw = self._raw(decoded, frame, settings)
        scaled = time.perf_counter()
        raw = self.scores.add(raw, decoded, preparation, references_to_fit(frame, settings))
        raw.timings_ms.update(
            preprocess=(prepared - start) * 1e3,
            infer=(inferred - prepared) * 1e3,
            decode=(read - inferred) * 1e3,
            scale=(scaled - read) * 1e3,
            score=(time.perf_counter() - scaled) * 1e3,
        )
        honest = self.sigma.applied(raw, frame, settings)
        estimate = self._postprocessor.finish(honest, frame, settings)
        self.sigma.observe(raw, estimate, frame, settings)
        return estimate

    def _preparation(self, frame: MonoFrame | StereoFrame, settings: S) -> Preparation:
        size = frame.camera.width, frame.camera.height
        if self._plan is None or self._plan.source != size:
            self._plan = plan_resize(self.card.resize, *size)
        if frame.camera != self._camera:
            self._camera = frame.camera
            self.reset()
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
