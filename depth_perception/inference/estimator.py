"""One entry for node, evaluation, benchmark and command line: frame in, DepthEstimate out."""

from __future__ import annotations

import abc
import time
from types import TracebackType
from typing import final, Generic, TypeVar

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.ground import ground_sigma
from depth_perception.core.types import DisparityMap, SigmaMap
from depth_perception.errors import (
    BackendUnavailableError,
    FrameError,
    ModelError,
    NotMetricError,
)
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import artifact_path, load_card, ModelCard
from depth_perception.inference.decode import decode, Decoded, relative_problem
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.postprocess import Postprocessor, RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize, ResizePlan
from depth_perception.inference.sgbm import SgbmBackend
from depth_perception.parameters import (
    EstimatorSettings,
    MonoEstimatorSettings,
    StereoEstimatorSettings,
)
import numpy as np

AUTO_MONO = 'floor-stixels'
AUTO_STEREO = 'sgbm'

S = TypeVar('S', bound=EstimatorSettings)


class DepthEstimator(abc.ABC, Generic[S]):
    """Turns frames into metric depth with its standard deviation.

    Attributes:
        card: The model that is run.
        backend: What runs it.
        settings: The settings in force; replace the whole object to change them.
    """

    def __init__(self, card: ModelCard, backend: Backend, settings: S) -> None:
        self.card = card
        self.backend = backend
        self.settings: S = settings
        self._postprocessor = Postprocessor()
        self._plan: ResizePlan | None = None
        self._camera: PinholeCamera | None = None

    @property
    def metric_problem(self) -> str | None:
        """Why the settings in force give no metres, and what to do; None when they do."""
        return relative_problem(self.card) if self.card.is_relative else None

    def reset(self) -> None:
        """Forget earlier frames."""
        self._postprocessor.reset()

    def close(self) -> None:
        """Free what the backend holds."""
        self.backend.close()

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
        problem = self.metric_problem
        if problem is not None:
            raise NotMetricError(problem)
        self._prepare(frame, settings)
        start = time.perf_counter()
        preparation = self._preparation(frame, settings)
        feeds = tensors_from(self.card.inputs, preparation)
        prepared = time.perf_counter()
        outputs = self.backend.infer(feeds)
        inferred = time.perf_counter()
        decoded = decode(outputs, self.card, preparation)
        raw = self._raw(decoded, frame, settings)
        raw.timings_ms.update(
            preprocess=(prepared - start) * 1e3,
            infer=(inferred - prepared) * 1e3,
            decode=(time.perf_counter() - inferred) * 1e3,
        )
        return self._postprocessor.finish(raw, frame, settings)

    def _preparation(self, frame: MonoFrame | StereoFrame, settings: S) -> Preparation:
        size = frame.camera.width, frame.camera.height
        if self._plan is None or self._plan.source != size:
            self._plan = plan_resize(self.card.resize, *size)
        if frame.camera != self._camera:
            self._camera = frame.camera
            self._postprocessor.reset()
        ground = settings if isinstance(settings, MonoEstimatorSettings) else None
        return Preparation(frame, self._plan, self.card.resize, ground)

    @abc.abstractmethod
    def _prepare(self, frame: MonoFrame | StereoFrame, settings: S) -> None:
        """Check that the frame suits, and tell the backend what it must know of it."""

    @abc.abstractmethod
    def _raw(self, decoded: Decoded, frame: MonoFrame | StereoFrame, settings: S) -> RawEstimate:
        """Add where the scale came from."""


@final
class StereoEstimator(DepthEstimator[StereoEstimatorSettings]):
    """A matcher or a stereo network on rectified pairs."""

    def _prepare(self, frame: MonoFrame | StereoFrame, settings: StereoEstimatorSettings) -> None:
        if not isinstance(frame, StereoFrame):
            raise FrameError('not_a_pair', f'{self.card.id} needs a left and a right image')
        if isinstance(self.backend, SgbmBackend):
            self.backend.settings = settings
            self.backend.set_rig(frame.rig, settings.min_depth_m)

    def _raw(
        self,
        decoded: Decoded,
        frame: MonoFrame | StereoFrame,
        settings: StereoEstimatorSettings,  # noqa: ARG002
    ) -> RawEstimate:
        if decoded.disparity is None or not isinstance(frame, StereoFrame):
            raise ModelError(f'{self.card.id}: a stereo model must give disparity')
        return RawEstimate(
            rho=decoded.rho,
            sigma_rho=decoded.sigma_rho,
            far=decoded.far,
            scale=Scale(Rung.STEREO),
            disparity=self._disparity(decoded.disparity, frame),
        )

    def _disparity(self, values: DisparityMap, frame: StereoFrame) -> Disparity:
        if isinstance(self.backend, SgbmBackend):
            searched = self.backend.search_range
            return Disparity(values, frame.rig, float(searched.first), float(searched.last))
        params = self.card.output.params
        sx = self._plan.sx if self._plan is not None else 1.0
        high_px = params.max_disp / sx if params.max_disp is not None else frame.camera.width
        return Disparity(values, frame.rig, params.min_disp / sx, float(high_px))


