"""Build a TensorRT plan from a network: progress, cancelling, shapes, DLA, timing cache.

One way for TensorRT 8.6 to 11 and TensorRT-RTX; what a release lacks is looked for by name. The
precision is the network's own (`onnx_network`): from 10 on networks are strongly typed; 8.6 has
no such thing and is told the types of the network layer by layer.

Never call this for the full TensorRT without a CUDA device (`cuda_driver.find_device`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import ctypes
from dataclasses import dataclass, field
import os
from pathlib import Path
import stat
import threading
import time
from typing import Any

from depth_perception.errors import BackendUnavailableError, InferenceError, ModelError
from depth_perception.inference.onnx_network import Rung
from depth_perception.inference.tensorrt_api import (
    Builder,
    BuilderConfig,
    make_log,
    Network,
    Parser,
    TensorRT,
)

Shape = tuple[int, ...]
_MIB = 1 << 20
_REJECTED_SHOWN = 3


class BuildCancelledError(InferenceError):
    """Somebody asked to stop building."""


@dataclass(frozen=True)
class ShapeRange:
    """Smallest, likeliest and largest shape of an input; all the same where it is fixed."""

    low: Shape
    opt: Shape
    high: Shape

    @classmethod
    def fixed(cls, shape: Shape) -> ShapeRange:
        """Return the range of one shape."""
        return cls(shape, shape, shape)

    @property
    def is_fixed(self) -> bool:
        """Whether there is one shape only."""
        return self.low == self.high

    def holds(self, shape: Shape) -> bool:
        """Return whether a shape lies in the range."""
        return len(shape) == len(self.low) and all(
            low <= side <= high for low, side, high in zip(self.low, shape, self.high, strict=True)
        )


@dataclass(frozen=True)
class BuildOptions:
    """What is built.

    Attributes:
        shapes: Range of shapes, by name of the input.
        rung: Precision of the network that is given.
        dla_core: Core of the deep learning accelerator; -1: the GPU.
        workspace_mib: Memory that kernels may take [MiB]; 0: what TensorRT likes.
        plugins: File names of libraries of plugins that the network needs.
        plugin_folder: Where they lie; '': nowhere.
    """

    shapes: Mapping[str, ShapeRange]
    rung: Rung = Rung.FULL
    dla_core: int = -1
    workspace_mib: int = 0
    plugins: tuple[str, ...] = ()
    plugin_folder: str = ''


@dataclass
class Watch:
    """How far a build is, and the wish to end it; shared between threads.

    Attributes:
        report: Is told the phase and the share that is done, 0 to 1.
        cancelled: Set it to stop.
    """

    report: Callable[[str, float], None] = lambda phase, share: None  # noqa: ARG005
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise BuildCancelledError if it was cancelled."""
        if self.cancelled.is_set():
            raise BuildCancelledError('building was cancelled')


@dataclass(frozen=True)
class Built:
    """A plan, what speeds up the next build, and what the build took [s]."""

    plan: bytes
    timing: bytes
    seconds: float


def build_plan(
    tensorrt: TensorRT,
    content: bytes,
    options: BuildOptions,
    watch: Watch | None = None,
    timing: bytes = b'',
) -> Built:
    """Return the plan of a network.

    Args:
        tensorrt: What builds it.
        content: The network in ONNX.
        options: What to build.
        watch: Progress, and the way to cancel.
        timing: Timing cache of an earlier build by the same release on the same GPU.

    Raises:
        ModelError: If TensorRT cannot read the network or build it; says which node and why.
        BackendUnavailableError: If a DLA core or a plugin is asked for that is not there.
        BuildCancelledError: If it was cancelled.
    """
    watch = watch or Watch()
    watch.check()
    started = time.monotonic()
    log = make_log(tensorrt)
    load_plugins(tensorrt, options.plugins, options.plugin_folder)
    builder = tensorrt.make_builder(log)
    network = builder.create_network(_network_flags(tensorrt))
    parser = tensorrt.make_parser(network, log)
    if not parser.parse(content):
        raise ModelError(f'{tensorrt.title} cannot read the network: {_complaint(parser, log)}')
    config = builder.create_builder_config()
    _set_shapes(builder, network, config, options.shapes)
    _set_precision(tensorrt, network, config, options.rung)
    if options.dla_core >= 0:
        _set_dla(tensorrt, builder, config, options.dla_core)
    if options.workspace_mib:
        pool = tensorrt.module.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, options.workspace_mib * _MIB)
    cache = _set_timing(tensorrt, config, timing)
    _set_monitor(tensorrt, config, watch)
    memory = builder.build_serialized_network(network, config)
    watch.check()  # 8.6 cannot be stopped half-way
    if memory is None:
        raise ModelError(f'{tensorrt.title} cannot build the network: {log.last()}')
    watch.report('built', 1.0)
    kept = b'' if cache is None else bytes(memoryview(cache.serialize()))
    return Built(bytes(memoryview(memory)), kept, time.monotonic() - started)  # type: ignore[arg-type]


