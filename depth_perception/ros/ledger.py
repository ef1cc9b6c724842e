"""Count what is dropped and why, and say so without flooding the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import re
import threading
import time
import traceback
from typing import Any

QUIET_S = 5.0  # a reason is logged at most once in this time
_NUMBER = re.compile(r'[-+]?\d[\d.e+-]*')


class Ledger:
    """Frames by their fate; written by the executor's thread and by the worker.

    Attributes:
        frames_in: Complete sets of inputs that arrived.
        frames_out: Frames that were published.

    Args:
        logger: The node's logger.
        alive: Returns whether ROS still runs; once it does not, anything may fail and nothing of
            that is worth a word.
    """

    def __init__(self, logger: Any, alive: Callable[[], bool] = lambda: True) -> None:
        self._logger = logger
        self._alive = alive
        self._lock = threading.Lock()
        self._drops: Counter[str] = Counter()
        self._said: dict[str, float] = {}
        self._last: tuple[float, str] = (float('-inf'), '')
        self.frames_in = 0
        self.frames_out = 0

    def drop(self, cause: str, message: str) -> None:
        """Count a frame that is not served, and warn with the reason.

        Reasons that differ by more than their numbers are logged apart: one cause may cover
        several troubles, and the second must not hide behind the first.
        """
        with self._lock:
            self._drops[cause] += 1
            self._last = (time.monotonic(), f'{cause}: {message}')
        shape = _NUMBER.sub('#', message)
        self.warn(f'{cause}: {shape}', f'frame dropped ({cause}): {message}')

    def count(self, cause: str) -> None:
        """Count a frame that is not served for a reason that needs no words."""
        with self._lock:
            self._drops[cause] += 1

    def warn(self, key: str, message: str) -> None:
        """Log a warning, unless `key` had one in the last few seconds."""
        if self._due(key):
            self._logger.warning(message)

    def error(self, key: str, message: str) -> None:
        """Log an error, unless `key` had one in the last few seconds."""
        if self._due(key):
            self._logger.error(message)

    def defect(self, what: str, error: Exception) -> None:
        """Count and log an exception that nobody foresaw, with its traceback."""
        if not self._alive():
            return
        trace = ''.join(traceback.format_exception(error))
        self.error('internal_error', f'{what} failed unexpectedly: {error!r}\n{trace}')
        self.count('internal_error')  # last: who sees it counted finds it logged

    def surviving(self, what: str, callback: Callable[..., None]) -> Callable[..., None]:
        """Return `callback` for the executor, which would end the process if it raised."""

        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:  # noqa: BLE001 - see above
                self.defect(what, error)

        return guarded

    def drops(self) -> dict[str, int]:
        """Return cause -> number of frames dropped for it."""
        with self._lock:
            return dict(sorted(self._drops.items()))

    def recent_drop(self) -> str:
        """Return the reason of the last drop, if it is a recent one; else ''."""
        with self._lock:
            moment, text = self._last
        return text if time.monotonic() - moment < QUIET_S else ''

    def _due(self, key: str) -> bool:
        now = time.monotonic()
        with self._lock:
            self._said = {k: said for k, said in self._said.items() if now - said < QUIET_S}
            if key in self._said:
                return False
            self._said[key] = now
            return True
