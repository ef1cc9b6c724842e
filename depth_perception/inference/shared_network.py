"""One network for several cameras: what they ask for at the same time goes through it together.

Each camera has an estimator and a thread of its own, and asks for one run at a time. Whoever finds
the network free leads: it takes what is waiting, oldest first, runs it, and hands out the answers.
While it runs, the others gather, so that batches form by themselves where the network is the
bottleneck. Where it is not, the leader waits a moment for cameras that usually ask, and gives that
up for a while when nobody came: cameras that are not in step, or dead, delay nobody.

A batch must not change the answers. The first one is compared with runs one by one, and a network
that answers otherwise, or fails, is not given batches again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import threading
import time
from typing import final

from depth_perception.core.types import AnyArray
from depth_perception.errors import DepthPerceptionError, InferenceError, ModelError
from depth_perception.inference.backend import Backend, TensorSpec
import numpy as np

Feeds = Mapping[str, AnyArray]
Answers = dict[str, AnyArray]

WINDOW_S = 0.005
LARGEST_BATCH = 8
_LIVELY_S = 1.0  # a camera that did not ask for so long is not waited for
_RESTRAINT = 20  # runs without waiting, after a wait that brought nobody
_TOLERANCE = 1e-3  # of the greatest value, between a batch and runs one by one


class _Request:
    """What one camera asks for, and what it gets."""

    def __init__(self, feeds: Feeds) -> None:
        self.feeds = feeds
        self.asked_s = time.monotonic()
        self.answers: Answers | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether there is an answer, or an error."""
        return self.answers is not None or self.error is not None

    @property
    def rows(self) -> int:
        """How many images it has; several if an estimator makes batches itself."""
        return len(next(iter(self.feeds.values())))

    def suits(self, other: _Request) -> bool:
        """Whether both fit in one batch."""
        return all(
            values.shape[1:] == other.feeds[name].shape[1:]
            and values.dtype == other.feeds[name].dtype
            for name, values in self.feeds.items()
        )


class SharedNetwork:
    """A network that several estimators run.

    Attributes:
        runs: How often the network ran.
        served: How many requests that answered.
        vain_waits: How often a camera that was waited for did not ask.
        turns: Why cameras take turns; '' while batches are made.
        on_close: Called when the last client has gone.

    Args:
        backend: What runs the network; closed with the last client.
        window_s: Longest wait for other cameras [s].
        largest_batch: Most images in one run; 0: 8 where batches pay, else 1.
    """

    def __init__(
        self,
        backend: Backend,
        window_s: float = WINDOW_S,
        largest_batch: int = 0,
    ) -> None:
        self.backend = backend
        self.runs = 0
        self.served = 0
        self.vain_waits = 0
        self.turns = _why_turns(backend, largest_batch)
        self.on_close: Callable[[], None] = lambda: None
        self._window_s = window_s
        self._largest = largest_batch or LARGEST_BATCH
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._clients: dict[SharedBackend, float] = {}
        self._busy = False
        self._compared = False
        self._restraint = 0

    @property
    def description(self) -> str:
        """What the clients share, and how."""
        how = f'in turns: {self.turns}' if self.turns else f'batches of up to {self._largest}'
        return f'{self.backend.description}; shared by {len(self._clients)}, {how}'

    def client(self) -> SharedBackend:
        """Return a backend for one estimator."""
        client = SharedBackend(self)
        with self._changed:
            self._clients[client] = float('-inf')
        return client

    def leave(self, client: SharedBackend) -> None:
        """Do without one of the clients; without any, the network is freed."""
        with self._changed:
            left = self._clients.pop(client, None) is not None and not self._clients
            self._changed.notify_all()
        if left:
            self.on_close()
            self.backend.close()

    def answer(self, client: SharedBackend, feeds: Feeds) -> Answers:
        """Return the outputs for `feeds`, in arrays that nobody else has.

        Raises:
            DepthPerceptionError: What the backend raises for these feeds.
        """
        request = _Request(feeds)
        with self._changed:
            self._clients[client] = request.asked_s
            self._waiting.append(request)
            self._changed.notify_all()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: request.done or not self._busy)
                if request.done:
                    break
                self._busy = True
                batch = self._gathered()
            try:
                self._serve(batch)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
        if request.error is not None:
            raise request.error
        assert request.answers is not None
        return request.answers

    def _gathered(self) -> list[_Request]:
        """Take what goes into the next run; the lock is held."""
        first = self._waiting[0]
        if not self.turns and self._window_s > 0.0 and self._restraint == 0:
            before = len(self._waiting)
            end_s = first.asked_s + self._window_s
            while self._others_expected() and (left_s := end_s - time.monotonic()) > 0.0:
                self._changed.wait(left_s)
            if self._others_expected() and len(self._waiting) == before:
                self.vain_waits += 1
                self._restraint = _RESTRAINT
        elif self._restraint:
            self._restraint -= 1
        batch, rows = [first], first.rows
        if not self.turns:
            for request in self._waiting[1:]:
                if request.suits(first) and rows + request.rows <= self._largest:
                    batch.append(request)
                    rows += request.rows
        self._waiting = [request for request in self._waiting if request not in batch]
        return batch

    def _others_expected(self) -> bool:
        """Whether a camera that asks often has not asked yet."""
        now = time.monotonic()
        lively = sum(now - asked_s < _LIVELY_S for asked_s in self._clients.values())
        return len(self._waiting) < lively

    def _serve(self, batch: Sequence[_Request]) -> None:
        """Answer all of a batch, at once if that goes well."""
        self.served += len(batch)
        if len(batch) == 1:
            self._run_apart(batch)
            return
        try:
            together = self._run_together(batch)
        except DepthPerceptionError as error:
            self._run_apart(batch)
            if all(request.error is None for request in batch):  # else one of them is to blame
                self.turns = f'a batch failed: {error}'
            return
        if not self._compared:
            self._run_apart(batch)
            self._compare(batch, together)
            return
        for request, answers in zip(batch, together, strict=True):
            request.answers = answers

    def _run_apart(self, batch: Sequence[_Request]) -> None:
        for request in batch:
            self.runs += 1
            try:
                found = self.backend.infer(request.feeds)
                request.answers = {name: values.copy() for name, values in found.items()}
            except Exception as error:  # noqa: BLE001 - of this camera; the others go on
                request.error = error

    def _run_together(self, batch: Sequence[_Request]) -> list[Answers]:
        names = batch[0].feeds
        self.runs += 1
        found = self.backend.infer(
            {name: _stacked([request.feeds[name] for request in batch]) for name in names}
        )
        ends = [sum(request.rows for request in batch[: i + 1]) for i in range(len(batch))]
        wrong = [name for name, values in found.items() if len(values) != ends[-1]]
        if wrong:
            raise ModelError(f'output {wrong[0]} has no row for each of {ends[-1]} images')
        return [
            {name: values[end - one.rows : end].copy() for name, values in found.items()}
            for one, end in zip(batch, ends, strict=True)
        ]

    def _compare(self, batch: Sequence[_Request], together: Sequence[Answers]) -> None:
        """Judge by the first batch whether the network takes images apart."""
        apart = [request.answers for request in batch]
        if any(answers is None for answers in apart):
            return  # a request that fails by itself says nothing of batches
        self._compared = True
        for alone, joined in zip(apart, together, strict=True):
            for name, values in (alone or {}).items():
                if not _alike(values, joined[name]):
                    self.turns = f'output {name} of a batch differs from that of single runs'


