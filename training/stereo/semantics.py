"""What ImageNet has taught EfficientNet-Lite0 about pictures, for the volume and the refinement.

Where nothing can be matched, on bare walls, behind things and outside of the right image, the
answer has to come from what belongs together. A few thousand rendered pairs teach little of it;
an encoder that has seen a million photographs knows more. It looks at half the size.
"""

from __future__ import annotations

from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812

from training.encoder import Encoder, Same
from training.stereo.blocks import doubled, Widths

TAPS = (2, 4, 9)  # blocks of EfficientNet-Lite0
TAP_CHANNELS = (24, 40, 112)
WIDTH = 64


class Semantics(nn.Module):
    """Features at 1/8, 1/16 and 1/32, added to those of the context; nothing to begin with."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.encoder = Encoder(TAPS)
        c8, c16 = widths.context[2:]
        self.deep = nn.Conv2d(TAP_CHANNELS[2], WIDTH, 1)
        self.middle = nn.Conv2d(TAP_CHANNELS[1], WIDTH, 1)
        self.look = Same(WIDTH, WIDTH, 5, groups=WIDTH, bias=False)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.mix = nn.Conv2d(WIDTH, WIDTH, 1)
        self.to8 = nn.Conv2d(WIDTH, c8, 1)
        self.at8 = nn.Conv2d(TAP_CHANNELS[0], c8, 1, bias=False)
        self.to16 = nn.Conv2d(WIDTH, c16, 1)
        self.to32 = nn.Conv2d(WIDTH, c16, 1)
        for last in (self.to8, self.at8, self.to16, self.to32):
            nn.init.zeros_(last.weight)
        for last in (self.to8, self.to16, self.to32):
            nn.init.zeros_(last.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features (B, C, H/8, W/8), (B, C', H/16, W/16) and (B, C', H/32, W/32).

        Args:
            image: (B, 3, H, W) RGB, 0..1.
        """
        small = F.avg_pool2d(image, 2)
        x = (small - 127.0 / 255.0) * (255.0 / 128.0)
        fine, middle, deep = self.encoder(x)
        deep = F.relu(self.deep(deep))
        x = self.middle(middle) + doubled(deep)
        x = F.relu(self.mix(F.relu(self.norm(self.look(x)))) + x)
        return self.at8(fine) + doubled(self.to8(x)), self.to16(x), self.to32(deep)

    def train(self, mode: bool = True) -> Semantics:  # noqa: FBT001, FBT002
        """Set the mode; the encoder keeps the statistics of ImageNet, so of real pictures."""
        super().train(mode)
        self.encoder.eval()
        return self

    def load_encoder(self, weights: dict[str, Tensor]) -> None:
        """Take over the published ImageNet weights of EfficientNet-Lite0."""
        own = self.encoder.state_dict()
        self.encoder.load_state_dict({k: weights[k] for k in own})
