"""The part of TensorRT that this package calls, as types, and where to find TensorRT.

No release of TensorRT ships type stubs, so the protocols below are the ones mypy checks our calls
against; a test holds them against the real bindings. What differs between releases (8.6 to 11, and
TensorRT-RTX) is not in the protocols: it is asked for by name in `tensorrt_build`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import importlib
import re
from typing import Any, Protocol

from depth_perception.errors import BackendUnavailableError
from depth_perception.inference.cuda_driver import CudaDevice

FLAVOURS = ('tensorrt', 'tensorrt_rtx')
OLDEST = (8, 6)
KNOWN_BAD = {(10, 2): 'TensorRT 10.2 computes wrong results; take 10.3 or newer'}


class HostMemory(Protocol):
    """A plan, or a timing cache; a buffer."""

    @property
    def nbytes(self) -> int:
        """Its size."""


class ParserError(Protocol):
    """Why the parser refuses."""

    def desc(self) -> str:
        """Return the sentence."""

    def node(self) -> int:
        """Return the number of the node."""


class Parser(Protocol):
    """Reads ONNX."""

    num_errors: int

    def parse(self, model: bytes) -> bool:
        """Read a network."""

    def get_error(self, index: int) -> ParserError:
        """Return one of its complaints."""


class NetworkTensor(Protocol):
    """An input or output of a network that is being built."""

    name: str
    shape: Sequence[int]
    dtype: Any


class Network(Protocol):
    """A network that is being built."""

    num_inputs: int
    num_layers: int

    def get_input(self, index: int) -> NetworkTensor:
        """Return an input."""

    def get_layer(self, index: int) -> Any:
        """Return a layer."""


class OptimizationProfile(Protocol):
    """Range of shapes an engine is made for."""

    def set_shape(
        self, name: str, low: tuple[int, ...], opt: tuple[int, ...], high: tuple[int, ...], /
    ) -> None:
        """Set the range of an input."""


class BuilderConfig(Protocol):
    """How to build."""

    def add_optimization_profile(self, profile: OptimizationProfile, /) -> int:
        """Add a range of shapes."""

    def set_memory_pool_limit(self, pool: Any, size: int, /) -> None:
        """Limit what building may take."""

    def set_flag(self, flag: Any, /) -> None:
        """Switch something on."""

    def clear_flag(self, flag: Any, /) -> None:
        """Switch something off."""


class Builder(Protocol):
    """Builds plans."""

    num_DLA_cores: int  # noqa: N815 - TensorRT's name

    def create_network(self, flags: int = ..., /) -> Network:
        """Return an empty network."""

    def create_builder_config(self) -> BuilderConfig:
        """Return the default way of building."""

    def create_optimization_profile(self) -> OptimizationProfile:
        """Return an empty range of shapes."""

    def build_serialized_network(
        self, network: Network, config: BuilderConfig, /
    ) -> HostMemory | None:
        """Return the plan, or None."""


class ExecutionContext(Protocol):
    """State of an engine that runs."""

    def set_input_shape(self, name: str, shape: tuple[int, ...], /) -> bool:
        """Say how large an input is."""

    def get_tensor_shape(self, name: str, /) -> Sequence[int]:
        """Return how large a tensor is."""

    def set_tensor_address(self, name: str, address: int, /) -> bool:
        """Say where a tensor lies in the memory of the GPU."""

    def execute_async_v3(self, stream_handle: int, /) -> bool:
        """Queue one run."""


class Engine(Protocol):
    """A plan that was loaded."""

    num_io_tensors: int

    def get_tensor_name(self, index: int, /) -> str:
        """Return the name of an input or output."""

    def get_tensor_mode(self, name: str, /) -> Any:
        """Return whether it is an input or an output."""

    def get_tensor_dtype(self, name: str, /) -> Any:
        """Return its type."""

    def get_tensor_shape(self, name: str, /) -> Sequence[int]:
        """Return its shape, -1 where free."""

    def create_execution_context(self) -> ExecutionContext | None:
        """Return what runs it."""


class Runtime(Protocol):
    """Loads plans."""

    def deserialize_cuda_engine(self, plan: bytes, /) -> Engine | None:
        """Return the engine, or None."""


@dataclass(frozen=True)
class TensorRT:
    """TensorRT as it was found.

    Attributes:
        module: Python module; its enums and classes differ between releases.
        flavour: 'tensorrt' or 'tensorrt_rtx'.
        version: e.g. '10.3.0'.
    """

    module: Any
    flavour: str
    version: str

    @property
    def title(self) -> str:
        """Name and version for people."""
        name = 'TensorRT-RTX' if self.flavour == 'tensorrt_rtx' else 'TensorRT'
        return f'{name} {self.version}'

    @property
    def is_rtx(self) -> bool:
        """Whether it is the small TensorRT for desktop GPUs."""
        return self.flavour == 'tensorrt_rtx'

    def make_builder(self, log: Any) -> Builder:
        """Return a builder.

        Raises:
            BackendUnavailableError: If TensorRT refuses.
        """
        try:
            builder: Builder | None = self.module.Builder(log)
        except TypeError as error:  # pybind11 says so where the factory returns nothing
            raise BackendUnavailableError(f'{self.title} makes no builder: {error}') from error
        if builder is None:
            raise BackendUnavailableError(f'{self.title} makes no builder')
        return builder

    def make_parser(self, network: Network, log: Any) -> Parser:
        """Return a reader of ONNX that fills `network`."""
        parser: Parser = self.module.OnnxParser(network, log)
        return parser

    def make_runtime(self, log: Any) -> Runtime:
        """Return what loads plans; never call this without a CUDA device."""
        runtime: Runtime = self.module.Runtime(log)
        return runtime


def load_tensorrt(device: CudaDevice | None) -> TensorRT:
    """Return the TensorRT that is installed.

    Args:
        device: The GPU it is meant for. None asks for one that builds without a GPU, which only
            TensorRT-RTX does: the full one can end the process.

    Raises:
        BackendUnavailableError: If there is none that can be used here; says why for each.
    """
    reasons = []
    for flavour in FLAVOURS if device is not None else FLAVOURS[1:]:
        try:
            module = importlib.import_module(flavour)
        except (ImportError, OSError) as error:  # OSError: a library it needs is not there
            missing = isinstance(error, ModuleNotFoundError) and error.name == flavour
            reasons.append(f'{flavour} is not installed' if missing else f'{flavour}: {error}')
            continue
        found = TensorRT(module, flavour, str(getattr(module, '__version__', '0')))
        reason = _unsuitable(found, device)
        if not reason:
            return found
        reasons.append(reason)
    if device is None:
        reasons.append('TensorRT itself cannot be touched without a GPU')
    raise BackendUnavailableError('; '.join(reasons))


def _unsuitable(found: TensorRT, device: CudaDevice | None) -> str:
    """Return why a TensorRT cannot be used here; '' if it can."""
    if found.is_rtx:
        known = getattr(found.module, 'ComputeCapability', None)
        if device is None or known is None:
            return ''
        major, minor = device.capability
        if hasattr(known, f'SM{major}{minor}'):
            return ''
        return f'{found.title} does not support compute capability {major}.{minor}'
    numbers = tuple(int(part) for part in re.findall(r'\d+', found.version)[:2])
    if numbers < OLDEST:
        return f'{found.title} is older than {OLDEST[0]}.{OLDEST[1]}'
    if not hasattr(found.module, 'Builder') or not hasattr(found.module, 'OnnxParser'):
        return f'{found.title} has no builder (a lean or dispatch runtime)'
    return KNOWN_BAD.get((numbers[0], numbers[1]), '')


def make_log(tensorrt: TensorRT, keep: int = 20) -> Any:
    """Return a logger for TensorRT that keeps its last warnings and errors in `lines`."""
    base: Any = tensorrt.module.ILogger

    class Log(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (base.INTERNAL_ERROR, base.ERROR):
                self.lines.append(' '.join(str(msg).split())[:400])
                del self.lines[:-keep]

        def last(self, otherwise: str = 'no reason given') -> str:
            return self.lines[-1] if self.lines else otherwise

    return Log()
