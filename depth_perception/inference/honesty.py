"""Keep sigma honest on line: compare with references, and correct the sigma of the next frame.

Nothing here waits or raises: a frame without references leaves everything as it is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from depth_perception.core.estimate import DepthEstimate, Domain, Rung
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.nees import HIGH, LOW, NeesMonitor, NeesState
from depth_perception.core.roots import hypot
from depth_perception.core.scale_types import References
from depth_perception.core.types import InverseDepthMap, Mask, SigmaMap
from depth_perception.errors import ModelError
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.roots import fastest_root
from depth_perception.inference.sigma import SigmaModel, with_camera_error
from depth_perception.parameters import EstimatorSettings
import numpy as np
from numpy.typing import NDArray

CHECK_EVERY = 5
LEAST_SPLIT = 100
"""With fewer references none is held out: a fifth of them would say nothing."""


def split_references(references: References) -> tuple[References, References]:
    """Return (those to fit a scale to, those to check sigma with).

    A scale that was fitted to a reference makes the error there look smaller than elsewhere, so
    every fifth one is held out. Below 100 references all are needed for the fit.
    """
    return _fitted(references), _held_out(references)


def references_to_fit(
    frame: MonoFrame | StereoFrame, settings: EstimatorSettings
) -> References | None:
    """Return the references of a frame that its scale may be fitted to."""
    found = frame.surroundings.references
    if found is None or not settings.uncertainty__online:
        return found
    return _fitted(found)


def references_to_check(frame: MonoFrame | StereoFrame, rung: Rung) -> References | None:
    """Return the references of a frame that its sigma may be checked with."""
    found = frame.surroundings.references
    if found is None or rung not in (Rung.REFERENCES, Rung.FILTERED):
        return found
    return _held_out(found)


def _fitted(references: References) -> References:
    count = len(references)
    return references if count < LEAST_SPLIT else references.only(_others(count))


def _held_out(references: References) -> References:
    start = CHECK_EVERY - 1 if len(references) >= LEAST_SPLIT else len(references)
    return references.only(slice(start, None, CHECK_EVERY))


@lru_cache(maxsize=16)
def _others(count: int) -> NDArray[np.intp]:
    """Return the indices below `count` that are not held out."""
    indices = np.arange(count)
    others: NDArray[np.intp] = indices[indices % CHECK_EVERY != CHECK_EVERY - 1]
    others.setflags(write=False)
    return others


class HonestyWatch:
    """Watches sigma at the references, and tells by what the next frame's is to be multiplied.

    Args:
        memory_frames: Frames over which the mean reaches back.
        least_references: Frames with fewer usable references say nothing.
    """

    def __init__(self, memory_frames: int = 30, least_references: int = 20) -> None:
        self._monitor = NeesMonitor(memory_frames, least_references)

    @property
    def state(self) -> NeesState:
        """What the references say so far."""
        return self._monitor.state

    @property
    def temperature(self) -> float:
        """What sigma of the score is to be multiplied with, 0.5 to 4; 1 at first."""
        return self._monitor.state.temperature

    @property
    def alarm(self) -> str:
        """Why sigma cannot be trusted although it is corrected; '' while it can."""
        state = self._monitor.state
        if not state.alarm:
            return ''
        wrong = state.nees**0.5
        says = (
            f'{wrong:.2g} times too small, beyond the limit of {HIGH:g}'
            if wrong > HIGH
            else f'{1.0 / max(wrong, 1e-9):.2g} times too large, beyond the limit of {1 / LOW:g}'
        )
        return (
            f'by the references sigma is {says} (mean of {state.frames} frames): the scene is not '
            'like those of the calibration, or the calibration of the camera or TF is wrong'
        )

    def reset(self) -> None:
        """Forget earlier frames."""
        self._monitor.reset()

    def observe(
        self,
        references: References,
        rho: InverseDepthMap,
        sigma_rho: SigmaMap,
        *,
        domain: Domain = 'inverse_depth_1_per_m',
        shared_sigma_rho: SigmaMap | None = None,
        valid: Mask | None = None,
    ) -> None:
        """Take the references of a frame into account; the temperature is for the next one.

        Args:
            references: Those to check with, which the scale was not fitted to.
            rho: (H, W) float32 inverse depth [1/m].
            sigma_rho: (H, W) float32 [1/m] of the score, before any temperature.
            domain: Domain of the score. Errors are taken in log depth where that is it.
            shared_sigma_rho: (H, W) float32 [1/m], what the scale and the camera add to it.
            valid: (H, W) bool, pixels that are published; None: all.
        """
        u, v, there = _pixels(references, rho.shape)
        if valid is not None:
            there[there] = valid[v[there], u[there]]
        u, v = u[there], v[there]
        if not u.size:
            return
        measured, measured_sigma = references.rho[there], references.sigma_rho[there]
        found = rho[v, u].astype(np.float64)
        sigma = sigma_rho[v, u].astype(np.float64)
        if shared_sigma_rho is not None:
            sigma = np.hypot(sigma, shared_sigma_rho[v, u])
        if domain == 'log_depth':
            with np.errstate(divide='ignore', invalid='ignore'):
                error = np.log(found / measured)
                self._monitor.update(error, sigma / found, measured_sigma / measured)
        else:
            self._monitor.update(found - measured, sigma, measured_sigma)


def _pixels(
    references: References, shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return (column, row, whether usable) of all references, at the nearest pixel."""
    height, width = shape
    with np.errstate(invalid='ignore'):
        usable = (references.u > -0.5) & (references.u < width - 0.5)
        usable &= (references.v > -0.5) & (references.v < height - 0.5)
        usable &= (references.rho > 0.0) & (references.sigma_rho >= 0.0)
        usable &= np.isfinite(references.rho) & np.isfinite(references.sigma_rho)
    u = np.rint(np.where(usable, references.u, 0.0)).astype(np.intp)
    v = np.rint(np.where(usable, references.v, 0.0)).astype(np.intp)
    return u, v, usable


