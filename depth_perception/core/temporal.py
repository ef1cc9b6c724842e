"""A mean of depth over time, for cameras that stand still."""

from __future__ import annotations

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import InverseDepthMap, SigmaMap
import numpy as np


class TemporalFilter:
    """Running mean of inverse depth per pixel, for cameras that stand still.

    A pixel starts anew when it was unknown, or when it changed by more than `reset_sigmas`
    standard deviations, so that what moves is not smeared. An unknown pixel stays unknown: the
    past is never shown in place of the present.

    Args:
        reset_sigmas: Change, in standard deviations of the difference, that starts a pixel anew.
    """

    def __init__(self, reset_sigmas: float = 3.0) -> None:
        self._reset_sigmas = reset_sigmas
        self._past: tuple[InverseDepthMap, SigmaMap] | None = None

    def reset(self) -> None:
        """Forget the past."""
        self._past = None

    def fuse(
        self, rho: InverseDepthMap, sigma_rho: SigmaMap, weight: float
    ) -> tuple[InverseDepthMap, SigmaMap]:
        """Return the mean of now and the past, and its standard deviation.

        The sigmas are averaged like the values, because the errors of a matcher on an unchanged
        scene are nearly the same in every frame: a mean over time calms the noise but does not
        make the depth truer.

        Args:
            rho: (H, W) float32 [1/m]; NaN unknown.
            sigma_rho: (H, W) float32 [1/m]; NaN unknown.
            weight: Weight of the past, 0..1.

        Returns:
            New inverse depth and sigma. They are also the memory: do not write to them.
        """
        check_shapes(rho=(rho, 'H W'), sigma_rho=(sigma_rho, 'H W'))
        if self._past is None or self._past[0].shape != rho.shape:
            self._past = rho.copy(), sigma_rho.copy()
            return self._past
        past_rho, past_sigma = self._past
        with np.errstate(invalid='ignore'):
            change = np.subtract(past_rho, rho)
            limit = np.square(past_sigma)
            limit += np.square(sigma_rho)
            limit *= np.float32(self._reset_sigmas**2)
            steady = np.square(change) <= limit
        share = steady * np.float32(weight)
        mean = np.where(steady, rho + share * change, rho)
        sigma = np.where(steady, sigma_rho + share * (past_sigma - sigma_rho), sigma_rho)
        self._past = mean, sigma
        return self._past
