"""Pairing by stamps: exact, approximate, order, bounds."""

from depth_perception.core.sync import Synchroniser
from depth_perception.errors import SettingsError
from hypothesis import given
from hypothesis import strategies as st
import pytest


def test_exact_wants_equal_stamps_of_all_inputs():
    sync = Synchroniser(3)
    assert sync.add(0, 100, 'a') is None
    assert sync.add(2, 100, 'c') is None
    assert sync.add(1, 101, 'x') is None
    assert sync.add(1, 100, 'b') == ('a', 'b', 'c')


def test_older_items_are_dropped_and_counted_once_a_newer_set_is_complete():
    sync = Synchroniser(2)
    sync.add(0, 1, 'old')
    sync.add(0, 2, 'new')
    assert sync.add(1, 2, 'partner') == ('new', 'partner')
    assert sync.add(1, 1, 'late') is None
    assert sync.dropped == [1, 1]


def test_queue_is_bounded_and_drops_the_oldest():
    sync = Synchroniser(2, queue_size=3)
    for stamp in range(10):
        sync.add(0, stamp, stamp)
    assert sync.waiting() == [3, 0]
    assert sync.add(1, 9, 'b') == (9, 'b')
    assert sync.add(1, 2, 'b') is None
    assert sync.dropped == [9, 1]


def test_approximate_takes_the_nearest_within_the_tolerance():
    sync = Synchroniser(2, tolerance_ns=10)
    sync.add(0, 100, 'far')
    sync.add(0, 118, 'near')
    assert sync.add(1, 120, 'b') == ('near', 'b')
    sync.add(0, 200, 'c')
    assert sync.add(1, 211, 'd') is None


def test_reset_forgets_what_waits():
    sync = Synchroniser(2)
    sync.add(0, 5, 'a')
    sync.reset()
    assert sync.add(1, 5, 'b') is None


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=80),
    st.sampled_from([0, 2]),
)
def test_sets_agree_and_leave_in_order(arrivals, tolerance_ns):
    sync = Synchroniser(3, tolerance_ns=tolerance_ns, queue_size=4)
    last = -1
    for index, stamp in arrivals:
        matched = sync.add(index, stamp, stamp)
        assert max(sync.waiting()) <= 4
        if matched is not None:
            assert max(matched) - min(matched) <= tolerance_ns
            assert min(matched) > last
            last = min(matched)


def test_clock_that_jumps_back_starts_pairing_anew():
    sync = Synchroniser(2)
    hour_ns = 3_600_000_000_000
    sync.add(0, hour_ns, 'a')
    sync.add(1, hour_ns, 'b')
    assert sync.add(0, 7, 'c') is None
    assert sync.jumps == 1
    assert sync.add(1, 7, 'd') == ('c', 'd')


@pytest.mark.parametrize('arguments', [(0, 0, 1), (2, -1, 1), (2, 0, 0)])
def test_senseless_arguments_are_refused(arguments):
    with pytest.raises(SettingsError, match='synchroniser wants'):
        Synchroniser(*arguments)


def test_second_back_is_late_and_more_is_a_jump():
    sync = Synchroniser(1)
    assert sync.add(0, 5_000_000_000, 'a') == ('a',)
    assert sync.add(0, 4_000_000_000, 'late') is None
    assert (sync.dropped, sync.jumps) == ([1], 0)
    assert sync.add(0, 3_999_999_999, 'again') == ('again',)
    assert sync.jumps == 1


def test_stamp_between_those_of_the_last_set_still_pairs():
    sync = Synchroniser(2, tolerance_ns=10)
    sync.add(0, 100, 'a')
    assert sync.add(1, 108, 'b') == ('a', 'b')
    assert sync.add(0, 105, 'c') is None
    assert sync.add(1, 110, 'd') == ('c', 'd')


def test_replaced_item_counts_as_dropped():
    sync = Synchroniser(2)
    sync.add(0, 7, 'first')
    sync.add(0, 7, 'second')
    assert sync.add(1, 7, 'b') == ('second', 'b')
    assert sync.dropped == [1, 0]