@final
class SharedBackend(Backend):
    """The share of one estimator in a network.

    Args:
        network: What runs it.
    """

    def __init__(self, network: SharedNetwork) -> None:
        self._network: SharedNetwork | None = network
        self.inputs = network.backend.inputs
        self.outputs = network.backend.outputs

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of what runs the network."""
        return self._open().backend.name

    @property
    def description(self) -> str:  # type: ignore[override]
        """What runs the network, and for how many."""
        return self._open().description

    @property
    def warning(self) -> str:  # type: ignore[override]
        """What is wrong with what runs the network; '' if nothing is."""
        return self._open().backend.warning

    def _open(self) -> SharedNetwork:
        if self._network is None:
            raise InferenceError('the network was closed')
        return self._network

    def _infer(self, feeds: Feeds) -> Answers:
        return self._open().answer(self, feeds)

    def close(self) -> None:
        """Leave the network to the others."""
        network, self._network = self._network, None
        if network is not None:
            network.leave(self)


def _why_turns(backend: Backend, largest_batch: int) -> str:
    """Return why a network takes one image at a time; '' if it may take several."""
    if largest_batch == 1:
        return 'batches are off'
    for spec in (*backend.inputs, *backend.outputs):
        if not _is_free(spec):
            return f'{spec.name} has a fixed batch'
    if not largest_batch and not backend.batches_pay:
        return 'batches bring nothing on a CPU'
    return ''


def _is_free(spec: TensorSpec) -> bool:
    return len(spec.shape) > 1 and spec.shape[0] is None


def _stacked(arrays: Sequence[AnyArray]) -> AnyArray:
    return np.concatenate(arrays)


def _alike(alone: AnyArray, joined: AnyArray) -> bool:
    if alone.shape != joined.shape:
        return False
    if alone.dtype.kind != 'f':
        return bool((alone == joined).all())
    with np.errstate(invalid='ignore'):
        greatest = np.nanmax(np.abs(np.where(np.isfinite(alone), alone, 0.0)), initial=0.0)
    return bool(
        np.allclose(alone, joined, rtol=0.0, atol=_TOLERANCE * float(greatest), equal_nan=True)
    )
