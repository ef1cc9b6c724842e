"""From the output and its sigma to inverse depth with a sigma that has the scale's doubt in it.

Stated domain: normal errors, sigma_rho / rho <= 0.3, and the product of the errors of s and o has
at most 3 % of the variance. Within it sigma_rho and sigma_Z agree to 3 % with half the width of
the central 68.3 % of a Monte Carlo; outside, pixels are invalid. How well s alone is known does
not matter, since rho is linear in (s, t).
"""

from __future__ import annotations

from collections.abc import Iterator
import math
from typing import NamedTuple

from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.roots import hypot, numpy_root, Root
from depth_perception.core.types import AnyArray, DepthMap, InverseDepthMap, Mask, SigmaMap
from depth_perception.core.uncertainty import sigma_depth_from_inverse_depth
import numpy as np

FAR_LIMIT = 0.3  # sigma_rho / rho beyond which a pixel is not metric
_EXTRAPOLATED = 2.0
_MOST_PRODUCT = 0.03  # share of the variance that products of errors may have
_UNCONFIRMED = (Rung.PLUGIN, Rung.PRIOR)
_ROWS_PER_BLOCK = 120  # rows whose temporaries stay in the cache


class _Target(NamedTuple):
    """Memory to fill, the part of the scale where it is asked for, and what takes the roots."""

    rho: InverseDepthMap
    sigma: SigmaMap
    shared: SigmaMap | None = None
    root: Root = numpy_root


def relative_limit(scale: Scale, limit: float = FAR_LIMIT) -> float:
    """Return the greatest sigma_rho / rho of a valid pixel.

    A stored prior alone brings 0.3, which would leave no pixel: there, and for plug-ins, the limit
    counts for what a pixel adds to it.
    """
    return math.hypot(limit, scale.sigma_relative) if scale.rung in _UNCONFIRMED else limit


def metric_inverse_depth(
    output: AnyArray,
    sigma_output: AnyArray,
    scale: Scale,
    o_range: tuple[float, float] = (-math.inf, math.inf),
    limit: float = FAR_LIMIT,
) -> tuple[InverseDepthMap, SigmaMap]:
    """Return rho = s o + t, sigma_rho^2 = (s^2 + sigma_s^2) sigma_o^2 + [o 1] C [o 1]^T.

    Args:
        output: (H, W) output in the domain of inverse depth; NaN unknown.
        sigma_output: (H, W) its standard deviation, or an array that broadcasts to that.
        scale: Scale, shift and their covariance.
        o_range: Outputs that the references cover; sigma is doubled outside.
        limit: Greatest sigma_rho / rho of a valid pixel.

    Returns:
        (H, W) float32 inverse depth and sigma [1/m]; both NaN where the output is unknown, where
        rho is not positive, and where sigma_rho / rho is beyond the limit.
    """
    rho: InverseDepthMap = np.empty(output.shape, np.float32)
    sigma: SigmaMap = np.empty(output.shape, np.float32)
    sigma_output = np.broadcast_to(sigma_output, output.shape)
    bound = relative_limit(scale, limit)
    for rows in _blocks(output.shape[0]):
        _convert(output[rows], sigma_output[rows], scale, o_range, _Target(rho[rows], sigma[rows]))
        _invalidate(rho[rows], sigma[rows], bound)
    return rho, sigma


def scaled_output(  # noqa: PLR0913 - all but three have good defaults
    output: AnyArray,
    sigma_output: AnyArray,
    scale: Scale,
    o_range: tuple[float, float] = (-math.inf, math.inf),
    relative_sigma: AnyArray | float = 0.0,
    shared: SigmaMap | None = None,
    *,
    root: Root = numpy_root,
) -> tuple[InverseDepthMap, SigmaMap]:
    """Return s o + t and its sigma as `metric_inverse_depth` does, but no pixel is judged.

    For who must tell what is surely far from what is not known. Sigma is infinite outside of the
    domain of its formula.

    Args:
        output: (H, W) output of the network.
        sigma_output: (H, W) its standard deviation, or one number.
        scale: Scale, shift and their covariance.
        o_range: Outputs that the references cover; sigma is doubled outside.
        relative_sigma: (H, W) standard deviation as a fraction of s o + t, or one number: added.
        shared: (H, W) float32, filled with the part of sigma that comes from (s, t).
        root: What takes the square roots.
    """
    value: InverseDepthMap = np.empty(output.shape, np.float32)
    sigma: SigmaMap = np.empty(output.shape, np.float32)
    sigma_output = np.asarray(sigma_output, np.float32)
    own = np.broadcast_to(sigma_output, output.shape)
    is_sure = sigma_output.ndim == 0 and not sigma_output
    relative = np.broadcast_to(np.asarray(relative_sigma, np.float32), output.shape)
    for rows in _blocks(output.shape[0]):
        part = None if shared is None else shared[rows]
        out = _Target(value[rows], sigma[rows], part, root)
        doubt = None if is_sure else own[rows]
        _convert(output[rows], doubt, scale, o_range, out, relative[rows])
    return value, sigma


