"""Reach SciPy, which some metrics need, only when one of them is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from depth_perception.errors import BackendUnavailableError


def scipy_module(name: str) -> Any:
    """Return a module of SciPy.

    Args:
        name: The part after 'scipy.', for instance 'special' or 'spatial'.

    Raises:
        BackendUnavailableError: If SciPy is not installed or lacks that module.
    """
    try:
        return import_module(f'scipy.{name}')
    except ImportError:
        raise BackendUnavailableError(
            'the metrics need SciPy: pip install scipy, or apt-get install python3-scipy'
        ) from None
