"""Watch the honesty of sigma on line, on the few pixels where something else measured the depth.

A calibrated sigma is honest where the world is like the recordings it was calibrated on. With
sparse references (laser, landmarks) that can be watched, and corrected within limits.

Convention:
    NEES = mean(r^2 / (sigma^2 + sigma_ref^2)), the normalised estimation error squared, 1 if all
    is right; sigma is the calibrated one BEFORE any temperature, r in the model's error domain.
    The temperature is sqrt(NEES), exact where sigma_ref is small against sigma; it multiplies
    sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.core.scale_robust import median
from depth_perception.core.types import AnyArray
from depth_perception.errors import SettingsError
import numpy as np

LOW, HIGH = 0.5, 4.0
_CUT = 3.0  # robust standard deviations beyond which an error counts as one of that size
_MOST_NEES = (2.0 * HIGH) ** 2  # of one frame: a bad one must not rule the mean for long
_CUT_SHARE = 0.9950  # mean of min(z, 3)^2 of a Gaussian z
_MEDIAN_QUOTIENT = 0.6745  # median of |z| of a Gaussian


@dataclass(frozen=True)
class NeesState:
    """What the references say of sigma so far.

    Attributes:
        temperature: What sigma is to be multiplied with, within 0.5 to 4.
        nees: Running mean of the NEES, not limited; 1 before the first frame.
        alarm: Whether sqrt(NEES) lies outside the limits, so that `temperature` no longer makes
            sigma right: the model is out of its domain, or the calibration or TF is wrong.
        frames: Number of frames that had enough references.
    """

    temperature: float = 1.0
    nees: float = 1.0
    alarm: bool = False
    frames: int = 0


def nees_of(error: AnyArray, sigma: AnyArray, reference_sigma: AnyArray | float = 0.0) -> float:
    """Return the NEES of one frame; NaN if no reference can be used.

    Errors beyond 3 robust standard deviations of the frame count as 3: one reference on the wrong
    side of an edge must not rule the mean, but a sigma that is wrong for all must show in full.

    Args:
        error: (N,) prediction - reference.
        sigma: (N,) calibrated standard deviation of the prediction, same unit.
        reference_sigma: (N,) or one number, of the reference, same unit.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        variance = np.square(np.asarray(sigma, np.float64)) + np.square(reference_sigma)
        quotient = np.abs(np.asarray(error, np.float64)) / np.sqrt(variance)
    quotient = quotient[np.isfinite(quotient)]
    if not quotient.size:
        return math.nan
    scale = median(quotient) / _MEDIAN_QUOTIENT
    cut = np.minimum(quotient, _CUT * scale) if scale > 0.0 else quotient
    return float(np.mean(np.square(cut))) / _CUT_SHARE


class NeesMonitor:
    """Keeps the temperature of sigma over frames: an exponentially weighted mean of the NEES.

    The first frames are averaged evenly together with one frame of NEES 1, until there are
    `memory_frames`; from then on each new frame has the weight 1 / memory_frames. A frame
    counts 64 at most.

    Args:
        memory_frames: Frames over which the mean reaches back, at least 1.
        least_references: Frames with fewer usable references say nothing.

    Raises:
        SettingsError: If an argument is below 1.
    """

    def __init__(self, memory_frames: int = 30, least_references: int = 20) -> None:
        for name, value in (
            ('memory_frames', memory_frames),
            ('least_references', least_references),
        ):
            if value < 1:
                raise SettingsError(f'{name} must be at least 1, got {value}')
        self._memory = memory_frames
        self._least = least_references
        self.state = NeesState()

    def reset(self) -> None:
        """Forget earlier frames, e.g. because the camera or the model changed."""
        self.state = NeesState()

    def update(
        self, error: AnyArray, sigma: AnyArray, reference_sigma: AnyArray | float = 0.0
    ) -> NeesState:
        """Take the references of one frame into account; see `nees_of` for the arguments.

        Returns:
            The new state; the old one if there are too few usable references.
        """
        usable = np.isfinite(error) & np.isfinite(sigma) & np.isfinite(reference_sigma)
        usable &= np.asarray(sigma) > 0.0
        if np.count_nonzero(usable) < self._least:
            return self.state
        reference = np.broadcast_to(reference_sigma, usable.shape)[usable]
        with np.errstate(over='ignore'):
            found = nees_of(np.asarray(error)[usable], np.asarray(sigma)[usable], reference)
        if math.isnan(found):
            return self.state
        found = min(found, _MOST_NEES)
        frames = self.state.frames + 1
        weight = 1.0 / min(frames + 1, self._memory)
        nees = self.state.nees + weight * (found - self.state.nees)
        temperature = math.sqrt(nees)
        self.state = NeesState(
            temperature=min(max(temperature, LOW), HIGH),
            nees=nees,
            alarm=not LOW <= temperature <= HIGH,
            frames=frames,
        )
        return self.state
