"""Make a network compute in half precision, with named exceptions.

Every node computes in fp16 that depends on the numbers of an input, but for those that are told
apart. What depends on shapes and constants alone stays in fp32: it is sizes and coordinates, which
fp16 would round to other pixels, and costs nothing at run time. Inputs and outputs keep their
types. Casts are put where a value changes its precision, one for each value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from depth_perception.core.types import AnyArray
from depth_perception.errors import BackendUnavailableError, ModelError
import numpy as np

# Coordinates and counts, of which 11 bits are too few, and operators that know no fp16.
ALWAYS_FULL = frozenset(
    ('CumSum', 'GridSample', 'MaxRoiPool', 'MaxUnpool', 'NonMaxSuppression', 'Range', 'RoiAlign')
)
_DOMAINS = ('', 'ai.onnx')
_FULL_INPUTS = {'Resize': (1, 2), 'Upsample': (1,)}  # regions and scales, fp32 by definition
_LARGEST = 65504.0


def onnx_module() -> Any:
    """Return the package onnx.

    Raises:
        BackendUnavailableError: If it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise BackendUnavailableError(
            'TensorRT needs the package onnx to prepare networks: pip install onnx'
        ) from error
    return onnx


def as_half(model: Any, full: Collection[str], names: Collection[str]) -> Any:
    """Return a copy of a network that computes in fp16.

    Args:
        model: onnx.ModelProto.
        full: Types of nodes that stay in fp32.
        names: Names of nodes that stay in fp32.

    Raises:
        ModelError: If the types of its values cannot be told.
    """
    onnx = onnx_module()
    try:
        typed = onnx.shape_inference.infer_shapes(model)
    except Exception as error:
        raise ModelError(f'the types of the network cannot be inferred: {error}') from error
    half = onnx.ModelProto()
    half.CopyFrom(model)
    del half.graph.value_info[:]
    del half.graph.node[:]
    writer = _Writer(onnx, half.graph, _types(typed.graph))
    for node, of_data in _marked(model.graph):
        stays = (
            not of_data
            or node.domain not in _DOMAINS
            or node.op_type in ALWAYS_FULL
            or node.op_type in full
            or node.name in names
            or any(_inner(node))
        )
        writer.add(node, half=not stays)
    writer.finish()
    return half


class _Writer:
    """Writes the nodes of a graph again, in their precision, with casts between."""

    def __init__(self, onnx: Any, graph: Any, types: dict[str, int]) -> None:
        self._onnx = onnx
        self._graph = graph
        self._types = types
        self._float = onnx.TensorProto.FLOAT
        self._float16 = onnx.TensorProto.FLOAT16
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._outputs = {value.name for value in graph.output}
        self._half: set[str] = set()  # values that are fp16 now
        self._made: dict[tuple[str, bool], str] = {}

    def add(self, node: Any, *, half: bool) -> None:
        """Write a node in its precision."""
        copy = self._onnx.NodeProto()
        copy.CopyFrom(node)
        apart = _FULL_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            if name and self._types.get(name) == self._float:
                copy.input[index] = self._in(name, half=half and index not in apart)
        for graph in _inner(copy):
            self._rename(graph)
        casts = self._narrow_outputs(copy) if half else []
        self._graph.node.append(copy)
        for source, target in casts:
            self._cast(source, target, self._float)

    def _narrow_outputs(self, node: Any) -> list[tuple[str, str]]:
        """Let a node write fp16; return what must be cast for the outputs of the network."""
        casts = []
        for index, name in enumerate(node.output):
            if not name:
                continue
            if name not in self._types:
                raise ModelError(f'the type of {name} in the network cannot be inferred')
            if self._types[name] != self._float:
                continue
            if name in self._outputs:
                made = self._made[name, True] = self._fresh(name, half=True)
                node.output[index] = made
                casts.append((made, name))
            else:
                self._half.add(name)
        for attribute in node.attribute if node.op_type == 'Cast' else ():
            if attribute.name == 'to' and attribute.i == self._float:
                attribute.i = self._float16
        return casts

    def finish(self) -> None:
        """Drop the weights that nobody takes in their old precision."""
        taken = {name for node in self._graph.node for name in _taken(node)} | self._outputs
        used = [tensor for tensor in self._graph.initializer if tensor.name in taken]
        copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(copies)

    def _in(self, name: str, *, half: bool) -> str:
        """Return the name of a value in the precision asked for; casts it if need be."""
        if (name in self._half) == half:
            return name
        if (name, half) not in self._made:
            made = self._fresh(name, half=half)
            self._made[name, half] = made
            if name in self._weights:
                values = _narrowed(self._onnx.numpy_helper.to_array(self._weights[name]))
                self._graph.initializer.append(self._onnx.numpy_helper.from_array(values, made))
            else:
                self._cast(name, made, self._float16 if half else self._float)
        return self._made[name, half]

    def _rename(self, graph: Any) -> None:
        """Let the nodes inside a node take the fp32 form of what lies outside."""
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name in self._half:
                    node.input[index] = self._in(name, half=False)
            for inner in _inner(node):
                self._rename(inner)

    def _fresh(self, name: str, *, half: bool) -> str:
        made = f'{name}__fp{16 if half else 32}'
        while made in self._types:
            made += '_'
        return made

    def _cast(self, source: str, target: str, kind: int) -> None:
        self._graph.node.append(
            self._onnx.helper.make_node('Cast', [source], [target], f'Cast_{target}', to=kind)
        )


def _types(graph: Any) -> dict[str, int]:
    """Return the type of each value that is known."""
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {
        v.name: v.type.tensor_type.elem_type for v in values if v.type.HasField('tensor_type')
    }
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _marked(graph: Any) -> Iterator[tuple[Any, bool]]:
    """Yield each node, with whether it depends on the numbers of an input."""
    weights = {tensor.name for tensor in graph.initializer}
    data = {value.name for value in graph.input} - weights
    for node in graph.node:
        of_data = node.op_type not in ('Shape', 'Size') and any(
            name in data for name in _taken(node)
        )
        if of_data:
            data.update(node.output)
        yield node, of_data


def _taken(node: Any) -> Iterator[str]:
    """Yield the names of the values that a node and the graphs inside it take."""
    yield from node.input
    for graph in _inner(node):
        for inner in graph.node:
            yield from _taken(inner)


def _inner(node: Any) -> Iterator[Any]:
    """Yield the graphs inside a node."""
    for attribute in node.attribute:
        if attribute.HasField('g'):
            yield attribute.g
        yield from attribute.graphs


def _narrowed(values: AnyArray) -> AnyArray:
    """Return weights in fp16; what is beyond its range becomes the greatest there is."""
    finite = np.isfinite(values)
    return np.where(finite, values.clip(-_LARGEST, _LARGEST), values).astype(np.float16)
