"""The file that a training run goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn


class Checkpoint:
    """Weights, their average, the optimiser and how far a run has come.

    Args:
        path: Of the file.
        network: Network that is trained.
        average: Network that holds the average of its weights.
        optimiser: What trains it.

    Attributes:
        state: Steps taken, and the time they took [s]; both 0 before the first.
    """

    def __init__(
        self,
        path: Path,
        network: nn.Module,
        average: nn.Module,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self._path = path
        self._parts: dict[str, Any] = {
            'network': network,
            'average': average,
            'optimiser': optimiser,
        }
        self.state: dict[str, Any] = {'step': 0, 'spent_s': 0.0}

    def restore(self) -> None:
        """Take over what the file holds, if there is one."""
        if not self._path.exists():
            return
        stored = torch.load(self._path, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(stored[name])
        self.state = stored['state']

    def save(self) -> None:
        """Write the file, whole or not at all."""
        partial = self._path.with_suffix('.part')
        content = {name: part.state_dict() for name, part in self._parts.items()}
        torch.save({**content, 'state': self.state}, partial)
        partial.rename(self._path)
