"""The readers take messages of bags as they take those of ROS."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.bags import Recording
from depth_perception.messages.cameras import camera_from_info, info_key, rig_from_infos
from depth_perception.messages.clouds import xyz_from_cloud
from depth_perception.messages.images import depth_from_image, picture_from_image
from depth_perception.messages.stamps import stamp_ns_of
import numpy as np
import pytest

pytest.importorskip('rosbags')
CAMERA = PinholeCamera(6, 4, 5.5, 5.25, 2.75, 1.5)
STAMP_NS = 1_700_000_000_123_456_789
RNG = np.random.default_rng(3)


@pytest.fixture
def first(tmp_path):
    """Return a function: write with a BagWriter, and return the first message of each topic."""

    def write_and_read(write):
        with BagWriter(tmp_path / 'bag') as writer:
            write(writer)
        with Recording(tmp_path / 'bag') as recording:
            return {topic: recording.first(topic) for topic in recording.types}

    return write_and_read


@pytest.mark.parametrize(('encoding', 'order'), [('rgb8', 'rgb'), ('bgr8', 'bgr')])
def test_colour_image(first, encoding, order):
    pixels = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    message = first(lambda bag: bag.write_image('/i', STAMP_NS, 'eye', pixels, encoding))['/i']
    picture = picture_from_image(message)
    assert picture.order == order
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert stamp_ns_of(message) == STAMP_NS


def test_depth_image(first):
    depth = RNG.uniform(1.0, 9.0, (4, 6)).astype(np.float32)
    message = first(lambda bag: bag.write_image('/d', STAMP_NS, 'eye', depth, '32FC1'))['/d']
    np.testing.assert_array_equal(depth_from_image(message), depth)


def test_calibration(first):
    def write(bag):
        bag.write_camera_info('/left', STAMP_NS, 'eye', CAMERA)
        bag.write_camera_info('/right', STAMP_NS, 'eye', CAMERA, baseline_m=0.12)

    infos = first(write)
    assert camera_from_info(infos['/left']) == CAMERA
    assert rig_from_infos(infos['/left'], infos['/right']).baseline_m == pytest.approx(0.12)
    assert info_key(infos['/left']) != info_key(infos['/right'])


def test_cloud(first):
    points = RNG.normal(size=(5, 4)).astype(np.float32)
    points[2, 1] = np.nan
    message = first(lambda bag: bag.write_points('/p', STAMP_NS, 'laser', points))['/p']
    np.testing.assert_array_equal(xyz_from_cloud(message), points[[0, 1, 3, 4], :3])
