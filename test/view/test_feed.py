"""Frames are put together by stamp, only the newest is kept, and nothing grows."""

from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.view import feed as feed_module
from depth_perception.view.feed import CameraFeed, Feeds
import numpy as np
import pytest

RGB = np.zeros((4, 7, 3), np.uint8)


def bring(feed, messages, stamp_ns, roles):
    made = {
        'image': lambda: messages.image(RGB, stamp_ns),
        'info': lambda: messages.info(stamp_ns),
        'depth': lambda: messages.image(messages.depth, stamp_ns),
        'sigma': lambda: messages.image(messages.sigma, stamp_ns),
    }
    for role in roles:
        feed.take(role, made[role]())


def stamps(frame):
    parts = (frame.depth, frame.sigma, frame.image)
    return [None if part is None else stamp_ns_of(part) for part in parts]


def test_a_frame_holds_messages_of_one_stamp(messages):
    feed = CameraFeed('/front')
    for stamp_ns in (1, 2, 3):  # the picture is there long before its depth
        bring(feed, messages, stamp_ns, ['image'])
    bring(feed, messages, 2, ['info', 'depth'])
    assert feed.newer(-1, 0.0) is None or stamps(feed.newer(-1, 0.0)[1]) == [2, None, 2]
    bring(feed, messages, 3, ['sigma', 'depth', 'info'])
    assert stamps(feed.newer(-1, 0.0)[1]) == [3, 3, 3]


@pytest.mark.parametrize('order', [['depth', 'sigma'], ['sigma', 'depth']])
def test_sigma_is_waited_for_where_it_is_known_to_come(messages, order):
    feed = CameraFeed('/front')
    bring(feed, messages, 1, ['info', *order])
    first, frame = feed.newer(-1, 0.0)
    assert stamps(frame)[0] == 1
    bring(feed, messages, 2, order[:1])
    assert feed.newer(first, 0.0) is None
    bring(feed, messages, 2, order[1:])
    assert stamps(feed.newer(first, 0.0)[1]) == [2, 2, None]


def test_a_frame_whose_sigma_got_lost_is_shown_when_the_next_one_comes(messages):
    feed = CameraFeed('/front')
    bring(feed, messages, 1, ['info', 'sigma', 'depth'])
    first, _ = feed.newer(-1, 0.0)
    bring(feed, messages, 2, ['depth'])
    bring(feed, messages, 3, ['depth'])
    assert stamps(feed.newer(first, 0.0)[1]) == [2, None, None]


def test_who_is_slow_gets_the_newest_and_never_an_old_frame(messages):
    feed = CameraFeed('/front')
    bring(feed, messages, 1, ['info', 'depth'])
    first, _ = feed.newer(-1, 0.0)
    for stamp_ns in range(2, 500):
        bring(feed, messages, stamp_ns, ['depth'])
    number, frame = feed.newer(first, 0.0)
    assert stamps(frame) == [499, None, None]
    assert feed.newer(number, 0.0) is None


def test_pictures_that_wait_are_bounded_in_number_and_bytes(messages, monkeypatch):
    monkeypatch.setattr(feed_module, '_MOST_BYTES', 50_000)
    feed = CameraFeed('/front')
    for stamp_ns in range(100):
        bring(feed, messages, stamp_ns, ['image'])
    bring(feed, messages, 10, ['info', 'depth'])
    large = np.zeros((70, 100, 3), np.uint8)
    for stamp_ns in range(100, 110):
        feed.take('image', messages.image(large, stamp_ns))
    kept = feed._images._kept
    assert list(kept) == [108, 109]
    assert feed._images._bytes == 2 * large.nbytes


def test_a_loop_of_a_recording_goes_on(messages):
    feed = CameraFeed('/front')
    bring(feed, messages, 50, ['info', 'image', 'sigma', 'depth'])
    first, _ = feed.newer(-1, 0.0)
    bring(feed, messages, 5, ['image', 'sigma', 'depth'])
    assert stamps(feed.newer(first, 0.0)[1]) == [5, 5, 5]


def test_feeds_come_and_go_and_numbers_never_repeat(messages):
    feeds = Feeds()
    assert feeds.get('') is None
    bring(feeds.feed('/b'), messages, 1, ['info', 'depth'])
    feeds.feed('/a')
    assert feeds.names() == ['/a', '/b']
    assert feeds.get('').name == '/a'
    number, _ = feeds.get('/b').newer(-1, 0.0)
    feeds.forget('/b')
    assert feeds.get('/b') is None
    bring(feeds.feed('/b'), messages, 2, ['info', 'depth'])
    assert feeds.get('/b').newer(number, 0.0)[0] > number


def test_a_camera_is_wanted_while_somebody_asks(messages):
    feed = CameraFeed('/front')
    assert not feed.wanted
    feed.newer(-1, 0.0)
    assert feed.wanted
