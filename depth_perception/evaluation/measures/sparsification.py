"""Does sigma rank the pixels by their error? Sparsification curves, AUSE and AURG.

Keep the (1 - x) share of the pixels with the smallest sigma, x = 0, 0.02 .. 0.98, and take the
error of what is kept; the oracle keeps the pixels with the smallest error instead. Both curves
end with a 0 at x = 1.

AUSE: area under the sparsification error, sparse minus oracle: 0 is a perfect order.
AURG: area under the random gain, the error of all pixels y_0 minus the area below the curve. The
    0 at x = 1 makes it +y_0 / 100, not 0, for a sigma that says nothing.

Source: Poggi, Aleotti, Tosi, Mattoccia, On the uncertainty of self-supervised monocular depth
estimation (CVPR 2020), and its evaluation. Equal sigmas, which that evaluation keeps or drops
together, are taken here in a fixed scattered order, so that a constant sigma is random too.

Speed:
    Sorting rules the time of every metric of sigma, so pixels are sorted once, by integers that
    hold the float32 bits of a value above the index of its pixel: their sort is several times
    faster than an argsort and is stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DepthMap, Mask, SigmaMap
import numpy as np
from numpy.typing import NDArray

INTERVALS = 50
METRICS = ('abs_rel', 'rmse_m', 'delta1')
DELTA1_RATIO = 1.25

_Values = NDArray[np.float64]
_SCATTER = np.uint32(2654435769)  # 2^32 / golden ratio, odd: i * this, modulo 2^32, is one-to-one
_GATHER = np.int64(pow(int(_SCATTER), -1, 2**32))
_LOW_BITS = np.uint64(2**32 - 1)


def kept_counts(pixels: int) -> NDArray[np.int64]:
    """Return how many of the pixels are kept at each x_k = k / 50, k = 0 .. 49.

    That is floor((1 - x)(N - 1)) + 1: those at or below the linearly interpolated percentile.
    Where that percentile is the value of a pixel, the rounding of `numpy.percentile` may drop
    that one pixel; here it is always kept.
    """
    steps = np.arange(INTERVALS, dtype=np.int64)
    return (INTERVALS - steps) * (pixels - 1) // INTERVALS + 1


def rising(values: NDArray[np.float32], ties: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the `ties` numbers of N values >= 0 by rising value, then by rising number.

    Args:
        values: (N,) float32, not negative, not NaN.
        ties: (N,) uint32, a different number for every value.
    """
    keys = values.view(np.uint32).astype(np.uint64)  # bits of floats >= 0 rise with the value
    keys <<= np.uint64(32)
    keys |= ties
    keys.sort()
    keys &= _LOW_BITS
    return keys.view(np.int64)


def _single(values: _Values) -> NDArray[np.float32]:
    """Return values as float32 with only one zero, which is +0."""
    with np.errstate(over='ignore'):
        return values.astype(np.float32) + np.float32(0.0)


@dataclass(frozen=True)
class Claims:
    """The pixels whose depth, sigma and truth are all known, by rising sigma.

    Attributes:
        depth: (N,) float64 [m], above 0.
        sigma: (N,) float64 [m], above 0, rising.
        truth: (N,) float64 [m], above 0.
        claimed: Number of pixels with all three; N, unless a part was asked for.
        predicted: Number of pixels with truth and depth, with or without a sigma.
    """

    depth: _Values
    sigma: _Values
    truth: _Values
    claimed: int
    predicted: int

    @property
    def pixels(self) -> int:
        """Return the number of pixels."""
        return self.depth.size

    @cached_property
    def error(self) -> _Values:
        """Return |Z - Z*| [m]."""
        return np.abs(self.depth - self.truth)

    @cached_property
    def square(self) -> _Values:
        """Return (Z - Z*)^2 [m^2]."""
        return np.square(self.error)

    @cached_property
    def error_order(self) -> NDArray[np.int64]:
        """Return the indices of the pixels by rising |Z - Z*|, rounded to float32."""
        return rising(_single(self.error), np.arange(self.pixels, dtype=np.uint32))

    @cached_property
    def rising_error(self) -> _Values:
        """Return |Z - Z*| [m] in the order `error_order`."""
        return self.error[self.error_order]


