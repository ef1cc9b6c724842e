"""What the network is trained for."""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from training.stereo.refinement import neighbours, OFFSETS, Prediction, PX_PER_PLANE

RAW_SHARPNESS = 16.0
KNEE_PX = 4.0
EDGE_PX = 3.0
EDGE_WEIGHT = 1.5


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss."""

    raw: float = 0.3
    score: float = 1.5
    coarse: float = 0.1
    refined: float = 0.3
    full: float = 1.0
    slope: float = 0.3
    sigma: float = 0.1
    rounds: float = 0.5
    pixels: float = 1.0


def plane_cross_entropy(score: Tensor, truth: Tensor) -> Tensor:
    """Return (B, H, W): cross entropy against the two planes around the truth.

    Args:
        score: (B, H, W, K), planes descending.
        truth: (B, H, W) [px].
    """
    planes = score.shape[-1]
    place = (planes - 1 - truth / PX_PER_PLANE).clamp(0, planes - 1.001)
    low = place.floor()
    share = (place - low).unsqueeze(-1)
    low = low.long().unsqueeze(-1)
    log_p = torch.log_softmax(score.float(), -1)
    a, b = log_p.gather(-1, low), log_p.gather(-1, low + 1)
    return -((1.0 - share) * a + share * b).squeeze(-1)


def mean_over(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of x where the mask, of the same shape, is 1."""
    return (x * mask).sum() / mask.sum().clamp(min=1.0)


def robust(error: Tensor) -> Tensor:
    """Return |e| with a round bottom, growing as a logarithm beyond `KNEE_PX`.

    What is lost in an occlusion or on a bare wall would rule the gradient otherwise.
    """
    size = torch.sqrt(error * error + 0.01) - 0.1
    return torch.where(
        size < KNEE_PX, size, KNEE_PX * (1.0 + torch.log(size.clamp(min=KNEE_PX) / KNEE_PX))
    )


def laplace_nll(error: Tensor, log_variance: Tensor) -> Tensor:
    """Return the negative log likelihood of a Laplace distribution, without its constant."""
    return math.sqrt(2.0) * error.abs() * torch.exp(-0.5 * log_variance) + 0.5 * log_variance


def losses(
    found: Prediction, truth: Tensor, known: Tensor, seen4: Tensor, weights: Weights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the sum and its parts.

    Args:
        found: Of a batch.
        truth: (B, 1, H, W) [px].
        known: (B, 1, H, W), 1 where the truth counts, occluded pixels included.
        seen4: (B, H/4, W/4), 1 where the right image shows the pixel too.
        weights: Of the parts.
    """
    truth4, known4 = truth[:, 0, ::4, ::4], known[:, 0, ::4, ::4]
    near = 1.0 + EDGE_WEIGHT * at_edges(truth4.unsqueeze(1))
    heavy = known * F.interpolate(near, scale_factor=4.0)
    heavy4 = known4 * near[:, 0]
    assert found.raw is not None
    error = found.disparity.float() - truth
    parts = {
        'raw': mean_over(
            plane_cross_entropy(RAW_SHARPNESS * found.raw.float(), truth4), known4 * seen4
        ),
        'score': mean_over(plane_cross_entropy(found.score, truth4), heavy4),
        'coarse': mean_over(robust(found.coarse[:, 0].float() - truth4), known4),
        'refined': mean_over(robust(found.refined[:, 0] - truth4), heavy4),
        'full': mean_over(robust(error), heavy),
        'slope': slopes(error, known),
        'sigma': mean_over(
            laplace_nll(error.detach().clamp(-64.0, 64.0), found.log_variance), known
        ),
    }
    parts |= choice_losses(found, truth, truth4, heavy, heavy4)
    total = sum(getattr(weights, name) * part for name, part in parts.items())
    assert isinstance(total, Tensor)
    with torch.no_grad():
        size = error.abs()
        parts['epe'] = mean_over(size, known)
        parts['bad2'] = 100.0 * mean_over((size > 2.0).float(), known)
        wrong = ((found.coarse[:, 0] - truth4).abs() > 4.0).float()
        parts['coarse_bad4'] = 100.0 * mean_over(wrong, known4)
    return total, parts


def choice_losses(
    found: Prediction, truth: Tensor, truth4: Tensor, heavy: Tensor, heavy4: Tensor
) -> dict[str, Tensor]:
    """Return how unlikely the truth is as one of the neighbours that were chosen.

    A mixture of Laplace distributions, one at each neighbour: unlike the error of their mean it
    rewards a choice of the right side of an edge, and not something in between.
    """
    *rounds, (mask, refined) = found.choices
    parts = [
        mean_over(
            mixture_nll(share, neighbours(disparity.detach(), OFFSETS), truth4.unsqueeze(1), 1),
            heavy4,
        )
        for share, disparity in rounds
    ]
    near = neighbours(refined, (-1, 0, 1)).unsqueeze(2)
    target = F.pixel_unshuffle(truth, 4).unsqueeze(1)
    pixels = mixture_nll(mask.unflatten(1, (9, 16)), near, target, 1)
    return {
        'rounds': torch.stack(parts).mean(),
        'pixels': mean_over(pixels, F.pixel_unshuffle(heavy, 4)),
    }


def mixture_nll(share: Tensor, places: Tensor, truth: Tensor, axis: int) -> Tensor:
    """Return -ln of the mixture of Laplace densities of width 1 px, up to a constant."""
    likely = (share * torch.exp(-(places - truth).abs().clamp(max=30.0))).sum(axis)
    return -torch.log(likely / share.sum(axis) + 1e-3)


def at_edges(truth4: Tensor) -> Tensor:
    """Return (B, 1, H, W), 1 within two cells of a jump of the disparity."""
    jump = F.max_pool2d(truth4, 3, 1, 1) + F.max_pool2d(-truth4, 3, 1, 1) > EDGE_PX
    return F.max_pool2d(jump.float(), 3, 1, 1)


def slopes(error: Tensor, known: Tensor) -> Tensor:
    """Return how much the error changes between neighbours, at two scales."""
    total = error.new_zeros(())
    for scale in (1, 4):
        e = F.avg_pool2d(error * known, scale) if scale > 1 else error
        k = (F.avg_pool2d(known, scale) > 0.99).float() if scale > 1 else known
        for axis in (2, 3):
            change = e.diff(dim=axis)
            both = k.narrow(axis, 1, k.shape[axis] - 1) * k.narrow(axis, 0, k.shape[axis] - 1)
            total = total + mean_over(change.abs().clamp(max=4.0), both)
    return total
