"""The little of CUDA that running an engine takes, whichever Python package provides it.

A runtime belongs to the thread that opened it: it makes the primary context of the device current
there (the one that TensorRT and other libraries use), and every call comes from that thread.
Nothing here initialises CUDA by being imported.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from dataclasses import dataclass
import importlib.util
from typing import Any, Protocol

from depth_perception.core.types import AnyArray
from depth_perception.errors import BackendUnavailableError
from depth_perception.inference.cuda_driver import CudaDevice
import numpy as np

Size = tuple[int, int]
ADAPTERS = ('pycuda', 'cuda-python')


@dataclass(frozen=True)
class Slot:
    """One tensor on both sides.

    Attributes:
        host: Page-locked array of the CPU.
        address: Where it is for the GPU.
        nbytes: Its size.
        keep: What must live as long as the slot.
    """

    host: AnyArray
    address: int
    nbytes: int
    keep: Any = None


@dataclass(frozen=True)
class KernelCall:
    """The arguments of a kernel: addresses first (0: null), then one structure by value."""

    addresses: tuple[int, ...]
    structure: ctypes.Structure


class CudaRuntime(Protocol):
    """Memory, copies and order of work on one GPU.

    Attributes:
        title: Name and version of the package, for people.
        mapped: Whether host and device share the memory of a slot, so that nothing is copied.
        captures: Whether it can record work and replay it as a graph.
    """

    title: str
    mapped: bool
    captures: bool

    def make_stream(self) -> int:
        """Return the handle of a new stream."""

    def make_slot(self, shape: tuple[int, ...], dtype: str) -> Slot:
        """Return room for one tensor."""

    def free_slot(self, slot: Slot) -> None:
        """Free a slot."""

    def upload(self, slot: Slot, stream: int) -> None:
        """Queue the copy from host to device."""

    def download(self, slot: Slot, stream: int) -> None:
        """Queue the copy from device to host."""

    def synchronise(self, stream: int) -> None:
        """Wait until all that was queued is done."""

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """Return a graph of what `work` queues, without running it."""

    def launch(self, graph: Any, stream: int) -> None:
        """Queue a graph."""

    def compile(self, source: str) -> bytes:
        """Return CUDA C++ as code of the device."""

    def load(self, code: bytes, name: str) -> Any:
        """Return a kernel of such code."""

    def run(self, kernel: Any, grid: Size, block: Size, call: KernelCall, stream: int) -> None:
        """Queue a kernel."""

    def close(self) -> None:
        """Free everything, and give the context back."""


def make_slot_array(buffer: Any, shape: tuple[int, ...], dtype: str) -> AnyArray:
    """Return a buffer of bytes as an array."""
    flat: AnyArray = np.frombuffer(buffer, dtype, count=int(np.prod(shape, dtype=np.int64)))
    return flat.reshape(shape)


def slot_bytes(shape: tuple[int, ...], dtype: str) -> int:
    """Return the size of a tensor, at least one byte: nothing cannot be allocated."""
    return max(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize, 1)


def available_adapter(choice: str = 'auto') -> str:
    """Return the package to use, without importing it.

    Args:
        choice: 'auto', 'pycuda' or 'cuda-python'.

    Raises:
        BackendUnavailableError: If it is not installed; says what to install.
    """
    there = [name for name in ADAPTERS if _is_installed(name)]
    if choice == 'auto' and there:
        return there[0]
    if choice in there:
        return choice
    wanted = ' or '.join(ADAPTERS) if choice == 'auto' else choice
    raise BackendUnavailableError(
        f'TensorRT needs {wanted} to reach the GPU: `pip install cuda-bindings` (cuda-python), '
        'or pycuda'
    )


def open_runtime(device: CudaDevice, adapter: str) -> CudaRuntime:
    """Return the runtime of a device for the calling thread.

    Raises:
        BackendUnavailableError: If the package does not work here.
    """
    try:
        if adapter == 'pycuda':
            from depth_perception.inference.cuda_pycuda import PycudaRuntime

            return PycudaRuntime(device)
        from depth_perception.inference.cuda_python import CudaPythonRuntime

        return CudaPythonRuntime(device)
    except BackendUnavailableError:
        raise
    except Exception as error:
        raise BackendUnavailableError(f'{adapter} cannot use {device.name}: {error}') from error


def _is_installed(adapter: str) -> bool:
    module = 'pycuda' if adapter == 'pycuda' else 'cuda.bindings'
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # the folder above it is missing
        return False
