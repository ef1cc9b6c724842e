"""Percentiles of durations over the last frames, and their rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
import threading
import time

import numpy as np

WINDOW = 300  # frames that percentiles look back on: ten seconds of a 30 Hz camera


class StageTimes:
    """Durations of the stages of the last `WINDOW` frames; written and read by two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, deque[float]] = {}

    def add(self, durations_ms: Mapping[str, float]) -> None:
        """Take the durations of one frame, stage -> [ms]."""
        with self._lock:
            for stage, duration_ms in durations_ms.items():
                self._stages.setdefault(stage, deque(maxlen=WINDOW)).append(duration_ms)

    def percentiles_ms(self) -> dict[str, tuple[float, float, float]]:
        """Return stage -> (p50, p95, p99) [ms]."""
        with self._lock:
            copies = {stage: list(values) for stage, values in self._stages.items()}
        result = {}
        for stage, values in copies.items():
            p50, p95, p99 = np.percentile(values, (50, 95, 99))
            result[stage] = float(p50), float(p95), float(p99)
        return result

    def clear(self) -> None:
        """Forget all durations."""
        with self._lock:
            self._stages.clear()


class RateMeter:
    """Rate of events over the last few seconds, on the steady clock."""

    def __init__(self, span_s: float = 5.0) -> None:
        self._span_s = span_s
        self._times: deque[float] = deque(maxlen=1000)

    def tick(self) -> None:
        """Count one event now."""
        self._times.append(time.monotonic())

    def rate_hz(self) -> float:
        """Return the number of events per second; 0 when there was none lately."""
        now = time.monotonic()
        recent = [moment for moment in tuple(self._times) if now - moment <= self._span_s]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(now - recent[0], recent[-1] - recent[0], 1e-9)

    def idle_s(self) -> float:
        """Return the time since the last event [s]; infinite before the first."""
        return time.monotonic() - self._times[-1] if self._times else float('inf')
