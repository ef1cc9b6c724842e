"""Sums that are the same to the last bit wherever they are made."""

from __future__ import annotations

from depth_perception.core.types import AnyArray


def dot(a: AnyArray, b: AnyArray) -> float:
    """Return the sum of a * b over (N,) arrays.

    np.dot leaves it to a BLAS, which splits it over as many threads as the process may use: the
    last digits then depend on the number of workers. numpy's own sums do not.
    """
    return float((a * b).sum())
