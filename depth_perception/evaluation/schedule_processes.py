"""Run units in processes of this machine, each with its own pipe.

One worker holds one unit at a time, so a worker that dies (killed, or out of memory) tells which
unit it died of. Nothing is shared between workers: there is no lock that a dead one could keep.
They are started afresh ('spawn'), because the threads of ONNX Runtime and OpenCV do not survive a
fork. They end when their pipe closes, however this process ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import multiprocessing
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
import os
import pickle
import signal
import socket
import time
from typing import Any

from depth_perception.evaluation.schedule_parts import (
    Event,
    INTERRUPTED,
    Interrupts,
    Listener,
    pack,
    Reply,
    Report,
    Result,
    unpacked,
)
from depth_perception.evaluation.schedule_worker import serve, THREAD_VARIABLES
from depth_perception.inference.backend import usable_cpus

_STEP_S = 0.2  # how soon ctrl-C is heard
_END_S = 3.0  # how long a worker that was told to end may take
_MAX_FALSE_STARTS = 3


@dataclass
class _Task:
    """A unit on its way: its place, its bytes, and how often a worker has died of it."""

    index: int
    packed: bytes
    deaths: int = 0


@dataclass
class _Worker:
    """A process, this side of its pipe, and what it is doing."""

    process: SpawnProcess
    connection: Connection
    name: str
    ready: bool = False
    task: _Task | None = None


class ProcessRun:
    """Runs one list of units.

    Args:
        workers: Number of processes at a time.
        tell: Told what happens.
        interrupts: Counts ctrl-C.
        retries: How often a unit whose worker has died is begun anew: the last time while nothing
            else runs, for it may have been the sum of all that was too much for the memory.
        grace_s: How long units may take to end after ctrl-C [s].
    """

    def __init__(
        self, workers: int, tell: Listener, interrupts: Interrupts, *, retries: int, grace_s: float
    ) -> None:
        self._size = workers
        self._tell = tell
        self._interrupts = interrupts
        self._retries = retries
        self._grace_s = grace_s
        self._threads = 1
        self._waiting: deque[_Task] = deque()
        self._alone: deque[_Task] = deque()
        self._workers: list[_Worker] = []
        self._leaving: list[_Worker] = []
        self._results: dict[int, Result[Any]] = {}
        self._false_starts = 0
        self._give_up_s: float | None = None

    def run(
        self, work: Sequence[Any], function: Callable[[Any, Report], Any]
    ) -> list[Result[Any]]:
        """Return the result of every unit, in the order of the work."""
        for index, unit in enumerate(work):
            packed = pack(function, unit)
            if isinstance(packed, Reply):
                self._finish(packed.result(index, 0, ''))
            else:
                self._waiting.append(_Task(index, packed))
        self._size = min(self._size, max(len(self._waiting), 1))
        self._threads = max(1, usable_cpus() // self._size)
        try:
            while len(self._results) < len(work):
                try:
                    self._step()
                except KeyboardInterrupt:  # of a handler that is not ours
                    self._interrupts.count += 1
        finally:
            self._end_all()
        return [self._results[index] for index in range(len(work))]

    def _step(self) -> None:
        """Start workers, hand out units, and hear what has happened."""
        if self._interrupts.count:
            self._stop()
        else:
            self._hire()
            self._hand_out()
        heard = wait(
            [worker.connection for worker in self._workers]
            + [worker.process.sentinel for worker in self._workers],
            _STEP_S,
        )
        for worker in list(self._workers):
            if worker.connection in heard:
                self._hear(worker)
            elif worker.process.sentinel in heard and not worker.connection.poll():
                self._lose(worker)  # the pipe may live on in a process that the unit has started

    def _hire(self) -> None:
        running = self._running()
        wanted = min(self._size, running + len(self._waiting))
        if self._alone and not wanted:
            wanted = 1
        while len(self._workers) < wanted:
            self._workers.append(_start(self._threads))

    def _running(self) -> int:
        return sum(worker.task is not None for worker in self._workers)

    def _next(self) -> _Task | None:
        if self._waiting:
            return self._waiting.popleft()
        return self._alone.popleft() if self._alone and not self._running() else None

    def _hand_out(self) -> None:
        for worker in [each for each in self._workers if each.ready and each.task is None]:
            worker.task = self._next()
            if worker.task is None:
                self._dismiss(worker)
                continue
            self._tell(Event('started', worker.task.index, worker=worker.name))
            with suppress(OSError):  # it is dead, as the next step will find
                _send(worker, 'unit', worker.task.packed)

    def _hear(self, worker: _Worker) -> None:
        try:
            message = pickle.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            self._lose(worker)
            return
        if message[0] == 'ready':
            worker.ready = True
            self._false_starts = 0
        elif worker.task is None:
            return
        elif message[0] == 'progress':
            self._tell(Event('progress', worker.task.index, message[1], message[2]))
        else:
            task = worker.task
            worker.task = None
            self._finish(unpacked(message[1]).result(task.index, task.deaths + 1, worker.name))

    def _finish(self, result: Result[Any]) -> None:
        self._results[result.index] = result
        self._tell(Event('ended', result.index, result=result))

    def _lose(self, worker: _Worker) -> None:
        """Bury a worker that has died, and see what becomes of its unit."""
        self._workers.remove(worker)
        how = _end(worker)
        task = worker.task
        if task is None:
            self._false_starts += not worker.ready
            if self._false_starts > _MAX_FALSE_STARTS:
                self._fail_waiting(
                    f'SchedulingError: worker processes do not start: the last {how}'
                )
            return
        task.deaths += 1
        if self._interrupts.count:
            self._finish(_cut_short(task, worker.name))
        elif task.deaths > self._retries:
            text = f'WorkerDied: its worker process {how}; begun {task.deaths} times'
            self._finish(Reply(error=text).result(task.index, task.deaths, worker.name))
        else:
            last = task.deaths == self._retries
            (self._alone if last else self._waiting).append(task)
            self._tell(Event('retried', task.index, text=f'its worker process {how}'))

    def _fail_waiting(self, text: str) -> None:
        for task in [*self._waiting, *self._alone]:
            self._finish(Reply(error=text).result(task.index, task.deaths, ''))
        self._waiting.clear()
        self._alone.clear()

    def _stop(self) -> None:
        """Ask the running units to end, and give up those that do not."""
        now_s = time.monotonic()
        if self._give_up_s is None:
            self._give_up_s = now_s + self._grace_s
            self._tell(Event('stopping'))
            for task in [*self._waiting, *self._alone]:
                self._finish(_cut_short(task, ''))
            self._waiting.clear()
            self._alone.clear()
            for worker in self._workers:
                with suppress(OSError):
                    _send(worker, 'stop')
        if now_s > self._give_up_s or self._interrupts.count > 1:
            for worker in self._workers:
                if worker.task is not None:
                    worker.process.kill()
                    worker.task.deaths += 1
                    self._finish(_cut_short(worker.task, worker.name))

    def _dismiss(self, worker: _Worker) -> None:
        """Let an idle worker end by itself."""
        self._workers.remove(worker)
        self._leaving.append(worker)
        with suppress(OSError):
            _send(worker, 'end')

    def _end_all(self) -> None:
        """Leave no process behind."""
        for worker in list(self._workers):
            if worker.task is None:
                self._dismiss(worker)
            else:
                worker.process.kill()
        until_s = time.monotonic() + _END_S
        for worker in self._leaving:
            worker.process.join(max(0.0, until_s - time.monotonic()))
        for worker in [*self._workers, *self._leaving]:
            _end(worker)
        self._workers.clear()
        self._leaving.clear()


def _cut_short(task: _Task, name: str) -> Result[Any]:
    return Reply(error=INTERRUPTED, stopped=True).result(task.index, task.deaths, name)


def _send(worker: _Worker, *message: object) -> None:
    worker.connection.send_bytes(pickle.dumps(message, protocol=5))


def _start(threads: int) -> _Worker:
    context = multiprocessing.get_context('spawn')
    resource_tracker.ensure_running()  # it would unblock ctrl-C
    here, there = context.Pipe()
    with _threads_in_environment(threads), _ctrl_c_blocked():
        process = context.Process(target=serve, args=(there, threads), daemon=True)
        process.start()
    there.close()
    return _Worker(process, here, f'{socket.gethostname()}:{process.pid}')


def _end(worker: _Worker) -> str:
    """End the process by force if need be; return how it ended."""
    if worker.process.exitcode is None:
        worker.process.join(0.5)  # a pipe closes a moment before its process ends
    if worker.process.exitcode is None:
        worker.process.kill()
        worker.process.join()
    code = worker.process.exitcode or 0
    worker.process.close()
    worker.connection.close()
    if code >= 0:
        return f'ended with exit code {code}'
    hint = ' (out of memory?)' if -code == signal.SIGKILL else ''
    return f'was ended by {signal.Signals(-code).name}{hint}'


@contextmanager
def _threads_in_environment(threads: int) -> Iterator[None]:
    """Set how many threads numerical libraries start, where the user has not."""
    added = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Start processes that ctrl-C does not reach, not even before they can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
