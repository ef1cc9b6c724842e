"""Accuracy of depth, disparity and sigma against ground truth.

Convention:
    A pixel counts where the truth is known, that is finite and above 0, and the prediction is
    finite; the share of the known pixels that are predicted is the coverage, to be read beside
    every other figure. No figure here aligns the prediction with the truth: it is judged as it
    was published.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, DisparityMap, SigmaMap
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')


@dataclass(frozen=True)
class DepthFigures:
    """How good a depth image is; all NaN except `coverage` where nothing overlaps.

    Attributes:
        pixels: Number of pixels with truth and prediction.
        coverage: Share of the pixels with truth that have a prediction, 0..1.
        abs_rel: Mean of |Z - Z*| / Z*.
        rmse_m: Root of the mean of (Z - Z*)^2 [m].
        delta1: Share with max(Z / Z*, Z* / Z) < 1.25, 0..1.
        median_rel: Median of |Z - Z*| / Z*.
    """

    pixels: int
    coverage: float
    abs_rel: float
    rmse_m: float
    delta1: float
    median_rel: float


@dataclass(frozen=True)
class DisparityFigures:
    """How good a disparity image is; all NaN except `coverage` where nothing overlaps.

    Attributes:
        pixels: Number of pixels with truth and prediction.
        coverage: Share of the pixels with truth that have a prediction, 0..1.
        epe_px: Mean of |d - d*| [px].
        bad_1, bad_2, bad_4: Share with |d - d*| above 1, 2, 4 px, 0..1.
    """

    pixels: int
    coverage: float
    epe_px: float
    bad_1: float
    bad_2: float
    bad_4: float


@dataclass(frozen=True)
class SigmaFigures:
    """How honest a standard deviation is; a Gaussian error gives 0.683, 0.954 and 1.

    Attributes:
        within_1: Share with |error| <= sigma, 0..1.
        within_2: Share with |error| <= 2 sigma, 0..1.
        spread: Robust standard deviation of error / sigma: 1.4826 * median |error / sigma|.
        median_relative_sigma: Median of sigma / Z.
    """

    within_1: float
    within_2: float
    spread: float
    median_relative_sigma: float


def _pairs(
    predicted: AnyArray, truth: AnyArray
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64], float]:
    """Return (mask of the pixels that count, prediction there, truth there, coverage)."""
    check_shapes(predicted=(predicted, 'H W'), truth=(truth, 'H W'))
    with np.errstate(invalid='ignore'):
        known = np.isfinite(truth) & (truth > 0.0)
    both = known & np.isfinite(predicted)
    total = int(known.sum())
    coverage = int(both.sum()) / total if total else NAN
    return both, predicted[both].astype(np.float64), truth[both].astype(np.float64), coverage


def depth_figures(depth: DepthMap, truth: DepthMap) -> DepthFigures:
    """Return the figures of (H, W) depth [m] against (H, W) truth [m], not finite: unknown."""
    _, predicted, wanted, coverage = _pairs(depth, truth)
    if predicted.size == 0:
        return DepthFigures(0, coverage, NAN, NAN, NAN, NAN)
    relative = np.abs(predicted - wanted) / wanted
    ratio = np.maximum(predicted / wanted, wanted / predicted)
    return DepthFigures(
        pixels=int(predicted.size),
        coverage=coverage,
        abs_rel=float(relative.mean()),
        rmse_m=float(np.sqrt(np.square(predicted - wanted).mean())),
        delta1=float((ratio < 1.25).mean()),
        median_rel=float(np.median(relative)),
    )


def bad_share(disparity: DisparityMap, truth: DisparityMap, tau_px: float) -> float:
    """Return the share of the predicted pixels with |d - d*| > tau; NaN if there are none."""
    _, predicted, wanted, _ = _pairs(disparity, truth)
    return float((np.abs(predicted - wanted) > tau_px).mean()) if predicted.size else NAN


def disparity_figures(disparity: DisparityMap, truth: DisparityMap) -> DisparityFigures:
    """Return the figures of (H, W) disparity [px] against truth [px], not finite: unknown."""
    _, predicted, wanted, coverage = _pairs(disparity, truth)
    if predicted.size == 0:
        return DisparityFigures(0, coverage, NAN, NAN, NAN, NAN)
    error = np.abs(predicted - wanted)
    return DisparityFigures(
        pixels=int(predicted.size),
        coverage=coverage,
        epe_px=float(error.mean()),
        bad_1=float((error > 1.0).mean()),
        bad_2=float((error > 2.0).mean()),
        bad_4=float((error > 4.0).mean()),
    )


def sigma_figures(depth: DepthMap, sigma: SigmaMap, truth: DepthMap) -> SigmaFigures:
    """Return how often the truth [m] lies within the published sigma [m] of the depth [m]."""
    both, predicted, wanted, _ = _pairs(depth, truth)
    if predicted.size == 0:
        return SigmaFigures(NAN, NAN, NAN, NAN)
    spread = sigma[both].astype(np.float64)
    error = np.abs(predicted - wanted)
    return SigmaFigures(
        within_1=float((error <= spread).mean()),
        within_2=float((error <= 2.0 * spread).mean()),
        spread=1.4826 * float(np.median(error / spread)),
        median_relative_sigma=float(np.median(spread / predicted)),
    )
