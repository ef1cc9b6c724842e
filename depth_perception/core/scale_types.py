"""What a fit of metric scale takes and gives: references, a fit, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
import math
from typing import Any, TypeAlias

from depth_perception.core.types import AnyArray
from depth_perception.errors import ShapeError
import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
"""(N,) or (2, 2) float64."""
Square: TypeAlias = NDArray[np.floating[Any]]
"""(2, 2) covariance."""

_MOST_RHO = 1e6  # [1/m]; more is no measurement, and its square may be no number
_SPREAD_SAMPLES = 3000  # pixels that describe the spread of an image well enough


class Rejection(str, Enum):
    """Why a fit is not used."""

    NO_REFERENCES = 'no_references'
    NO_OUTPUT = 'no_output'  # the output has no finite value, or is flat
    TOO_FEW_INLIERS = 'too_few_inliers'
    LOW_INLIER_RATIO = 'low_inlier_ratio'
    NOT_POSITIVE = 'not_positive'  # s <= 0: nearer things would come out farther
    ILL_CONDITIONED = 'ill_conditioned'
    SMALL_SPREAD = 'small_spread'  # references at nearly one depth: s and t cannot be told apart
    ONE_SIDED = 'one_sided'  # references in less than two quadrants of the image
    GATED = 'gated'  # too far from what the earlier frames said


@dataclass(frozen=True)
class Rejected:
    """A refusal: the rule, and the facts in words."""

    reason: Rejection
    text: str


@dataclass(frozen=True)
class References:
    """Measured points in the image.

    Attributes:
        u: (N,) column [px].
        v: (N,) row [px].
        rho: (N,) inverse depth [1/m].
        sigma_rho: (N,) one standard deviation of `rho` [1/m], sigma_Z / Z^2.

    Raises:
        ShapeError: If the lengths differ.
    """

    u: Values
    v: Values
    rho: Values
    sigma_rho: Values

    def __post_init__(self) -> None:
        for name in ('u', 'v', 'rho', 'sigma_rho'):
            array = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, array)
            if array.ndim != 1 or array.shape != self.u.shape:
                raise ShapeError(f'{name} must be ({self.u.size},), got {array.shape}')

    def __len__(self) -> int:
        return int(self.u.size)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> References:
        """Return some of the references: an (N,) mask, indices, or a slice of them."""
        return References(self.u[chosen], self.v[chosen], self.rho[chosen], self.sigma_rho[chosen])


def joined_references(*parts: References | None) -> References | None:
    """Return the references of all parts in one; None if there are none."""
    there = [part for part in parts if part is not None and len(part)]
    if len(there) < 2:
        return there[0] if there else None
    return References(
        *(
            np.concatenate([getattr(part, name) for part in there])
            for name in ('u', 'v', 'rho', 'sigma_rho')
        )
    )


@dataclass(frozen=True)
class Samples:
    """References with the output at them, and how the output spreads over the whole image.

    Attributes:
        o: (N,) output at the references.
        rho: (N,) inverse depth [1/m].
        sigma_rho: (N,) [1/m].
        column: (N,) position across the image, 0..1.
        row: (N,) position down the image, 0..1.
        median_o: Median output over the image.
        iqr_o: Interquartile range of the output over the image.
    """

    o: Values
    rho: Values
    sigma_rho: Values
    column: Values
    row: Values
    median_o: float
    iqr_o: float


@dataclass(frozen=True)
class ScaleFit:
    """rho = s o + t with what is known about it.

    Attributes:
        s: Multiplier [1/m per unit of the output].
        t: Offset [1/m].
        covariance: (2, 2) float64 of (s, t), already widened for correlated residuals.
        references: Number of references offered.
        inliers: Number within three sigma.
        effective: Number of independent residuals that the inliers are worth.
        sigma_model: Misfit of the network that no (s, t) removes, robust sigma [1/m].
        o_range: 2nd and 98th percentile of the output at the inliers.
    """

    s: float
    t: float
    covariance: Square
    references: int = 0
    inliers: int = 0
    effective: float = 0.0
    sigma_model: float = 0.0
    o_range: tuple[float, float] = (-math.inf, math.inf)


Outcome: TypeAlias = 'ScaleFit | Rejected'


def output_spread(output: AnyArray) -> tuple[float, float] | None:
    """Return (median, interquartile range) of a (H, W) output; None where nothing is finite.

    An even grid of some 3000 pixels stands for the image.
    """
    step = max(1, math.isqrt(output.size // _SPREAD_SAMPLES))
    values = output[::step, ::step].ravel()
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, middle, high = (share * (values.size - 1) // 4 for share in (1, 2, 3))
    values.partition((low, middle, high))  # np.percentile takes three times as long
    return float(values[middle]), float(values[high] - values[low])


def sample_output(
    output: AnyArray, references: References, spread: tuple[float, float] | None = None
) -> Samples | Rejected:
    """Read the output at the references (nearest pixel), and its spread.

    References outside the image, and those without a finite output, a finite positive `rho` or a
    finite `sigma_rho` >= 0 (both up to 1e6), are left out.

    Args:
        output: (H, W) floating; NaN unknown.
        references: Measured points of the same image.
        spread: What `output_spread` says, where it is known already.

    Returns:
        The samples, or why there are none.
    """
    height, width = output.shape
    spread = output_spread(output) if spread is None else spread
    if spread is None:
        return Rejected(Rejection.NO_OUTPUT, 'the network gave no finite value')
    with np.errstate(invalid='ignore'):
        usable = (references.u > -0.5) & (references.u < width - 0.5)
        usable &= (references.v > -0.5) & (references.v < height - 0.5)
        usable &= (references.rho > 0.0) & (references.sigma_rho >= 0.0)
        usable &= (references.rho <= _MOST_RHO) & (references.sigma_rho <= _MOST_RHO)
    if not usable.all():
        references = references.only(usable)
    u, v = references.u, references.v
    column, row = np.rint(u).astype(np.intp), np.rint(v).astype(np.intp)
    o = output[row, column].astype(np.float64)
    finite = np.isfinite(o)
    if not finite.any():
        return Rejected(Rejection.NO_REFERENCES, f'none of {usable.size} references can be used')
    if not finite.all():
        o, references = o[finite], references.only(finite)
    return Samples(
        o,
        references.rho,
        references.sigma_rho,
        (references.u + 0.5) / width,
        (references.v + 0.5) / height,
        *spread,
    )


def common_sigma(s: float, t: float, covariance: AnyArray, o: float) -> float:
    """Return sqrt([o 1] C [o 1]^T) / (s o + t): the relative sigma that all pixels share.

    Infinite where s o + t is not positive.
    """
    rho = s * o + t
    if not rho > 0.0:
        return math.inf
    variance = covariance[0, 0] * o * o + 2.0 * covariance[0, 1] * o + covariance[1, 1]
    return math.sqrt(max(float(variance), 0.0)) / rho
