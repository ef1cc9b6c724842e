from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.bags import Recording, typestore
from depth_perception.evaluation.streams import (
    CameraStreams,
    chosen_camera,
    find_cameras,
    find_truth,
    first_messages,
    TruthStreams,
)
import numpy as np
import pytest

pytest.importorskip('rosbags')
CAMERA = PinholeCamera(6, 4, 5.0, 5.0, 2.5, 1.5)
WIDE = PinholeCamera(8, 4, 5.0, 5.0, 3.5, 1.5)
GREY = np.zeros((4, 6), np.uint8)
DEPTH = np.ones((4, 6), np.float32)
STAMP_NS = 10**9


class Writer(BagWriter):
    """Writes what a test is about in a line each."""

    def camera(self, namespace, name='image_rect', camera=CAMERA, baseline_m=0.0):
        image = np.zeros((camera.height, camera.width), np.uint8)
        self.write_image(f'{namespace}/{name}', STAMP_NS, 'eye', image, 'mono8')
        self.info(namespace, camera, baseline_m)

    def info(self, namespace, camera=CAMERA, baseline_m=0.0):
        topic = f'{namespace}/camera_info'
        self.write_camera_info(topic, STAMP_NS, 'eye', camera, baseline_m)

    def depth(self, topic):
        self.write_image(topic, STAMP_NS, 'eye', DEPTH, '32FC1')

    def points(self, topic):
        self.write_points(topic, STAMP_NS, 'laser', np.zeros((2, 4), np.float32))

    def compressed(self, topic, kind='jpeg'):
        types = typestore().types
        message = types['sensor_msgs/msg/CompressedImage'](
            self._header(STAMP_NS, 'eye'), kind, np.zeros(9, np.uint8)
        )
        self._write(topic, STAMP_NS, message)


@pytest.fixture
def recording(tmp_path):
    """Return a function: write a bag, and open it."""
    opened = []

    def make(write):
        with Writer(tmp_path / 'bag') as bag:
            write(bag)
        opened.append(Recording(tmp_path / 'bag'))
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__(None, None, None)


def pair(namespace, bag, camera=CAMERA):
    bag.camera(f'{namespace}/left', camera=camera)
    bag.camera(f'{namespace}/right', camera=camera, baseline_m=0.1)


def test_two_pairs_and_a_single_camera(recording):
    def write(bag):
        pair('/rear', bag)
        pair('/front', bag)
        bag.camera('/arm', 'image_color', WIDE)

    cameras = find_cameras(recording(write))
    assert [(c.image, c.right) for c in cameras] == [
        ('/arm/image_color', ''),
        ('/front/left/image_rect', '/front/right/image_rect'),
        ('/rear/left/image_rect', '/rear/right/image_rect'),
    ]
    assert cameras[1].topics == [
        '/front/left/image_rect', '/front/right/image_rect',
        '/front/left/camera_info', '/front/right/camera_info',
    ]  # fmt: skip
    assert cameras[1].mono() == CameraStreams('/front/left/image_rect', '/front/left/camera_info')
    assert [camera.cameras for camera in cameras] == [1, 2, 2]


def test_the_partner_has_the_same_size(recording):
    def write(bag):
        bag.camera('/a', camera=WIDE)
        bag.camera('/b')
        bag.camera('/c', baseline_m=0.1)

    cameras = find_cameras(recording(write))
    assert [(c.image, c.right) for c in cameras] == [
        ('/a/image_rect', ''), ('/b/image_rect', '/c/image_rect')
    ]  # fmt: skip


def test_a_right_camera_alone_is_a_single_camera(recording):
    (camera,) = find_cameras(recording(lambda bag: bag.camera('/cam', baseline_m=0.1)))
    assert not camera.is_stereo


def test_compressed_images_serve_where_there_are_no_raw_ones(recording):
    def write(bag):
        bag.camera('/left')
        bag.compressed('/left/image_rect/compressed')
        bag.info('/other')
        bag.compressed('/other/image_raw/compressed')
        bag.compressed('/other/image_raw/compressedDepth', '32FC1; compressedDepth png')

    cameras = find_cameras(recording(write))
    assert cameras == [
        CameraStreams('/left/image_rect', '/left/camera_info'),
        CameraStreams('/other/image_raw/compressed', '/other/camera_info', compressed=True),
    ]


def test_what_is_no_camera_is_not_taken_for_one(recording):
    def write(bag):
        bag.camera('/cam')
        bag.depth('/depth/image_rect')
        bag.info('/depth')
        bag.write_image('/ground_truth/visible_in_both', STAMP_NS, 'eye', GREY, 'mono8')
        bag.info('/ground_truth')
        bag.write_image('/lonely/image', STAMP_NS, 'eye', GREY, 'mono8')

    assert [camera.image for camera in find_cameras(recording(write))] == ['/cam/image_rect']


