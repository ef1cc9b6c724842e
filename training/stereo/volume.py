"""The volume: from the evidence to a score of every disparity.

Convention:
    (B, D, C, H, W) with D planes; otherwise as in `training.stereo.model`.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812

from training.stereo.blocks import Widths
from training.stereo.evidence import FOLD, unfolded

SHARP = 6.0  # of the evidence in the score, to begin with


def shifted(x: Tensor) -> Tensor:
    """Return (B, D, C, H, W) where a quarter of the channels comes from each neighbour plane."""
    part = x.shape[2] // 4
    up = F.pad(x[:, 1:, :part], (0, 0, 0, 0, 0, 0, 0, 1))
    down = F.pad(x[:, :-1, part : 2 * part], (0, 0, 0, 0, 0, 0, 1, 0))
    return torch.cat((up, down, x[:, :, 2 * part :]), 2)


class Planes(nn.Module):
    """A convolution block on (B, D, C, H, W) that sees the neighbour planes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D, C', H', W')."""
        y = self.norm(self.conv(shifted(x).flatten(0, 1)))
        return (F.relu(y) if self.act else y).unflatten(0, x.shape[:2])


class PlanesResidual(nn.Module):
    """Two `Planes` around a shortcut, the first one gated by the image."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.first = Planes(width, width)
        self.second = Planes(width, width, act=False)
        self.gate = nn.Conv2d(context, width, 1)
        nn.init.zeros_(self.second.norm.weight)  # nothing is changed to begin with

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return (B, D, C, H, W)."""
        gate = torch.sigmoid(self.gate(context)).unsqueeze(1)
        return F.relu(x + self.second(self.first(x) * gate))


class Down(nn.Module):
    """Half the planes, half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = Planes(2 * inputs, outputs, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D/2, C', H/2, W/2)."""
        return self.body(x.unflatten(1, (x.shape[1] // 2, 2)).flatten(2, 3))


class Up(nn.Module):
    """Twice the planes, twice the size, added to what the finer level has."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(inputs, 2 * outputs, 1)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """Return (B, D, C, H, W) like `finer`."""
        y = self.spread(x.flatten(0, 1))
        y = F.interpolate(y, scale_factor=2.0, mode='nearest')
        y = y.unflatten(1, (2, finer.shape[2])).flatten(0, 1).unflatten(0, finer.shape[:2])
        return F.relu(finer + y)


class Volume(nn.Module):
    """From the evidence to a score of every disparity."""

    def __init__(self, groups: int, widths: Widths) -> None:
        super().__init__()
        fine, middle, coarse = widths.volume
        c8, c16 = widths.context[2:]
        self.fine = fine
        self.fold = nn.Conv2d(groups * FOLD, fine + 4 * FOLD, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(fine)
        self.unseen = nn.Parameter(torch.zeros(fine + 4 * FOLD, 1, 1))
        self.enter = PlanesResidual(fine, c8)
        self.down16 = Down(fine, middle)
        self.at16 = PlanesResidual(middle, c16)
        self.down32 = Down(middle, coarse)
        self.at32 = nn.ModuleList(PlanesResidual(coarse, c16) for _ in range(4))
        self.up16 = Up(coarse, middle)
        self.back16 = PlanesResidual(middle, c16)
        self.up8 = Up(middle, fine)
        self.leave = PlanesResidual(fine, c8)
        self.score = nn.Conv2d(fine, 4 * FOLD, 1)
        self._start_from_evidence(groups)

    def _start_from_evidence(self, groups: int) -> None:
        """Let the score be the sum of the evidence before anything is learned."""
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)
        with torch.no_grad():
            kept = self.fold.weight[self.fine :]
            kept.zero_()
            for output in range(4 * FOLD):
                phase, row, column = output // 4, output // 2 % 2, output % 2
                kept[output, phase * groups : (phase + 1) * groups, 1 + row, 1 + column] = SHARP

    def forward(
        self, evidence: Tensor, unseen: Tensor, at8: Tensor, at16: Tensor, at32: Tensor
    ) -> Tensor:
        """Return the score (B, H/4, W/4, K).

        Args:
            evidence: (B, D, C, H/4, W/4).
            unseen: (1, D, 1, 1, W/8), share of a cell that lies outside of the right image.
            at8: Context (B, C, H/8, W/8); the others alike.
            at16: See there.
            at32: See there.
        """
        size = evidence.shape[:2]
        x, kept = self.fold(evidence.flatten(0, 1)).split((self.fine, 4 * FOLD), 1)
        shift, score_shift = (unseen * self.unseen).split((self.fine, 4 * FOLD), 2)
        x = F.relu(self.norm(x).unflatten(0, size) + shift)
        fine = self.enter(x, at8)
        middle = self.at16(self.down16(fine), at16)
        coarse = self.down32(middle)
        for layer in self.at32:
            coarse = layer(coarse, at32)
        middle = self.back16(self.up16(coarse, middle), at16)
        fine = self.leave(self.up8(middle, fine), at8)
        score = self.score(fine.flatten(0, 1)) + kept
        return unfolded(score.unflatten(0, size) + score_shift)
