"""CUDA through pycuda, which builds wherever there is a CUDA toolkit, as on a Jetson."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from typing import Any, final

from depth_perception.errors import InferenceError
from depth_perception.inference.cuda_driver import CudaDevice
from depth_perception.inference.cuda_runtime import KernelCall, Size, Slot, slot_bytes
import numpy as np


@final
class PycudaRuntime:
    """pycuda on the primary context of a device; never pycuda.autoinit.

    Args:
        device: Which GPU. On one that shares the memory of the CPU slots are mapped, not copied.

    Raises:
        ImportError: If pycuda is not installed.
    """

    captures = False  # pycuda has no graphs

    def __init__(self, device: CudaDevice) -> None:
        import pycuda
        import pycuda.driver as cuda

        self._cuda: Any = cuda
        self.title = f'pycuda {pycuda.VERSION_TEXT}'
        self.mapped = device.integrated
        self._streams: dict[int, Any] = {}
        self._slots: dict[int, Slot] = {}
        self._capability = device.capability
        cuda.init()
        self._context: Any = cuda.Device(device.index).retain_primary_context()
        self._context.push()

    def make_stream(self) -> int:
        """Return the handle of a new stream."""
        stream = self._cuda.Stream()
        self._streams[int(stream.handle)] = stream
        return int(stream.handle)

    def make_slot(self, shape: tuple[int, ...], dtype: str) -> Slot:
        """Return room for one tensor."""
        size = slot_bytes(shape, dtype)
        flags = self._cuda.host_alloc_flags.DEVICEMAP if self.mapped else 0
        raw: Any = self._cuda.pagelocked_empty(size, np.uint8, mem_flags=flags)
        if self.mapped:
            device = None
            address = int(raw.base.get_device_pointer())
        else:
            device = self._cuda.mem_alloc(size)
            address = int(device)
        count = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        slot = Slot(raw[:count].view(dtype).reshape(shape), address, size, (raw, device))
        self._slots[address] = slot
        return slot

    def free_slot(self, slot: Slot) -> None:
        """Free a slot on the device; the host side goes with its last array."""
        del self._slots[slot.address]
        if slot.keep[1] is not None:
            slot.keep[1].free()

    def upload(self, slot: Slot, stream: int) -> None:
        """Queue the copy from host to device."""
        if not self.mapped:
            raw, device = slot.keep
            self._cuda.memcpy_htod_async(device, raw, self._streams[stream])

    def download(self, slot: Slot, stream: int) -> None:
        """Queue the copy from device to host."""
        if not self.mapped:
            raw, device = slot.keep
            self._cuda.memcpy_dtoh_async(raw, device, self._streams[stream])

    def synchronise(self, stream: int) -> None:
        """Wait until all that was queued is done."""
        self._streams[stream].synchronize()

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """Refuse: pycuda has no graphs."""
        del stream, work
        raise InferenceError('pycuda cannot record graphs')

    def launch(self, graph: Any, stream: int) -> None:
        """Refuse: pycuda has no graphs."""
        del graph, stream
        raise InferenceError('pycuda cannot replay graphs')

    def compile(self, source: str) -> bytes:
        """Return CUDA C++ as code of the device; wants the compiler of the CUDA toolkit."""
        from pycuda.compiler import compile as compiled

        major, minor = self._capability
        code: bytes = compiled(source, no_extern_c=True, arch=f'sm_{major}{minor}')
        return code

    def load(self, code: bytes, name: str) -> Any:
        """Return a kernel of such code."""
        module = self._cuda.module_from_buffer(code)
        return module.get_function(name)

    def run(self, kernel: Any, grid: Size, block: Size, call: KernelCall, stream: int) -> None:
        """Queue a kernel."""
        addresses = [np.uintp(address) for address in call.addresses]
        kernel(
            *addresses, np.void(bytes(call.structure)),
            grid=(*grid, 1), block=(*block, 1), stream=self._streams[stream],
        )  # fmt: skip

    def close(self) -> None:
        """Free everything, and give the context back; what a broken context refuses is left."""
        for slot in list(self._slots.values()):
            with contextlib.suppress(self._cuda.Error):
                self.free_slot(slot)
        self._streams.clear()
        with contextlib.suppress(self._cuda.Error):
            self._context.pop()
            self._context.detach()
