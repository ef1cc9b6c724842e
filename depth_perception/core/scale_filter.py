"""Carry scale and shift from frame to frame: a Kalman filter on (log s, t) with a gate.

Source: networks.md 3.8. 9.21 is the 99 % quantile of chi-square with two degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
import math

from depth_perception.core.scale_types import ScaleFit, Values
import numpy as np


class Event(str, Enum):
    """What a fit did to the filter."""

    STARTED = 'started'
    ACCEPTED = 'accepted'
    REJECTED = 'rejected'
    RESTARTED = 'restarted'  # the change has lasted: it is believed now


@dataclass(frozen=True)
class Update:
    """Report of one update.

    Attributes:
        event: What happened.
        mahalanobis: Squared distance of the fit from the prediction; 0 at a start.
        jump: Relative change of inverse depth at the typical output, signed; 0 at a start.
    """

    event: Event
    mahalanobis: float = 0.0
    jump: float = 0.0


@dataclass(frozen=True)
class FilterRules:
    """How fast scale and shift may change.

    Attributes:
        affine: Whether there is a shift; without one only the scale is filtered.
        scale_rate: Random walk of log s [1 / sqrt(s)]. Affine networks choose s and t anew in
            every frame, so it is large for them; near 0 for metric ones.
        shift_rate: Random walk of t, as a fraction of the typical rho [1 / sqrt(s)].
        kappa: Factor on the covariance of the fits, which is deflated by n_eff already.
        gate: Greatest squared Mahalanobis distance that is accepted.
        most_jump: Greatest relative change of inverse depth at the typical output that is
            accepted, however uncertain the prediction has become.
        patience: Consecutive consistent fits outside the gate that restart the filter.
    """

    affine: bool = True
    scale_rate: float = 0.2
    shift_rate: float = 0.2
    kappa: float = 1.0
    gate: float = 9.21
    most_jump: float = 0.15
    patience: int = 3


DEFAULT_FILTER_RULES = FilterRules()


class ScaleFilter:
    """Kalman filter on (log s, t); its state is rho = s o + t with a covariance.

    Args:
        rules: How fast scale and shift may change.
    """

    def __init__(self, rules: FilterRules = DEFAULT_FILTER_RULES) -> None:
        self._rules = rules
        self._size = 2 if rules.affine else 1
        self._state: Values | None = None
        self._covariance = np.zeros((2, 2))
        self._pending: list[tuple[Values, Values]] = []

    def reset(self) -> None:
        """Forget everything."""
        self._state = None
        self._pending = []

    def estimate(self) -> ScaleFit | None:
        """Return the state as scale and shift, None before the first fit."""
        if self._state is None:
            return None
        s = math.exp(self._state[0])
        jacobian = np.array([s, 1.0])
        covariance = self._covariance * np.multiply.outer(jacobian, jacobian)
        return ScaleFit(s, float(self._state[1]), covariance)

    def predict(self, elapsed_s: float, typical_o: float) -> None:
        """Let the covariance grow with time.

        Args:
            elapsed_s: Time since the last frame [s], not negative.
            typical_o: Typical output of this frame (its median).
        """
        if self._state is not None:
            self._covariance = self._covariance + self._walk(elapsed_s, typical_o)

    def update(self, fit: ScaleFit, elapsed_s: float, typical_o: float) -> Update:
        """Take a fresh fit in, or hold it back.

        A fit outside the gate is held back. The third in a row that agrees with the ones before
        it starts the filter anew.

        Args:
            fit: Fresh fit, s > 0.
            elapsed_s: Time since the last frame [s]; how far two fits in a row may differ.
            typical_o: Typical output of this frame (its median).
        """
        measured, noise = self._measurement(fit)
        if self._state is None:
            self._start(measured, noise)
            return Update(Event.STARTED)
        distance = self._distance(measured - self._state, self._covariance + noise)
        jump = _rho(measured, typical_o) / _rho(self._state, typical_o) - 1.0
        if distance <= self._rules.gate and abs(jump) <= self._rules.most_jump:
            self._blend(measured, noise)
            return Update(Event.ACCEPTED, distance, jump)
        if self._pending and not self._agree(measured, noise, elapsed_s, typical_o):
            self._pending = []
        self._pending.append((measured, noise))
        if len(self._pending) >= self._rules.patience:
            self._start(measured, noise)
            return Update(Event.RESTARTED, distance, jump)
        return Update(Event.REJECTED, distance, jump)

    def restart(self, fit: ScaleFit) -> None:
        """Start anew from a fit that is known to be right."""
        self._start(*self._measurement(fit))

    def suppose(self, fit: ScaleFit) -> None:
        """Take a scale that nothing measured for the state, so that fits are held against it.

        Fits that are held back count on.
        """
        self._state, self._covariance = self._measurement(fit)

    def _measurement(self, fit: ScaleFit) -> tuple[Values, Values]:
        jacobian = np.array([1.0 / fit.s, 1.0])
        noise = fit.covariance * np.multiply.outer(jacobian, jacobian) * self._rules.kappa
        return np.array([math.log(fit.s), fit.t]), noise

    def _walk(self, elapsed_s: float, typical_o: float) -> Values:
        shift = 0.0
        if self._rules.affine and self._state is not None:
            shift = self._rules.shift_rate * _rho(self._state, typical_o)
        return np.diag([self._rules.scale_rate**2, shift**2]) * elapsed_s

    def _distance(self, difference: Values, covariance: Values) -> float:
        size = self._size
        # A hair of variance keeps fits without any doubt from dividing by zero.
        within = covariance[:size, :size] + np.diag([1e-12, 1e-12])[:size, :size]
        part = difference[:size]
        return float(part @ np.linalg.solve(within, part))

    def _agree(self, measured: Values, noise: Values, elapsed_s: float, o: float) -> bool:
        earlier, earlier_noise = self._pending[-1]
        spread = noise + earlier_noise + self._walk(elapsed_s, o)
        distance = self._distance(measured - earlier, spread)
        change = abs(_rho(measured, o) / _rho(earlier, o) - 1.0)
        return change <= self._rules.most_jump and (
            distance <= self._rules.gate or change <= 0.5 * self._rules.most_jump
        )

    def _start(self, measured: Values, noise: Values) -> None:
        self._state, self._covariance, self._pending = measured, noise.copy(), []

    def _blend(self, measured: Values, noise: Values) -> None:
        size = self._size
        state = self._state if self._state is not None else measured
        prior = self._covariance[:size, :size]
        total = prior + noise[:size, :size] + np.diag([1e-12, 1e-12])[:size, :size]
        gain = np.linalg.solve(total, prior).T
        blended = state.copy()
        blended[:size] += gain @ (measured - state)[:size]
        keep = np.eye(size) - gain
        covariance = np.zeros((2, 2))
        # Joseph's form stays symmetric and positive.
        covariance[:size, :size] = keep @ prior @ keep.T + gain @ noise[:size, :size] @ gain.T
        self._state, self._covariance, self._pending = blended, covariance, []


def _rho(state: Values, o: float) -> float:
    """Return s o + t, kept off zero so that ratios stay finite."""
    rho = math.exp(state[0]) * o + state[1]
    return rho if rho > 1e-9 else 1e-9
