"""Estimators of disparity: a matcher, a stereo network, or both together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import math
from typing import final

from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.stereo import inverse_depth_from_disparity
from depth_perception.core.types import AnyArray, DisparityMap, SigmaMap
from depth_perception.errors import FrameError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import CLIPPED_PX, Decoded
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.inference.plain_score import disparity_score
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.relative import Relative
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.sgbm import opencv, SearchRange, SgbmBackend
from depth_perception.inference.stereo_fusion import fused, wanted_range
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np

BEYOND_SHARE = 0.95  # of the greatest disparity of a network: from there on it cannot be trusted
GLANCE_STEP = 4
LEAST_BEYOND = 0.001  # of the pixels of the glance
LEAST_SIDE_PX = 16


def matches_of(
    matcher: SgbmBackend,
    card: ModelCard,
    frame: StereoFrame,
    settings: StereoEstimatorSettings,
) -> tuple[DisparityMap, SigmaMap]:
    """Return what the builtin matcher finds in a pair: disparity and score [px].

    Args:
        matcher: The matcher.
        card: Its card.
        frame: The pair.
        settings: How to match, and the least depth that is looked for.
    """
    matcher.settings = settings
    matcher.set_rig(frame.rig, settings.min_depth_m)
    found = matcher.infer(_pair_for(card, frame))
    return found['disparity'], found['sigma']


def _pair_for(card: ModelCard, frame: StereoFrame) -> dict[str, AnyArray]:
    """Return the images of a frame as a builtin matcher wants them."""
    plan = plan_resize(card.resize, frame.camera.width, frame.camera.height)
    return tensors_from(card.inputs, Preparation(frame, plan, card.resize))


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


@final
class FusedEstimator(StereoEstimator):
    """A stereo network together with the builtin matcher (`stereo_fusion`).

    The network goes first: the matcher then searches only those disparities that could count,
    which takes a fraction of the time.

    Args:
        card: A card of a stereo network.
        backend: What runs it.
        matcher: Matches the pair, too.
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
        self._matcher = matcher
        self._matcher_card = matcher_card
        self._glance = SgbmBackend(settings)
        self._cv2 = opencv()

    def close(self) -> None:
        """Free the network and the matcher."""
        super().close()
        self._matcher.close()
        self._glance.close()

    def _improved(
        self,
        decoded: Decoded,
        frame: MonoFrame | StereoFrame,
        settings: StereoEstimatorSettings,
    ) -> Decoded:
        """Return the answer of the network put together with the matches."""
        if decoded.disparity is None or not isinstance(frame, StereoFrame):
            raise ModelError(f'{self.card.id}: a stereo model must give disparity')
        unit = np.float32(frame.rig.focal_baseline)
        network = decoded.disparity, decoded.sigma_rho * unit
        trusted = self._trusted_range(decoded.disparity, frame)
        matched = self._matches(frame, settings, network, trusted)
        outside = (matched[0] < trusted[0]) | (matched[0] > trusted[1])
        if outside.any():  # what the network cannot tell is for the matcher alone
            for values in network:
                values[outside] = np.nan
        disparity, score = fused(self._cv2, matched, network)
        score /= unit
        rho = inverse_depth_from_disparity(disparity, frame.rig)
        return replace(decoded, rho=rho, sigma_rho=score, disparity=disparity)

    def _trusted_range(self, disparity: DisparityMap, frame: StereoFrame) -> tuple[float, float]:
        """Return the ends of what the network can tell [px]; -inf where that is all far away."""
        range_of = super()._disparity(disparity, frame)
        least_px = range_of.min_px + CLIPPED_PX
        if -frame.rig.doffs_px >= range_of.min_px - CLIPPED_PX:
            least_px = -math.inf
        return least_px, BEYOND_SHARE * range_of.max_px

    def _matches(
        self,
        frame: StereoFrame,
        settings: StereoEstimatorSettings,
        network: tuple[DisparityMap, SigmaMap],
        trusted: tuple[float, float],
    ) -> tuple[DisparityMap, SigmaMap]:
        """Return disparity and score [px] of the matches that could count."""
        matcher, pair = self._matcher, _pair_for(self._matcher_card, frame)
        matcher.settings = settings
        matcher.set_rig(frame.rig, settings.min_depth_m)
        whole, within = matcher.whole_range, wanted_range(*network)
        if within is not None:
            low_px, high_px = within
            if whole.first < trusted[0]:
                low_px = float(whole.first)
            if whole.last > trusted[1] and self._sees_beyond(pair, settings, trusted[1], whole):
                high_px = float(whole.last)
            within = low_px, high_px
        matcher.within = within
        found = matcher.infer(pair)
        return found['disparity'], found['sigma']

    def _sees_beyond(
        self,
        pair: Mapping[str, AnyArray],
        settings: StereoEstimatorSettings,
        limit_px: float,
        whole: SearchRange,
    ) -> bool:
        """Return whether something is nearer than the network can tell.

        A glance at a sixteenth of the pixels finds it, at 640x480 in 5 ms.
        """
        if min(pair['left'].shape) < LEAST_SIDE_PX * GLANCE_STEP:
            return True
        share = 1.0 / GLANCE_STEP
        flags = self._cv2.INTER_AREA
        small = {
            name: self._cv2.resize(image, None, fx=share, fy=share, interpolation=flags)
            for name, image in pair.items()
        }
        self._glance.settings = replace(
            settings,
            sgbm__min_disparity=0,
            sgbm__num_disparities=math.ceil((whole.last * share + 1.0) / 16.0) * 16,
            sgbm__speckle_area_px=0,
        )
        found = self._glance.infer(small)['disparity']
        return bool(np.count_nonzero(found > limit_px * share) > LEAST_BEYOND * found.size)

    def _disparity(self, values: DisparityMap, frame: StereoFrame) -> Disparity:
        network = super()._disparity(values, frame)
        searched = self._matcher.whole_range
        low_px = min(network.min_px, float(searched.first))
        return replace(network, min_px=low_px, max_px=max(network.max_px, float(searched.last)))
