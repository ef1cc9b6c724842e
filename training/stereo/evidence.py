"""Evidence: fixed and learned descriptors of both images, compared at every disparity.

Convention:
    As in `training.stereo.model`.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional as F  # noqa: N812

from training.stereo.blocks import block, Residual, Widths

FOLD = 4  # planes of the evidence in one plane of the volume
PATCH_CHANNELS = 25


def normalised(image: Tensor) -> Tensor:
    """Return (B, 3, H, W) RGB less the local mean grey, by the local deviation of grey.

    Args:
        image: (B, 3, H, W), 0..1.
    """
    grey = image.mean(1, keepdim=True)
    moments = F.avg_pool2d(torch.cat((grey, grey * grey), 1), 4)
    moments = F.avg_pool2d(moments, 7, 1, 3, count_include_pad=False)
    mean, square = moments[:, :1], moments[:, 1:]
    scale = torch.rsqrt((square - mean * mean).clamp(min=0.0) + 1e-3)
    both = F.interpolate(
        torch.cat((mean, scale), 1), scale_factor=4.0, mode='bilinear', align_corners=False
    )
    return ((image - both[:, :1]) * both[:, 1:]).clamp(-4.0, 4.0)


class Matching(nn.Module):
    """Descriptors on the grid of 1/4; of the right image at every second pixel of a row."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.stem = block(3, widths.stem, 3, 2)
        self.down = nn.Conv2d(widths.stem, widths.match, 3, (2, 1), 1, bias=False)
        self.down_norm = nn.BatchNorm2d(widths.match)
        self.body = Residual(widths.match)
        self.out = nn.Conv2d(widths.match, widths.match, 1, bias=False)
        patch = torch.zeros(PATCH_CHANNELS, 1, 5, 5)
        patch.view(PATCH_CHANNELS, 25)[:25] = torch.eye(25) - 1.0 / 25.0
        self.register_buffer('patch', patch, persistent=False)

    def forward(self, left: Tensor, right: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the fixed and the learned descriptors, left (B, C, H/4, W/4), right W/2."""
        size = left.shape[0]
        x = self.stem(torch.cat((left, right)))
        dense = self.down(x)
        dense = F.relu(self.down_norm(dense))
        a, even, odd = dense[:size, :, :, ::2], dense[size:, :, :, ::2], dense[size:, :, :, 1::2]
        maps = self.out(self.body(torch.cat((a, even, odd))))
        maps = unit(maps)
        a, even, odd = maps[:size], maps[size : 2 * size], maps[2 * size :]
        learned = torch.stack((even, odd), -1).flatten(-2)
        half = F.avg_pool2d(torch.cat((left, right)).mean(1, keepdim=True), 2)
        fixed = F.conv2d(half, self.patch, stride=(2, 1), padding=2)
        fixed = unit(fixed, 0.5)
        return [fixed[:size, :, :, ::2], a], [fixed[size:], learned]


def unit(x: Tensor, floor: float = 1e-2) -> Tensor:
    """Return descriptors of length 1, or less where there is almost nothing."""
    return x * torch.rsqrt((x * x).sum(1, keepdim=True) + floor)


def correlation(left: Tensor, right: Tensor, planes: int) -> Tensor:
    """Return (B, H, W, K): how alike left descriptors and right ones at each disparity are.

    The products of all pairs of a row are read along their diagonals by padding the rows and
    reading them with another stride. Outside of the right image it is 0.

    Args:
        left: (B, C, H, W).
        right: (B, C, H, 2 W).
        planes: K.
    """
    size, _, height, width = left.shape
    right = F.pad(right, (planes - 1, 0))
    pairs = (left.permute(0, 2, 3, 1) @ right.permute(0, 2, 1, 3)).flatten(2)
    pairs = F.pad(pairs, (0, 2 * width))
    stride = 2 * width + planes + 1
    return pairs.view(size, height, width, stride)[..., :planes]


def unseen(left: Tensor, right: Tensor, planes: int) -> Tensor:
    """Return (1, K / 4, 1, 1, W / 2): share of a cell of the volume outside of the right image.

    There the evidence is 0, which a poor match may have, too; this tells them apart.

    Args:
        left: (B, C, H, W) like that of `correlation`.
        right: (B, C, H, 2 W).
        planes: K.
    """
    rows = (torch.ones_like(x[:1, :1, :1]) for x in (left, right))
    inside = correlation(*rows, planes).unflatten(-1, (planes // FOLD, FOLD)).mean(-1)
    inside = F.avg_pool2d(inside.permute(0, 3, 1, 2), (1, 2))
    return 1.0 - inside.unsqueeze(2)


def folded(evidence: list[Tensor]) -> Tensor:
    """Return (B, D, 4 G, H, W) of G volumes (B, H, W, K), D = K / 4."""
    size, height, width, planes = evidence[0].shape
    x = torch.stack([volume.permute(0, 3, 1, 2) for volume in evidence], 2)
    return x.reshape(size, planes // FOLD, FOLD * len(evidence), height, width)


def unfolded(x: Tensor) -> Tensor:
    """Return (B, 2 H, 2 W, K) of (B, D, 16, H, W)."""
    size, planes = x.shape[:2]
    x = F.pixel_shuffle(x.flatten(0, 1), 2)
    return x.unflatten(0, (size, planes)).flatten(1, 2).permute(0, 2, 3, 1)
