"""Average of weights along a training run."""

from __future__ import annotations

import copy

from torch import nn


class Average:
    """Exponential average of the weights, statistics of the normalisation included.

    Args:
        network: Network at the start.
        slowest: Share that is kept at each step in the long run; the first steps keep less.
    """

    def __init__(self, network: nn.Module, slowest: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._slowest = slowest

    def update(self, network: nn.Module, step: int) -> None:
        """Take a step towards the weights."""
        keep = min(self._slowest, (1.0 + step) / (10.0 + step))
        pairs = zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        for mine, new in pairs:
            if mine.is_floating_point():
                mine.lerp_(new, 1.0 - keep)
            else:
                mine.copy_(new)
