"""Array types, named by quantity. Shape, unit and invalid value are part of the name's meaning."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

AnyArray: TypeAlias = NDArray[Any]
DepthMap: TypeAlias = NDArray[np.float32]
"""(H, W) float32 [m] along the optical axis; NaN unknown, +Inf beyond range, -Inf too near."""
DisparityMap: TypeAlias = NDArray[np.float32]
"""(H, W) float32 [px] of the left image, d = u_left - u_right; NaN where there is no match."""
InverseDepthMap: TypeAlias = NDArray[np.float32]
"""(H, W) float32 [1/m]; NaN unknown, 0 at infinity."""
SigmaMap: TypeAlias = NDArray[np.float32]
"""(H, W) float32, one standard deviation in the unit of its quantity; NaN where unknown."""
Mask: TypeAlias = NDArray[np.bool_]
"""(H, W) bool."""
Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W) grey or (H, W, 3) colour, uint8."""
