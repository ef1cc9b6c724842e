"""Run a TensorRT engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, final

from depth_perception.core.types import AnyArray
from depth_perception.errors import InferenceError, ModelError
from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.cuda_runtime import CudaRuntime, Slot
from depth_perception.inference.frame_jobs import NetworkJob, Published, PublishJob
from depth_perception.inference.frame_runner import FrameRunner, published, Recorder
from depth_perception.inference.kernel_twins import TYPES
from depth_perception.inference.tensorrt_api import Engine, make_log, Runtime, TensorRT
import numpy as np

_DTYPES = {
    'FLOAT': 'float32',
    'HALF': 'float16',
    'INT8': 'int8',
    'INT32': 'int32',
    'INT64': 'int64',
    'UINT8': 'uint8',
    'BOOL': 'bool',
}
_WARM_UPS = 3
KERNELS_OFF = 'tensorrt.kernels is off'


@final
class TensorRTBackend(Backend):
    """An engine on a GPU.

    All of CUDA happens in one thread of its own, which owns the primary context of the device;
    `infer` may be called from any thread.

    Args:
        tensorrt: What loads the plan.
        plan: The plan. Only ever one of `engine_cache`, or one that was built in this process.
        open_cuda: Returns the CUDA runtime; called in the thread of the backend.
        description: What is said of it in the log.
        graph: Record the run of a shape once and replay it, where the CUDA runtime can.
        kernels: Whether pictures and maps may be left to the fused kernels.
        constants: Inputs that became part of the engine; what is fed for them is not looked at.

    Raises:
        InferenceError: If the plan is not one for this GPU and this TensorRT, or CUDA fails.
    """

    def __init__(  # noqa: PLR0913 - the last three have good defaults
        self,
        tensorrt: TensorRT,
        plan: bytes,
        open_cuda: Callable[[], CudaRuntime],
        description: str,
        *,
        graph: bool = True,
        kernels: bool = True,
        constants: Mapping[str, AnyArray] = MappingProxyType({}),
    ) -> None:
        self.name = tensorrt.flavour
        self.kernels_problem = '' if kernels else KERNELS_OFF
        self._checked: set[Hashable] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='cuda')
        try:
            self._runner: _Runner | None = self._thread.submit(
                _Runner, tensorrt, plan, open_cuda, graph=graph
            ).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self.inputs = self._runner.inputs + tuple(
            TensorSpec(name, str(value.dtype), value.shape) for name, value in constants.items()
        )
        self.outputs = self._runner.outputs
        self.description = f'{description} ({self._runner.title})'

    def _infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        if self._runner is None:
            raise InferenceError('the engine is closed')
        wanted = {spec.name: feeds[spec.name] for spec in self._runner.inputs}
        return self._thread.submit(self._runner.run, wanted).result()

    @property
    def takes_frames(self) -> bool:  # type: ignore[override]
        """Whether the engine can still run."""
        return self._runner is not None

    def prepare_kernels(self) -> None:
        """Compile the kernels, so that the first frame need not wait for it."""
        if self._runner is not None and not self.kernels_problem:
            self.kernels_problem = self._thread.submit(self._runner.make_kernels).result()

    def begin(self, job: NetworkJob) -> Future[dict[str, AnyArray]] | None:
        """Start a run; see `Backend.begin`. The first of a kind checks the kernel before."""
        runner = self._runner
        if runner is None or not self._suits(job, runner):
            return None
        kind = tuple((i.tensor, i.first, bytes(i.arguments)) for i in job.images)
        if job.images and kind not in self._checked and not self.kernels_problem:
            self.kernels_problem = self._thread.submit(runner.check_images, job).result()
            self._checked.add(kind)
        if job.images and self.kernels_problem:
            return None
        return self._thread.submit(runner.run_job, job)

    def _suits(self, job: NetworkJob, runner: _Runner) -> bool:
        """Return whether the inputs are those of the engine; `infer` says what is wrong."""
        if job.all_shapes().keys() != {spec.name for spec in self.inputs}:
            return False
        inputs = {spec.name: spec for spec in runner.inputs}
        if any(spec.problem(job.feeds[n]) for n, spec in inputs.items() if n in job.feeds):
            return False
        return all(
            i.tensor in inputs and inputs[i.tensor].dtype == TYPES[i.arguments.type]
            for i in job.images
        )

    def publish(self, job: PublishJob) -> Published | None:
        """Make depth, sigma and cloud; see `Backend.publish`. A new kind is checked before."""
        runner = self._runner
        if runner is None or self.kernels_problem:
            return None
        kind = job.rho.shape, job.finish is None, job.far is None, job.publish.channels
        if kind not in self._checked:
            self.kernels_problem = self._thread.submit(runner.check_maps, job).result()
            self._checked.add(kind)
            if self.kernels_problem:
                return None
        try:
            return self._thread.submit(runner.publish, job).result()
        except Exception as error:  # noqa: BLE001 - the CPU does the same
            self.kernels_problem = f'the kernels failed: {error}'
            return None

    def close(self) -> None:
        """Free the engine, its memory and its thread."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._thread.submit(runner.close).result()
        self._thread.shutdown()