def _network_flags(tensorrt: TensorRT) -> int:
    """Return the flags of a new network: explicit batch for 8.6, strongly typed from 10 on."""
    known = tensorrt.module.NetworkDefinitionCreationFlag
    flags = 0
    if hasattr(known, 'STRONGLY_TYPED'):
        flags |= 1 << int(known.STRONGLY_TYPED)
    elif hasattr(known, 'EXPLICIT_BATCH'):
        flags |= 1 << int(known.EXPLICIT_BATCH)
    return flags


def _complaint(parser: Parser, log: Any) -> str:
    """Return what the parser says, with the node and its operator where it knows them."""
    texts = []
    for index in range(min(parser.num_errors, _REJECTED_SHOWN)):
        error = parser.get_error(index)
        operator = getattr(error, 'node_operator', None)
        name = getattr(error, 'node_name', None)
        where = f'node {error.node()}' + (f' {name()!r}' if name is not None else '')
        what = f' ({operator()})' if operator is not None and operator() else ''
        texts.append(f'{where}{what}: {" ".join(error.desc().split())}'[:400])
    return '; '.join(texts) or log.last()


def _set_shapes(
    builder: Builder, network: Network, config: BuilderConfig, shapes: Mapping[str, ShapeRange]
) -> None:
    """Pin fixed shapes, and make one profile of the others."""
    profile = None
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        known = tuple(tensor.shape)
        if -1 not in known:
            _check_known(tensor.name, known, shapes.get(tensor.name))
            continue
        span = shapes.get(tensor.name)
        if span is None:
            raise ModelError(f'the input {tensor.name} {known} needs a shape')
        _check_known(tensor.name, known, span)
        if span.is_fixed:
            tensor.shape = span.opt
            continue
        profile = profile or builder.create_optimization_profile()
        profile.set_shape(tensor.name, span.low, span.opt, span.high)
    if profile is not None:
        config.add_optimization_profile(profile)


def _check_known(name: str, known: Shape, span: ShapeRange | None) -> None:
    if span is None:
        return
    for shape in (span.low, span.opt, span.high):
        fits = len(shape) == len(known) and all(
            side in (-1, wanted) for side, wanted in zip(known, shape, strict=True)
        )
        if not fits:
            raise ModelError(f'the input {name} has the shape {known}, {shape} does not fit')
    if not (span.holds(span.opt)):
        raise ModelError(f'{name}: {span.opt} is not between {span.low} and {span.high}')


def _set_precision(
    tensorrt: TensorRT, network: Network, config: BuilderConfig, rung: Rung
) -> None:
    """Make the builder keep to the types of the network."""
    flags = tensorrt.module.BuilderFlag
    if rung is Rung.FULL and hasattr(flags, 'TF32'):
        config.clear_flag(flags.TF32)  # fp32 means fp32: it is the rung for those that fail
    if hasattr(tensorrt.module.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED'):
        return
    if rung in (Rung.HALF, Rung.MIXED):
        config.set_flag(flags.FP16)
        config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS)
        _type_layers(tensorrt, network)
    elif rung is Rung.INT8:
        config.set_flag(flags.INT8)


