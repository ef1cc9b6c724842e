"""Hand the newest item from one thread to another."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """One slot between the thread that receives and the thread that works: the newest item wins.

    With a queue instead, a camera that is faster than the network would make every result late by
    the length of the queue; here an item waits at most as long as one item takes to be served.

    Attributes:
        overwritten: Number of items that left unread because a newer one came.
    """

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.overwritten = 0

    def put(self, item: T) -> bool:
        """Leave `item` for the reader; return whether an unread one had to go for it."""
        with self._filled:
            replaced = self._item is not None
            self.overwritten += replaced
            self._item = item
            self._filled.notify()
            return replaced

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item and take it; None once the box is closed or the time is up."""
        with self._filled:
            self._filled.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return None if self._closed else item

    def clear(self) -> None:
        """Throw away the unread item."""
        with self._filled:
            self._item = None

    def close(self) -> None:
        """Wake the reader up for the last time."""
        with self._filled:
            self._closed = True
            self._filled.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the box was closed."""
        return self._closed
