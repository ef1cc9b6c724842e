"""Run a TensorRT engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, final

from depth_perception.core.types import AnyArray
from depth_perception.errors import InferenceError, ModelError
from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.cuda_runtime import CudaRuntime, Slot
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
        constants: Inputs that became part of the engine; what is fed for them is not looked at.

    Raises:
        InferenceError: If the plan is not one for this GPU and this TensorRT, or CUDA fails.
    """

    def __init__(
        self,
        tensorrt: TensorRT,
        plan: bytes,
        open_cuda: Callable[[], CudaRuntime],
        description: str,
        *,
        graph: bool = True,
        constants: Mapping[str, AnyArray] = MappingProxyType({}),
    ) -> None:
        self.name = tensorrt.flavour
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

    def _queue(self) -> None:
        for spec in self.inputs:
            self._cuda.upload(self._slots[spec.name], self._stream)
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
