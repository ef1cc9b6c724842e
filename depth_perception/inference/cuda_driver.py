"""Ask the CUDA driver what there is, before anything of NVIDIA's is imported.

Without a usable driver TensorRT's objects come out broken, and touching them ends the process.
This looks through ctypes alone, so that it can say no without harm.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import ctypes
from dataclasses import dataclass
from typing import Any

from depth_perception.errors import BackendUnavailableError

LIBRARY = 'libcuda.so.1'
_NAME_BYTES = 256
_PROCESSORS, _INTEGRATED, _MAJOR, _MINOR = 16, 18, 75, 76  # CUdevice_attribute
_OLD_DRIVER_ERRORS = (35, 803)  # the driver is older than the library, or does not match it


@dataclass(frozen=True)
class CudaDevice:
    """One GPU as the driver describes it.

    Attributes:
        index: Its number.
        name: Its name, e.g. 'NVIDIA H200'.
        capability: Compute capability, e.g. (9, 0).
        processors: Number of multiprocessors.
        driver: Newest CUDA version the driver serves, e.g. 13000 for 13.0.
        integrated: Whether it shares the memory of the CPU, as on a Jetson.
    """

    index: int
    name: str
    capability: tuple[int, int]
    processors: int
    driver: int
    integrated: bool

    @property
    def driver_text(self) -> str:
        """The CUDA version of the driver as people write it."""
        return f'{self.driver // 1000}.{self.driver % 1000 // 10}'

    def __str__(self) -> str:
        major, minor = self.capability
        return f'{self.name} (compute capability {major}.{minor}, CUDA {self.driver_text})'


def find_device(index: int = 0, load: Callable[[str], Any] = ctypes.CDLL) -> CudaDevice:
    """Return a GPU that the driver is ready to use.

    Args:
        index: Number of the GPU.
        load: Opens the library of the driver; tests give another one.

    Raises:
        BackendUnavailableError: If there is no driver, no GPU, or not this one; says why.
    """
    try:
        library = load(LIBRARY)
    except OSError as error:
        raise BackendUnavailableError(
            f'there is no CUDA driver ({LIBRARY} cannot be loaded)'
        ) from error
    driver = _Driver(library)
    driver.call('cuInit', 0)
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.call('cuDriverGetVersion', ctypes.byref(version))
    driver.call('cuDeviceGetCount', ctypes.byref(count))
    if not 0 <= index < count.value:
        there = f'{count.value} there' if count.value else 'none there'
        raise BackendUnavailableError(f'CUDA device {index} is asked for, {there}')
    handle = ctypes.c_int()
    driver.call('cuDeviceGet', ctypes.byref(handle), index)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    driver.call('cuDeviceGetName', name, _NAME_BYTES, handle)
    return CudaDevice(
        index=index,
        name=name.value.decode('utf-8', 'replace'),
        capability=(driver.attribute(_MAJOR, handle), driver.attribute(_MINOR, handle)),
        processors=driver.attribute(_PROCESSORS, handle),
        driver=version.value,
        integrated=bool(driver.attribute(_INTEGRATED, handle)),
    )


class _Driver:
    """Calls functions of the driver and turns their codes into errors."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def call(self, name: str, *arguments: Any) -> None:
        try:
            code = int(getattr(self._library, name)(*arguments))
        except AttributeError as error:
            raise BackendUnavailableError(f'{LIBRARY} has no {name}: too old?') from error
        if code:
            raise BackendUnavailableError(f'the CUDA driver refuses: {name} {self._text(code)}')

    def attribute(self, number: int, handle: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self.call('cuDeviceGetAttribute', ctypes.byref(value), number, handle)
        return value.value

    def _text(self, code: int) -> str:
        words = ctypes.c_char_p()
        advice = '; is the driver newer than the kernel module, or older than CUDA needs?'
        with contextlib.suppress(AttributeError):
            self._library.cuGetErrorName(code, ctypes.byref(words))
        name = words.value.decode() if words.value else 'error'
        return f'says {name} ({code}){advice if code in _OLD_DRIVER_ERRORS else ""}'
