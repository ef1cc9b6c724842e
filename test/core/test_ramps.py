"""Floor that rises is floor, what stands on it is not."""

import math

from depth_perception.core.ramps import ramp_heights
import numpy as np

SLOPE = math.tan(math.radians(10.0))


def column(*parts):
    """Return height and distance, (R, 8), of (height, distance) from far to near."""
    height, distance = np.array(parts, np.float32).T
    return np.repeat(height[:, None], 8, axis=1), np.repeat(distance[:, None], 8, axis=1)


def test_a_ramp_is_floor_and_a_box_on_it_is_not():
    way = np.linspace(4.0, 1.0, 40, dtype=np.float32)
    ramp = np.maximum(way - 2.0, 0.0) * math.tan(math.radians(8.0))
    boxed = ramp + 0.3 * ((way > 2.5) & (way < 2.6))
    height, distance = column(*zip(boxed, way, strict=True))
    left = height - ramp_heights(height, distance, 0.08, SLOPE)
    on = boxed > ramp
    assert left[on].min() > 0.2
    assert left[~on].max() < 0.12  # four samples share one level


def test_steep_faces_and_table_tops_stay():
    faces = column(*[(0.4, 2.02)] * 4, *[(0.3, 2.01)] * 4, *[(0.2, 2.0)] * 4, *[(0.0, 1.9)] * 8)
    assert not ramp_heights(*faces, 0.1, SLOPE).any()
    table = column(*[(0.7, 3.0)] * 4, *[(0.7, 2.4)] * 4, *[(0.0, 1.5)] * 8)
    assert not ramp_heights(*table, 0.1, SLOPE).any()


def test_unknown_and_flat_have_no_ramp():
    height, distance = column((np.nan, np.nan), (0.05, 3.0), (np.inf, np.inf), (0.0, 1.0))
    np.testing.assert_array_equal(ramp_heights(height, distance, 0.1, SLOPE), 0.0)
