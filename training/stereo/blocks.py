"""What all parts of the stereo network are built of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True)
class Widths:
    """Channels of the parts of the network."""

    stem: int = 16
    match: int = 24
    context: tuple[int, int, int, int] = (16, 32, 48, 64)
    volume: tuple[int, int, int] = (16, 32, 48)
    refine: tuple[int, int, int, int] = (32, 48, 64, 48)


def block(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution, normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = block(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W)."""
        return F.relu(x + self.second(self.first(x)))


def doubled(x: Tensor) -> Tensor:
    """Return (B, C, 2 H, 2 W)."""
    return F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=False)