class HonestSigma:
    """Makes sigma of the score of every frame, and keeps it honest.

    Args:
        card: The model.
        settings: Name the calibration file; replaced settings take effect without it.
        score: Name of the score that the estimates will have; '' if it is not known yet.

    Raises:
        ModelError: If the calibration file does not fit.
    """

    def __init__(self, card: ModelCard, settings: EstimatorSettings, score: str = '') -> None:
        self.model = SigmaModel.of(card, settings, score)
        self._watch = HonestyWatch()
        self._pixel: SigmaMap | None = None  # of the frame in work, before any temperature
        self._temperature = 1.0  # in force for it

    @property
    def warning(self) -> str:
        """What the user should know of the calibration; '' if nothing."""
        return self.model.warning

    @property
    def alarm(self) -> str:
        """Why sigma cannot be trusted now; '' while it can."""
        return self._watch.alarm

    @property
    def state(self) -> NeesState:
        """What the references say of sigma so far, with the temperature in force."""
        return self._watch.state

    @property
    def gross_share(self) -> float:
        """Share of gross errors that no sigma foresees; 0 if not known."""
        return self.model.gross_share

    def reset(self) -> None:
        """Forget earlier frames."""
        self._watch.reset()

    def applied(
        self, raw: RawEstimate, frame: MonoFrame | StereoFrame, settings: EstimatorSettings
    ) -> RawEstimate:
        """Return an estimate with the calibrated, corrected sigma.

        Args:
            raw: With the score, and the sigma that it has without a calibration.
            frame: The frame it was made from.
            settings: The settings in force.

        Raises:
            ModelError: If the model does not give the score that the calibration is for.
        """
        rig = frame.rig if isinstance(frame, StereoFrame) else None
        pixel, shared = raw.sigma_rho, None
        if self.model.calibration is not None:
            if raw.score is None:
                raise ModelError(f'{self.model.calibration.path}: the model gives no score')
            pixel = self.model.sigma_rho(raw.score, raw.rho, rig)
            shared = raw.shared_sigma_rho
            raw = replace(raw, tail='student4', gross_share=self.gross_share)
        self._pixel = pixel if settings.uncertainty__online else None
        sigma = pixel
        self._temperature = self._watch.temperature if settings.uncertainty__online else 1.0
        if self._temperature != 1.0:
            sigma = sigma * np.float32(self._temperature)
        if shared is not None:
            whole = np.empty_like(sigma)
            hypot(sigma, shared, whole, fastest_root())
            sigma = whole
        sigma = with_camera_error(sigma, raw.rho, settings, raw.scale.rung, rig)
        return raw if sigma is raw.sigma_rho else replace(raw, sigma_rho=sigma)

    def observe(
        self,
        raw: RawEstimate,
        estimate: DepthEstimate,
        frame: MonoFrame | StereoFrame,
        settings: EstimatorSettings,
    ) -> None:
        """Compare a finished frame with the references that its scale was not fitted to.

        References that the scale has just refused as a jump do not count.
        """
        references = references_to_check(frame, raw.scale.rung)
        if self._pixel is None or references is None or not len(references) or raw.report.jump:
            return
        calibrated = self.model.calibration is not None
        valid: Mask | None = estimate.valid
        if self._temperature > 1.0:
            limit = settings.max_relative_sigma
            references, valid = self._judged(references, raw.rho, estimate.valid, limit), None
        self._watch.observe(
            references,
            raw.rho,
            self._pixel,
            domain='log_depth' if raw.score is None else raw.score.domain,
            shared_sigma_rho=raw.shared_sigma_rho if calibrated else None,
            valid=valid,
        )

    def _judged(
        self, references: References, rho: InverseDepthMap, valid: Mask, limit: float
    ) -> References:
        """Return the references at pixels that are published, or would be but for the temperature.

        Were these left out, a temperature that hides all pixels would stay for ever.
        """
        assert self._pixel is not None  # observe saw to it
        u, v, there = _pixels(references, rho.shape)
        u, v = u[there], v[there]
        sigma, most = self._pixel[v, u], rho[v, u] * np.float32(limit)
        with np.errstate(invalid='ignore'):
            hidden = (sigma <= most) & (sigma * np.float32(self._temperature) > most)
        there[there] = hidden | valid[v, u]
        return references.only(there)
