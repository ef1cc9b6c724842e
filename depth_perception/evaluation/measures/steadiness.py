"""How much depth and its scale vary over time, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math

from depth_perception.core.types import AnyArray, DepthMap
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

LEAST_SEEN = 5


def scale_jitter(scales: Sequence[float]) -> float:
    """Return the standard deviation of ln s over the frames of a run.

    Args:
        scales: Median truth / median depth of each frame; not finite or <= 0: not known.

    Returns:
        NaN below two frames with truth.
    """
    logs = [math.log(scale) for scale in scales if math.isfinite(scale) and scale > 0.0]
    return float(np.std(logs)) if len(logs) > 1 else NAN


class Flicker:
    """How much the depth of a pixel varies over spans of time in which the camera stands still."""

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None  # count, mean, squares: (3, H, W)
        self._frames = 0
        self._moved = False
        self._ended = (0, 0.0)  # frames of the spans before, and their flicker times frames

    def add(self, depth: DepthMap) -> None:
        """Take the (H, W) depth [m] of a frame; not finite or <= 0 where unknown."""
        if self._moved:
            return
        if self._sums is None or self._sums.shape[1:] != depth.shape:
            self.end_span()
            self._sums = np.zeros((3, *depth.shape))
        self._frames += 1
        with np.errstate(invalid='ignore'):
            known = (depth > 0.0) & (depth < np.inf)
        log = np.log(depth, out=np.zeros(depth.shape), where=known, dtype=np.float64)
        count, mean, squares = self._sums
        count += known
        off = np.where(known, log - mean, 0.0)
        mean += off / np.maximum(count, 1.0)
        squares += off * (log - mean)

    def camera_moved(self) -> None:
        """Tell that this span is of no use."""
        self._moved = True
        self._sums = None

    def end_span(self) -> None:
        """Begin anew, and keep what the span so far had."""
        self._ended = self._total()
        self._sums, self._frames, self._moved = None, 0, False

    def value(self) -> float:
        """Return the mean of the spans, weighted by frames; NaN if none is of use."""
        frames, total = self._total()
        return total / frames if frames else NAN

    def _total(self) -> tuple[int, float]:
        frames, total = self._ended
        of_span = self._of_span()
        if math.isnan(of_span):
            return frames, total
        return frames + self._frames, total + self._frames * of_span

    def _of_span(self) -> float:
        if self._moved or self._sums is None:
            return NAN
        often = self._sums[0] >= LEAST_SEEN
        if not often.any():
            return NAN
        count, _, squares = self._sums
        return float(np.median(np.sqrt(squares[often] / count[often])))

    def state(self) -> dict[str, AnyArray]:
        """Return arrays, to be given to `of`."""
        numbers = np.array([self._frames, self._moved, *self._ended], np.float64)
        return (
            {'numbers': numbers}
            if self._sums is None
            else {'numbers': numbers, 'sums': self._sums.copy()}
        )

    @classmethod
    def of(cls, state: Mapping[str, AnyArray]) -> Flicker:
        """Return what had this state."""
        flicker = cls()
        frames, moved, ended_frames, ended_total = (float(x) for x in state['numbers'])
        flicker._frames, flicker._moved = int(frames), bool(moved)
        flicker._ended = int(ended_frames), ended_total
        sums = state.get('sums')
        flicker._sums = None if sums is None else np.array(sums, np.float64)
        return flicker
