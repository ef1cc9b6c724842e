"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from depth_perception.core.types import AnyArray
from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.inference.backend import Backend, TensorSpec, usable_cpus
from depth_perception.inference.cuda_driver import find_device

_DTYPES = {
    'tensor(float)': 'float32',
    'tensor(float16)': 'float16',
    'tensor(double)': 'float64',
    'tensor(uint8)': 'uint8',
    'tensor(int32)': 'int32',
    'tensor(int64)': 'int64',
    'tensor(bool)': 'bool',
}
_CUDA, _OPENVINO = 'CUDAExecutionProvider', 'OpenVINOExecutionProvider'
_ACCELERATORS = (_CUDA, _OPENVINO)  # best first
_MOST_WORDS = 200  # of an error


@final
class OrtBackend(Backend):
    """A network in ONNX Runtime, on the best provider that is installed and starts.

    Args:
        path: ONNX file.
        threads: CPU threads; 0 uses all that this process may use.
        cpu_only: Whether to leave GPUs and accelerators alone, as the reference of others must.

    Attributes:
        accelerator: Name of what runs the network; '' if that is the CPU.

    Raises:
        BackendUnavailableError: If ONNX Runtime is not installed.
        ModelError: If the file is not a network that ONNX Runtime can run.
    """

    def __init__(self, path: Path, threads: int = 0, *, cpu_only: bool = False) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendUnavailableError(
                'ONNX Runtime is not installed; `pip install onnxruntime`'
            ) from error
        self.name = 'onnxruntime'
        count = threads or usable_cpus()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = count
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        installed = onnxruntime.get_available_providers()
        reasons = {} if cpu_only else _reasons(installed)
        offered = () if cpu_only else _ACCELERATORS
        providers = [_with_options(name, count) for name in offered if name not in reasons]

        try:
            self._session: Any = _opened(path, options, providers, reasons)
        except Exception as error:
            raise ModelError(f'ONNX Runtime cannot load {path.name}: {error}') from error
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())
        used = self._session.get_providers()[0]
        self.batches_pay = used != 'CPUExecutionProvider'
        self.accelerator = _short(used) if used in _ACCELERATORS else ''
        self.description = _description(onnxruntime.__version__, self._session, reasons, count)

    def _infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        names = [spec.name for spec in self.outputs]
        values = self._session.run(names, dict(feeds))
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _spec(tensor: Any) -> TensorSpec:
    shape = tuple(side if isinstance(side, int) else None for side in tensor.shape)
    return TensorSpec(tensor.name, _DTYPES.get(tensor.type, tensor.type), shape)


def _opened(
    path: Path, options: Any, providers: list[tuple[str, dict[str, str]]], reasons: dict[str, str]
) -> Any:
    """Return a session on the first provider that works; fill in why those before it do not."""
    import onnxruntime

    cpu: tuple[str, dict[str, str]] = ('CPUExecutionProvider', {})
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[*providers, cpu])
    except Exception as error:
        if not providers:
            raise
        words = ' '.join(str(error).split())[:_MOST_WORDS]
        session = onnxruntime.InferenceSession(str(path), options, providers=[cpu])
        reasons |= {name: f'fails on this network, {words}' for name, _ in providers}
    used = session.get_providers()[0]
    for name, _ in providers:
        if name == used:
            break
        reasons.setdefault(name, 'did not start')
    return session


def _reasons(installed: list[str]) -> dict[str, str]:
    """Return why accelerators cannot be used here, as far as that is known before trying."""
    reasons = {
        name: 'is not in this onnxruntime' for name in _ACCELERATORS if name not in installed
    }
    if _CUDA in installed:  # without a driver it would fill the terminal with its errors
        try:
            find_device()
        except BackendUnavailableError as error:
            reasons[_CUDA] = f'cannot be used, {error}'
    return reasons


def _with_options(name: str, threads: int) -> tuple[str, dict[str, str]]:
    """Return a provider with its options; OpenVINO does not look at those of the session."""
    return name, {'num_of_threads': str(threads)} if name == _OPENVINO else {}


def _description(version: str, session: Any, reasons: dict[str, str], threads: int) -> str:
    """Return which provider runs the network, and why not a faster one."""
    used = session.get_providers()[0]
    unit = 'GPU'
    if used != _CUDA:
        unit = session.get_provider_options().get(used, {}).get('device_type', '') or 'CPU'
    if unit == 'CPU':
        unit = f'{threads} thread{"s" if threads > 1 else ""}'
        unit = unit if used not in _ACCELERATORS else f'CPU, {unit}'
    above = _ACCELERATORS[: _ACCELERATORS.index(used)] if used in _ACCELERATORS else _ACCELERATORS
    told = [f'{_short(name)} {reasons[name]}' for name in above if name in reasons]
    because = f': {", ".join(told)}' if told else ''
    return f'onnxruntime {version} {_short(used)} ({unit}){because}'


def _short(provider: str) -> str:
    return provider.replace('ExecutionProvider', '')
