"""What both networks do to an ONNX file after PyTorch has written it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from training.encoder import Same, uneven

STORE_AS_HALF_FROM = 512


def with_even_paddings(network: nn.Module) -> None:
    """Let the encoder be exported with even padding, which `correct_paddings` mends."""
    for module in network.modules():
        if isinstance(module, Same):
            module.even = True


def correct_paddings(model: Any, within: str = '') -> None:
    """Give the convolutions with stride 2, exported with even padding, their uneven one.

    Args:
        model: ONNX, changed.
        within: Part of the names of the nodes that are meant.
    """
    for node in model.graph.node:
        found = {a.name: a for a in node.attribute}
        if node.op_type != 'Conv' or within not in node.name:
            continue
        if list(found['strides'].ints) == [2, 2]:
            low, high = uneven(found['kernel_shape'].ints[0])
            found['pads'].ints[:] = [low, low, high, high]


def store_as_half(model: Any) -> None:
    """Store large float32 weights as fp16, each with a Cast back."""
    from onnx import helper, numpy_helper, TensorProto

    casts = []
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        if array.dtype != np.float32 or array.size < STORE_AS_HALF_FROM:
            continue
        name = initializer.name
        half = numpy_helper.from_array(array.astype(np.float16), f'{name}.half')
        initializer.CopyFrom(half)
        casts.append(helper.make_node('Cast', [f'{name}.half'], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def finish(path: Path, within: str = '') -> None:
    """Mend the paddings of a file that PyTorch wrote, store its weights as fp16, and check it.

    Args:
        path: Of the file, written anew.
        within: Part of the names of the encoder's nodes.
    """
    import onnx

    model = onnx.load(path)
    correct_paddings(model, within)
    store_as_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
