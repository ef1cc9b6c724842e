"""A network file as TensorRT gets it: read once, hashed with its external data, made half.

The precision of an engine is decided here, in the network, and not by flags of the builder, which
newer releases of TensorRT dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
import fnmatch
import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from depth_perception.core.types import AnyArray
from depth_perception.errors import ModelError
from depth_perception.inference.cards import file_sha256
from depth_perception.inference.onnx_half import as_half, onnx_module

CONVERTER_FORMAT = 1  # of `as_half`; a change makes new engines
_LARGEST_BYTES = 2**31 - 1  # of a protobuf message
# What loses accuracy in half precision: sums over many values, and exponentials. A layer
# normalisation of before opset 17 comes as ReduceMean, Pow and Sqrt.
SENSITIVE = (
    'CumSum', 'Exp', 'GroupNormalization', 'InstanceNormalization',
    'LayerNormalization', 'Log', 'LogSoftmax', 'LpNormalization', 'Pow', 'Reciprocal',
    'ReduceL2', 'ReduceLogSumExp', 'ReduceMean', 'ReduceSum', 'ReduceSumSquare', 'Softmax',
    'Softplus', 'Sqrt',
)  # fmt: skip
_QUANTISED = {'QuantizeLinear', 'DequantizeLinear'}


class Rung(Enum):
    """Precision of an engine, quickest first."""

    INT8 = 'int8'
    HALF = 'fp16'
    MIXED = 'fp16 with normalisation and softmax in fp32'
    FULL = 'fp32'


@final
@dataclass(frozen=True)
class OnnxNetwork:
    """A network, read.

    Attributes:
        path: Its file.
        sha256: Of the file and of all files of external data.
        model: The onnx.ModelProto, external data included.
        operators: Types of its nodes.
    """

    path: Path
    sha256: str
    model: Any
    operators: frozenset[str]

    @property
    def is_quantised(self) -> bool:
        """Whether it says itself where it computes with 8 bits."""
        return bool(self.operators & _QUANTISED)

    def rungs(self, precisions: tuple[str, ...]) -> tuple[Rung, ...]:
        """Return the precisions to try, in this order, for those that a card allows."""
        if self.is_quantised:
            return (Rung.INT8,)
        rungs = []
        if 'fp16' in precisions:
            rungs.append(Rung.HALF)
            if self.operators & set(SENSITIVE):
                rungs.append(Rung.MIXED)
        return (*rungs, Rung.FULL)

    def content(
        self,
        rung: Rung,
        fp32_layers: tuple[str, ...] = (),
        constants: Mapping[str, AnyArray] = MappingProxyType({}),
    ) -> bytes:
        """Return the network in the precision of a rung, as ONNX.

        Args:
            rung: Precision.
            fp32_layers: Names of nodes that stay in fp32 on every rung; `*` stands for any text.
            constants: Inputs that are always the same. They become part of the network: TensorRT
                could not plan with a number that decides over shapes.

        Raises:
            ModelError: If a name fits no node, or the network is too large for one message.
        """
        model = _with_constants(self.model, constants) if constants else self.model
        if rung in (Rung.HALF, Rung.MIXED):
            full = SENSITIVE if rung is Rung.MIXED else ()
            model = as_half(model, full, _kept(model, fp32_layers))
        if model.ByteSize() > _LARGEST_BYTES:
            raise ModelError(f'{self.path.name}: larger than 2 GiB in {rung.value}')
        return bytes(model.SerializeToString())


def read_network(path: Path) -> OnnxNetwork:
    """Return a network file with its external data.

    Raises:
        BackendUnavailableError: If the package onnx is not installed.
        ModelError: If the file is no network, or its data lies outside its folder.
    """
    onnx = onnx_module()
    digest = hashlib.sha256(file_sha256(path).encode())
    try:
        model = onnx.load(str(path), load_external_data=False)
        for name in sorted(set(_external_files(model, onnx))):
            digest.update(f' {name} {file_sha256(_beside(path, name))}'.encode())
        onnx.load_external_data_for_model(model, str(path.parent))
        operators = frozenset(node.op_type for graph in _graphs(model) for node in graph.node)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f'{path.name} is not a network in ONNX: {error}') from error
    if not operators:
        raise ModelError(f'{path.name} is not a network in ONNX: it has no nodes')
    return OnnxNetwork(path, digest.hexdigest(), model, operators)


def _kept(model: Any, fp32_layers: tuple[str, ...]) -> set[str]:
    """Return the names of nodes that stay in fp32.

    Raises:
        ModelError: If a pattern fits no node.
    """
    names = [node.name for node in model.graph.node]
    kept: set[str] = set()
    for pattern in fp32_layers:
        found = [pattern] if pattern in names else fnmatch.filter(names, pattern)
        if not found:
            raise ModelError(f'runtime.fp32_layers: no node of the network is named {pattern!r}')
        kept.update(found)
    return kept


def _with_constants(model: Any, constants: Mapping[str, AnyArray]) -> Any:
    """Return a copy of a network in which some inputs are constants."""
    onnx = onnx_module()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [value for value in copy.graph.input if value.name not in constants]
    if len(kept) + len(constants) != len(copy.graph.input):
        raise ModelError(f'the network has no input {" or ".join(constants)}')
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    for name, value in constants.items():
        copy.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return copy


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph of a network and those inside its nodes."""
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*([attribute.g] if attribute.HasField('g') else ()), *attribute.graphs]


def _external_files(model: Any, onnx: Any) -> Iterator[str]:
    """Yield the names of the files that hold weights of a network."""
    external = onnx.TensorProto.EXTERNAL
    for graph in _graphs(model):
        tensors = list(graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                tensors += [
                    *([attribute.t] if attribute.HasField('t') else ()),
                    *attribute.tensors,
                ]
        for tensor in tensors:
            if tensor.data_location == external:
                yield from (e.value for e in tensor.external_data if e.key == 'location')


def _beside(path: Path, name: str) -> Path:
    """Return the path of external data, which must lie in the folder of the network or below."""
    folder = path.parent.resolve()
    place = (folder / name).resolve()
    if folder not in place.parents or not place.is_file():
        raise ModelError(f'{path.name}: its data {name!r} is not a file beside it')
    return place
