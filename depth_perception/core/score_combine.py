"""Join the scores of an estimate to one, and to its sigma."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.roots import hypot, numpy_root, Root
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import InverseDepthMap, SigmaMap
import numpy as np

LEAST_RHO = np.float32(1e-4)  # [1/m]; a share of less means nothing
_ROWS_PER_BLOCK = 120  # rows whose temporaries stay in the cache


def add_squares(total: SigmaMap, score: SigmaMap) -> None:
    """Add score^2 to `total`, both (H, W) float32."""
    for top in range(0, len(total), _ROWS_PER_BLOCK):
        rows = slice(top, top + _ROWS_PER_BLOCK)
        total[rows] += np.square(score[rows])


@dataclass(frozen=True)
class Before:
    """What is known of an estimate before any score.

    Attributes:
        rho: (H, W) float32 [1/m]; NaN unknown.
        sigma_rho: (H, W) float32 [1/m], by the network and its card.
        shared: (H, W) float32 [1/m], the part of it that comes from the scale; None: none.
        unit: What of `rho` a score of 1 stands for [1/m]; None: |rho| itself, at least 1e-4.
    """

    rho: InverseDepthMap
    sigma_rho: SigmaMap
    shared: SigmaMap | None = None
    unit: float | None = None


def joined(
    before: Before,
    squares: SigmaMap,
    own: SigmaMap | None = None,
    root: Root = numpy_root,
) -> tuple[SigmaMap, SigmaMap]:
    """Return u = sqrt(squares + own^2), and sigma_rho made from it without a calibration.

    Scores are added like errors that do not know of each other. Sigma is the score with the part
    of the scale, but never less than before: the floor of a card is the error to expect, and a
    score that explains it must not come on top of it.

    Args:
        before: The estimate.
        squares: (H, W) float32, sum of the squares of all scores but `own`; NaN makes a pixel
            unknown. Its memory is used for the result.
        own: (H, W) float32, the score that the network gives itself; None if it gives none.
        root: What takes the square roots.

    Returns:
        Both (H, W) float32, NaN where `rho` or a score is.

    Raises:
        ShapeError: If the shapes differ.
    """
    rho, sigma_rho = before.rho, before.sigma_rho
    sizes = check_shapes(rho=(rho, 'H W'), sigma_rho=(sigma_rho, 'H W'), squares=(squares, 'H W'))
    sigma: SigmaMap = np.empty(rho.shape, np.float32)
    for top in range(0, sizes['H'], _ROWS_PER_BLOCK):
        rows = slice(top, top + _ROWS_PER_BLOCK)
        square, total, values = squares[rows], sigma[rows], rho[rows]
        least = values.min()
        if own is not None:
            square += np.square(own[rows])
        root(square, square)
        if before.unit is not None:
            np.multiply(square, np.float32(before.unit), out=total)
        elif least >= LEAST_RHO:
            np.multiply(values, square, out=total)
        else:
            np.abs(values, out=total)
            np.clip(total, LEAST_RHO, np.inf, out=total)  # np.maximum takes four times as long
            total *= square
        if before.shared is not None:
            hypot(total, before.shared[rows], total, root)
        np.maximum(total, sigma_rho[rows], out=total)
        if np.isnan(least) or np.isnan(square.min()):  # seldom, and slow
            unknown = np.isnan(values) | np.isnan(square)
            square[unknown] = total[unknown] = np.nan
    return squares, sigma
