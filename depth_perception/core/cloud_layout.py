"""Other layouts of a packed cloud, for readers that want the axes or the rows of another driver.

Convention:
    A packed cloud is (N, 5) or (H, W, 5) float32 as `core.cloud` writes it: x, y, z in the first
    three places. Optical axes are x right, y down, z forward; body axes (REP 103) are x forward,
    y left, z up: x' = z, y' = -x, z' = -y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CloudLayout:
    """What a cloud looks like.

    Attributes:
        body_axes: Whether x is forward, instead of z.
        organised: Whether there is a point for every pixel, NaN where nothing is known.
    """

    body_axes: bool = False
    organised: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether it is what `core.cloud` packs."""
        return self.organised and not self.body_axes


PLAIN_LAYOUT = CloudLayout()


def turn_to_body_axes(points: NDArray[np.float32]) -> None:
    """Turn a packed cloud from optical to body axes, in place.

    Args:
        points: (..., 5) float32.
    """
    forward = points[..., 2].copy()
    np.negative(points[..., 1], out=points[..., 2])
    np.negative(points[..., 0], out=points[..., 1])
    points[..., 0] = forward


def known_points(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, 5) float32, the points of a packed cloud that are finite, in rows.

    Args:
        points: (..., 5) float32; a point that is not known has x, y and z NaN.
    """
    rows = points.reshape(-1, points.shape[-1])
    return rows[np.isfinite(rows[:, 2])]


def laid_out(data: Any, columns: int, layout: CloudLayout) -> NDArray[np.float32]:
    """Return a packed cloud in another layout, (H, W, 5) or (N, 5) float32.

    Args:
        data: Writable buffer of the packed cloud; its axes are turned in place.
        columns: Number of points in a row.
        layout: What it should be.
    """
    points = np.frombuffer(data, '<f4').reshape(-1, columns, 5)
    if layout.body_axes:
        turn_to_body_axes(points)
    return points if layout.organised else known_points(points)
