"""Floor that rises: how high a ramp is where it is seen.

Each column of the image is walked from its bottom up, from floor to floor: a sample that lies
higher than the last floor below it by no more than the steepest ramp would have risen on the way
between is floor too. The front of a box rises without any way, so it is none; nor is a table top,
to which no ramp leads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EVERY = 4  # samples per step of the walk; ramps are large


def ramp_heights(
    height: NDArray[np.float32], distance: NDArray[np.float32], flat_m: float, slope: float
) -> NDArray[np.float32]:
    """Return the height of the floor above its plane, where the floor is a ramp.

    Args:
        height: (R, C) float32 [m] above the plane; not finite: unknown.
        distance: (R, C) float32 [m] over the plane, from the camera.
        flat_m: What is this high above the plane or less is flat floor [m].
        slope: Tangent of the steepest ramp.

    Returns:
        (R, C) float32 [m]; 0 where the floor is flat, or no floor.
    """
    heights = height[::-_EVERY, ::_EVERY]
    distances = distance[::-_EVERY, ::_EVERY]
    levels = np.zeros(heights.shape, np.float32)
    base_height = np.zeros(heights.shape[1], np.float32)
    base_distance = np.zeros(heights.shape[1], np.float32)
    with np.errstate(invalid='ignore'):
        for row, (here, there) in enumerate(zip(heights, distances, strict=True)):
            flat = np.abs(here) <= flat_m
            way = there - base_distance
            ramp = ~flat & (here - base_height <= slope * way) & (here > 0.0)
            floor = flat | ramp
            levels[row, ramp] = here[ramp]
            base_height = np.where(floor, here, base_height)
            base_distance = np.where(floor, there, base_distance)
    if not levels.any():
        return np.zeros_like(height)
    full = np.repeat(np.repeat(levels, _EVERY, axis=0), _EVERY, axis=1)[::-1]
    extra = full.shape[0] - height.shape[0]
    return np.ascontiguousarray(full[extra:, : height.shape[1]])
