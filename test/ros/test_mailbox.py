"""One slot, newest wins: what a slow reader sees of a fast writer."""

import threading
import time

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
    reader.join(5.0)
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
    box, service_s, ages_s = Mailbox(), 0.02, []

    def serve():
        while (written_s := box.take()) is not None:
            ages_s.append(time.perf_counter() - written_s)
            time.sleep(service_s)

    reader = threading.Thread(target=serve)
    reader.start()
    for _ in range(150):
        box.put(time.perf_counter())
        time.sleep(service_s / 5)
    box.close()
    reader.join(5.0)
    assert box.overwritten + len(ages_s) >= 149
    assert sorted(ages_s)[int(0.95 * len(ages_s))] < 1.2 * service_s
