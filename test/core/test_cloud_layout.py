"""Body axes and rows of known points."""

from depth_perception.core.cloud_layout import CloudLayout, laid_out
import numpy as np

NAN = np.nan
PACKED = np.float32(
    [
        [[0.5, -0.25, 2.0, 7.0, 0.1], [NAN, NAN, NAN, 8.0, NAN]],
        [[-1.5, 3.0, 4.0, 9.0, 0.2], [1.0, 2.0, 3.0, 10.0, 0.3]],
    ]
)


def test_body_axes_are_forward_left_up_and_nothing_else_changes():
    turned = laid_out(PACKED.copy(), 2, CloudLayout(body_axes=True))
    assert turned.shape == (2, 2, 5)
    np.testing.assert_array_equal(turned[0, 0], np.float32([2.0, -0.5, 0.25, 7.0, 0.1]))
    np.testing.assert_array_equal(turned[1, 0], np.float32([4.0, 1.5, -3.0, 9.0, 0.2]))
    assert np.isnan(turned[0, 1, [0, 1, 2, 4]]).all()


def test_rows_hold_the_known_points_in_order():
    rows = laid_out(PACKED.copy(), 2, CloudLayout(organised=False))
    np.testing.assert_array_equal(rows, PACKED.reshape(4, 5)[[0, 2, 3]])


def test_both_at_once():
    rows = laid_out(PACKED.copy(), 2, CloudLayout(body_axes=True, organised=False))
    np.testing.assert_array_equal(rows[:, 0], np.float32([2.0, 4.0, 3.0]))
    np.testing.assert_array_equal(rows[:, 2], np.float32([0.25, -3.0, -2.0]))
