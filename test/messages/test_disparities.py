from types import SimpleNamespace

from depth_perception.errors import FrameError
from depth_perception.messages.disparities import (
    depth_from_disparity_message,
    disparity_from_message,
)
import numpy as np
import pytest


def message(values, low=0.0, high=64.0, f=500.0, t=0.12, **changes):
    values = np.asarray(values, np.float32)
    height, width = values.shape
    image = SimpleNamespace(
        height=height,
        width=width,
        encoding='32FC1',
        is_bigendian=0,
        step=4 * width,
        data=np.frombuffer(values.tobytes(), np.uint8),
    )
    image.__dict__.update(changes)
    return SimpleNamespace(image=image, f=f, t=t, min_disparity=low, max_disparity=high)


def test_depth_is_focal_length_times_baseline_over_disparity():
    depth = depth_from_disparity_message(message([[3.0, 20.0]]))
    np.testing.assert_allclose(depth, [[20.0, 3.0]], rtol=1e-6)
    assert depth.dtype == np.float32


def test_only_values_within_the_bounds_count():
    content = disparity_from_message(message([[4.0, 4.9, 64.5, 66.0, np.nan, np.inf]], low=4.5))
    known = np.isfinite(content.adjusted)
    np.testing.assert_array_equal(known, [[False, True, True, False, False, False]])


def test_equal_bounds_say_nothing():
    content = disparity_from_message(message([[-1.0, 0.0, 7.5]], low=0.0, high=0.0))
    np.testing.assert_array_equal(content.adjusted, [[np.nan, np.nan, 7.5]])


def test_disparity_0_is_infinitely_far_and_negative_ones_have_no_depth():
    depth = depth_from_disparity_message(message([[0.0, -2.0, 5.0]], low=-3.0))
    np.testing.assert_allclose(depth, [[np.inf, np.nan, 12.0]])


def test_sign_of_the_baseline_does_not_matter():
    assert disparity_from_message(message([[3.0]], t=-0.12)).baseline_m == 0.12


@pytest.mark.parametrize(
    ('changes', 'cause'),
    [
        ({'f': 0.0}, 'calibration'),
        ({'t': float('nan')}, 'calibration'),
        ({'encoding': '16SC1'}, 'encoding'),
        ({'step': 4}, 'step'),
        ({'width': 10**6}, 'too_large'),
        ({'height': 3}, 'truncated'),
    ],
)
def test_hostile_messages_are_refused(changes, cause):
    with pytest.raises(FrameError) as caught:
        disparity_from_message(message([[3.0, 4.0]], **changes))
    assert caught.value.cause == cause


def test_the_message_is_not_changed():
    given = message([[1.0, 70.0]])
    before = given.image.data.copy()
    disparity_from_message(given)
    np.testing.assert_array_equal(given.image.data, before)
