"""References of several sources in one."""

from depth_perception.core.scale_types import joined_references, References
import numpy as np


def test_references_of_several_sources_are_joined_in_order():
    first = References([1.0, 2.0], [3.0, 4.0], [0.5, 0.6], [0.01, 0.02])
    second = References([5.0], [6.0], [0.7], [0.03])
    both = joined_references(first, None, second)
    np.testing.assert_array_equal(both.u, [1.0, 2.0, 5.0])
    np.testing.assert_array_equal(both.sigma_rho, [0.01, 0.02, 0.03])
    assert joined_references(None, second) is second
    assert joined_references(None, References([], [], [], [])) is None
