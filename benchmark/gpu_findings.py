"""Figures of the benchmark on GPUs, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Any


@dataclass
class Findings:
    """Figures, and what is wrong."""

    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def tell(self, name: str, value: Any) -> None:
        """Keep and print a figure."""
        self.figures[name] = value
        shown = f'{value:.4g}' if isinstance(value, float) else str(value)
        print(f'  {name:<44}{shown:>14}', flush=True)

    def demand(self, name: str, holds: bool, detail: str = '') -> None:  # noqa: FBT001
        """Keep and print whether something is as it must be."""
        self.tell(name, 'ok' if holds else f'WRONG {detail}')
        if not holds:
            self.faults.append(f'{name} {detail}')


def timed_ms(work: Callable[[], None], repeats: int) -> float:
    """Return the mean duration of something that waits for its own end."""
    work()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) * 1e3 / repeats
