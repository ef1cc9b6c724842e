"""Networks that are opened once, however many cameras run them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
import threading
from typing import Any

from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.estimator import open_backend
from depth_perception.inference.shared_network import SharedNetwork, WINDOW_S
from depth_perception.parameters import EstimatorSettings
from depth_perception.tensorrt_parameters import TensorRTSettings


@dataclass(frozen=True)
class _Entry:
    card: ModelCard
    how: tuple[Any, ...]
    network: SharedNetwork


class NetworkPool:
    """Opens backends for `open_estimator`; the same network in the same runtime only once.

    Builtin matchers are not shared: they are set up for one camera, and run beside each other.

    Args:
        window_s: Longest wait for other cameras [s].
        largest_batch: Most images in one run; 1: cameras take turns; 0: as it pays.
    """

    def __init__(self, window_s: float = WINDOW_S, largest_batch: int = 0) -> None:
        self._window_s = window_s
        self._largest_batch = largest_batch
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []

    @property
    def networks(self) -> list[SharedNetwork]:
        """The networks that are open."""
        return [entry.network for entry in self._entries]

    def open(self, card: ModelCard, settings: EstimatorSettings) -> Backend:
        """Return what runs a card: a share in a network that may be open already.

        Raises:
            ModelError: If the card and the network file disagree on the names of tensors.
            BackendUnavailableError: If the backend asked for cannot run here.
        """
        if card.builtin is not None:
            return open_backend(card, settings)
        how = _how(settings)
        with self._lock:
            for entry in self._entries:
                if entry.card == card and entry.how == how:
                    return entry.network.client()
            network = SharedNetwork(
                open_backend(card, settings), self._window_s, self._largest_batch
            )
            entry = _Entry(card, how, network)
            network.on_close = partial(self._forget, entry)
            self._entries.append(entry)
            return network.client()

    def _forget(self, entry: _Entry) -> None:
        with self._lock:
            self._entries = [other for other in self._entries if other is not entry]


def _how(settings: EstimatorSettings) -> tuple[Any, ...]:
    names = ['backend', 'threads', *(one.name for one in fields(TensorRTSettings))]
    return tuple(getattr(settings, name) for name in names)
