"""Stamps of messages."""

from __future__ import annotations

from typing import Any


def stamp_ns_of(message: Any) -> int:
    """Return the header stamp of a message [ns]."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
