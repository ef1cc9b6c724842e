"""CUDA through cuda-python, NVIDIA's own bindings."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import ctypes
import importlib
from typing import Any, final

from depth_perception.errors import InferenceError
from depth_perception.inference.cuda_driver import CudaDevice
from depth_perception.inference.cuda_runtime import (
    KernelCall,
    make_slot_array,
    Size,
    Slot,
    slot_bytes,
)


@final
class CudaPythonRuntime:
    """The driver API of cuda-python on the primary context of a device.

    Args:
        device: Which GPU. On one that shares the memory of the CPU slots are mapped, not copied.

    Raises:
        ImportError: If cuda-python is not installed.
        InferenceError: If the driver refuses.
    """

    captures = True

    def __init__(self, device: CudaDevice) -> None:
        self._cuda: Any = importlib.import_module('cuda.bindings.driver')
        version = importlib.import_module('cuda.bindings').__version__
        self.title = f'cuda-python {version}'
        self.mapped = device.integrated
        self._streams: list[int] = []
        self._slots: dict[int, Slot] = {}
        self._graphs: list[Any] = []
        self._modules: list[Any] = []
        self._capability = device.capability
        self._call('cuInit', 0)
        self._device = self._call('cuDeviceGet', device.index)
        context = self._call('cuDevicePrimaryCtxRetain', self._device)
        self._call('cuCtxPushCurrent', context)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Return what a function of the driver returns beside its code."""
        code, *values = getattr(self._cuda, name)(*arguments)
        if int(code) != 0:
            raise InferenceError(f'CUDA: {name} says {getattr(code, "name", code)}')
        return values[0] if len(values) == 1 else tuple(values)

    def make_stream(self) -> int:
        """Return the handle of a new stream that does not wait for the default one."""
        flag = self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING
        stream = int(self._call('cuStreamCreate', flag))
        self._streams.append(stream)
        return stream

    def make_slot(self, shape: tuple[int, ...], dtype: str) -> Slot:
        """Return room for one tensor."""
        size = slot_bytes(shape, dtype)
        flags = self._cuda.CU_MEMHOSTALLOC_DEVICEMAP if self.mapped else 0
        host = int(self._call('cuMemHostAlloc', size, flags))
        try:
            if self.mapped:
                address = int(self._call('cuMemHostGetDevicePointer', host, 0))
            else:
                address = int(self._call('cuMemAlloc', size))
        except InferenceError:
            self._call('cuMemFreeHost', host)
            raise
        buffer = (ctypes.c_ubyte * size).from_address(host)
        slot = Slot(make_slot_array(buffer, shape, dtype), address, size, host)
        self._slots[address] = slot
        return slot

    def free_slot(self, slot: Slot) -> None:
        """Free a slot."""
        del self._slots[slot.address]
        if not self.mapped:
            self._call('cuMemFree', slot.address)
        self._call('cuMemFreeHost', slot.keep)

    def upload(self, slot: Slot, stream: int) -> None:
        """Queue the copy from host to device."""
        if not self.mapped:
            self._call('cuMemcpyHtoDAsync', slot.address, slot.keep, slot.nbytes, stream)

    def download(self, slot: Slot, stream: int) -> None:
        """Queue the copy from device to host."""
        if not self.mapped:
            self._call('cuMemcpyDtoHAsync', slot.keep, slot.address, slot.nbytes, stream)

    def synchronise(self, stream: int) -> None:
        """Wait until all that was queued is done."""
        self._call('cuStreamSynchronize', stream)

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """Return a graph of what `work` queues, without running it."""
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call('cuStreamBeginCapture', stream, mode)
        try:
            work()
        except BaseException:
            with contextlib.suppress(InferenceError):
                self._call('cuGraphDestroy', self._call('cuStreamEndCapture', stream))
            raise
        captured = self._call('cuStreamEndCapture', stream)
        try:
            graph = self._call('cuGraphInstantiate', captured, 0)
        finally:
            self._call('cuGraphDestroy', captured)
        self._graphs.append(graph)
        return graph

    def launch(self, graph: Any, stream: int) -> None:
        """Queue a graph."""
        self._call('cuGraphLaunch', graph, stream)

    def compile(self, source: str) -> bytes:
        """Return CUDA C++ as code of the device; wants the library NVRTC, but no toolkit.

        Raises:
            InferenceError: If the source does not compile; says what the compiler says.
        """
        nvrtc: Any = importlib.import_module('cuda.bindings.nvrtc')

        def call(name: str, *arguments: Any) -> Any:
            code, *values = getattr(nvrtc, name)(*arguments)
            if int(code) != 0:
                raise InferenceError(f'CUDA: {name} says {getattr(code, "name", code)}')
            return values[0] if values else None

        major, minor = self._capability
        program = call('nvrtcCreateProgram', source.encode(), b'kernels.cu', 0, [], [])
        options = [f'--gpu-architecture=sm_{major}{minor}'.encode()]
        try:
            call('nvrtcCompileProgram', program, len(options), options)
            code = bytearray(call('nvrtcGetCUBINSize', program))
            call('nvrtcGetCUBIN', program, code)
        except InferenceError as error:
            log = bytearray(call('nvrtcGetProgramLogSize', program))
            call('nvrtcGetProgramLog', program, log)
            raise InferenceError(f'{error}: {log.decode(errors="replace")[:2000]}') from error
        finally:
            call('nvrtcDestroyProgram', program)
        return bytes(code)

    def load(self, code: bytes, name: str) -> Any:
        """Return a kernel of such code."""
        module = self._call('cuModuleLoadData', code)
        self._modules.append(module)
        return self._call('cuModuleGetFunction', module, name.encode())

    def run(self, kernel: Any, grid: Size, block: Size, call: KernelCall, stream: int) -> None:
        """Queue a kernel."""
        values = [*(ctypes.c_void_p(address) for address in call.addresses), call.structure]
        places = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        self._call(
            'cuLaunchKernel', kernel, *grid, 1, *block, 1, 0, stream, ctypes.addressof(places), 0
        )

    def close(self) -> None:
        """Free everything, and give the context back; what a broken context refuses is left."""
        for graph in self._graphs:
            with contextlib.suppress(InferenceError):
                self._call('cuGraphExecDestroy', graph)
        for module in self._modules:
            with contextlib.suppress(InferenceError):
                self._call('cuModuleUnload', module)
        for slot in list(self._slots.values()):
            with contextlib.suppress(InferenceError):
                self.free_slot(slot)
        for stream in self._streams:
            with contextlib.suppress(InferenceError):
                self._call('cuStreamDestroy', stream)
        with contextlib.suppress(InferenceError):
            self._call('cuCtxPopCurrent')
        with contextlib.suppress(InferenceError):
            self._call('cuDevicePrimaryCtxRelease', self._device)
