"""A recording in the viewer, without ROS: as published, and as a model makes it."""

import signal
import subprocess
import sys
import time

from depth_perception.cli.view_bag import BagShow
from depth_perception.errors import RecordingError, SettingsError
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.view.feed import Feeds
from depth_perception.view.frames import Decoded, decoded
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
LIMIT_S = 60.0


@pytest.fixture
def show():
    """Return a function that shows a bag and gives its only feed."""
    shows = []

    def start(bag, model='', assignments=(), rate=100.0):
        feeds = Feeds()
        shows.append(BagShow(feeds, bag, model, assignments, rate))
        shows[-1].start()
        return feeds.get('')

    yield start
    for one in shows:
        one.close()


def frames(feed, count):
    """Return the arrays of the next frames."""
    found, number, end = [], -1, time.monotonic() + LIMIT_S
    while len(found) < count:
        assert time.monotonic() < end, feed.status
        newest = feed.newer(number, 1.0)
        if newest is not None:
            number, content = newest
            found.append(content if isinstance(content, Decoded) else decoded(content))
    return found


def test_depth_is_made_by_the_default_model_and_starts_again_at_the_end(
    tmp_path, evaluation_bags, show
):
    evaluation_bags.write_stereo(tmp_path / 'bag', frames=2, still=True)
    feed = show(tmp_path / 'bag', assignments=('sgbm.num_disparities=32', 'threads=1'))
    found = frames(feed, 3)  # more than it has
    truth = evaluation_bags.view(0).depth
    for frame in found:
        known = np.isfinite(frame.depth)
        assert known.mean() > 0.4
        assert np.median(np.abs(frame.depth[known] / truth[known] - 1.0)) < 0.01
        assert frame.image.startswith(b'\xff\xd8')
        assert frame.camera == evaluation_bags.RIG.left
    assert feed.status['values']['model'] == 'depth-perception-stereo'
    assert feed.status['values']['scale rung'] == 'stereo'


def test_what_a_node_published_is_shown_as_it_was_recorded(tmp_path, evaluation_bags, show):
    depth = evaluation_bags.view(1).depth
    depth[3, 4] = np.inf
    sigma = (0.02 * np.where(np.isfinite(depth), depth, np.nan)).astype(np.float32)
    camera = evaluation_bags.RIG.left
    picture = np.full((*depth.shape, 3), 90, np.uint8)
    with BagWriter(tmp_path / 'bag') as bag:
        for number in range(3):
            stamp_ns = evaluation_bags.stamp_ns(number)
            bag.write_image('/cam/image_rect', stamp_ns, 'optical', picture, 'rgb8')
            bag.write_camera_info('/cam/camera_info', stamp_ns, 'optical', camera)
            bag.write_camera_info('/front/depth/camera_info', stamp_ns, 'optical', camera)
            bag.write_image('/front/depth/image_rect', stamp_ns, 'optical', depth, '32FC1')
            bag.write_image('/front/uncertainty/image', stamp_ns, 'optical', sigma, '32FC1')
    feed = show(tmp_path / 'bag')
    assert feed.name == '/front'
    frame = frames(feed, 2)[-1]
    np.testing.assert_array_equal(frame.depth, depth)
    np.testing.assert_array_equal(frame.sigma, sigma)
    assert frame.camera == camera
    assert frame.image.startswith(b'\xff\xd8')


def test_what_cannot_be_shown_is_refused_at_once(tmp_path, evaluation_bags):
    with pytest.raises(RecordingError):
        BagShow(Feeds(), tmp_path / 'none', '', (), 1.0)
    with BagWriter(tmp_path / 'mono') as bag:
        grey = np.zeros((120, 160), np.uint8)
        bag.write_image('/cam/image_rect', 1, 'optical', grey, 'mono8')
        bag.write_camera_info('/cam/camera_info', 1, 'optical', evaluation_bags.RIG.left)
    with pytest.raises(RecordingError, match='needs a pair'):
        BagShow(Feeds(), tmp_path / 'mono', 'sgbm', (), 1.0)
    with pytest.raises(SettingsError, match='no_such'):
        BagShow(Feeds(), tmp_path / 'mono', '', ('no_such=1',), 1.0)


def test_the_verb_shows_a_bag_until_ctrl_c(tmp_path, evaluation_bags):
    evaluation_bags.write_stereo(tmp_path / 'bag', frames=2)
    command = [sys.executable, '-m', 'depth_perception.cli.main', 'view', '--port', '0']
    command += ['--bag', str(tmp_path / 'bag')]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as viewer:
        try:
            assert viewer.stderr.readline().startswith('open http://127.0.0.1:')
            viewer.send_signal(signal.SIGINT)
            assert viewer.wait(LIMIT_S) == 0
        finally:
            viewer.kill()
