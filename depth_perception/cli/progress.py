"""A progress line on stderr for several units of work at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import shutil
import sys
import time
from typing import TextIO

from depth_perception.evaluation.schedule_parts import Event

_DRAW_S = 0.1  # least time between two states of the line
_TELL_S = 10.0  # the same where lines cannot be replaced
_NARROWEST = 40
_BAR_CELLS = 20


class Progress:
    """Shows how far units are, the rate of frames, and the time to go.

    On a terminal one line is drawn again and again, at most ten times per second; elsewhere a line
    is added about every ten seconds. A context manager: on leaving, the line is taken away.

    Args:
        names: One name for every unit, to be shown while it runs.
        frames: Expected frames of every unit; 0 where nobody knows. Told totals replace them.
        out: Where to write; None is stderr.
        clock: Returns the time [s].
    """

    def __init__(
        self,
        names: Sequence[str],
        frames: Sequence[int] = (),
        *,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = list(names)
        self._total = [max(0, count) for count in frames] or [0] * len(self._names)
        if len(self._total) != len(self._names):
            raise ValueError(f'{len(self._names)} names, but {len(self._total)} frame counts')
        self._done = [0] * len(self._names)
        self._before = [0] * len(self._names)  # frames that took none of the time measured here
        self._running: list[int] = []
        self._ended: set[int] = set()
        self._failed = 0
        self._out = out if out is not None else sys.stderr
        self._clock = clock
        self._start_s = clock()
        self._is_live = self._out.isatty()
        self._drawn_s = -math.inf if self._is_live else self._start_s
        self._on_line = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def hear(self, event: Event) -> None:
        """Show what a scheduler tells; see `run_ordered`."""
        if event.kind == 'started':
            self.started(event.index)
        elif event.kind == 'progress':
            self.advanced(event.index, event.done, event.total)
        elif event.kind == 'retried':
            self.tell(f'{self._names[event.index]}: {event.text}; it is begun anew')
        elif event.kind == 'stopping':
            self.tell('stopping at the next frames; ctrl-C again to stop at once')
        elif event.result is not None:
            failed = bool(event.result.error) and not event.result.stopped
            if failed:
                self.tell(f'{self._names[event.index]}: {event.result.error}')
            self.ended(event.index, failed=failed)

    def started(self, index: int) -> None:
        """Tell that a unit begins, or begins anew."""
        self._done[index] = 0
        self._before[index] = 0
        if index not in self._running:
            self._running.append(index)
        self.show()

    def advanced(self, index: int, done: int, total: int) -> None:
        """Tell how many frames of a unit are done, of how many (0: not known)."""
        if total > 0:
            self._total[index] = total
        self._done[index] = done
        self.show()

    def resumed(self, index: int, done: int) -> None:
        """Tell how many frames of a unit were done by an earlier run: no measure of the rate."""
        self._before[index] = done
        self._done[index] = max(self._done[index], done)

    def ended(self, index: int, *, failed: bool = False) -> None:
        """Tell that a unit has ended."""
        if index in self._running:
            self._running.remove(index)
        if index not in self._ended:
            self._ended.add(index)
            self._failed += failed
        self._total[index] = self._done[index] or self._total[index]
        self._before[index] += self._total[index] - self._done[index]
        self._done[index] = self._total[index]
        self.show()

    def tell(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        self._out.write(f'{text}\n')
        self._drawn_s = -math.inf if self._is_live else self._drawn_s
        self.show()
        self._out.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._on_line:
            self._out.write('\r\033[K')
            self._out.flush()
            self._on_line = False

    def show(self) -> None:
        """Draw the state, if the last one is old enough."""
        now_s = self._clock()
        if now_s - self._drawn_s < (_DRAW_S if self._is_live else _TELL_S):
            return
        self._drawn_s = now_s
        if self._is_live:
            width = max(shutil.get_terminal_size((100, 24)).columns - 1, _NARROWEST)
            self._out.write(f'\r\033[K{self.line(width, bar=True)}')
            self._on_line = True
        else:
            self._out.write(f'{self.line(200)}\n')
        self._out.flush()

    def line(self, width: int, *, bar: bool = False) -> str:
        """Return the state in at most `width` characters."""
        done, total = sum(self._done), sum(self._total)
        parts = []
        if bar and total:
            cells = min(_BAR_CELLS, _BAR_CELLS * done // total)
            parts.append(f'[{"#" * cells}{"." * (_BAR_CELLS - cells)}]')
        counted = f'{len(self._ended)}/{len(self._names)} runs'
        parts.append(counted + (f' ({self._failed} failed)' if self._failed else ''))
        if total:
            parts.append(f'{done}/{total} frames')
        rate_hz = self.rate_hz()
        if rate_hz > 0.0:
            parts.append(f'{rate_hz:.3g}/s')
        left_s = self.left_s()
        if math.isfinite(left_s):
            parts.append(f'{duration(left_s)} to go')
        head = ', '.join(parts).replace('], ', '] ')
        running = ' | '.join(self._of_unit(index) for index in self._running)
        text = f'{head}: {running}' if running else head
        return text if len(text) <= width else f'{text[: width - 3]}...'

    def rate_hz(self) -> float:
        """Return the frames per second of all units together; 0 at the start."""
        passed_s = self._clock() - self._start_s
        frames = sum(self._done) - sum(self._before)
        return frames / passed_s if passed_s > 0.0 and frames > 0 else 0.0

    def left_s(self) -> float:
        """Return the time to go [s]; NaN where nobody knows."""
        rate_hz = self.rate_hz()
        unknown = any(
            total == 0 for index, total in enumerate(self._total) if index not in self._ended
        )
        if rate_hz <= 0.0 or unknown:
            return math.nan
        return max(0, sum(self._total) - sum(self._done)) / rate_hz

    def _of_unit(self, index: int) -> str:
        total = self._total[index]
        share = f' {100 * min(self._done[index], total) // total}%' if total else ''
        return f'{self._names[index]}{share}'


def duration(seconds: float) -> str:
    """Return a time to go in two units at most: '8 s', '3 min 05 s', '2 h 07 min'."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60:02d} s'
    return f'{whole // 3600} h {whole % 3600 // 60:02d} min'