def metric_depth(
    output: AnyArray,
    sigma_output: AnyArray,
    scale: Scale,
    o_range: tuple[float, float] = (-math.inf, math.inf),
    limit: float = FAR_LIMIT,
) -> tuple[DepthMap, SigmaMap]:
    """Return depth and sigma_Z [m], (H, W) float32, NaN where invalid.

    `metric_inverse_depth`, then `depth_with_sigma`, block by block: the same values in less time.
    """
    depth: DepthMap = np.empty(output.shape, np.float32)
    sigma: SigmaMap = np.empty(output.shape, np.float32)
    sigma_output = np.broadcast_to(sigma_output, output.shape)
    bound = relative_limit(scale, limit)
    for rows in _blocks(output.shape[0]):
        _convert(
            output[rows], sigma_output[rows], scale, o_range, _Target(depth[rows], sigma[rows])
        )
        _invalidate(depth[rows], sigma[rows], bound)
        depth[rows], sigma[rows] = depth_with_sigma(depth[rows], sigma[rows])
    return depth, sigma


def _blocks(height: int) -> Iterator[slice]:
    return (slice(top, top + _ROWS_PER_BLOCK) for top in range(0, height, _ROWS_PER_BLOCK))


def _invalidate(rho: InverseDepthMap, sigma: SigmaMap, bound: float) -> None:
    with np.errstate(invalid='ignore'):
        invalid = ~((rho > 0.0) & (sigma <= np.float32(bound) * rho))
    if invalid.any():
        rho[invalid] = np.nan
        sigma[invalid] = np.nan


def _convert(
    output: AnyArray,
    sigma_output: AnyArray | None,
    scale: Scale,
    o_range: tuple[float, float],
    out: _Target,
    relative_sigma: AnyArray | None = None,
) -> None:
    """Fill `out` (inverse depth, sigma, the part of the scale) without any check of validity."""
    rho, sigma, shared, root = out
    (ss, st), (_, tt) = scale.covariance
    # C = L L^T: a sum of squares, where float32 does not cancel.
    s_sigma = math.sqrt(ss)
    cross = st / s_sigma if ss > 0.0 else 0.0
    np.multiply(output, np.float32(scale.s), out=rho, casting='same_kind')
    rho += np.float32(scale.t)
    np.multiply(output, np.float32(s_sigma), out=sigma, casting='same_kind')
    sigma += np.float32(cross)
    np.square(sigma, out=sigma)
    sigma += np.float32(max(tt - cross * cross, 0.0))
    if shared is not None:
        root(sigma, shared)
    if sigma_output is not None:
        own = np.square(sigma_output.astype(np.float32, copy=False))
        sigma += np.float32(scale.s * scale.s + ss) * own
        if ss > _MOST_PRODUCT * (scale.s * scale.s + ss):  # else no pixel can be outside
            sigma[np.float32(ss) * own > np.float32(_MOST_PRODUCT) * sigma] = np.inf
    part = None if relative_sigma is None else relative_sigma * rho
    if part is not None and sigma_output is None and shared is not None:
        hypot(shared, part, sigma, root)
    else:
        if part is not None:
            sigma += np.square(part, out=part)
        root(sigma, sigma)
    outside = _outside(output, np.float32(o_range[0]), np.float32(o_range[1]))
    if outside is not None:
        for values in (sigma,) if shared is None else (sigma, shared):
            np.multiply(values, np.float32(_EXTRAPOLATED), out=values, where=outside)


def _outside(output: AnyArray, low: np.float32, high: np.float32) -> Mask | None:
    """Return which outputs the references do not cover; None where that is none of them."""
    if math.isinf(low) and math.isinf(high):
        return None
    with np.errstate(invalid='ignore'):
        # Most rows of most images lie within, and NaN lies nowhere.
        below, above = not output.min() >= low, not output.max() <= high
        if below and above:
            return np.asarray((output < low) | (output > high))
        if below:
            return np.asarray(output < low)
        return np.asarray(output > high) if above else None


def depth_with_sigma(rho: InverseDepthMap, sigma_rho: SigmaMap) -> tuple[DepthMap, SigmaMap]:
    """Return Z = 1 / rho and sigma_Z, see `sigma_depth_from_inverse_depth`.

    Args:
        rho: (H, W) float32 [1/m], positive; NaN unknown.
        sigma_rho: (H, W) float32 [1/m], below `rho`.

    Returns:
        (H, W) float32 [m] each; NaN where unknown.
    """
    depth: DepthMap = np.reciprocal(rho)
    return depth, sigma_depth_from_inverse_depth(depth, sigma_rho)