def _type_layers(tensorrt: TensorRT, network: Network) -> None:
    """Tell a weakly typed network the types that its ONNX gave to each layer."""
    kinds = tensorrt.module.DataType
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        types = [layer.get_output(i).dtype for i in range(layer.num_outputs)]
        if not types or any(kind not in (kinds.FLOAT, kinds.HALF) for kind in types):
            continue  # shapes and indices
        layer.precision = types[0]
        for output, kind in enumerate(types):
            layer.set_output_type(output, kind)


def _set_dla(tensorrt: TensorRT, builder: Builder, config: Any, core: int) -> None:
    """Run what can run there on a DLA core, the rest on the GPU."""
    if builder.num_DLA_cores <= core:
        raise BackendUnavailableError(
            f'DLA core {core} is asked for, this device has {max(builder.num_DLA_cores, 0)}; '
            'set tensorrt.dla_core to -1'
        )
    config.default_device_type = tensorrt.module.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(tensorrt.module.BuilderFlag.GPU_FALLBACK)


def _set_timing(tensorrt: TensorRT, config: Any, timing: bytes) -> Any:
    """Use what earlier builds measured; return the cache, or None where there is none."""
    if tensorrt.is_rtx:  # builds without measuring, and would look for a GPU
        return None
    cache = config.create_timing_cache(timing)
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b'')
        config.set_timing_cache(cache, False)
    return cache


def _set_monitor(tensorrt: TensorRT, config: Any, watch: Watch) -> None:
    base = getattr(tensorrt.module, 'IProgressMonitor', None)
    if base is None:  # 8.6
        watch.report('building', 0.0)
        return
    config.progress_monitor = _monitor_class(base)(watch)


def _monitor_class(base: Any) -> Any:
    class Monitor(base):  # type: ignore[misc]
        """Adds up the share that is done over phases that lie in each other."""

        def __init__(self, watch: Watch) -> None:
            base.__init__(self)
            self._watch = watch
            self._phases: dict[str, tuple[str | None, int, int]] = {}
            self._share = 0.0  # never falls, though phases come that were not known

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = (parent_phase, max(num_steps, 1), 0)
            self._tell(phase_name)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._phases:
                parent, count, _ = self._phases[phase_name]
                self._phases[phase_name] = (parent, count, min(step + 1, count))
                self._tell(phase_name)
            return not self._watch.cancelled.is_set()

        def _tell(self, phase: str) -> None:
            share, name = 0.0, phase
            for _ in range(len(self._phases)):
                parent, count, done = self._phases[name]
                share = min((done + share) / count, 1.0)
                if parent is None or parent not in self._phases:
                    break
                name = parent
            self._share = max(self._share, share)
            self._watch.report(phase, self._share)

    return Monitor


def load_plugins(tensorrt: TensorRT, plugins: tuple[str, ...], folder: str) -> None:
    """Load the libraries that a card lists; engines that hold their layers need them, too.

    Raises:
        BackendUnavailableError: If one is missing, cannot be trusted or cannot be loaded.
    """
    if not plugins:
        return
    for path in plugin_paths(plugins, folder):
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise BackendUnavailableError(f'the plugin cannot be loaded: {error}') from error
    start = getattr(tensorrt.module, 'init_libnvinfer_plugins', None)
    if start is not None:
        start(make_log(tensorrt), '')


def plugin_paths(plugins: tuple[str, ...], folder: str) -> list[Path]:
    """Return the files of plugins.

    A card may name a library, but only the user says where from: it runs as native code.

    Raises:
        BackendUnavailableError: If no folder is chosen, or a file is missing or could have been
            put there by somebody else.
    """
    if not folder:
        raise BackendUnavailableError(
            f'the model needs the plugins {", ".join(plugins)}; they are native code: set '
            'tensorrt.plugin_folder to the folder that holds them, if you trust them'
        )
    paths = []
    for name in plugins:
        path = Path(folder).expanduser() / name
        if Path(name).name != name or not path.is_file():
            raise BackendUnavailableError(f'there is no plugin {name} in {folder}')
        facts = path.stat()
        if facts.st_uid not in (0, os.getuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise BackendUnavailableError(f'{path} belongs to or can be changed by somebody else')
        paths.append(path)
    return paths