def test_nothing_to_see_lists_what_is_there(recording):
    with pytest.raises(RecordingError, match=r'/scan \(sensor_msgs/msg/PointCloud2\)'):
        find_cameras(recording(lambda bag: bag.points('/scan')))


def test_depth_comes_before_clouds_and_clouds_before_disparity(recording):
    def write(bag):
        bag.camera('/cam')
        bag.depth('/realsense/depth/image_rect')
        bag.info('/realsense/depth')
        bag.points('/velodyne')

    bag = recording(write)
    truth, warnings = find_truth(bag, find_cameras(bag)[0])
    assert truth == TruthStreams('/realsense/depth/image_rect', '/realsense/depth/camera_info')
    assert truth.kind == 'depth_image'
    assert '/velodyne' in warnings[0]


def test_topics_called_ground_truth_come_first(recording):
    def write(bag):
        pair('', bag)
        bag.depth('/left/depth')
        bag.depth('/ground_truth/depth/image_rect')
        bag.points('/ground_truth/points')
        bag.write_image('/ground_truth/visible_in_both', STAMP_NS, 'eye', GREY, 'mono8')

    bag = recording(write)
    (camera,) = find_cameras(bag)
    truth, _ = find_truth(bag, camera)
    assert (truth.depth, truth.points) == ('/ground_truth/depth/image_rect', '')
    assert truth.visible == '/ground_truth/visible_in_both'
    assert find_truth(bag, camera.mono())[0].visible == ''


def test_what_a_depth_node_has_published_is_not_taken_for_the_truth(recording):
    def write(bag):
        bag.camera('/cam')
        bag.depth('/depth/image_rect')
        bag.depth('/uncertainty/image')
        bag.depth('/confidence/image')
        bag.points('/points')

    bag = recording(write)
    (camera,) = find_cameras(bag)
    truth, warnings = find_truth(bag, camera)
    assert truth.kind == 'none'
    assert 'outputs of a depth node' in warnings[0]
    named, _ = find_truth(bag, camera, '/depth/image_rect')
    assert named.depth == '/depth/image_rect'


def test_a_cloud_that_is_not_called_truth_is_told(recording):
    def write(bag):
        bag.camera('/cam')
        bag.points('/scan')

    bag = recording(write)
    (camera,) = find_cameras(bag)
    truth, warnings = find_truth(bag, camera)
    assert (truth.kind, truth.topics) == ('cloud', ['/scan'])
    assert '--truth none' in warnings[0]
    assert find_truth(bag, camera, 'none') == (TruthStreams(), [])


@pytest.mark.parametrize(
    ('topic', 'seen'),
    [('/nothing', 'its topics: /cam'), ('/cam/camera_info', 'is no ground truth'),
     ('/cam/image_rect', 'is no ground truth')],
)  # fmt: skip
def test_named_truth_that_cannot_be_is_refused(recording, topic, seen):
    bag = recording(lambda bag: bag.camera('/cam'))
    with pytest.raises(RecordingError, match=seen):
        find_truth(bag, find_cameras(bag)[0], topic)


def test_named_cameras(recording):
    def write(bag):
        bag.camera('/a')
        bag.camera('/b')
        bag.compressed('/b/image_rect/compressed')
        bag.info('/elsewhere')

    bag = recording(write)
    assert chosen_camera(bag, '/a/image_rect', '/b/image_rect') == CameraStreams(
        '/a/image_rect', '/a/camera_info', '/b/image_rect', '/b/camera_info'
    )
    packed = chosen_camera(bag, '/b/image_rect/compressed', info='/elsewhere/camera_info')
    assert packed == CameraStreams(
        '/b/image_rect/compressed', '/elsewhere/camera_info', compressed=True
    )
    for arguments, seen in (
        (('/c/image_rect',), 'no image /c/image_rect'),
        (('/a/camera_info',), 'no image /a/camera_info'),
        (('/a/image_rect', '/b/image_rect/compressed'), 'both be raw'),
        (('/a/image_rect', '', '/a/image_rect'), 'no camera_info'),
    ):
        with pytest.raises(RecordingError, match=seen):
            chosen_camera(bag, *arguments)


def test_first_messages_end_as_soon_as_all_are_found(recording, monkeypatch):
    def write(bag):
        for number in range(50):
            bag.write_image('/a', STAMP_NS + number, 'eye', GREY + number, 'mono8')
            bag.write_image('/b', STAMP_NS + number, 'eye', GREY + 100 + number, 'mono8')

    bag = recording(write)
    read = []
    messages = bag.messages
    monkeypatch.setattr(bag, 'messages', lambda *a: (read.append(m) or m for m in messages(*a)))
    firsts = first_messages(bag, ['/a', '/b', '/missing'])
    assert {topic: int(m.data[0]) for topic, m in firsts.items()} == {'/a': 0, '/b': 100}
    assert len(read) == 2
