"""Choose the runtime of a network, and say why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from depth_perception.errors import BackendUnavailableError, InferenceError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard, with_tensor_names
from depth_perception.inference.cuda_driver import CudaDevice, find_device
from depth_perception.inference.cuda_runtime import available_adapter, open_runtime
from depth_perception.inference.engine_backend import EngineBackend
from depth_perception.inference.engine_cache import EngineCache
from depth_perception.inference.engine_inputs import Size, size_for_image
from depth_perception.inference.onnx_network import OnnxNetwork, read_network, Rung
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.parity_gate import check_parity
from depth_perception.inference.tensorrt_api import load_tensorrt, TensorRT
from depth_perception.inference.tensorrt_build import Watch
from depth_perception.inference.tensorrt_ladder import EngineWish, find_engine, Outcome, Toolbox
from depth_perception.parameters import EstimatorSettings

_USUAL = (640, 480)  # images for which an accelerator is tried, where any size would do


@dataclass(frozen=True)
class Acceleration:
    """A GPU with all that TensorRT takes."""

    device: CudaDevice
    tensorrt: TensorRT
    adapter: str


def find_acceleration(settings: EstimatorSettings) -> Acceleration:
    """Return the GPU and the TensorRT to use.

    The driver is asked first: TensorRT is not even imported where there is no GPU.

    Raises:
        BackendUnavailableError: If something is missing; says what.
    """
    device = find_device(settings.tensorrt__device)
    return Acceleration(device, load_tensorrt(device), available_adapter(settings.tensorrt__cuda))


def open_network(card: ModelCard, path: Path, settings: EstimatorSettings) -> Backend:
    """Return what runs a network: TensorRT where it is really there, else ONNX Runtime.

    Raises:
        ModelError: If the file is not a network that can be run.
        BackendUnavailableError: If the backend asked for cannot run here.
    """
    if settings.backend == 'onnxruntime':
        return open_onnxruntime(card, path, settings.threads)
    try:
        tools = toolbox(find_acceleration(settings), settings)
        network = read_network(path)
    except ModelError as error:
        if settings.backend == 'tensorrt' and isinstance(error, BackendUnavailableError):
            raise BackendUnavailableError(
                f'TensorRT cannot be used: {error}; set backend to auto or onnxruntime'
            ) from error
        backend = open_onnxruntime(card, path, settings.threads)
        backend.description += f'; no TensorRT: {error}'
        return backend

    def find(named: ModelCard, size: Size, watch: Watch) -> Outcome:
        outcome = find_engine(tools, wish_for(named, network, size, settings), watch)
        if outcome.engine is not None:
            outcome.engine.prepare_kernels()
        return outcome

    return EngineBackend(
        card,
        find,
        lambda: open_onnxruntime(card, path, settings.threads),
        title=tools.tensorrt.title,
        while_building=settings.tensorrt__while_building,
    )


def open_onnxruntime(card: ModelCard, path: Path, threads: int) -> OrtBackend:
    """Return a network in ONNX Runtime, on an accelerator only if that computes what the CPU does.

    Raises:
        ModelError: If the file is not a network that can be run, or not the one of the card.
    """
    backend = OrtBackend(path, threads)
    if not backend.accelerator:
        return backend
    reference = OrtBackend(path, threads, cpu_only=True)
    try:
        named = with_tensor_names(card, backend)
        size = size_for_image(named, backend.inputs, _USUAL)
        verdict = check_parity(backend, reference, named, size, Rung.HALF)
        problem = verdict.problem
    except InferenceError as error:
        problem = str(error)
    except ModelError:  # whoever uses it finds out, too
        reference.close()
        return backend
    if not problem:
        reference.close()
        backend.description += f'; {verdict.text.replace("ONNX Runtime", "the CPU")}'
        return backend
    backend.close()
    reason = f'{backend.accelerator} does not compute what the CPU does: {problem}'
    reference.description += f': {reason}'
    reference.warning = reason
    return reference


def toolbox(found: Acceleration, settings: EstimatorSettings) -> Toolbox:
    """Return what building and running engines takes.

    Raises:
        EngineRefusedError: If the folder of the engines cannot be trusted.
    """
    return Toolbox(
        found.tensorrt,
        found.device,
        lambda: open_runtime(found.device, found.adapter),
        lambda network: OrtBackend(network.path, settings.threads, cpu_only=True),
        EngineCache(limit_gib=settings.tensorrt__cache_gib),
    )


def wish_for(
    card: ModelCard, network: OnnxNetwork, size: Size, settings: EstimatorSettings
) -> EngineWish:
    """Return which engine the settings ask for."""
    chosen = settings.tensorrt__precision
    return EngineWish(
        card,
        network,
        size,
        card.runtime.precision if chosen == 'card' else (chosen,),
        settings.tensorrt__dla_core,
        settings.tensorrt__workspace_mib,
        settings.tensorrt__plugin_folder,
        settings.tensorrt__cuda_graph,
        settings.tensorrt__kernels,
    )
