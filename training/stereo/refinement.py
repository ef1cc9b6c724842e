"""From the score of the disparities to an image of them: choice, residual and up-sampling."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812

from training.stereo.blocks import block, doubled, Residual, Widths

PX_PER_PLANE = 2
REACH = 2
OFFSETS = (-3, -1, 0, 1, 3)
ROUNDS = 2
SAME_PX = 2.0  # disparities on one side of an edge


@dataclass
class Prediction:
    """What the network says.

    Attributes:
        disparity: (B, 1, H, W) [px].
        log_variance: (B, 1, H, W), of the error of the disparity [ln px^2].
        refined: (B, 1, H/4, W/4) [px], before up-sampling.
        coarse: (B, 1, H/4, W/4) [px], from the volume.
        score: (B, H/4, W/4, K), before the softmax.
        raw: (B, H/4, W/4, K), the learned evidence.
        choices: Weights and the disparity among whose neighbours they choose, of the rounds
            (B, N, H/4, W/4) and of the up-sampling (B, 9 * 16, H/4, W/4).
    """

    disparity: Tensor
    log_variance: Tensor
    refined: Tensor
    coarse: Tensor
    score: Tensor
    raw: Tensor | None = None
    choices: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def expected(score: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what a score (B, H, W, K) says, each (B, 1, H, W) but the last.

    Returns:
        The disparity [px]: the expectation over the best plane and `REACH` on either side; their
        share of the probability; the expectation over all planes [px]; and the planes
        (B, H, W, 5) of the first.
    """
    planes = score.shape[-1]
    probability = torch.softmax(score.float(), -1)
    best = score.argmax(-1, keepdim=True)
    steps = torch.arange(-REACH, REACH + 1, device=score.device).view(1, 1, 1, -1)
    places = (best + steps).clamp(0, planes - 1)
    near = probability.gather(-1, places)
    mass = near.sum(-1)
    plane = (near * places.to(near.dtype)).sum(-1) / mass
    index = torch.arange(planes, device=score.device).view(-1, 1).to(near.dtype)
    everywhere = (probability @ index).squeeze(-1)
    px = float(PX_PER_PLANE)
    last = planes - 1.0
    fields = (last - plane) * px, mass, (last - everywhere) * px
    a, b, c = (field.unsqueeze(1) for field in fields)
    return a, b, c, places


