"""Estimators of disparity: a matcher, a stereo network, or both together."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.stereo import inverse_depth_from_disparity
from depth_perception.core.types import DisparityMap, SigmaMap
from depth_perception.errors import FrameError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import Decoded
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.inference.plain_score import disparity_score
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.relative import Relative
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.sgbm import opencv, SgbmBackend
from depth_perception.inference.stereo_fusion import fused, wanted_range
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np


def matches_of(
    matcher: SgbmBackend,
    card: ModelCard,
    frame: StereoFrame,
    settings: StereoEstimatorSettings,
    within: tuple[float, float] | None = None,
) -> tuple[DisparityMap, SigmaMap]:
    """Return what the builtin matcher finds in a pair: disparity and score [px].

    Args:
        matcher: The matcher.
        card: Its card.
        frame: The pair.
        settings: How to match, and the least depth that is looked for.
        within: Least and greatest disparity [px] that are of interest; None: all.
    """
    matcher.settings = settings
    matcher.set_rig(frame.rig, settings.min_depth_m)
    matcher.within = within
    plan = plan_resize(card.resize, frame.camera.width, frame.camera.height)
    found = matcher.infer(tensors_from(card.inputs, Preparation(frame, plan, card.resize)))
    return found['disparity'], found['sigma']


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
        self._cv2 = opencv()

    def close(self) -> None:
        """Free the network and the matcher."""
        super().close()
        self._matcher.close()

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
        within = wanted_range(*network)
        matched = matches_of(self._matcher, self._matcher_card, frame, settings, within)
        disparity, score = fused(self._cv2, matched, network)
        score /= unit
        rho = inverse_depth_from_disparity(disparity, frame.rig)
        return replace(decoded, rho=rho, sigma_rho=score, disparity=disparity)

    def _disparity(self, values: DisparityMap, frame: StereoFrame) -> Disparity:
        network = super()._disparity(values, frame)
        searched = self._matcher.whole_range
        low_px = min(network.min_px, float(searched.first))
        return replace(network, min_px=low_px, max_px=max(network.max_px, float(searched.last)))
