"""One entry for node, evaluation, benchmark and command line: frame in, DepthEstimate out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.backend_choice import open_network
from depth_perception.inference.cards import (
    artifact_path,
    load_card,
    ModelCard,
    with_tensor_names,
)
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.inference.mono_estimators import GuidedEstimator, MonoEstimator
from depth_perception.inference.sgbm import SgbmBackend
from depth_perception.inference.stereo_estimators import FusedEstimator, StereoEstimator
from depth_perception.parameters import (
    EstimatorSettings,
    MonoEstimatorSettings,
    StereoEstimatorSettings,
)

FLOOR_MONO, RELATIVE_MONO = 'floor-stixels', 'room-depth'
AUTO_STEREO = 'depth-perception-stereo'
MATCHER = 'sgbm'
_WITHOUT_FLOOR = 'references', 'plugin', 'prior'  # scale.method
Opener: TypeAlias = Callable[[ModelCard, EstimatorSettings], Backend]


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
    card = load_card(auto_mono(settings) if settings.model == 'auto' else settings.model)
    if card.task != 'mono':
        raise ModelError(f'{card.id} is a {card.task} model; this is the mono estimator')
    backend = opener(card, settings)
    return MonoEstimator(with_tensor_names(card, backend), backend, settings)


def auto_mono(settings: MonoEstimatorSettings) -> str:
    """Return the card that `auto` means on one image.

    What stands on the floor has its distance by geometry, once it is known where the floor is.
    Where the metres are asked for from elsewhere, a network says what lies before what.
    """
    elsewhere = settings.scale__method in _WITHOUT_FLOOR
    prior = settings.scale__prior_s > 0.0 and not settings.floor_is_known
    return RELATIVE_MONO if elsewhere or prior else FLOOR_MONO


def _open_stereo(settings: StereoEstimatorSettings, opener: Opener) -> DepthEstimator[Any]:
    """Return a stereo estimator; `auto` is the matcher alone where nothing runs a network."""
    if settings.model != 'auto':
        return _stereo_of(load_card(settings.model), settings, opener)
    try:
        return _stereo_of(load_card(AUTO_STEREO), settings, opener)
    except BackendUnavailableError as error:
        if settings.backend != 'auto':
            raise
        estimator = _stereo_of(load_card(MATCHER), settings, opener)
        estimator.fallback = f'the matcher alone ({MATCHER}) instead of {AUTO_STEREO}: {error}'
        return estimator


def _stereo_of(
    card: ModelCard, settings: StereoEstimatorSettings, opener: Opener
) -> DepthEstimator[Any]:
    """Return a stereo estimator; of a network on one image, one that is scaled by the pair."""
    backend = opener(card, settings)
    if card.builtin is None:
        card = with_tensor_names(card, backend)
    if card.task == 'stereo' and not card.matcher:
        return StereoEstimator(card, backend, settings)
    matcher = SgbmBackend(settings)
    beside = card, backend, matcher, load_card(MATCHER), settings
    return FusedEstimator(*beside) if card.matcher else GuidedEstimator(*beside)


def open_backend(card: ModelCard, settings: EstimatorSettings) -> Backend:
    """Return the backend that runs a card.

    Raises:
        ModelError: If the card and the network file disagree on the names of tensors.
        BackendUnavailableError: If the backend asked for cannot run here.
    """
    if card.builtin is not None:
        if card.builtin != MATCHER or not isinstance(settings, StereoEstimatorSettings):
            raise ModelError(
                f'{card.id}: there is no builtin matcher {card.builtin!r}; use {MATCHER}'
            )
        return SgbmBackend(settings)
    backend = open_network(card, artifact_path(card), settings)
    try:
        with_tensor_names(card, backend)
    except ModelError:
        backend.close()
        raise
    return backend
