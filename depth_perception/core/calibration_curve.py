"""From the raw score of a model to one standard deviation in the domain of its errors.

A score u says where errors are large, not how large they are: a left-right difference, a
confidence, a photometric sigma. A calibrated curve turns it into sigma; `calibration_fit` makes
the curve from recordings with truth.

Speed:
    The upper 16 bits of a float32 hold sign, exponent and 7 bits of the mantissa. A curve is
    evaluated once for the middle of each of these 65536 cells, and then read at u >> 16: no power,
    no search. A cell is at most 0.8 % of u wide, so sigma is right to 0.4 % times the local slope
    of ln sigma over ln u, far below what sigma means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from depth_perception.core.types import SigmaMap
from depth_perception.errors import CalibrationError, ShapeError
import numpy as np
from numpy.typing import NDArray

_CELLS = 1 << 16
_SLOPE_LIMIT = 4.0  # of gamma: steeper than u^4 is a fit that ran away
_LARGEST = 1e30


@dataclass(frozen=True)
class PowerCurve:
    """sigma = sqrt((a u^gamma)^2 + b^2).

    Attributes:
        a: Sigma that a score of 1 adds [unit of the error], not negative.
        gamma: Exponent of the score, 0 to 4.
        b: Sigma of the best pixels [unit of the error], not negative.

    Raises:
        CalibrationError: If a number is outside its range, or a and b are both 0.
    """

    a: float = 1.0
    gamma: float = 1.0
    b: float = 0.0

    def __post_init__(self) -> None:
        for name, high in (('a', _LARGEST), ('gamma', _SLOPE_LIMIT), ('b', _LARGEST)):
            value = getattr(self, name)
            if not 0.0 <= value <= high:
                raise CalibrationError(f'{name} of a sigma curve is {value}, wanted 0 to {high:g}')
        if self.a == 0.0 and self.b == 0.0:
            raise CalibrationError('a and b of a sigma curve are both 0: sigma must be positive')

    def exact(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sigma of scores >= 0 in float64, without the table."""
        values: NDArray[np.float64] = np.hypot(self.a * np.power(score, self.gamma), self.b)
        return values

    def apply(self, score: NDArray[np.float32]) -> SigmaMap:
        """Return sigma, see `sigma_of`."""
        return sigma_of(self, score)

    def scaled(self, temperature: float) -> PowerCurve:
        """Return the curve of `temperature` times this sigma."""
        return replace(self, a=self.a * temperature, b=self.b * temperature)


@dataclass(frozen=True)
class TableCurve:
    """A rising sigma at rising scores, straight in between over (ln u, ln sigma).

    Beyond the ends sigma stays as it is there: nothing was seen that says more.

    Attributes:
        score: Scores, above 0, strictly rising, at least one.
        sigma: Sigma there [unit of the error], above 0, never falling.

    Raises:
        CalibrationError: If they are not.
    """

    score: tuple[float, ...]
    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.score) == len(self.sigma):
            raise CalibrationError(
                f'a sigma table wants as many scores as sigmas, at least one of each; '
                f'got {len(self.score)} and {len(self.sigma)}'
            )
        for name in ('score', 'sigma'):
            if not all(0.0 < value <= _LARGEST for value in getattr(self, name)):
                raise CalibrationError(f'{name} of a sigma table must be finite and above 0')
        if any(after <= before for before, after in pairwise(self.score)):
            raise CalibrationError('the scores of a sigma table must rise strictly')
        if any(after < before for before, after in pairwise(self.sigma)):
            raise CalibrationError('the sigmas of a sigma table must never fall')

    def exact(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sigma of scores >= 0 in float64, without the table of cells."""
        with np.errstate(divide='ignore'):
            position = np.log(score)
        return np.exp(np.interp(position, np.log(self.score), np.log(self.sigma)))

    def apply(self, score: NDArray[np.float32]) -> SigmaMap:
        """Return sigma, see `sigma_of`."""
        return sigma_of(self, score)

    def scaled(self, temperature: float) -> TableCurve:
        """Return the curve of `temperature` times this sigma."""
        return replace(self, sigma=tuple(value * temperature for value in self.sigma))


SigmaCurve: TypeAlias = PowerCurve | TableCurve
"""What calibration makes of a raw score: both are frozen, hashable, and have the same methods."""


def sigma_of(curve: SigmaCurve, score: NDArray[np.float32]) -> SigmaMap:
    """Return one standard deviation for every raw score.

    Args:
        curve: Calibrated curve of the model.
        score: (...) float32, 0 or above, higher is worse.

    Returns:
        The same shape, float32 [unit of the error], right to 0.4 % times the slope of the curve;
        NaN where the score is NaN, infinite or negative (-0 is 0).

    Raises:
        ShapeError: If `score` is not float32.
    """
    if score.dtype != np.float32:
        raise ShapeError(f'score must be float32, got {score.dtype}')
    cells = np.ascontiguousarray(score).view(np.uint32) >> np.uint32(16)
    sigma: SigmaMap = np.take(_cell_values(curve), cells)
    return sigma


@lru_cache(maxsize=8)
def _cell_values(curve: SigmaCurve) -> NDArray[np.float32]:
    """Return (65536,) float32 sigma of the middle of each cell, NaN for those without meaning."""
    bits = np.arange(_CELLS, dtype=np.uint32) << np.uint32(16)
    bits |= np.uint32(1 << 15)
    with np.errstate(invalid='ignore', over='ignore'):
        score = bits.view(np.float32).astype(np.float64)
        values = np.full(_CELLS, np.nan)
        known = score >= 0.0
        values[known] = curve.exact(score[known])
        sigma = values.astype(np.float32)
    zero = float(curve.exact(np.zeros(1))[0])
    sigma[0] = sigma[1 << 15] = zero if zero > 0.0 else np.nan  # no error at all is no answer
    sigma[~(sigma > 0.0) | np.isinf(sigma)] = np.nan
    sigma.setflags(write=False)
    return sigma
