"""One entry for node, evaluation, benchmark and command line: frame in, DepthEstimate out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final, TypeAlias

from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.types import DisparityMap
from depth_perception.errors import FrameError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.backend_choice import open_network
from depth_perception.inference.cards import (
    artifact_path,
    load_card,
    ModelCard,
    with_tensor_names,
)
from depth_perception.inference.decode import Decoded
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.inference.mono_estimators import GuidedEstimator, MonoEstimator
from depth_perception.inference.plain_score import disparity_score
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.relative import Relative
from depth_perception.inference.sgbm import SgbmBackend
from depth_perception.parameters import (
    EstimatorSettings,
    MonoEstimatorSettings,
    StereoEstimatorSettings,
)

AUTO_MONO = 'floor-stixels'
AUTO_STEREO = 'sgbm'
Opener: TypeAlias = Callable[[ModelCard, EstimatorSettings], Backend]


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
        decoded: Decoded | Relative,
        frame: MonoFrame | StereoFrame,
        settings: StereoEstimatorSettings,  # noqa: ARG002
    ) -> RawEstimate:
        pair = frame if isinstance(frame, StereoFrame) else None
        if isinstance(decoded, Relative) or decoded.disparity is None or pair is None:
            raise ModelError(f'{self.card.id}: a stereo model must give disparity')
        return RawEstimate(
            rho=decoded.rho,
            sigma_rho=decoded.sigma_rho,
            far=decoded.far,
            scale=Scale(Rung.STEREO),
            disparity=self._disparity(decoded.disparity, pair),
            score=disparity_score(decoded.sigma_rho, pair.rig),
        )

    def _disparity(self, values: DisparityMap, frame: StereoFrame) -> Disparity:
        if isinstance(self.backend, SgbmBackend):
            searched = self.backend.search_range
            return Disparity(values, frame.rig, float(searched.first), float(searched.last))
        params = self.card.output.params
        sx = self._plan.sx if self._plan is not None else 1.0
        high_px = params.max_disp / sx if params.max_disp is not None else frame.camera.width
        return Disparity(values, frame.rig, params.min_disp / sx, float(high_px))


def open_estimator(
    settings: MonoEstimatorSettings | StereoEstimatorSettings, opener: Opener | None = None
) -> DepthEstimator[Any]:
    """Return the estimator that the settings ask for.

    Args:
        settings: What to open.
        opener: Opens the backend of the model; None: `open_backend`.

    Raises:
        ModelError: If the model is unknown, its file is missing or does not fit, or it is of the
            other task.
        SettingsError: If a plug-in is named that is not installed.
        BackendUnavailableError: If the backend asked for cannot run here.
    """
    opener = opener or open_backend
    if isinstance(settings, StereoEstimatorSettings):
        return _open_stereo(settings, opener)
    card = load_card(AUTO_MONO if settings.model == 'auto' else settings.model)
    if card.task != 'mono':
        raise ModelError(f'{card.id} is a {card.task} model; this is the mono estimator')
    backend = opener(card, settings)
    return MonoEstimator(with_tensor_names(card, backend), backend, settings)


def _open_stereo(settings: StereoEstimatorSettings, opener: Opener) -> DepthEstimator[Any]:
    """Return a stereo estimator; of a network on one image, one that is scaled by the pair."""
    card = load_card(AUTO_STEREO if settings.model == 'auto' else settings.model)
    backend = opener(card, settings)
    if card.builtin is None:
        card = with_tensor_names(card, backend)
    if card.task == 'stereo':
        return StereoEstimator(card, backend, settings)
    matcher = SgbmBackend(settings)
    return GuidedEstimator(card, backend, matcher, load_card('sgbm'), settings)


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
    backend = open_network(card, artifact_path(card), settings)
    try:
        with_tensor_names(card, backend)
    except ModelError:
        backend.close()
        raise
    return backend
