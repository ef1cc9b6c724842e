"""Estimators that run a network on one image, alone or beside a calibrated second camera."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from depth_perception.core.estimate import Disparity, Rung, Scale, ScaleReport
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.ground import ground_sigma
from depth_perception.core.scale_types import joined_references, References
from depth_perception.core.stereo import stereo_references
from depth_perception.core.types import SigmaMap
from depth_perception.errors import FrameError, NotMetricError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import Decoded
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.inference.honesty import references_to_fit
from depth_perception.inference.plain_score import with_relative_score
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.relative import Relative
from depth_perception.inference.scaling import ground_pose, MetricScaler
from depth_perception.inference.sgbm import SgbmBackend
from depth_perception.inference.stereo_estimators import matches_of
from depth_perception.parameters import (
    EstimatorSettings,
    MonoEstimatorSettings,
    StereoEstimatorSettings,
)
import numpy as np

_TOPICS, _MATCHES = 'the reference topics', 'checked matches of the pair'
_INTRINSIC_KINDS = ('depth_focal', 'inv_depth_fov', 'points_affine_z')


class _Scaling:
    """What both estimators do with the output of a network on one image."""

    def __init__(self, card: ModelCard, settings: EstimatorSettings) -> None:
        self._card = card
        self.scaler = MetricScaler(card)
        self.scaler.open(settings)
        self.uses_ground = any(spec.source == 'ground_inverse_depth' for spec in card.inputs)

    def problem(self, settings: EstimatorSettings) -> str | None:
        """Return why there will be no metres, whatever the frames bring; None if there may be."""
        if self.uses_ground and not settings.floor_is_known:
            return (
                f'{self._card.id} takes its scale from the floor, and the height of the camera is '
                'not known; set ground.camera_height_m [m] and ground.pitch_deg [deg], or '
                'ground.frame. Without a floor, but with measured points (reference/points, '
                'reference/depth), start it with model auto and scale.method references'
            )
        return self.scaler.missing(settings) or None

    def fits(self, settings: EstimatorSettings) -> bool:
        """Return whether references may give the scale."""
        return not self.uses_ground and Rung.REFERENCES in self.scaler.rungs(settings)

    def raw(
        self,
        decoded: Decoded | Relative,
        frame: MonoFrame | StereoFrame,
        settings: EstimatorSettings,
        references: References | None,
    ) -> RawEstimate:
        """Return the output made metric."""
        if isinstance(decoded, Relative):
            scaled = self.scaler.scaled(decoded, frame, settings, references)
        elif self.uses_ground:
            scale, sigma = _on_the_floor(decoded, frame, settings)
            return with_relative_score(
                RawEstimate(decoded.rho, sigma, scale, decoded.far), decoded
            )
        else:
            focal = self._card.output.kind in _INTRINSIC_KINDS
            own = Scale(Rung.INTRINSICS if focal else Rung.NETWORK)
            scaled = self.scaler.refined(
                decoded.rho, decoded.sigma_rho, own, frame, settings, references
            )
        return with_relative_score(
            RawEstimate(
                scaled.rho,
                scaled.sigma_rho,
                scaled.scale,
                decoded.far,
                report=scaled.report,
                shared_sigma_rho=scaled.shared_sigma_rho,
            ),
            decoded,
        )


def _told(raw: RawEstimate, *parts: tuple[str, References | None]) -> ScaleReport:
    """Return the report of the scale with what its references were."""
    names = [name for name, found in parts if found is not None and len(found)]
    return replace(raw.report, measured_by=' and '.join(names))


def _on_the_floor(
    decoded: Decoded, frame: MonoFrame | StereoFrame, settings: EstimatorSettings
) -> tuple[Scale, SigmaMap]:
    """Return the scale of a network that was told where the floor is, and sigma_rho with it."""
    pose = ground_pose(frame, settings)
    if pose is None:
        raise NotMetricError('the height of the camera above the floor is not known')
    shared = ground_sigma(
        decoded.rho, frame.camera, pose.height_m, pose.height_sigma_m, pose.tilt_sigma_rad
    )
    relative = pose.height_sigma_m / pose.height_m
    scale = Scale(Rung.GROUND_PLANE, s=pose.height_m, sigma_relative=relative)
    return scale, np.hypot(decoded.sigma_rho, shared)


@final
class MonoEstimator(DepthEstimator[MonoEstimatorSettings]):
    """A mono network on rectified images."""

    def __init__(self, card: ModelCard, backend: Backend, settings: MonoEstimatorSettings) -> None:
        super().__init__(card, backend, settings)
        self._scaling = _Scaling(card, settings)

    @property
    def metric_problem(self) -> str | None:
        """Why the settings in force give no metres, and what to do; None when they may."""
        return self._scaling.problem(self.settings)

    def reset(self) -> None:
        """Forget earlier frames."""
        super().reset()
        self._scaling.scaler.reset()

    def _prepare(
        self,
        frame: MonoFrame | StereoFrame,
        settings: MonoEstimatorSettings,  # noqa: ARG002
    ) -> None:
        if isinstance(frame, StereoFrame):
            raise FrameError('not_mono', f'{self.card.id} takes one image')

    def _raw(
        self,
        decoded: Decoded | Relative,
        frame: MonoFrame | StereoFrame,
        settings: MonoEstimatorSettings,
    ) -> RawEstimate:
        given = references_to_fit(frame, settings) if self._scaling.fits(settings) else None
        raw = self._scaling.raw(decoded, frame, settings, given)
        return raw if given is None else replace(raw, report=_told(raw, (_TOPICS, given)))


@final
class GuidedEstimator(DepthEstimator[StereoEstimatorSettings]):
    """A network on the left image, scaled by checked matches of the pair.

    The network gives a depth to every pixel, the pair says how many metres it is.

    Args:
        card: A card of a mono network.
        backend: What runs it.
        matcher: Matches the pair.
        matcher_card: Its card.
        settings: Settings of both.
    """

    def __init__(
        self,
        card: ModelCard,
        backend: Backend,
        matcher: SgbmBackend,
        matcher_card: ModelCard,
        settings: StereoEstimatorSettings,
    ) -> None:
        super().__init__(card, backend, settings)
        self._scaling = _Scaling(card, settings)
        self._matcher = matcher
        self._matcher_card = matcher_card

    @property
    def metric_problem(self) -> str | None:
        """Why the settings in force give no metres, and what to do; None when they may."""
        return self._scaling.problem(self.settings)

    def reset(self) -> None:
        """Forget earlier frames."""
        super().reset()
        self._scaling.scaler.reset()

    def close(self) -> None:
        """Free the network and the matcher."""
        super().close()
        self._matcher.close()

    def _prepare(self, frame: MonoFrame | StereoFrame, settings: StereoEstimatorSettings) -> None:  # noqa: ARG002
        if not isinstance(frame, StereoFrame):
            raise FrameError('not_a_pair', f'{self.card.id} is scaled by a left and right image')

    def _raw(
        self,
        decoded: Decoded | Relative,
        frame: MonoFrame | StereoFrame,
        settings: StereoEstimatorSettings,
    ) -> RawEstimate:
        assert isinstance(frame, StereoFrame)  # _prepare saw to it
        given = matched = None
        if self._scaling.fits(settings):
            given, matched = references_to_fit(frame, settings), self._matches(frame, settings)
        raw = self._scaling.raw(decoded, frame, settings, joined_references(given, matched))
        disparity = raw.rho * np.float32(frame.rig.focal_baseline) - np.float32(frame.rig.doffs_px)
        low, high = (
            frame.rig.focal_baseline / depth_m - frame.rig.doffs_px
            for depth_m in (settings.max_depth_m, settings.min_depth_m)
        )
        return RawEstimate(
            raw.rho,
            raw.sigma_rho,
            raw.scale,
            raw.far,
            Disparity(disparity, frame.rig, low, high),
            report=_told(raw, (_TOPICS, given), (_MATCHES, matched)),
            score=raw.score,
            shared_sigma_rho=raw.shared_sigma_rho,
        )

    def _matches(self, frame: StereoFrame, settings: StereoEstimatorSettings) -> References | None:
        if settings.scale__stereo_references == 0:
            return None
        matched = matches_of(self._matcher, self._matcher_card, frame, settings)
        return stereo_references(*matched, frame.rig, settings.scale__stereo_references)
