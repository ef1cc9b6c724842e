"""Check array shapes by name, binding the letters across arguments."""

from __future__ import annotations

from typing import Any

from depth_perception.errors import ShapeError
from numpy.typing import NDArray


def check_shapes(**arrays: tuple[NDArray[Any], str]) -> dict[str, int]:
    """Check `name=(array, 'H W 3')` pairs and return what the letters stand for.

    The same letter must mean the same size in every argument.

    Raises:
        ShapeError: Naming the argument, the shape wanted and the shape given.
    """
    sizes: dict[str, int] = {}
    for name, (array, spec) in arrays.items():
        axes = spec.split()
        wanted = [str(sizes.get(axis, axis)) for axis in axes]
        fits = len(axes) == array.ndim and all(
            int(axis) == size if axis.isdigit() else sizes.setdefault(axis, size) == size
            for axis, size in zip(axes, array.shape, strict=True)
        )
        if not fits:
            known = f' = ({", ".join(wanted)})' if wanted != axes else ''
            raise ShapeError(f'{name} must be ({", ".join(axes)}){known}, got {array.shape}')
    return sizes
