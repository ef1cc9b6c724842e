"""Write the network as ONNX: python -m training.stereo.export RUN/last.pt NETWORK.onnx.

Some widths are filled up with channels of zeros, to numbers that ONNX Runtime has fast kernels
for; the answers stay the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import warnings

import torch
from torch import nn, Tensor

from training.stereo.blocks import Widths
from training.stereo.model import StereoNetwork
from training.stereo.refinement import PX_PER_PLANE

OPSET = 17
FILLED_UP = Widths(match=32, spare=13)


def filled_up(state: dict[str, Tensor], widths: Widths = FILLED_UP) -> StereoNetwork:
    """Return a network with these weights, and zeros where it is wider.

    Args:
        state: Of a network of `Widths()`.
        widths: At least as wide.
    """
    network = StereoNetwork(widths).eval()
    full = network.state_dict()
    for name, values in full.items():
        old = state[name]
        if values.shape != old.shape:
            values.fill_(1.0 if name.endswith('running_var') else 0.0)
        values[tuple(slice(size) for size in old.shape)] = old
    network.load_state_dict(full)
    return network


class Deployed(nn.Module):
    """The two outputs that leave the network."""

    def __init__(self, network: StereoNetwork, planes: int) -> None:
        super().__init__()
        self.network = network
        self.planes = planes

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Return disparity [px] and log variance [ln px^2], (B, 1, H, W)."""
        found = self.network(left, right, self.planes)
        return found.disparity, found.log_variance


def export(network: StereoNetwork, path: Path, most_px: int) -> None:
    """Write an ONNX file for images of any size that is a multiple of 32.

    Args:
        network: In evaluation mode.
        path: Of the file.
        most_px: Disparities searched; a multiple of 32.
    """
    pair = torch.rand(2, 1, 3, 96, 160)
    names = ['left', 'right', 'disparity', 'log_variance']
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            Deployed(network, most_px // PX_PER_PLANE),
            (pair[0], pair[1]),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=names[:2],
            output_names=names[2:],
            dynamic_axes={name: {2: 'height', 3: 'width'} for name in names},
        )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('network', type=Path)
    parser.add_argument('--most-px', type=int, default=192, help='disparities searched')
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, weights_only=True)['average']
    export(filled_up(state), arguments.network, arguments.most_px)


if __name__ == '__main__':
    main()
