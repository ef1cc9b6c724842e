"""One-line figures of an estimate, for diagnostics and reports."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.estimate import DepthEstimate
import numpy as np


@dataclass(frozen=True)
class EstimateSummary:
    """What an estimate is worth as a whole.

    Attributes:
        valid_percent: Share of pixels with a depth [%].
        known_percent: Share of pixels that are not unknown: those, and too near or far [%].
        median_relative_sigma: Median of sigma / depth over these; NaN if there are none.
    """

    valid_percent: float
    known_percent: float
    median_relative_sigma: float


def summarise(estimate: DepthEstimate, stride: int = 4) -> EstimateSummary:
    """Return the summary of every `stride`-th row and column of `estimate`."""
    depth = estimate.depth[::stride, ::stride]
    sigma = estimate.sigma[::stride, ::stride]
    valid = estimate.valid[::stride, ::stride]
    relative = sigma[valid] / depth[valid]
    median = float(np.median(relative)) if relative.size else float('nan')
    known = 100.0 * (1.0 - float(np.isnan(depth).mean()))
    return EstimateSummary(100.0 * float(valid.mean()), known, median)
