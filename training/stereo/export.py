"""Write the network as ONNX: python -m training.stereo.export RUN/last.pt NETWORK.onnx.

Normalisations are folded into the convolutions, and large weights are stored as fp16, with a Cast
that every runtime folds away when it loads the file.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
import warnings

import torch
from torch import nn, Tensor

from training.onnx_file import finish, with_even_paddings
from training.stereo.model import StereoNetwork
from training.stereo.refinement import PX_PER_PLANE

OPSET = 17


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
        network: With its weights.
        path: Of the file.
        most_px: Disparities searched; a multiple of 32.
    """
    network = copy.deepcopy(network).requires_grad_(False).eval()
    with_even_paddings(network)
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
    finish(path, '/encoder/')


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('network', type=Path)
    parser.add_argument('--most-px', type=int, default=192, help='disparities searched')
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, weights_only=True)['average']
    network = StereoNetwork()
    network.load_state_dict(state)
    export(network, arguments.network, arguments.most_px)


if __name__ == '__main__':
    main()
