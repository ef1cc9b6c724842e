"""Writes a checkpoint as ONNX of plain operators: python -m training.mono.export CHECKPOINT OUT.

Normalisations are folded into the convolutions and large weights are stored as fp16, with a Cast
that every runtime folds away when it loads the file.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
import warnings

import torch
from torch import nn, Tensor

from training.mono.model import MonoNetwork
from training.onnx_file import finish, with_even_paddings

OPSET = 13


class Exported(nn.Module):
    """The network as it is shipped: RGB in 0..1 in, inverse depth and sigma out."""

    def __init__(self, network: MonoNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return inverse depth and its standard deviation in the same unit, (B, 1, H, W)."""
        inverse, log_variance = self.network(image)
        return inverse, torch.exp(0.5 * log_variance)


def fold_bottom(network: MonoNetwork) -> None:
    """Bring the normalisation of two summed convolutions into their weights, for good."""
    mix, norm = network.lateral[-1]
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    for conv in (mix, network.whole):
        conv.weight *= factor.view(-1, 1, 1, 1)
    network.whole.bias.copy_((network.whole.bias - norm.running_mean) * factor + norm.bias)
    network.lateral[-1][1] = nn.Identity()


def export(network: MonoNetwork, path: Path, size: tuple[int, int] | None = None) -> None:
    """Write the network.

    Args:
        network: with its weights.
        path: file to write.
        size: rows and columns of the input, or None for any multiples of 32.
    """
    network = copy.deepcopy(network).requires_grad_(False).float()
    network = network.to(memory_format=torch.contiguous_format)
    with_even_paddings(network)
    fold_bottom(network)
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
    finish(path)


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
