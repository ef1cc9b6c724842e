"""The mono network: EfficientNet-Lite0's first blocks, a light decoder, two heads.

The encoder is EfficientNet-Lite0 without its last two blocks, so that the whole fits 5 MB as
fp16. The decoder adds the encoder's features coarse to fine; at the bottom a global mean lets
every pixel know what kind of scene it is in. All operators are plain: convolution, clip, add,
mean, bilinear resize.
"""

from __future__ import annotations

from itertools import pairwise

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
WIDTHS = (24, 40, 64, 96, 128)
OUTPUT_DIVISOR = 64.0  # brings the spread of the inverse depth near 1
MOST_LOG_VARIANCE = 8.0  # and the least is its negative


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


class Refine(nn.Module):
    """Looks 5 x 5 far and mixes the channels, added to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = Same(channels, channels, 5, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.wide = nn.Conv2d(channels, 2 * channels, 1)
        self.back = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        return x + self.back(F.relu(self.wide(self.norm(self.look(x)))))


class MonoNetwork(nn.Module):
    """Affine-invariant inverse depth and the logarithm of its variance from one image."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.lateral = nn.ModuleList(
            nn.Conv2d(c, w, 1) for c, w in zip(TAP_CHANNELS, WIDTHS, strict=True)
        )
        self.whole = nn.Conv2d(TAP_CHANNELS[-1], WIDTHS[-1], 1)
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(WIDTHS))
        self.refine = nn.ModuleList(
            nn.Sequential(*(Refine(w) for _ in range(2 if k > 1 else 1)))
            for k, w in enumerate(WIDTHS)
        )
        self.head = nn.Sequential(
            nn.Conv2d(WIDTHS[0], 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 1, 3, padding=1)
        )
        self.doubt = nn.Sequential(
            nn.Conv2d(WIDTHS[0], 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 3, padding=1)
        )
        self.register_buffer('mean', torch.full((1, 3, 1, 1), 127 / 255))
        self.register_buffer('deviation', torch.full((1, 3, 1, 1), 128 / 255))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return inverse depth (affine, near = large, >= 0) and log-variance, (B, 1, H, W) each.

        Args:
            image: (B, 3, H, W) RGB in 0..1; H and W are multiples of 32.
        """
        taps = self.encoder((image - self.mean) / self.deviation)
        x = self.lateral[-1](taps[-1]) + self.whole(taps[-1].mean((2, 3), keepdim=True))
        x = self.refine[-1](x)
        for k in range(len(WIDTHS) - 2, -1, -1):
            x = F.interpolate(self.narrow[k](x), scale_factor=2.0, mode='bilinear')
            x = self.refine[k](x + self.lateral[k](taps[k]))
        # The doubt looks at the features without shaping them: its gradients would outweigh.
        out = torch.cat([self.head(x), self.doubt(x.detach())], 1)
        out = F.interpolate(out, scale_factor=2.0, mode='bilinear').float()
        inverse = F.softplus(out[:, :1]) / OUTPUT_DIVISOR
        log_variance = MOST_LOG_VARIANCE * torch.tanh(out[:, 1:] / MOST_LOG_VARIANCE)
        return inverse, log_variance

    def load_encoder(self, weights: dict[str, Tensor]) -> None:
        """Take over the published ImageNet weights of EfficientNet-Lite0."""
        own = self.encoder.state_dict()
        self.encoder.load_state_dict({k: weights[k] for k in own})

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first ``blocks`` blocks as they are."""
        self.encoder.freeze(blocks)

    def train(self, mode: bool = True) -> MonoNetwork:  # noqa: FBT001, FBT002
        """Set the mode; the encoder keeps the statistics of ImageNet, so of real pictures."""
        super().train(mode)
        self.encoder.eval()
        return self