class _Runner:
    """The engine with its memory; lives in one thread from beginning to end."""

    def __init__(
        self,
        tensorrt: TensorRT,
        plan: bytes,
        open_cuda: Callable[[], CudaRuntime],
        *,
        graph: bool,
    ) -> None:
        self._cuda = open_cuda()
        try:
            self._log = make_log(tensorrt)
            self._runtime: Runtime | None = tensorrt.make_runtime(self._log)
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise InferenceError(f'{tensorrt.title} does not load the plan: {self._why()}')
            self._engine: Engine | None = engine
            self._context: Any = engine.create_execution_context()
            if self._context is None:
                raise InferenceError(f'{tensorrt.title} makes no context: {self._why()}')
            self.inputs, self.outputs = _specs(tensorrt, engine)
            self._stream = self._cuda.make_stream()
        except BaseException:
            self._cuda.close()
            raise
        self.title = self._cuda.title
        self._slots: dict[str, Slot] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._wants_graph = graph and self._cuda.captures
        self._graph: Any = None
        self._generation = 0  # of the slots; graphs of an earlier one must not run
        self._frames: FrameRunner | None = None
        self._before = Recorder(self._cuda, wanted=graph)
        self._after = Recorder(self._cuda, wanted=graph)

    def run(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Return the outputs; their arrays are used again by the next run."""
        shapes = {name: array.shape for name, array in feeds.items()}
        if shapes != self._shapes:
            self._prepare(shapes)
        for name, array in feeds.items():
            np.copyto(self._slots[name].host, array)
        if self._graph is not None:
            self._cuda.launch(self._graph, self._stream)
        else:
            self._queue()
        self._cuda.synchronise(self._stream)
        return {spec.name: self._slots[spec.name].host for spec in self.outputs}

    def make_kernels(self) -> str:
        """Compile the kernels; return why that cannot be, or ''."""
        if self._frames is None:
            try:
                self._frames = FrameRunner(self._cuda)
            except Exception as error:  # noqa: BLE001 - of a compiler that may not be installed
                return f'the kernels cannot be compiled: {error}; set tensorrt.kernels to false'
        return ''

    def check_images(self, job: NetworkJob) -> str:
        """Return why tensors of pictures are better made on the CPU; '' if they are right."""
        problem = self.make_kernels()
        if problem or self._frames is None:
            return problem
        try:
            self._fill(job)
            found = self._frames.check_images(job.images, self._slots, self._stream)
        except Exception as error:  # noqa: BLE001 - the CPU does the same
            return f'the kernels failed: {error}'
        return f'a kernel does not compute what its twin does: {found}' if found else ''

    def check_maps(self, job: PublishJob) -> str:
        """Return why maps are better judged and packed on the CPU; '' if that is right here."""
        problem = self.make_kernels()
        if problem or self._frames is None:
            return problem
        try:
            found = self._frames.check_maps(job, self._stream)
        except Exception as error:  # noqa: BLE001 - the CPU does the same
            return f'the kernels failed: {error}'
        return f'a kernel does not compute what its twin does: {found}' if found else ''

    def _fill(self, job: NetworkJob) -> None:
        shapes = {spec.name: job.all_shapes()[spec.name] for spec in self.inputs}
        if shapes != self._shapes:
            self._prepare(shapes)
        for spec in self.inputs:
            if spec.name in job.feeds:
                np.copyto(self._slots[spec.name].host, job.feeds[spec.name])

    def run_job(self, job: NetworkJob) -> dict[str, AnyArray]:
        """Return the outputs of a frame, in arrays of their own."""
        self._fill(job)
        frames = self._frames
        places = frames.fill(job.images) if frames is not None and job.images else []

        def queue() -> None:
            if frames is not None:
                frames.queue_images(job.images, places, self._slots, self._stream)
            self._queue([spec.name for spec in self.inputs if spec.name in job.feeds])

        kinds = tuple((i.tensor, i.first, bytes(i.arguments)) for i in job.images)
        key = self._generation, kinds, tuple(slot.address for slot in places)
        if not self._before.run(key, queue, self._stream):
            self._stream = self._cuda.make_stream()
            queue()
        self._cuda.synchronise(self._stream)
        return {spec.name: self._slots[spec.name].host.copy() for spec in self.outputs}

    def publish(self, job: PublishJob) -> Published:
        """Return depth, sigma and cloud of a metric map."""
        frames = self._frames
        if frames is None:
            raise InferenceError('there are no kernels')
        slots = frames.fill_maps(job)
        finish = b'' if job.finish is None else bytes(job.finish)
        key = finish, bytes(job.publish), tuple((n, s.address) for n, s in slots.items())

        def queue() -> None:
            frames.queue_maps(job, slots, self._stream)

        if not self._after.run(key, queue, self._stream):
            self._stream = self._cuda.make_stream()
            queue()
        self._cuda.synchronise(self._stream)
        return published(slots)

    def _queue(self, uploaded: Iterable[str] | None = None) -> None:
        names = [spec.name for spec in self.inputs] if uploaded is None else uploaded
        for name in names:
            self._cuda.upload(self._slots[name], self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise InferenceError(f'the engine refuses to run: {self._why()}')
        for spec in self.outputs:
            self._cuda.download(self._slots[spec.name], self._stream)

    def _prepare(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Make room for these shapes and warm up."""
        self._forget()
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise ModelError(f'the engine does not take {name} as {shape}: {self._why()}')
        for spec in (*self.inputs, *self.outputs):
            shape = tuple(int(side) for side in self._context.get_tensor_shape(spec.name))
            if any(side < 0 for side in shape):
                raise ModelError(f'the size of {spec.name} depends on the image, not on its size')
            self._slots[spec.name] = self._cuda.make_slot(shape, spec.dtype)
            if not self._context.set_tensor_address(spec.name, self._slots[spec.name].address):
                raise InferenceError(f'the engine refuses the memory of {spec.name}')
        for _ in range(_WARM_UPS):
            self._queue()
        self._cuda.synchronise(self._stream)
        if self._wants_graph:
            try:
                self._graph = self._cuda.capture(self._stream, self._queue)
            except Exception:  # noqa: BLE001 - not every engine can be recorded; it runs as it is
                self._wants_graph = False
                self._stream = self._cuda.make_stream()
        self._shapes = shapes

    def _forget(self) -> None:
        self._shapes, self._graph = {}, None
        self._generation += 1
        for slot in self._slots.values():
            self._cuda.free_slot(slot)
        self._slots = {}

    def _why(self) -> str:
        return str(self._log.last())

    def close(self) -> None:
        """Free everything, the engine before its memory."""
        self._context = None
        self._engine = None
        self._runtime = None
        self._slots = {}
        self._cuda.close()


def _specs(
    tensorrt: TensorRT, engine: Engine
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and the outputs of an engine."""
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        kind = engine.get_tensor_dtype(name).name
        if kind not in _DTYPES:
            raise InferenceError(f'{name} is {kind}, which numpy has no type for')
        shape = tuple(None if side < 0 else int(side) for side in engine.get_tensor_shape(name))
        spec = TensorSpec(name, _DTYPES[kind], shape)
        is_input = engine.get_tensor_mode(name) == tensorrt.module.TensorIOMode.INPUT
        (inputs if is_input else outputs).append(spec)
    return tuple(inputs), tuple(outputs)
