"""The probability that a depth is right to within a share of itself, e.g. 10 %.

Convention:
    k = r Z / sigma, with r the share. Gaussian error: P = erf(k / sqrt 2). Student-t error with 4
    degrees of freedom, whose central 68.27 % have the half-width sigma: with t = 1.1416 k and
    g = t / sqrt(1 + t^2 / 4), P = (3/4) g (1 - g^2 / 12), exactly.

A model also makes gross errors that its score does not foresee: a repeated pattern matched to its
neighbour is as sharp as a right match. The share of them, found in calibration, limits what can be
promised for even the smallest sigma: P is multiplied by 1 - gross_share.
"""

from __future__ import annotations

from typing import Literal

from depth_perception.core.calibration_fit import HALF_WIDTH
from depth_perception.core.types import DepthMap, SigmaMap
from depth_perception.core.uncertainty import confidence_from_sigma
from depth_perception.errors import SettingsError
import numpy as np
from numpy.typing import NDArray

Tail = Literal['gauss', 'student4']


def probability_within(
    depth: DepthMap,
    sigma: SigmaMap,
    relative_error: float = 0.1,
    tail: Tail = 'student4',
    gross_share: float = 0.0,
) -> NDArray[np.float32]:
    """Return P(|Z - Z*| <= relative_error * Z).

    Args:
        depth: (H, W) float32 [m].
        sigma: (H, W) float32 [m], half-width of the central 68.27 % of the error.
        relative_error: The share r, above 0.
        tail: Distribution of the error.
        gross_share: Share of errors that have nothing to do with sigma, 0 to below 1, e.g.
            `CalibrationFigures.beyond_5_sigma`.

    Returns:
        (H, W) float32 in 0..1; 0 where `depth` is not finite or there is no sigma above 0.

    Raises:
        SettingsError: If `relative_error` or `gross_share` is out of range, or `tail` not known.
    """
    if not 0.0 < relative_error < np.inf:
        raise SettingsError(f'relative_error must be above 0, got {relative_error}')
    if not 0.0 <= gross_share < 1.0:
        raise SettingsError(f'gross_share must be 0 to below 1, got {gross_share}')
    if tail == 'gauss':
        values = confidence_from_sigma(depth, sigma, relative_error)
        values *= (sigma > 0.0) * np.float32(1.0 - gross_share)
        return values
    if tail != 'student4':
        raise SettingsError(f'tail must be gauss or student4, got {tail!r}')
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        ratio = np.divide(sigma, depth, dtype=np.float32)
        ratio *= np.float32(1.0 / (HALF_WIDTH * relative_error))  # 1 / t
        known = ratio > 0.0
        np.square(ratio, out=ratio)
        ratio += np.float32(0.25)
        inverse_square = np.reciprocal(ratio)  # g^2 = 1 / (1 / t^2 + 1 / 4)
    probability: NDArray[np.float32] = np.sqrt(inverse_square)
    probability *= np.float32(0.75) - inverse_square * np.float32(0.0625)
    probability *= known * np.float32(1.0 - gross_share)
    return np.fmax(probability, np.float32(0.0), out=probability)  # NaN becomes 0
