"""The downhill simplex of Nelder and Mead, for smooth functions of a few numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_Point = NDArray[np.float64]


def minimum(
    function: Callable[[_Point], float],
    start: _Point,
    step: float,
    tolerance: float = 1e-4,
    limit: int = 400,
) -> _Point:
    """Return a point near which `function` has a local minimum.

    Args:
        function: What is to become small.
        start: (N,) where to begin.
        step: Side of the first simplex along every axis.
        tolerance: Ends when the simplex is smaller than this along every axis.
        limit: Most steps.

    Source:
        J. A. Nelder, R. Mead, A simplex method for function minimization (1965), with the usual
        coefficients: reflection 1, expansion 2, contraction and shrinkage 1/2.
    """
    points = np.vstack([start, start + step * np.eye(start.size)])
    values = np.array([function(point) for point in points])
    for _ in range(limit):
        order = np.argsort(values, kind='stable')
        points, values = points[order], values[order]
        if np.abs(points[1:] - points[0]).max() < tolerance:
            break
        centre = points[:-1].mean(axis=0)
        point, value = _moved(function, centre, points[-1], values)
        if value < values[-1]:
            points[-1], values[-1] = point, value
        else:
            points[1:] = 0.5 * (points[1:] + points[0])
            values[1:] = [function(point) for point in points[1:]]
    best: _Point = points[np.argmin(values)]
    return best


def _moved(
    function: Callable[[_Point], float], centre: _Point, worst: _Point, values: _Point
) -> tuple[_Point, float]:
    """Return the worst point reflected, expanded or contracted, and its value."""
    away = centre - worst
    reflected = centre + away
    value = function(reflected)
    if value < values[0]:
        expanded = centre + 2.0 * away
        further = function(expanded)
        return (expanded, further) if further < value else (reflected, value)
    if value < values[-2]:
        return reflected, value
    contracted = centre + (0.5 if value < values[-1] else -0.5) * away
    return contracted, function(contracted)
