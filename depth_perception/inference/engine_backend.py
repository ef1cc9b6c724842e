"""Serve with ONNX Runtime until an engine is ready, then with the engine.

The engine is found or built in a thread of its own, for the size of the images that come, and
takes over between two frames. One that fails later gives way to ONNX Runtime again. A network that
is run at several sizes, as some scores of sigma want it, gets an engine for each of a few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
import threading
import time
from typing import final

from depth_perception.core.types import AnyArray
from depth_perception.errors import DepthPerceptionError, FrameError, InferenceError, ModelError
from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.cards import ModelCard, with_tensor_names
from depth_perception.inference.engine_inputs import fixed_size, inputs_at, Size, size_of
from depth_perception.inference.frame_jobs import NetworkJob, Pending, Published, PublishJob
from depth_perception.inference.tensorrt_backend import KERNELS_OFF
from depth_perception.inference.tensorrt_build import BuildCancelledError, Watch
from depth_perception.inference.tensorrt_ladder import Outcome

_PATIENCE_S = 10.0  # TensorRT 8.6 cannot be stopped half-way
_MOST_ENGINES = 4
_IDLE_S = 10.0  # an engine, or ONNX Runtime, that was not used for so long may go
Shapes = dict[str, tuple[int, ...]]
Find = Callable[[ModelCard, Size, Watch], Outcome]


class _Job:
    """The search for one engine, in a thread."""

    def __init__(
        self, shapes: Shapes, find: Callable[[Watch], Outcome], before: _Job | None
    ) -> None:
        self.shapes = shapes
        self.failure = ''
        self.uses = 0
        self.used_s = time.monotonic()
        self.progress = ('waiting', 0.0)
        self.outcome: Outcome | None = None
        self.watch = Watch(report=self._report)
        self._find = find
        self._before = before
        self._lock = threading.Lock()
        self._abandoned = False
        self.thread = threading.Thread(target=self._run, name='engine builder', daemon=True)
        self.thread.start()

    def _report(self, phase: str, share: float) -> None:
        self.progress = (phase, share)

    def _run(self) -> None:
        if self._before is not None:
            self._before.thread.join()
            self._before = None
        try:
            outcome = self._find(self.watch)
        except BuildCancelledError:
            outcome = Outcome(reasons=['cancelled'])
        except DepthPerceptionError as error:
            outcome = Outcome(reasons=[str(error)])
        except Exception as error:  # noqa: BLE001 - whatever fails here, ONNX Runtime serves on
            outcome = Outcome(reasons=[f'failed unexpectedly: {error!r}'])
        with self._lock:
            self.outcome = outcome
            if self._abandoned:
                self._discard()

    @property
    def engine(self) -> Backend | None:
        """What may run the network, if it is there and has not failed."""
        return None if self.outcome is None or self.failure else self.outcome.engine

    @property
    def is_idle(self) -> bool:
        """Whether nobody wanted it for a while."""
        return time.monotonic() - self.used_s > _IDLE_S

    def failed(self, title: str, error: InferenceError) -> None:
        """Never use the engine again."""
        self.failure = f'the engine of {title} failed: {error}'

    def suits(self, shapes: Shapes) -> bool:
        """Return whether it is, or what it found is, for these shapes."""
        if shapes == self.shapes:
            return True
        if self.outcome is None or self.outcome.engine is None:
            return False
        spans = self.outcome.shapes
        return all(name in shapes and span.holds(shapes[name]) for name, span in spans.items())

    def abandon(self) -> None:
        """Stop the search; an engine that comes all the same is freed."""
        self.watch.cancelled.set()
        with self._lock:
            self._abandoned = True
            self._discard()

    def _discard(self) -> None:
        if self.outcome is not None and self.outcome.engine is not None:
            self.outcome.engine.close()
            self.outcome.engine = None


class _Watched:
    """A run after whose failure the engine is not used any more."""

    def __init__(self, pending: Pending, job: _Job, title: str) -> None:
        self._pending, self._job, self._title = pending, job, title

    def result(self) -> dict[str, AnyArray]:
        """Wait for the outputs."""
        try:
            return self._pending.result()
        except InferenceError as error:
            self._job.failed(self._title, error)
            raise
        except DepthPerceptionError:
            raise
        except Exception as error:
            failure = InferenceError(str(error))
            self._job.failed(self._title, failure)
            raise failure from error


@final
class EngineBackend(Backend):
    """TensorRT, with ONNX Runtime before it is ready and where it fails.

    Args:
        card: The model.
        find: Returns the engine of a card for a size of the network; called in another thread.
        open_other: Opens the network in ONNX Runtime.
        title: Name of the TensorRT, for people.
        while_building: 'onnxruntime' serves meanwhile, 'wait' holds the frame until the engine is
            ready, 'inactive' drops frames until then.

    Raises:
        ModelError: If ONNX Runtime cannot load the network, for then nothing could be checked, or
            if it has other tensors than the card says.
    """

    def __init__(
        self,
        card: ModelCard,
        find: Find,
        open_other: Callable[[], Backend],
        *,
        title: str,
        while_building: str = 'onnxruntime',
    ) -> None:
        self._find = find
        self._open_other = open_other
        self._title = title
        self._while_building = while_building
        self._jobs: list[_Job] = []
        self._other: Backend | None = open_other()
        self._other_used_s = time.monotonic()
        self._other_description = self._other.description
        self.name = self._other.name
        self.inputs = tuple(_single(spec) for spec in self._other.inputs)
        self.outputs = self._other.outputs
        try:
            self._card = with_tensor_names(card, self._other)
        except ModelError:
            self._other.close()
            raise
        size = fixed_size(self._card, self.inputs)
        if size is not None:
            feeds = inputs_at(self._card, size)
            self._start({name: array.shape for name, array in feeds.items()})
            if while_building == 'wait':
                self.wait()

    @property
    def description(self) -> str:  # type: ignore[override]
        """What runs the network now, and why."""
        job, other = self._main(), self._other_description
        if job is None:
            return f'{other}; {self._title} starts with the first image'
        outcome = job.outcome
        if outcome is None:
            phase, share = job.progress
            return f'{other}; {self._title} engine: {phase}, {share:.0%}'
        if job.failure:
            return f'{other}; {job.failure}'
        if outcome.engine is None:
            return f'{other}; no engine of {self._title}: {outcome.why_lower}'
        why = f'; {outcome.why_lower}' if outcome.reasons else ''
        return f'{outcome.engine.description}{why}'

    @property
    def warning(self) -> str:  # type: ignore[override]
        """Why there is no engine although there should be one, or no kernels; else ''."""
        job = self._main()
        if job is None or job.outcome is None:
            return ''
        if job.engine is not None:
            problem = job.engine.kernels_problem
            if problem in ('', KERNELS_OFF):
                return ''
            return f'images and clouds are made on the CPU: {problem}'
        why = job.failure or f'no engine of {self._title}: {job.outcome.why_lower}'
        return f'ONNX Runtime runs the network: {why}'

    @property
    def is_settled(self) -> bool:
        """Whether all searches have ended, one way or the other."""
        return bool(self._jobs) and all(job.outcome is not None for job in self._jobs)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the searches that are under way have ended; return whether they have."""
        for job in list(self._jobs):
            job.thread.join(timeout_s)
        return self.is_settled

    def _main(self) -> _Job | None:
        """Return the search whose shapes are wanted most."""
        return max(list(self._jobs), key=lambda job: job.uses, default=None)

    def _start(self, shapes: Shapes) -> _Job:
        size = size_of(self._card, shapes)
        before = self._jobs[-1] if self._jobs else None
        job = _Job(shapes, lambda watch: self._find(self._card, size, watch), before)
        for older in self._jobs:  # what counts is what is wanted from now on
            older.uses = 0
        self._jobs.append(job)
        return job

    def _job_for(self, shapes: Shapes) -> _Job | None:
        """Return the search for these shapes; None if there are too many others in use."""
        job = next((job for job in self._jobs if job.suits(shapes)), None)
        if job is None:
            if len(self._jobs) >= _MOST_ENGINES:
                oldest = min(self._jobs, key=lambda one: one.used_s)
                if not oldest.is_idle:
                    return None
                self._jobs.remove(oldest)
                oldest.abandon()
            job = self._start(shapes)
        job.uses += 1
        job.used_s = time.monotonic()
        return job

    def _infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        job = self._job_for({name: array.shape for name, array in feeds.items()})
        if job is None:
            return self._with_other(feeds)
        if job.outcome is None and self._while_building == 'wait':
            job.thread.join()
        if job.outcome is None and self._while_building == 'inactive':
            phase, share = job.progress
            raise FrameError(
                'engine_building', f'{self._title} is still building: {phase}, {share:.0%}'
            )
        engine = job.engine
        if engine is None:
            return self._with_other(feeds)
        try:
            found = engine.infer(feeds)
        except InferenceError as error:
            job.failed(self._title, error)
            return self._with_other(feeds)
        self._serves(engine)
        return found

    def _serves(self, engine: Backend) -> None:
        """Remember what runs the network, and let ONNX Runtime go when it was idle for long."""
        self.name = engine.name
        if self._other is not None and time.monotonic() - self._other_used_s > _IDLE_S:
            self._other.close()
            self._other = None

    @property
    def takes_frames(self) -> bool:  # type: ignore[override]
        """Whether there is an engine that may take them, or one is waited for."""
        job = self._main()
        if job is None or job.outcome is None:
            return self._while_building == 'wait'
        return job.engine is not None

    @property
    def kernels_problem(self) -> str:  # type: ignore[override]
        """Why pictures and maps are left to the CPU; '' if they need not be."""
        if not self.takes_frames:
            return Backend.kernels_problem
        job = self._main()
        engine = None if job is None else job.engine
        return '' if engine is None else engine.kernels_problem

    def begin(self, job: NetworkJob) -> Pending | None:
        """Start a run on the engine; None while there is none for these shapes."""
        found = self._job_for(job.all_shapes())
        if found is not None and self._while_building == 'wait':
            found.thread.join()
        engine = None if found is None else found.engine
        pending = None if engine is None else engine.begin(job)
        if pending is None or found is None or engine is None:
            return None
        self._serves(engine)
        return _Watched(pending, found, self._title)

    def publish(self, job: PublishJob) -> Published | None:
        """Make depth, sigma and cloud on the GPU; None where the CPU must."""
        found = self._main()
        engine = None if found is None else found.engine
        return None if engine is None else engine.publish(job)

    def _with_other(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        if self._other is None:
            self._other = self._open_other()
        self._other_used_s = time.monotonic()
        self.name = self._other.name
        return self._other.infer(feeds)

    def close(self) -> None:
        """Stop the searches and free everything."""
        for job in self._jobs:
            job.abandon()
        for job in self._jobs:
            job.thread.join(_PATIENCE_S)
        if self._other is not None:
            self._other.close()
            self._other = None


def _single(spec: TensorSpec) -> TensorSpec:
    """Return an input without a free batch: engines are made for one image at a time."""
    if len(spec.shape) == 4 and spec.shape[0] is None:
        return replace(spec, shape=(1, *spec.shape[1:]))
    return spec
