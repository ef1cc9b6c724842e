"""The stereo network: fixed and learned evidence, a weight-shared volume, guided refinement.

Convention:
    Shapes are (B, C, H, W); H and W are multiples of 32. `K` planes of 2 px hold the evidence on
    the grid of 1/4; `K / 4` planes of 8 px are aggregated on the grid of 1/8. Plane m of K stands
    for the disparity 2 (K - 1 - m) px: planes descend.

All weights of the volume are shared over disparity, so that the range is a choice of each call:
`StereoNetwork(left, right, planes)`. Planes see their neighbours by shifted channels (as the
temporal shift modules of video networks do), so that the volume needs plain 2-D convolutions.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812

from training.stereo.blocks import block, Widths
from training.stereo.evidence import correlation, folded, Matching, normalised, unseen
from training.stereo.refinement import Prediction, Refinement
from training.stereo.semantics import Semantics
from training.stereo.volume import Volume

MULTIPLE = 32


class Context(nn.Module):
    """What the left image shows, at 1/2, 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        c2, c4, c8, c16 = widths.context
        self.second = block(6, c2, 3, 2)
        self.quarter = nn.Sequential(block(c2, c4, 3, 2), block(c4, c4))
        self.eighth = nn.Sequential(block(c4, c8, 3, 2), block(c8, c8))
        self.sixteenth = nn.Sequential(block(c8, c16, 3, 2), block(c16, c16))
        self.semantics = Semantics(widths)

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        """Return the five maps, of what the matching sees (B, 6, H, W) and of the image."""
        half = self.second(x)
        quarter = self.quarter(half)
        more8, more16, more32 = self.semantics(image)
        eighth = F.relu(self.eighth(quarter) + more8)
        sixteenth = F.relu(self.sixteenth(eighth) + more16)
        return half, quarter, eighth, sixteenth, F.avg_pool2d(sixteenth, 2) + more32


class StereoNetwork(nn.Module):
    """Disparity and its log variance of a rectified pair."""

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        widths = widths or Widths()
        self.matching = Matching(widths)
        self.context = Context(widths)
        groups = 2
        self.volume = Volume(groups, widths)
        self.refinement = Refinement(groups, widths)

    def forward(self, left: Tensor, right: Tensor, planes: int = 96) -> Prediction:
        """Return what all stages say.

        Args:
            left: (B, 3, H, W) RGB, 0..1.
            right: The same.
            planes: K, of 2 px each; a multiple of 16.
        """
        pair = normalised(torch.cat((left, right)))
        a, b = pair.chunk(2)
        lefts, rights = self.matching(a, b)
        evidence = [correlation(x, y, planes) for x, y in zip(lefts, rights, strict=True)]
        seen = torch.cat((left - 0.5, a), 1)
        half, quarter, *coarse = self.context(seen, left)
        score = self.volume(folded(evidence), unseen(lefts[1], rights[1], planes), *coarse)
        grey = a.mean(1, keepdim=True)
        prediction = self.refinement(score, evidence, (half, quarter, *coarse), grey)
        prediction.raw = evidence[1]
        return prediction
