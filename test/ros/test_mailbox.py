"""One slot, newest wins: what a slow reader sees of a fast writer."""

import threading

from depth_perception.ros.mailbox import Mailbox
import pytest

pytestmark = pytest.mark.ros


def test_the_newest_item_wins_and_the_others_are_counted():
    box = Mailbox()
    assert [box.put(item) for item in 'abc'] == [False, True, True]
    assert box.take() == 'c'
    assert box.overwritten == 2
    assert box.take(timeout_s=0.01) is None


def test_close_wakes_a_waiting_reader():
    box, taken = Mailbox(), []
    reader = threading.Thread(target=lambda: taken.append(box.take()))
    reader.start()
    box.close()
    reader.join(60.0)
    assert taken == [None]
    box.put('late')
    assert box.take() is None


def test_clear_throws_the_unread_item_away():
    box = Mailbox()
    box.put('old')
    box.clear()
    assert box.take(timeout_s=0.01) is None


def test_age_under_overload_is_bounded_by_one_service():
    """A writer five times as fast as the reader: no item waits longer than a service takes."""
    box, service, ages = Mailbox(), 5, []
    for now in range(150):  # played time, in periods of the writer
        box.put(now)
        if now % service == service - 1:
            ages.append(now - box.take(timeout_s=0.01))
    assert ages == [0] * 30
    assert box.overwritten == 150 - 30


def test_a_reader_is_never_shown_an_older_item_than_before():
    box, taken = Mailbox(), []

    def serve():
        while (item := box.take()) is not None:
            taken.append(item)

    reader = threading.Thread(target=serve)
    reader.start()
    for item in range(1, 2001):
        box.put(item)
    box.close()
    reader.join(60.0)
    assert taken == sorted(set(taken))
    assert len(taken) + box.overwritten in (1999, 2000)  # closing may meet one that is unread
