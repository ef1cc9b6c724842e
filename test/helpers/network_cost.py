"""What a network costs, counted from its file."""

from __future__ import annotations

import numpy as np
import onnxruntime


def multiply_adds(model, feeds):
    """Return what convolutions and matrix products of a network do, from the shapes of a run."""
    costly = [node for node in model.graph.node if node.op_type in ('Conv', 'MatMul')]
    shapes = {name: value.shape for name, value in feeds.items()}
    shapes |= {x.name: tuple(x.dims) for x in model.graph.initializer}
    wanted = sorted({n for x in costly for n in (*x.input[:2], *x.output)} - set(shapes))
    for name in wanted:
        model.graph.output.add().name = name
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain.log_severity_level = 3
    run = onnxruntime.InferenceSession(
        model.SerializeToString(), plain, providers=['CPUExecutionProvider']
    )
    shapes |= {n: x.shape for n, x in zip(wanted, run.run(wanted, feeds), strict=True)}
    total = 0
    for node in costly:
        inner = shapes[node.input[0]][-1]
        if node.op_type == 'Conv':
            inner = int(np.prod(shapes[node.input[1]][1:]))
        total += int(np.prod(shapes[node.output[0]])) * inner
    return total
