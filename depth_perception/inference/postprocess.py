"""From inverse depth with its sigma to the published estimate: filters, range, and Z = 1 / rho."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
import time
from types import MappingProxyType

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.confidence import Tail
from depth_perception.core.estimate import (
    DepthEstimate,
    Disparity,
    NO_REPORT,
    RawScore,
    Scale,
    ScaleReport,
)
from depth_perception.core.filters import flying_pixel_mask, range_masks, speckle_mask
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.scale_sigma import relative_limit
from depth_perception.core.temporal import TemporalFilter
from depth_perception.core.temporal_motion import MotionFilter, NO_POSE
from depth_perception.core.types import DepthMap, InverseDepthMap, Mask, SigmaMap
from depth_perception.core.uncertainty import sigma_depth_from_inverse_depth
from depth_perception.inference.frame_jobs import Published
from depth_perception.parameters import EstimatorSettings, StereoEstimatorSettings
import numpy as np

# Measured by benchmark/temporal_fusion.py: what lets sigma stay honest over a sequence.
MATCHER_CORRELATION = 0.5  # its noise is new in every frame
NETWORK_CORRELATION = 0.9  # sees the same thing again, and makes the same of it


Maps = tuple[InverseDepthMap, SigmaMap, Mask | None]
Publish = Callable[[Maps, float], Published | None]


@dataclass(frozen=True)
class RawEstimate:
    """What a matcher or a network says, made metric but not yet judged.

    Attributes:
        rho: (H, W) float32 [1/m]; NaN unknown, 0 or negative at or beyond infinity.
        sigma_rho: (H, W) float32 [1/m], one standard deviation; NaN where `rho` is NaN.
        scale: How it became metric.
        far: (H, W) bool, sky by a mask of the network; None where there is no such mask.
        disparity: What `rho` was made from, stereo only.
        timings_ms: Duration of the stages so far [ms].
        report: How the scale was come by.
        score: What `sigma_rho` was made from; None where there is no score.
        shared_sigma_rho: (H, W) float32 [1/m], the part of `sigma_rho` that does not come from the
            score (scale, floor); None if there is none.
        tail: Distribution of the error.
        gross_share: Share of errors that have nothing to do with sigma, 0 to below 1.
    """

    rho: InverseDepthMap
    sigma_rho: SigmaMap
    scale: Scale
    far: Mask | None = None
    disparity: Disparity | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    report: ScaleReport = NO_REPORT
    score: RawScore | None = None
    shared_sigma_rho: SigmaMap | None = None
    tail: Tail = 'gauss'
    gross_share: float = 0.0


class Postprocessor:
    """Judges raw estimates; remembers the past only for the temporal filter.

    Attributes:
        temporal_problem: Why the newest frame was not fused with the past though the settings ask
            for it, and what to do; '' where nothing is amiss.

    Args:
        correlation: Share of the variance that consecutive frames have in common, where the
            settings leave it to the model.
        disparity_limit_px: Greatest sigma of a disparity that is known, where the settings leave
            it to the model; 0: any.
    """

    def __init__(
        self, correlation: float = NETWORK_CORRELATION, disparity_limit_px: float = 0.0
    ) -> None:
        self._correlation = correlation
        self._disparity_limit_px = disparity_limit_px
        self.temporal_problem = ''
        self._still = TemporalFilter()
        self._motion = MotionFilter()

    def reset(self) -> None:
        """Forget the past, e.g. because the clock jumped or the camera changed."""
        self._still.reset()
        self._motion.reset()

    def finish(
        self,
        raw: RawEstimate,
        frame: MonoFrame | StereoFrame,
        settings: EstimatorSettings,
        publish: Publish | None = None,
    ) -> DepthEstimate:
        """Return the estimate that may be published.

        A pixel is known where its sigma is small against its inverse depth, or against the
        inverse of the greatest depth if that is larger, so that "beyond the range" needs the same
        certainty as a depth just inside it. Nothing is known without any error: a sigma of 0, as
        of a network that overflows or saturates, is taken for no answer.

        Args:
            raw: Metric inverse depth of the frame.
            frame: The frame it was made from.
            settings: Range, sigma gate and filters.
            publish: Judges, filters and packs inverse depth with its sigma and the sky elsewhere,
                given the greatest sigma_rho / rho too; where it returns None it is done here.

        Returns:
            Depth with NaN unknown, +Inf beyond range, -Inf too near.
        """
        start = time.perf_counter()
        rho, sigma_rho = self._over_time(raw, frame, settings)
        sigma_rho = self._certain(sigma_rho, raw.disparity, settings)
        most_sigma = relative_limit(raw.scale, settings.max_relative_sigma)
        published = None
        if publish is not None and settings.filters__speckle_area_px == 0:
            published = publish((rho, sigma_rho, raw.far), most_sigma)
        if published is not None:
            depth, sigma = published.depth, published.sigma
        else:
            depth = _judged_depth(rho, sigma_rho, raw.far, settings, most_sigma)
            sigma = sigma_depth_from_inverse_depth(depth, sigma_rho)
            if settings.filters__flying_pixels:
                depth[_flying(depth, sigma, frame.camera, settings)] = np.nan
            if settings.filters__speckle_area_px > 0:
                _remove_speckles(depth, rho, settings)
        valid = np.isfinite(depth)
        if published is None:
            sigma[~valid] = np.nan
        disparity = raw.disparity
        if disparity is not None:
            values = disparity.values.copy()
            values[~valid] = np.nan
            disparity = replace(disparity, values=values)
        timings = {**raw.timings_ms, 'filter': (time.perf_counter() - start) * 1e3}
        return DepthEstimate(
            depth=depth,
            sigma=sigma,
            valid=valid,
            camera=frame.camera,
            scale=raw.scale,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            disparity=disparity,
            timings_ms=MappingProxyType(timings),
            report=raw.report,
            score=raw.score,
            tail=raw.tail,
            gross_share=raw.gross_share,
            cloud=None if published is None else published.cloud,
        )

    def _certain(
        self, sigma_rho: SigmaMap, disparity: Disparity | None, settings: EstimatorSettings
    ) -> SigmaMap:
        """Return sigma_rho, NaN where the disparity is less certain than allowed."""
        limit_px = self._disparity_limit_px
        if isinstance(settings, StereoEstimatorSettings) and settings.filters__max_sigma_px > 0.0:
            limit_px = settings.filters__max_sigma_px
        if disparity is None or limit_px == 0.0:
            return sigma_rho
        limit = np.float32(limit_px / disparity.rig.focal_baseline)
        return np.where(sigma_rho <= limit, sigma_rho, np.float32(np.nan))

    def _over_time(
        self, raw: RawEstimate, frame: MonoFrame | StereoFrame, settings: EstimatorSettings
    ) -> tuple[InverseDepthMap, SigmaMap]:
        """Return inverse depth and sigma, fused with the past as the settings ask for."""
        rho, sigma_rho = raw.rho, raw.sigma_rho
        self.temporal_problem = ''
        if settings.filters__temporal == 'still' and settings.filters__temporal_weight > 0.0:
            return self._still.fuse(rho, sigma_rho, settings.filters__temporal_weight)
        if settings.filters__temporal == 'motion':
            pose = frame.surroundings.fixed_from_camera
            if pose is not None:
                share = settings.filters__temporal_correlation or self._correlation
                stamp_ns = frame.stamp_ns
                return self._motion.fuse(rho, sigma_rho, frame.camera, pose, stamp_ns, share)
            self.temporal_problem = NO_POSE
        return rho, sigma_rho


def _judged_depth(
    rho: InverseDepthMap,
    sigma_rho: SigmaMap,
    far: Mask | None,
    settings: EstimatorSettings,
    most_relative_sigma: float,
) -> DepthMap:
    """Return Z = 1 / rho with the codes for unknown, beyond range and too near."""
    rho_min = np.float32(1.0 / settings.max_depth_m)
    with np.errstate(divide='ignore', over='ignore', invalid='ignore'):
        depth: DepthMap = np.reciprocal(rho, dtype=np.float32)
        limit = np.maximum(rho, rho_min)
        limit *= np.float32(most_relative_sigma)
        known = sigma_rho <= limit
        known &= sigma_rho > 0.0
    too_near, too_far = range_masks(rho, settings.min_depth_m, settings.max_depth_m)
    depth[too_far] = np.inf
    depth[too_near] = -np.inf
    depth[~known] = np.nan
    if far is not None:
        depth[far] = np.inf
    return depth


def _flying(
    depth: DepthMap, sigma: SigmaMap, camera: PinholeCamera, settings: EstimatorSettings
) -> Mask:
    return flying_pixel_mask(
        depth,
        camera,
        settings.filters__flying_jump,
        settings.filters__flying_angle_deg,
        sigma if settings.filters__flying_sigmas > 0.0 else None,
        settings.filters__flying_sigmas,
    )


def _remove_speckles(depth: DepthMap, rho: InverseDepthMap, settings: EstimatorSettings) -> None:
    """Set the depth of small patches to NaN; sky and range codes stay."""
    finite = np.isfinite(depth)
    kept = np.where(finite, rho, np.float32(np.nan))
    specks = speckle_mask(kept, settings.filters__speckle_jump, settings.filters__speckle_area_px)
    depth[specks & finite] = np.nan