@final
class MonoEstimator(DepthEstimator[MonoEstimatorSettings]):
    """A mono network on rectified images."""

    @property
    def metric_problem(self) -> str | None:
        """Why the settings in force give no metres, and what to do; None when they do."""
        if self._uses_ground and self.settings.ground__camera_height_m <= 0.0:
            return (
                f'{self.card.id} takes its scale from the floor, and the height of the camera '
                'is not known; set ground.camera_height_m [m] and ground.pitch_deg [deg]'
            )
        return super().metric_problem

    @property
    def _uses_ground(self) -> bool:
        return any(spec.source == 'ground_inverse_depth' for spec in self.card.inputs)

    def _prepare(
        self,
        frame: MonoFrame | StereoFrame,
        settings: MonoEstimatorSettings,  # noqa: ARG002
    ) -> None:
        if isinstance(frame, StereoFrame):
            raise FrameError('not_mono', f'{self.card.id} takes one image')

    def _raw(
        self, decoded: Decoded, frame: MonoFrame | StereoFrame, settings: MonoEstimatorSettings
    ) -> RawEstimate:
        scale, sigma = self._scale(decoded, frame, settings)
        return RawEstimate(rho=decoded.rho, sigma_rho=sigma, far=decoded.far, scale=scale)

    def _scale(
        self, decoded: Decoded, frame: MonoFrame | StereoFrame, settings: MonoEstimatorSettings
    ) -> tuple[Scale, SigmaMap]:
        """Return where the metres come from, and sigma_rho with the share of that."""
        if self._uses_ground:
            shared = ground_sigma(
                decoded.rho,
                frame.camera,
                settings.ground__camera_height_m,
                settings.ground__height_sigma_m,
                float(np.deg2rad(settings.ground__tilt_sigma_deg)),
            )
            relative = settings.ground__height_sigma_m / settings.ground__camera_height_m
            return (
                Scale(
                    Rung.GROUND_PLANE, s=settings.ground__camera_height_m, sigma_relative=relative
                ),
                np.hypot(decoded.sigma_rho, shared),
            )
        focal = self.card.output.kind in ('depth_focal', 'inv_depth_fov', 'points_affine_z')
        return Scale(Rung.INTRINSICS if focal else Rung.NETWORK), decoded.sigma_rho


def open_estimator(
    settings: MonoEstimatorSettings | StereoEstimatorSettings,
) -> MonoEstimator | StereoEstimator:
    """Return the estimator that the settings ask for.

    Raises:
        ModelError: If the model is unknown, its file is missing or does not fit, or it is of the
            other task.
        BackendUnavailableError: If the backend asked for cannot run here.
    """
    task = 'stereo' if isinstance(settings, StereoEstimatorSettings) else 'mono'
    chosen = settings.model
    if chosen == 'auto':
        chosen = AUTO_STEREO if task == 'stereo' else AUTO_MONO
    card = load_card(chosen)
    if card.task != task:
        raise ModelError(f'{card.id} is a {card.task} model; this is the {task} estimator')
    backend = open_backend(card, settings)
    if isinstance(settings, StereoEstimatorSettings):
        return StereoEstimator(card, backend, settings)
    return MonoEstimator(card, backend, settings)


def open_backend(card: ModelCard, settings: EstimatorSettings) -> Backend:
    """Return the backend that runs a card.

    Raises:
        ModelError: If the card and the network file disagree on the names of tensors.
        BackendUnavailableError: If the backend asked for cannot run here.
    """
    if card.builtin is not None:
        if card.builtin != 'sgbm' or not isinstance(settings, StereoEstimatorSettings):
            raise ModelError(f'{card.id}: there is no builtin matcher {card.builtin!r}; use sgbm')
        return SgbmBackend(settings)
    if settings.backend == 'tensorrt':
        raise BackendUnavailableError(
            'this version runs networks with ONNX Runtime only; set backend to auto or onnxruntime'
        )
    backend = OrtBackend(artifact_path(card), settings.threads)
    wanted = {spec.tensor for spec in card.inputs}
    there = {spec.name for spec in backend.inputs}
    if wanted != there:
        backend.close()
        raise ModelError(
            f'{card.id}: the card feeds {", ".join(sorted(wanted))} but the file wants '
            f'{", ".join(sorted(there))}'
        )
    return backend
