"""What the schedulers share: how units report, what comes of them, and how ctrl-C is taken.

Work and outcomes travel by pickle, only between this process, the workers that it has started
itself, and the Dask cluster that the user has named: never from a file or a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

from depth_perception.errors import DepthPerceptionError, SettingsError

Outcome = TypeVar('Outcome')

INTERRUPTED = 'interrupted before it had ended'
_PROGRESS_S = 0.1  # least time between two reports of one unit
_TRACE_CALLS = 4
_MAX_TEXT = 2000


class SchedulingError(DepthPerceptionError):
    """The worker processes or the cluster that should do the work cannot be used."""


@dataclass(frozen=True)
class Result(Generic[Outcome]):
    """What came of one unit.

    Attributes:
        index: Place of the unit in the work.
        outcome: What the function returned; None if it failed or never ended.
        error: Type and message of what went wrong, in one line; '' if nothing did.
        trace: The innermost calls where it went wrong; '' if nothing did or nobody knows.
        attempts: How often it was begun; more than one where workers have died of it.
        duration_s: Time that the last attempt took [s]; 0 where it did not end.
        worker: Host and process id of the worker, 'host:pid'; '' if it never began.
        stopped: Whether it was cut short by ctrl-C: the outcome is partial, or there is none.
    """

    index: int
    outcome: Outcome | None = None
    error: str = ''
    trace: str = ''
    attempts: int = 1
    duration_s: float = 0.0
    worker: str = ''
    stopped: bool = False


@dataclass(frozen=True)
class Event:
    """What happens to a unit, told in the process that waits for the results.

    Attributes:
        kind: 'started', 'progress', 'retried' (its worker has died), 'ended' (well, failed or cut
            short: see `result`), or 'stopping' (ctrl-C was pressed; of no unit).
        index: Place of the unit in the work; -1 for 'stopping'.
        done: Frames done, of 'progress'.
        total: Frames in all, of 'progress'; 0 where nobody knows.
        worker: Host and process id of the worker, of 'started': 'host:pid'.
        text: Why, of 'retried'.
        result: What came of the unit, of 'ended'.
    """

    kind: str
    index: int = -1
    done: int = 0
    total: int = 0
    worker: str = ''
    text: str = ''
    result: Result[Any] | None = None


Listener = Callable[[Event], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed, and everything has ended.

    Attributes:
        results: One for every unit, in the order of the work. Those that had ended are complete,
            those that were told to stop hold what they returned, the others hold no outcome;
            `stopped` tells which.
    """

    def __init__(self, results: Sequence[Result[Any]]) -> None:
        super().__init__('interrupted')
        self.results = list(results)


