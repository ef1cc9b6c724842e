"""What the mono network is trained for.

All maps are (B, 1, H, W); ``known`` is 1 where the truth counts. The truth is inverse depth
[1/m], the prediction is affine in it.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor

TRIMMED = 0.2
KNEE = 5.0


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss."""

    invariant: float = 1.0
    gradient: float = 1.0
    relative: float = 0.5
    sigma: float = 0.1
    unit: float = 0.02


def normalised(x: Tensor, known: Tensor) -> Tensor:
    """Return x less its median, over its mean absolute deviation, of every image.

    Ranftl et al., Towards Robust Monocular Depth Estimation, equations 5 and 6.
    """
    return (x - median(x, known)) / spread(x, known).clamp(min=1e-4)


def median(x: Tensor, known: Tensor) -> Tensor:
    """Return the median (B, 1, 1, 1) of what is known of every image."""
    hidden = x.masked_fill(known < 0.5, math.nan).flatten(1)
    return hidden.nanmedian(1).values.nan_to_num().view(-1, 1, 1, 1)


def spread(x: Tensor, known: Tensor) -> Tensor:
    """Return the mean absolute deviation (B, 1, 1, 1) from the median."""
    count = known.sum((1, 2, 3), keepdim=True).clamp(min=1.0)
    return ((x - median(x, known)).abs() * known).sum((1, 2, 3), keepdim=True) / count


def trimmed_mae(error: Tensor, known: Tensor) -> Tensor:
    """Return the mean |error| without its largest fifth (the same paper, equation 8)."""
    size = error.abs() * known
    most = torch.quantile(size.flatten(1)[:, ::7], 1.0 - TRIMMED, dim=1).view(-1, 1, 1, 1)
    kept = known * (size <= most)
    return (size * kept).sum() / kept.sum().clamp(min=1.0)


def multi_scale_gradient(error: Tensor, known: Tensor, levels: int = 4) -> Tensor:
    """Return the mean size of the gradient of the error on ``levels`` halved grids."""
    total = error.new_zeros(())
    for level in range(levels):
        step = 2**level
        e, m = error[..., ::step, ::step], known[..., ::step, ::step]
        for axis in (-1, -2):
            n = e.shape[axis] - 1
            both = m.narrow(axis, 0, n) * m.narrow(axis, 1, n)
            change = (e.narrow(axis, 1, n) - e.narrow(axis, 0, n)).abs()
            total = total + (change * both).sum() / both.sum().clamp(min=1.0)
    return total / levels


def scale_and_shift(x: Tensor, truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the s and t (B, 1, 1, 1) that minimise the sum of (s x + t - truth)^2."""
    dims = (1, 2, 3)
    n = known.sum(dims, keepdim=True).clamp(min=1.0)
    mx = (x * known).sum(dims, keepdim=True) / n
    mt = (truth * known).sum(dims, keepdim=True) / n
    dx, dt = (x - mx) * known, (truth - mt) * known
    s = (dx * dt).sum(dims, keepdim=True) / (dx * dx).sum(dims, keepdim=True).clamp(min=1e-6)
    return s, mt - s * mx


def robust(x: Tensor) -> Tensor:
    """Return x, growing only as its logarithm beyond ``KNEE``: no pixel pulls without limit."""
    return torch.where(x < KNEE, x, KNEE * (1.0 + torch.log(x.clamp(min=KNEE) / KNEE)))


def losses(
    inverse: Tensor, log_variance: Tensor, truth: Tensor, known: Tensor, weights: Weights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum and its parts.

    Args:
        inverse: prediction.
        log_variance: of the prediction, in its own unit squared.
        truth: inverse depth [1/m].
        known: 1 where the truth counts.
        weights: of the parts.
    """
    error = normalised(inverse, known) - normalised(truth, known)
    s, t = scale_and_shift(inverse, truth, known)
    aligned = s * inverse + t
    relative = ((aligned - truth) / truth.clamp(min=0.05)).abs().clamp(max=3.0)
    residual = (aligned - truth).detach().abs() / s.detach().abs().clamp(min=1e-4)
    nll = robust(math.sqrt(2.0) * residual * torch.exp(-0.5 * log_variance)) + 0.5 * log_variance
    count = known.sum().clamp(min=1.0)
    parts = {
        'invariant': trimmed_mae(error, known),
        'gradient': multi_scale_gradient(error, known),
        'relative': (relative * known).sum() / count,
        'sigma': (nll * known).sum() / count,
        'unit': torch.log(spread(inverse, known).clamp(min=1e-3)).square().mean(),
    }
    total = sum(getattr(weights, name) * part for name, part in parts.items())
    assert isinstance(total, Tensor)
    return total, parts
