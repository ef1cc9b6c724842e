"""A few lines that make ONNX graphs readable: constants on the fly, one call per operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 17


class GraphBuilder:
    """Collects nodes and constants; every operator is a call that returns its output's name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known: dict[tuple[Any, ...], str] = {}

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return the name of a constant; equal ones are stored once."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f'c{len(self._known)}'
            self._constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def op(self, kind: str, *inputs: Any, name: str | None = None, **attributes: Any) -> str:
        """Add an operator; numbers among its inputs become float constants."""
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        output = name or f't{len(self._nodes)}'
        self._nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def part(self, tensor: str, start: Any, end: Any, axis: int) -> str:
        """Return a slice along one axis; bounds are numbers or names of int64 tensors."""
        bounds = [b if isinstance(b, str) else self.constant([b], np.int64) for b in (start, end)]
        return self.op('Slice', tensor, *bounds, self.constant([axis], np.int64))

    def embedded(self, network: Any, tensor: str, prefix: str) -> str:
        """Add a whole network with one input and one output.

        Args:
            network: ONNX model of the same operator set, or an older one.
            tensor: What it is fed.
            prefix: Of the names inside.

        Returns:
            The name of its output.
        """
        graph = network.graph
        stored = {item.name for item in graph.initializer}
        entry = next(item.name for item in graph.input if item.name not in stored)
        names = {entry: tensor, '': ''}
        for item in graph.initializer:
            self._constants.append(item.__class__.FromString(item.SerializeToString()))
            self._constants[-1].name = names[item.name] = f'{prefix}/{item.name}'
        for node in graph.node:
            copy = node.__class__.FromString(node.SerializeToString())
            names |= {name: f'{prefix}/{name}' for name in node.output if name}
            copy.name = f'{prefix}/{node.name}' if node.name else ''
            del copy.input[:], copy.output[:]
            copy.input.extend(names[name] for name in node.input)
            copy.output.extend(names[name] for name in node.output)
            self._nodes.append(copy)
        return names[graph.output[0].name]

    def save(
        self,
        path: Path,
        inputs: dict[str, Sequence[Any]],
        outputs: dict[str, Sequence[Any]],
        about: str,
        types: dict[str, str] | None = None,
    ) -> None:
        """Check the graph and write it.

        Args:
            path: File to write.
            inputs: Shape of every input; free sides are strings.
            outputs: Shape of every output.
            about: Text stored in the file.
            types: numpy type of the inputs and outputs that are not float32.
        """
        known = types or {}
        made = [
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(np.dtype(known.get(name, 'f4'))), shape
                )
                for name, shape in side.items()
            ]
            for side in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, path.stem, *made, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8, doc_string=about
        )
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
