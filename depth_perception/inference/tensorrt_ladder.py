"""From a network to an engine that may be trusted: look into the cache, build, check, step down.

The rungs are fp16, fp16 with normalisation and softmax in fp32, fp32, and in the end none: then
ONNX Runtime serves, and the reasons say why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
from dataclasses import dataclass, field
from typing import Any

from depth_perception.core.types import AnyArray
from depth_perception.errors import DepthPerceptionError, InferenceError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.cuda_driver import CudaDevice
from depth_perception.inference.cuda_runtime import CudaRuntime
from depth_perception.inference.engine_cache import (
    EngineCache,
    EngineKey,
    EngineRefusedError,
    Entry,
)
from depth_perception.inference.engine_inputs import inputs_at, Size
from depth_perception.inference.onnx_network import CONVERTER_FORMAT, OnnxNetwork, Rung
from depth_perception.inference.parity_gate import check_parity
from depth_perception.inference.tensorrt_api import TensorRT
from depth_perception.inference.tensorrt_backend import TensorRTBackend
from depth_perception.inference.tensorrt_build import (
    build_plan,
    BuildCancelledError,
    BuildOptions,
    Built,
    load_plugins,
    ShapeRange,
    Watch,
)
import numpy as np


@dataclass(frozen=True)
class Toolbox:
    """What building and running engines takes on this machine.

    Attributes:
        tensorrt: The TensorRT that was found.
        device: The GPU.
        open_cuda: Returns a CUDA runtime for the calling thread.
        open_reference: Returns a network in ONNX Runtime on the CPU.
        cache: Where engines are kept.
    """

    tensorrt: TensorRT
    device: CudaDevice
    open_cuda: Callable[[], CudaRuntime]
    open_reference: Callable[[OnnxNetwork], Backend]
    cache: EngineCache


@dataclass(frozen=True)
class EngineWish:
    """Which engine is wanted.

    Attributes:
        card: The model.
        network: Its file.
        size: Width and height of the network [px].
        precisions: What is allowed, as in `runtime.precision` of a card.
        dla_core: Core of the deep learning accelerator; -1: the GPU.
        workspace_mib: Memory that kernels may take [MiB]; 0: what TensorRT likes.
        plugin_folder: Where the plugins of the card lie.
        graph: Record and replay runs.
        kernels: Leave pictures and maps to the fused kernels.
    """

    card: ModelCard
    network: OnnxNetwork
    size: Size
    precisions: tuple[str, ...]
    dla_core: int = -1
    workspace_mib: int = 0
    plugin_folder: str = ''
    graph: bool = True
    kernels: bool = True

    def shapes(self) -> dict[str, ShapeRange]:
        """Return the range of shapes of each input.

        A card that says `shape: dynamic` with `min` and `max` gets one engine for all sizes
        between; others get one for the size at hand.
        """
        runtime = self.card.runtime
        sizes = [(pair[1], pair[0]) for pair in (runtime.min, runtime.max) if len(pair) == 2]
        width, height = self.size
        wide = (
            runtime.shape == 'dynamic'
            and len(sizes) == 2
            and sizes[0][0] <= width <= sizes[1][0]
            and sizes[0][1] <= height <= sizes[1][1]
        )
        low, high = sizes if wide else (self.size, self.size)
        best = (runtime.opt[1], runtime.opt[0]) if wide and len(runtime.opt) == 2 else self.size
        made = [inputs_at(self.card, size) for size in (low, best, high)]
        names = [name for name in made[0] if name not in self.constants()]
        return {name: ShapeRange(*(one[name].shape for one in made)) for name in names}

    def constants(self) -> dict[str, AnyArray]:
        """Return the inputs that the card fixes, which become part of the engine."""
        return {
            spec.tensor: np.asarray(spec.value, spec.dtype)
            for spec in self.card.inputs
            if spec.source == 'const'
        }


@dataclass
class Outcome:
    """What became of a wish.

    Attributes:
        engine: The engine that passed; None if there is none.
        rung: Its precision.
        reasons: Why the rungs above were left.
        shapes: What the engine takes.
        entry: Where it is kept; None if it could not be stored.
        was_built: Whether it was built just now.
        seconds: What building took [s].
    """

    engine: TensorRTBackend | None = None
    rung: Rung | None = None
    reasons: list[str] = field(default_factory=list)
    shapes: Mapping[str, ShapeRange] = field(default_factory=dict)
    entry: Entry | None = None
    was_built: bool = False
    seconds: float = 0.0

    @property
    def why_lower(self) -> str:
        """The reasons as one text."""
        return '; '.join(self.reasons)


def engine_key(tools: Toolbox, wish: EngineWish, rung: Rung) -> EngineKey:
    """Return all that an engine depends on."""
    device, runtime = tools.device, wish.card.runtime
    shapes = {
        name: [list(span.low), list(span.opt), list(span.high)]
        for name, span in sorted(wish.shapes().items())
    }
    return EngineKey(
        wish.card.id,
        {
            'kind': 'engine',
            'network': wish.network.sha256,
            **_machine(tools),
            'precision': rung.value,
            'fp32 layers': list(runtime.fp32_layers) if rung.value.startswith('fp16') else [],
            'converter': CONVERTER_FORMAT,
            'constants': {name: value.tolist() for name, value in wish.constants().items()},
            'shapes': shapes,
            'dla core': wish.dla_core,
            'workspace': wish.workspace_mib,
            'plugins': list(runtime.plugins),
            'integrated': device.integrated,
        },
    )


def timing_key(tools: Toolbox) -> EngineKey:
    """Return what a timing cache depends on."""
    return EngineKey('timing', {'kind': 'timing', **_machine(tools)})


def _machine(tools: Toolbox) -> dict[str, Any]:
    device = tools.device
    return {
        'runtime': tools.tensorrt.flavour,
        'version': tools.tensorrt.version,
        'driver': device.driver,
        'gpu': device.name,
        'capability': list(device.capability),
        'processors': device.processors,
    }


def find_engine(tools: Toolbox, wish: EngineWish, watch: Watch) -> Outcome:
    """Return the quickest engine that computes what the network says, from the cache or built.

    Raises:
        BuildCancelledError: If it was cancelled.
    """
    outcome = Outcome()
    try:
        outcome.shapes = wish.shapes()
        load_plugins(tools.tensorrt, wish.card.runtime.plugins, wish.plugin_folder)
        rungs = wish.network.rungs(wish.precisions)
    except DepthPerceptionError as error:
        outcome.reasons.append(str(error))
        return outcome
    with _Reference(tools, wish.network) as reference:
        for rung in rungs:
            watch.check()
            try:
                if _climb(_Step(tools, wish, rung, watch, reference), outcome):
                    break
            except BuildCancelledError:
                raise
            except ModelError as error:
                outcome.reasons.append(f'{rung.value}: {error}')
    return outcome


class _Reference:
    """ONNX Runtime, opened before the first build and kept for all rungs."""

    def __init__(self, tools: Toolbox, network: OnnxNetwork) -> None:
        self._tools = tools
        self._network = network
        self._backend: Backend | None = None

    def backend(self) -> Backend:
        """Return it; without one nothing is built, because nothing could be checked."""
        if self._backend is None:
            self._backend = self._tools.open_reference(self._network)
        return self._backend

    def __enter__(self) -> _Reference:
        return self

    def __exit__(self, *details: object) -> None:
        if self._backend is not None:
            self._backend.close()


@dataclass(frozen=True)
class _Step:
    """One rung that is tried."""

    tools: Toolbox
    wish: EngineWish
    rung: Rung
    watch: Watch
    reference: _Reference


def _climb(step: _Step, outcome: Outcome) -> bool:
    """Try one rung; return whether it holds."""
    rung = step.rung
    key = engine_key(step.tools, step.wish, rung)
    entry = _stored(step.tools.cache, key, outcome)
    if entry is not None and entry.rejected:
        outcome.reasons.append(f'{rung.value}: {entry.rejected} (found earlier)')
        return False
    if entry is not None:
        engine = _loaded(step, entry, outcome)
        if engine is not None:
            outcome.engine, outcome.rung, outcome.entry = engine, rung, entry
            return True
    _build(step, key, outcome)
    return outcome.engine is not None


def _stored(cache: EngineCache, key: EngineKey, outcome: Outcome) -> Entry | None:
    try:
        return cache.find(key)
    except EngineRefusedError as error:
        outcome.reasons.append(f'a stored engine was refused: {error}')
        cache.remove(key.stem)
        return None


def _loaded(step: _Step, entry: Entry, outcome: Outcome) -> TensorRTBackend | None:
    """Return a stored engine; None, and nothing stored any more, if it cannot be used."""
    try:
        engine = _opened(step, step.tools.cache.load(entry))
    except (EngineRefusedError, InferenceError) as error:
        outcome.reasons.append(f'a stored engine was refused: {error}')
        step.tools.cache.remove(entry.stem)
        return None
    engine.description += f'; built {entry.created_utc}'
    return engine


def _opened(step: _Step, plan: bytes) -> TensorRTBackend:
    tools, wish = step.tools, step.wish
    where = tools.device.name if wish.dla_core < 0 else f'DLA {wish.dla_core}'
    return TensorRTBackend(
        tools.tensorrt,
        plan,
        tools.open_cuda,
        f'{tools.tensorrt.title} {step.rung.value} on {where}',
        graph=wish.graph,
        kernels=wish.kernels,
        constants=wish.constants(),
    )


def _build(step: _Step, key: EngineKey, outcome: Outcome) -> None:
    """Build, check, and store what passes; what computes something else is remembered."""
    tools, wish, rung = step.tools, step.wish, step.rung
    reference, runtime = step.reference.backend(), wish.card.runtime
    options = BuildOptions(
        outcome.shapes, rung, wish.dla_core, wish.workspace_mib, runtime.plugins,
        wish.plugin_folder,
    )  # fmt: skip
    content = wish.network.content(rung, runtime.fp32_layers, wish.constants())
    timing = timing_key(tools)
    built = _on_device(step, content, options, tools.cache.load_timing(timing))
    outcome.seconds += built.seconds
    step.watch.report('checking', 1.0)
    engine = _opened(step, built.plan)
    try:
        verdict = check_parity(engine, reference, wish.card, wish.size, rung)
    except BaseException:
        engine.close()
        raise
    if verdict.problem:
        engine.close()
        outcome.reasons.append(f'{rung.value}: refused, {verdict.problem}')
        with contextlib.suppress(EngineRefusedError):
            tools.cache.reject(key, f'refused, {verdict.problem}')
        return
    outcome.engine, outcome.rung, outcome.was_built = engine, rung, True
    engine.description += f'; {verdict.text}'
    try:
        notes = {'mean': verdict.mean, 'p99': verdict.p99, 'seconds': built.seconds}
        outcome.entry = tools.cache.store(key, built.plan, notes)
        if built.timing:
            tools.cache.store(timing, built.timing, {})
    except EngineRefusedError as error:
        outcome.reasons.append(f'not stored: {error}')


def _on_device(step: _Step, content: bytes, options: BuildOptions, timing: bytes) -> Built:
    """Build with the context of the device current, or TensorRT would build for the first one."""
    cuda = step.tools.open_cuda()
    try:
        return build_plan(step.tools.tensorrt, content, options, step.watch, timing)
    finally:
        cuda.close()
