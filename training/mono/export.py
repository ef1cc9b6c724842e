"""Writes a checkpoint as ONNX of plain operators: python -m training.mono.export CHECKPOINT OUT.

Normalisations are folded into the convolutions and large weights are stored as fp16, with a Cast
that every runtime folds away when it loads the file.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any
import warnings

import numpy as np
import torch
from torch import nn, Tensor

from training.mono.model import MonoNetwork, Same, uneven

OPSET = 13
STORE_AS_HALF_FROM = 512


class Exported(nn.Module):
    """The network as it is shipped: RGB in 0..1 in, inverse depth and sigma out."""

    def __init__(self, network: MonoNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return inverse depth and its standard deviation in the same unit, (B, 1, H, W)."""
        inverse, log_variance = self.network(image)
        return inverse, torch.exp(0.5 * log_variance)


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


def export(network: MonoNetwork, path: Path, size: tuple[int, int] | None = None) -> None:
    """Write the network.

    Args:
        network: with its weights.
        path: file to write.
        size: rows and columns of the input, or None for any multiples of 32.
    """
    import onnx

    network = copy.deepcopy(network).requires_grad_(False).float()
    network = network.to(memory_format=torch.contiguous_format)
    for module in network.modules():
        if isinstance(module, Same):
            module.even = True
    image = torch.rand(1, 3, *(size or (192, 256)))
    names = ['inverse_depth', 'sigma']
    free = {n: {2: 'height', 3: 'width'} for n in ('image', *names)} if size is None else None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the older exporter needs no further package
        torch.onnx.export(
            Exported(network).eval(),
            (image,),
            str(path),
            input_names=['image'],
            output_names=names,
            opset_version=OPSET,
            dynamic_axes=free,
            dynamo=False,
        )
    model = onnx.load(path)
    correct_paddings(model)
    store_as_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--size', type=int, nargs=2, help='rows, columns; default any')
    arguments = parser.parse_args()
    network = MonoNetwork()
    stored = torch.load(arguments.checkpoint, weights_only=True)
    network.load_state_dict(stored['average'])
    size = tuple(arguments.size) if arguments.size else None
    export(network, arguments.out, size)


if __name__ == '__main__':
    main()
