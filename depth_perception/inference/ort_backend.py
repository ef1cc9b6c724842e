"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from depth_perception.core.types import AnyArray
from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.inference.backend import Backend, TensorSpec, usable_cpus

_DTYPES = {
    'tensor(float)': 'float32',
    'tensor(float16)': 'float16',
    'tensor(double)': 'float64',
    'tensor(uint8)': 'uint8',
    'tensor(int32)': 'int32',
    'tensor(int64)': 'int64',
    'tensor(bool)': 'bool',
}
_PREFERRED = ('CUDAExecutionProvider', 'OpenVINOExecutionProvider', 'CPUExecutionProvider')


@final
class OrtBackend(Backend):
    """A network in ONNX Runtime, on the best provider that is installed and starts.

    Args:
        path: ONNX file.
        threads: CPU threads; 0 uses all that this process may use.
        cpu_only: Whether to leave GPUs and accelerators alone, as the reference of others must.

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
        offered = _PREFERRED[-1:] if cpu_only else _PREFERRED
        providers = [name for name in offered if name in installed]
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=providers
            )
        except Exception as error:
            raise ModelError(f'ONNX Runtime cannot load {path.name}: {error}') from error
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())
        self.batches_pay = self._session.get_providers()[0] != 'CPUExecutionProvider'
        self.description = _description(onnxruntime.__version__, self._session, providers, count)

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


def _description(version: str, session: Any, offered: list[str], threads: int) -> str:
    """Return which provider runs the network, and why not a faster one."""
    used = session.get_providers()[0]
    short = used.replace('ExecutionProvider', '')
    reasons = []
    for name in _PREFERRED[: _PREFERRED.index(used)] if used in _PREFERRED else ():
        why = 'did not start' if name in offered else 'is not in this onnxruntime'
        reasons.append(f'{name.replace("ExecutionProvider", "")} {why}')
    unit = f'{threads} thread{"s" if threads > 1 else ""}' if short == 'CPU' else 'GPU'
    because = f': {", ".join(reasons)}' if reasons else ''
    return f'onnxruntime {version} {short} ({unit}){because}'
