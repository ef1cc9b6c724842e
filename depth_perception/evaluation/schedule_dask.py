"""Run units on the workers of a Dask cluster that is already there.

Progress comes by the events of the scheduler, ctrl-C goes to the workers by a call of its own, and
results are fetched one by one as they are ready. The cluster begins units anew whose worker has
died, and at last gives them up (its setting `distributed.scheduler.allowed-failures`), together
with innocent ones that were waiting at the same workers. So these are handed in again, one at a
time, to see which it was. Give a worker one thread: units of one process share its fate.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from queue import Empty, Queue
import threading
import time
from typing import Any
import uuid

from depth_perception.evaluation.schedule_dask_worker import (
    check_versions,
    dask_distributed,
    fingerprint,
    serve_unit,
    stop_run,
    TOPIC,
)
from depth_perception.evaluation.schedule_parts import (
    Event,
    failure,
    INTERRUPTED,
    Interrupts,
    Listener,
    pack,
    Reply,
    Report,
    Result,
    SchedulingError,
    unpacked,
)

_STEP_S = 0.2  # how soon ctrl-C is heard
_FETCH_S = 10.0
_PATIENCE_S = 60.0  # how long the cluster may be without any worker
_MAX_UNHEARD = 10_000


class ClusterRun:
    """Runs one list of units.

    Args:
        address: Of the scheduler, e.g. 'tcp://10.0.0.1:8786'.
        tell: Told what happens.
        interrupts: Counts ctrl-C.
        retries: How often a unit whose worker has died is begun anew, at least.
        grace_s: How long units may take to end after ctrl-C [s].
    """

    def __init__(
        self, address: str, tell: Listener, interrupts: Interrupts, *, retries: int, grace_s: float
    ) -> None:
        self._address = address
        self._tell = tell
        self._interrupts = interrupts
        self._retries = retries
        self._grace_s = grace_s
        self._run_id = uuid.uuid4().hex
        self._distributed = dask_distributed()
        self._client: Any = None
        self._inbox: Queue[list[Any]] = Queue()
        self._packed: dict[int, bytes] = {}
        self._futures: dict[int, Any] = {}
        self._handed_in: dict[int, int] = {}
        self._starts: dict[int, int] = {}  # as far as they were told before a worker died
        self._suspects: deque[int] = deque()
        self._alone: int | None = None  # the suspect that is being tried
        self._deaths: dict[int, int] = {}  # of workers, while the suspect was alone
        self._names: dict[int, str] = {}
        self._results: dict[int, Result[Any]] = {}
        self._give_up_s: float | None = None
        self._alive_s = 0.0

    def run(
        self, work: Sequence[Any], function: Callable[[Any, Report], Any], connect_s: float
    ) -> list[Result[Any]]:
        """Return the result of every unit, in the order of the work.

        Raises:
            SchedulingError: If the scheduler does not answer within `connect_s`, has no workers,
                or one of them runs another version of this package.
        """
        self._connect(connect_s)
        try:
            self._client.subscribe_topic(TOPIC, self._on_event)
            for index, unit in enumerate(work):
                packed = pack(function, unit)
                if isinstance(packed, Reply):
                    self._finish(packed.result(index, 0, ''))
                else:
                    self._packed[index] = packed
                    self._submit(index)
            self._alive_s = time.monotonic()
            while len(self._results) < len(work):
                try:
                    self._step()
                except KeyboardInterrupt:  # of a handler that is not ours
                    self._interrupts.count += 1
        finally:
            self._disconnect()
        return [self._results[index] for index in range(len(work))]

    def _connect(self, limit_s: float) -> None:
        missed = self._distributed.TimeoutError
        try:
            self._client = self._distributed.Client(
                self._address, timeout=limit_s, set_as_default=False
            )
        except (
            OSError,
            ValueError,
            TypeError,
            ImportError,
            self._distributed.TimeoutError,
        ) as error:
            raise SchedulingError(
                f'no Dask scheduler answers at {self._address} within {limit_s:g} s '
                f'({failure(error).error}); start one with `dask scheduler`'
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=limit_s)
            found = self._client.run(fingerprint, on_error='return')
            check_versions(found, fingerprint())
        except missed:
            self._client.close()
            raise SchedulingError(
                f'the Dask scheduler at {self._address} has no worker; start some with '
                f'`dask worker {self._address} --nthreads 1`'
            ) from None
        except BaseException:
            self._client.close()
            raise

    def _disconnect(self) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self._client.unsubscribe_topic(TOPIC)
            if self._futures:
                self._client.cancel(list(self._futures.values()), force=True)
        self._futures.clear()
        self._client.close()

    def _submit(self, index: int) -> None:
        count = self._handed_in.get(index, 0) + 1
        self._handed_in[index] = count
        self._starts.setdefault(index, 0)
        try:
            future = self._client.submit(
                serve_unit,
                self._packed[index],
                index,
                self._run_id,
                fingerprint(),
                key=f'depth_perception-{self._run_id}-{index}-{count}',
                pure=False,
            )
        except Exception as error:  # noqa: BLE001 - the scheduler may be gone by now
            self._finish(failure(error).result(index, self._starts[index], ''))
            return
        self._futures[index] = future
        future.add_done_callback(lambda _: self._inbox.put([self._run_id, 'done', index]))

    def _on_event(self, event: tuple[float, Any]) -> None:
        """Take an event of the scheduler, in the thread of the client."""
        message = event[1]
        of_ours = isinstance(message, (list, tuple)) and message and message[0] == self._run_id
        if of_ours and (message[1] != 'progress' or self._inbox.qsize() < _MAX_UNHEARD):
            self._inbox.put(list(message))

    def _step(self) -> None:
        if self._interrupts.count:
            self._stop()
        elif self._suspects and not self._futures:
            self._alone = self._suspects.popleft()
            self._submit(self._alone)
        try:
            message = self._inbox.get(timeout=_STEP_S)
        except Empty:
            self._look_after_cluster()
            return
        _, kind, index, *rest = message
        if index in self._results:
            return
        if kind == 'done':
            self._collect(index)
            return
        self._alive_s = time.monotonic()
        if kind == 'progress':
            self._tell(Event('progress', index, rest[0], rest[1]))
        else:
            self._starts[index] += 1
            self._names[index] = rest[2]
            if self._starts[index] > 1:
                self._tell(Event('retried', index, text='its worker has died'))
            self._tell(Event('started', index, worker=rest[2]))

    def _collect(self, index: int) -> None:
        """Fetch what a unit gave, or hand it in again."""
        future = self._futures.get(index)
        if future is None:
            return
        killed = import_module('distributed.scheduler').KilledWorker
        try:
            reply = unpacked(future.result(timeout=_FETCH_S))
        except self._distributed.TimeoutError:  # its worker died with the result: it runs again
            self._inbox.put([self._run_id, 'done', index])
            self._look_after_cluster()
            return
        except killed as error:
            blamed = self._blame(index, error)
            if blamed is None:
                return
            reply = blamed
        except CancelledError:
            reply = Reply(error=f'SchedulingError: the cluster at {self._address} dropped it')
        except Exception as error:  # noqa: BLE001 - also what the cluster itself raises
            reply = failure(error)
        attempts = max(self._starts[index], self._deaths.get(index, 0), int(not reply.stopped))
        self._finish(reply.result(index, attempts, self._names.get(index, '')))

    def _blame(self, index: int, error: Any) -> Reply | None:
        """Return why a unit has failed that killed workers; None if that is yet to be seen."""
        if self._alone == index:
            deaths = int(getattr(error, 'allowed_failures', 0)) + 1
            self._deaths[index] = self._deaths.get(index, 0) + deaths
            self._alone = None
        count = max(self._starts[index], self._deaths.get(index, 0))
        if self._interrupts.count or (index in self._deaths and count > self._retries):
            last = str(getattr(error.last_worker, 'address', ''))
            return Reply(
                error=f'WorkerDied: the workers that ran it have died, at last {last}; begun at '
                f'least {count} times'
            )
        del self._futures[index]
        self._suspects.append(index)
        return None

    def _finish(self, result: Result[Any]) -> None:
        self._results[result.index] = result
        self._futures.pop(result.index, None)  # the cluster forgets it
        self._packed.pop(result.index, None)
        self._tell(Event('ended', result.index, result=result))

    def _look_after_cluster(self) -> None:
        """Fail what is left when there is no cluster any more."""
        silent_s = time.monotonic() - self._alive_s
        if self._client.status not in ('running', 'connecting'):
            self._fail_rest('SchedulingError: the scheduler has gone away')
        elif silent_s > _PATIENCE_S:
            workers = None
            with suppress(Exception):  # the scheduler may be going
                workers = self._client.nthreads()
            if not workers:
                self._fail_rest(
                    f'SchedulingError: the cluster has had no worker for {silent_s:.0f} s'
                )
            self._alive_s = time.monotonic()

    def _fail_rest(self, text: str) -> None:
        for index in [*self._futures, *self._suspects]:
            name = self._names.get(index, '')
            self._finish(Reply(error=text).result(index, self._starts[index], name))

    def _stop(self) -> None:
        """Ask the running units to end, and give up those that do not."""
        now_s = time.monotonic()
        if self._give_up_s is None:
            self._give_up_s = now_s + self._grace_s
            self._tell(Event('stopping'))
            threading.Thread(target=self._ask_workers, daemon=True).start()
            self._cut_short(list(self._suspects))
        if now_s > self._give_up_s or self._interrupts.count > 1:
            self._cut_short(list(self._futures))

    def _ask_workers(self) -> None:
        with suppress(Exception):  # a worker that does not answer is given up in the end
            self._client.run(stop_run, self._run_id, on_error='ignore')

    def _cut_short(self, indices: Sequence[int]) -> None:
        with suppress(Exception):
            futures = [self._futures[index] for index in indices if index in self._futures]
            self._client.cancel(futures, force=True)
        for index in indices:
            reply = Reply(error=INTERRUPTED, stopped=True)
            self._finish(reply.result(index, self._starts[index], self._names.get(index, '')))
