"""Square roots of whole images by OpenCV, in less than half of the time that NumPy takes."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import final

from depth_perception.core.roots import NUMPY_ROOTS, Roots
from depth_perception.core.types import SigmaMap
import numpy as np


@final
class OpencvRoots:
    """Roots by OpenCV.

    Args:
        cv2: OpenCV.
    """

    def __init__(self, cv2: ModuleType) -> None:
        self._cv2 = cv2

    def root(self, values: SigmaMap, out: SigmaMap) -> None:
        """Put sqrt(values) into `out`."""
        self._cv2.sqrt(values, dst=out)

    def hypot(self, one: SigmaMap, other: SigmaMap, out: SigmaMap) -> None:
        """Put sqrt(one^2 + other^2) into `out`.

        cv2.magnitude would round as the memory happens to be aligned, and a frame must come out
        the same every time.
        """
        square = np.square(other)
        np.square(one, out=out)
        out += square
        self._cv2.sqrt(out, dst=out)


@lru_cache(maxsize=1)
def fastest_roots() -> Roots:
    """Return the roots by OpenCV; by NumPy where it is not installed."""
    try:
        import cv2
    except ImportError:
        return NUMPY_ROOTS
    return OpencvRoots(cv2)