def claims_of(
    depth: DepthMap, sigma: SigmaMap, truth: DepthMap, mask: Mask, max_pixels: int | None = None
) -> Claims:
    """Return the pixels of a frame where sigma can be judged.

    Args:
        depth: (H, W) prediction [m]; not finite or not above 0: none.
        sigma: (H, W) one standard deviation of it [m], used as float32; not finite or not above
            0: no claim, the pixel is left out here.
        truth: (H, W) [m].
        mask: (H, W) bool, where the truth counts: finite and above 0.
        max_pixels: At most this many pixels, evenly strided over those there are; all by default.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_shapes(
        depth=(depth, 'H W'), sigma=(sigma, 'H W'), truth=(truth, 'H W'), mask=(mask, 'H W')
    )
    predicted = mask & (depth > 0.0) & (depth < np.inf)
    with np.errstate(over='ignore'):
        rounded = sigma.astype(np.float32, copy=False)  # before the test: it may round to 0
    claimed = np.flatnonzero(predicted & (rounded > 0.0) & (rounded < np.inf))
    used = claimed
    if max_pixels is not None and claimed.size > max_pixels:
        used = claimed[np.arange(max_pixels, dtype=np.int64) * claimed.size // max_pixels]
    single = rounded.ravel()[used]
    scattered = np.arange(used.size, dtype=np.uint32) * _SCATTER
    order = (rising(single, scattered) * _GATHER) & np.int64(2**32 - 1)
    chosen = used[order]
    return Claims(
        depth=depth.ravel()[chosen].astype(np.float64),
        sigma=single[order].astype(np.float64),
        truth=truth.ravel()[chosen].astype(np.float64),
        claimed=int(claimed.size),
        predicted=int(np.count_nonzero(predicted)),
    )


@dataclass(frozen=True)
class Curve:
    """Error of the kept pixels at x = 0, 0.02 .. 1; the last entry is 0.

    Attributes:
        sparse: (51,) float64, pixels kept by smallest sigma.
        oracle: (51,) float64, pixels kept by smallest error.
    """

    sparse: _Values
    oracle: _Values

    @property
    def ause(self) -> float:
        """Return the area between the curve and the oracle's."""
        return _area(self.sparse) - _area(self.oracle)

    @property
    def aurg(self) -> float:
        """Return the error of all pixels minus the area below the curve."""
        return float(self.sparse[0]) - _area(self.sparse)


def _area(curve: _Values) -> float:
    """Return the area below a curve of even steps over 0 .. 1, by trapezia."""
    return float((curve[:-1] + curve[1:]).sum()) / (2.0 * (curve.size - 1))


def _means(values: _Values | NDArray[np.bool_], counts: NDArray[np.int64]) -> _Values:
    """Return the means of the first `counts` values, with a 0 behind."""
    means = np.zeros(INTERVALS + 1)
    totals: _Values = np.cumsum(values, dtype=np.float64)
    means[:-1] = totals[counts - 1] / counts
    return means


def curves(claims: Claims) -> Mapping[str, Curve]:
    """Return the sparsification curves of 'abs_rel', 'rmse_m' [m] and 'delta1' (1 - delta1).

    Raises:
        ValueError: If there is no pixel.
    """
    if claims.pixels == 0:
        raise ValueError('sparsification needs at least one pixel')
    counts = kept_counts(claims.pixels)
    relative = claims.error / claims.truth
    relative_order = rising(_single(relative), np.arange(claims.pixels, dtype=np.uint32))
    ratio = np.maximum(claims.depth / claims.truth, claims.truth / claims.depth)
    outlier = ratio >= DELTA1_RATIO
    inliers = claims.pixels - np.count_nonzero(outlier)
    fewest = np.zeros(INTERVALS + 1)
    fewest[:-1] = np.maximum(counts - inliers, 0) / counts
    return {
        'abs_rel': Curve(_means(relative, counts), _means(relative[relative_order], counts)),
        'rmse_m': Curve(
            np.sqrt(_means(claims.square, counts)),
            np.sqrt(_means(np.square(claims.rising_error), counts)),
        ),
        'delta1': Curve(_means(outlier, counts), fewest),
    }


def sparsification(
    depth: DepthMap, sigma: SigmaMap, truth: DepthMap, mask: Mask
) -> Mapping[str, Curve]:
    """Return the sparsification curves of one frame; see `claims_of` for the arguments.

    Returns:
        Curves of 'abs_rel', 'rmse_m' [m] and 'delta1' (the share with a ratio of 1.25 or more);
        empty where no pixel can be judged.

    Raises:
        ShapeError: If the shapes differ.
    """
    claims = claims_of(depth, sigma, truth, mask)
    return curves(claims) if claims.pixels else {}