class Report:
    """How a running unit tells of its progress, and learns that it should stop.

    Args:
        tell: Called with (frames done, frames in all).
        stop: Returns whether the unit should stop.
        period_s: Least time between two calls of `tell` [s], but for the last.
    """

    def __init__(
        self,
        tell: Callable[[int, int], None],
        stop: Callable[[], bool],
        period_s: float = _PROGRESS_S,
    ) -> None:
        self._tell = tell
        self._stop = stop
        self._period_s = period_s
        self._told_s = -1.0
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether the unit has been told to stop."""
        return self._stopped

    def progress(self, done: int, total: int) -> None:
        """Tell how many frames are done, of how many (0: not known); cheap, call every frame."""
        now_s = time.monotonic()
        if now_s - self._told_s >= self._period_s or done == total:
            self._told_s = now_s
            self._tell(int(done), int(total))

    def should_stop(self) -> bool:
        """Return whether to stop and to return what there is; cheap, ask after every frame."""
        if not self._stopped and self._stop():
            self._stopped = True
        return self._stopped


class Interrupts:
    """Counts ctrl-C instead of raising it anywhere, so that nothing is left half done.

    A context manager. It does so in the main thread only, and only where Python's own handler is
    in place; a handler of the caller stays.

    Attributes:
        count: How often ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.count = 0
        self._raises = False
        self._previous: Any = None

    def __enter__(self) -> Interrupts:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _press(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1
        if self._raises and self.count > 1:
            raise KeyboardInterrupt

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raise KeyboardInterrupt from the second time on, for work that does not listen."""
        self._raises = True
        try:
            yield
        finally:
            self._raises = False


@dataclass(frozen=True)
class Reply:
    """What an attempt gave; see `Result`."""

    outcome: Any = None
    error: str = ''
    trace: str = ''
    duration_s: float = 0.0
    stopped: bool = False

    def result(self, index: int, attempts: int, worker: str) -> Result[Any]:
        """Return it as the result of a unit."""
        return Result(
            index,
            self.outcome,
            self.error,
            self.trace,
            attempts,
            self.duration_s,
            worker,
            self.stopped,
        )


def attempt(function: Callable[[Any, Report], Any], unit: Any, report: Report) -> Reply:
    """Run one unit; whatever it raises, short of ctrl-C, becomes the text of the reply."""
    began_s = time.monotonic()
    try:
        outcome = function(unit, report)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a unit never takes the others along
        return failure(error, time.monotonic() - began_s, stopped=report.stopped)
    return Reply(outcome, duration_s=time.monotonic() - began_s, stopped=report.stopped)


def packed_attempt(
    packed: bytes, report: Report, check: Callable[[], None] | None = None
) -> bytes:
    """Run a packed unit and return the packed reply; for workers in other processes.

    Args:
        packed: See `pack`.
        report: Passed to the function.
        check: Called first; what it raises becomes the text of the reply.
    """
    try:
        if check is not None:
            check()
        function, unit = pickle.loads(packed)
    except Exception as error:  # noqa: BLE001 - anything is raised by what cannot be imported
        return pickle.dumps(failure(error))
    reply = attempt(function, unit, report)
    try:
        return pickle.dumps(reply, protocol=5)
    except Exception as error:  # noqa: BLE001 - anything is raised by what cannot be pickled
        return pickle.dumps(failure(error, reply.duration_s, stopped=reply.stopped))


def unpacked(packed: bytes) -> Reply:
    """Return the reply of a worker; one that cannot be read is a failure."""
    try:
        reply = pickle.loads(packed)
    except Exception as error:  # noqa: BLE001 - see above
        return failure(error)
    return reply if isinstance(reply, Reply) else Reply(error='the worker sent no reply')


def pack(function: Callable[[Any, Report], Any], unit: Any) -> bytes | Reply:
    """Return the bytes of a unit and of what is to be done with it, or why there are none."""
    try:
        return pickle.dumps((function, unit), protocol=5)
    except Exception as error:  # noqa: BLE001 - see above
        return failure(error)


def failure(error: BaseException, duration_s: float = 0.0, *, stopped: bool = False) -> Reply:
    """Return the reply of a unit that has raised something."""
    try:
        message = ' '.join(str(error).split())
    except Exception:  # noqa: BLE001 - the text of an error may itself fail
        message = 'it has no readable message'
    text = f'{type(error).__name__}: {message}' if message else type(error).__name__
    calls = ''.join(traceback.format_tb(error.__traceback__)[-_TRACE_CALLS:])
    return Reply(None, text[:_MAX_TEXT], calls[-_MAX_TEXT:], duration_s, stopped)


def require_importable(function: Callable[..., Any]) -> None:
    """Check that another process finds the function by its name.

    Raises:
        SettingsError: If it is not at the top level of a module.
    """
    module = sys.modules.get(getattr(function, '__module__', '') or '')
    name = getattr(function, '__qualname__', '')
    if module is None or getattr(module, name, None) is not function:
        raise SettingsError(
            f'work is done by a function at the top level of a module, got {function!r}'
        )


def worker_name() -> str:
    """Return 'host:pid' of this process."""
    return f'{socket.gethostname()}:{os.getpid()}'
