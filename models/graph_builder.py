"""A few lines that make ONNX graphs readable: constants on the fly, one call per operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

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

    def save(
        self,
        path: Path,
        inputs: dict[str, Sequence[Any]],
        outputs: dict[str, Sequence[Any]],
        about: str,
    ) -> None:
        """Check the graph and write it.

        Args:
            path: File to write.
            inputs: Shape of every float32 input; free sides are strings.
            outputs: Shape of every float32 output.
            about: Text stored in the file.
        """
        made = [
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in side.items()]
            for side in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, path.stem, *made, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8, doc_string=about
        )
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