class Refinement(nn.Module):
    """A small U-Net around the disparity at 1/4, and convex up-sampling."""

    def __init__(self, groups: int, widths: Widths) -> None:
        super().__init__()
        c2, c4, c8, c16 = widths.context
        r4, r8, r16, r32 = widths.refine
        looks = (groups + 1) * (2 * REACH + 1)
        self.enter = block(c4 + looks + 4, r4)
        self.down8 = nn.Sequential(block(r4, r8, 3, 2), block(r8, r8))
        self.down16 = nn.Sequential(block(r8 + c8, r16, 3, 2), block(r16, r16), block(r16, r16))
        self.see16 = nn.Conv2d(c16, r16, 1)
        self.see32 = nn.Conv2d(c16, r32, 1)
        self.down32 = nn.Conv2d(r16, r32, 3, 2, 1)
        self.at32 = Residual(r32)
        self.up16 = nn.Conv2d(r32, r16, 1)
        self.up8 = nn.Conv2d(r16, r8, 1)
        self.back8 = block(r8, r8)
        self.up4 = nn.Conv2d(r8, r4, 1)
        self.back4 = block(r4, r4)
        self.out = nn.Conv2d(r4, 2, 3, 1, 1)
        self.mask = nn.Sequential(block(r4 + 4 * c2, 64, 1), nn.Conv2d(64, 9 * 16, 1))
        self.choice = nn.Conv2d(r4, ROUNDS * len(OFFSETS) ** 2, 1)
        self.likeness = nn.Parameter(torch.tensor([1.0] * (ROUNDS + 1)))
        self._start_from_likeness()

    def _start_from_likeness(self) -> None:
        """Let every cell keep what it has, but for neighbours that look like it."""
        nn.init.zeros_(self.choice.weight)
        with torch.no_grad():
            bias = self.choice.bias.view(ROUNDS, -1)
            bias.fill_(-4.5)
            bias[:, len(OFFSETS) ** 2 // 2] = 2.0
        for last in (self.see16, self.up16):  # nothing is changed to begin with
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self,
        score: Tensor,
        evidence: list[Tensor],
        context: tuple[Tensor, ...],
        grey: Tensor,
    ) -> Prediction:
        """Return the disparity of every stage, and the log variance.

        Args:
            grey: (B, 1, H, W), by the local deviation.
            score: (B, H/4, W/4, K).
            evidence: Each (B, H/4, W/4, K).
            context: The maps of the left image at 1/2, 1/4, 1/8, 1/16 and 1/32.
        """
        half, quarter, eighth, sixteenth, deep = context
        coarse, mass, everywhere, places = expected(score)
        middle = score.gather(-1, places[..., REACH : REACH + 1])
        looks = [score.gather(-1, places) - middle, *(x.gather(-1, places) for x in evidence)]
        centre = places[..., REACH].unsqueeze(1).to(coarse.dtype)
        known = coarse.detach()
        extra = (
            known / 64.0,
            (score.shape[-1] - 1.0) - known / PX_PER_PLANE - centre,
            mass.detach(),
            ((everywhere.detach() - known) / 16.0).clamp(-2.0, 2.0),
        )
        seen = torch.cat(looks, -1).permute(0, 3, 1, 2)
        x4 = self.enter(torch.cat((quarter, seen, *extra), 1))
        x8 = self.down8(x4)
        x16 = F.relu(self.down16(torch.cat((x8, eighth), 1)) + self.see16(sixteenth))
        x32 = self.at32(F.relu(self.down32(x16) + self.see32(deep)))
        x16 = F.relu(x16 + doubled(self.up16(x32)))
        x8 = self.back8(F.relu(x8 + doubled(self.up8(x16))))
        x4 = self.back4(F.relu(x4 + doubled(self.up4(x8))))
        change, log_variance = self.out(x4).float().split(1, 1)
        log_variance = (4.0 * log_variance).clamp(-6.0, 10.0)
        shade = F.avg_pool2d(grey, 4)
        refined, choices = self._chosen(coarse.detach(), x4, shade)
        refined = (refined + 8.0 * change).clamp(min=0.0)
        detail = F.pixel_unshuffle(half, 2)
        mask = self.mask(torch.cat((x4, detail), 1)).float().unflatten(1, (9, 16))
        unlike = F.pixel_unshuffle(grey, 4).unsqueeze(1) - neighbours(shade, (-1, 0, 1)).unsqueeze(
            2
        )
        mask = decided(mask - self.likeness[-1] * unlike.abs())
        total = mask.sum(1).reciprocal()
        full = convex(refined, mask, total) if self.training else picked(refined, mask)
        spread = convex(log_variance, mask, total)
        choices.append((mask.flatten(1, 2), refined))
        return Prediction(full, spread, refined, coarse, score, choices=choices)

    def _chosen(
        self, disparity: Tensor, x4: Tensor, shade: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Return disparities that every cell has chosen among those around it, and the choices.

        The volume smears the edges of things over a few cells; what belongs where is to be seen
        in the image.
        """
        weights = self.choice(x4).float().chunk(ROUNDS, 1)
        unlike = (neighbours(shade, OFFSETS) - shade).abs()
        choices = []
        for likeness, weight in zip(
            self.likeness, weights, strict=False
        ):  # the last is for the pixels
            share = decided(weight - likeness * unlike)
            choices.append((share, disparity))
            around = neighbours(disparity, OFFSETS)
            disparity = (share * around).sum(1, keepdim=True) / share.sum(1, keepdim=True)
        return disparity, choices


def decided(logits: Tensor) -> Tensor:
    """Return weights > 0; not a softmax, whose sums are slow over other axes than the last."""
    share = torch.sigmoid(logits) + 1e-2
    return share * share


def neighbours(x: Tensor, offsets: tuple[int, ...]) -> Tensor:
    """Return (B, N^2, H, W): what lies at these offsets in rows and columns, of (B, 1, H, W)."""
    reach = max(offsets)
    padded = F.pad(x, (reach, reach, reach, reach), mode='replicate')
    parts = [slice(reach + i, i - reach or None) for i in offsets]
    return torch.cat([padded[:, :, rows, columns] for rows in parts for columns in parts], 1)


def convex(x: Tensor, mask: Tensor, factor: Tensor) -> Tensor:
    """Return (B, 1, 4 H, 4 W): every pixel a weighted mean of its 3 x 3 coarse neighbours.

    Args:
        x: (B, 1, H, W).
        mask: (B, 9, 16, H, W), weights >= 0.
        factor: (B, 16, H, W), one over their sums.
    """
    near = neighbours(x, (-1, 0, 1)).unsqueeze(2)
    return F.pixel_shuffle((near * mask).sum(1) * factor, 4)


def picked(x: Tensor, mask: Tensor) -> Tensor:
    """Return what `convex` does, but of those neighbours only that are near to the weightiest.

    At an edge the mean of both sides would be neither; there is no gradient in such a choice, so
    that it is made in use only.
    """
    near = neighbours(x, (-1, 0, 1)).unsqueeze(2)
    most = mask.amax(1, keepdim=True)
    best = (near * (mask >= most).to(mask.dtype)).amax(1, keepdim=True)
    mask = mask * ((near - best).abs() < SAME_PX).to(mask.dtype)
    return F.pixel_shuffle((near * mask).sum(1) / mask.sum(1), 4)
