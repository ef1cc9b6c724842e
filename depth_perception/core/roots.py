"""Square roots of whole images.

Core code uses NumPy alone. Whoever has something faster hands it in, if it rounds as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from depth_perception.core.types import SigmaMap
import numpy as np

Root: TypeAlias = Callable[[SigmaMap, SigmaMap], None]
"""Puts the root of the first into the second, which may be the same; NaN of what is below 0."""


def numpy_root(values: SigmaMap, out: SigmaMap) -> None:
    """Put sqrt(values) into `out`."""
    np.sqrt(values, out=out)


def hypot(one: SigmaMap, other: SigmaMap, out: SigmaMap, root: Root = numpy_root) -> None:
    """Put sqrt(one^2 + other^2) into `out`, which may be one of both.

    np.hypot takes five times as long, and cv2.magnitude rounds as the memory happens to be
    aligned, but a frame must come out the same every time.
    """
    square = np.square(other)
    np.square(one, out=out)
    out += square
    root(out, out)
