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

from training.encoder import Encoder, Same, TAP_CHANNELS

WIDTHS = (32, 48, 64, 96, 128)
DEPTHS = (1, 2, 2, 2, 2)  # blocks at each size, fine to coarse
MOST_LOG_VARIANCE = 8.0  # and the least is its negative


def mixed(before: int, after: int) -> nn.Sequential:
    """Return a mix of channels brought to one size: else what is coarse drowns what is fine."""
    return nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))


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
            mixed(c, w) for c, w in zip(TAP_CHANNELS, WIDTHS, strict=True)
        )
        self.whole = nn.Conv2d(TAP_CHANNELS[-1], WIDTHS[-1], 1)
        self.narrow = nn.ModuleList(mixed(b, a) for a, b in pairwise(WIDTHS))
        self.refine = nn.ModuleList(
            nn.Sequential(*(Refine(w) for _ in range(depth)))
            for w, depth in zip(WIDTHS, DEPTHS, strict=True)
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
        mix, norm = self.lateral[-1]
        whole = self.whole(taps[-1].mean((2, 3), keepdim=True))
        x = self.refine[-1](norm(mix(taps[-1]) + whole))
        for k in range(len(WIDTHS) - 2, -1, -1):
            x = F.interpolate(self.narrow[k](x), scale_factor=2.0, mode='bilinear')
            x = self.refine[k](x + self.lateral[k](taps[k]))
        # The doubt looks at the features without shaping them: its gradients would outweigh.
        out = torch.cat([self.head(x), self.doubt(x.detach())], 1)
        out = F.interpolate(out, scale_factor=2.0, mode='bilinear').float()
        inverse = F.softplus(out[:, :1])
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
