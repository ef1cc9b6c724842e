"""Bad input: nothing is published, the reason is said, and the next good frame is right."""

from array import array
import time

from depth_perception.ros.stereo_depth_node import StereoDepthNode
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

pytestmark = pytest.mark.ros
SMALL = {
    'sgbm__num_disparities': 32,
    'threads': 1,
    'max_input_age_s': 50.0,
    'diagnostics_period_s': 0.1,
}
LEFT, RIGHT = '/left/image_rect', '/right/image_rect'
LEFT_INFO, RIGHT_INFO = '/left/camera_info', '/right/camera_info'


def wrong_encoding(messages):
    messages[LEFT].encoding = '32FC1'


def unknown_encoding(messages):
    messages[LEFT].encoding = 'cmyk32'


def truncated_data(messages):
    messages[LEFT].data = messages[LEFT].data[:-7]


def lying_step(messages):
    messages[RIGHT].step = 100


def lying_size(messages):
    messages[RIGHT].height = 200


def zero_size(messages):
    messages[LEFT].width = 0


def image_of_16k(messages):
    image = messages[LEFT]
    image.width, image.height, image.step = 16384, 1, 16384
    image.data = array('B', bytes(16384))


def nan_intrinsics(messages):
    for topic in (LEFT_INFO, RIGHT_INFO):
        messages[topic].p[0] = float('nan')


def zero_intrinsics(messages):
    for topic in (LEFT_INFO, RIGHT_INFO):
        messages[topic].p = np.zeros(12)


def swapped_sides(messages):
    left, right = messages[LEFT_INFO], messages[RIGHT_INFO]
    left.p, right.p = right.p.copy(), left.p.copy()


def mismatched_sizes(messages):
    messages[RIGHT_INFO].width = 80


def info_of_another_resolution(messages):
    for topic in (LEFT_INFO, RIGHT_INFO):
        messages[topic].width, messages[topic].height = 320, 240


def unrectified(messages):
    for topic in (LEFT_INFO, RIGHT_INFO):
        messages[topic].d = array('d', [0.1, -0.2, 0.0, 0.0, 0.0])


def zero_stamps(messages):
    for message in messages.values():
        message.header.stamp.sec = message.header.stamp.nanosec = 0


def hour_old(messages):
    for message in messages.values():
        message.header.stamp.sec -= 4000


def minute_old(messages):
    for message in messages.values():
        message.header.stamp.sec -= 60


CASES = [
    (wrong_encoding, 'encoding', "encoding '32FC1'"),
    (unknown_encoding, 'encoding', "encoding 'cmyk32'"),
    (truncated_data, 'truncated', 'data has 19193 bytes'),
    (lying_step, 'step', 'step is 100 bytes'),
    (lying_size, 'truncated', 'data has 19200 bytes'),
    (zero_size, 'zero_size', 'image is 0x120'),
    (image_of_16k, 'too_large', 'image is 16384x1'),
    (nan_intrinsics, 'calibration', 'not finite'),
    (zero_intrinsics, 'calibration', 'not calibrated'),
    (swapped_sides, 'calibration', 'left and right are swapped'),
    (mismatched_sizes, 'calibration', '160x120 but right is 80x120'),
    (info_of_another_resolution, 'size_mismatch', '160x120 but its camera_info describes 320x240'),
    (unrectified, 'calibration', 'input_rectified:=yes'),
    (zero_stamps, 'zero_stamp', 'must stamp images'),
    (hour_old, 'too_old', 'is this a bag? Set use_sim_time:=true'),
    (minute_old, 'too_old', 'raise max_input_age_s'),
]


@pytest.mark.parametrize(('spoil', 'cause', 'reason'), CASES, ids=[c[0].__name__ for c in CASES])
def test_bad_frame_is_explained_and_the_next_one_served(system, scene, spoil, cause, reason):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    bad = scene.stereo()
    spoil(bad)
    system.send(bad)
    said = status.until_message(reason)
    assert cause in said.message
    assert status.until_count(f'dropped {cause}')['frames out'] == '0'
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
    assert len(heard) == 1


def test_bad_frame_between_good_ones(system, scene):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    system.depth_after(heard, scene.stereo())
    bad = scene.stereo()
    swapped_sides(bad)
    system.send(bad)
    status.until_count('dropped calibration')
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
    assert len(heard) == 2


def test_big_endian_images_are_read_right(system, scene):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    messages = scene.stereo()
    for topic, pixels in ((LEFT, scene.left), (RIGHT, scene.right)):
        image = messages[topic]
        image.encoding, image.is_bigendian, image.step = 'mono16', 1, 2 * scene.width
        image.data = array('B', (pixels.astype('>u2') * 257).astype('>u2').tobytes())
    assert scene.error(system.depth_after(heard, messages)) < 0.01


def test_a_missing_topic_is_named(system, scene, monkeypatch):
    monkeypatch.setattr('depth_perception.ros.input_topic.ARRIVING_S', 0.5)
    monkeypatch.setattr('depth_perception.ros.inputs.ARRIVING_S', 0.5)
    system.start(StereoDepthNode, **SMALL)
    system.peer.listen('/depth/image_rect', Image)
    system.peer.node.create_publisher(CameraInfo, '/right_camera/camera_info', 1)
    status = system.status()

    def send():
        messages = scene.stereo()
        del messages[RIGHT_INFO]
        system.send(messages)

    said = status.until_message('waiting for right/camera_info (3 of 4 inputs arrive)', each=send)
    assert 'nobody publishes /right/camera_info' in said.message
    assert '/right_camera/camera_info' in said.message
    assert 'remap with -r right/camera_info:=' in said.message


def test_a_missing_topic_is_not_taken_for_lost_messages(system, scene, capfd):
    system.start(StereoDepthNode, **SMALL)
    system.peer.listen('/depth/image_rect', Image)
    status = system.status()

    def send():
        messages = scene.stereo()
        del messages[RIGHT_INFO]
        system.send(messages)

    status.until_message('waiting for right/camera_info (3 of 4 inputs arrive)', each=send)
    assert 'find no partner' not in capfd.readouterr().err


def test_unstamped_inputs_are_named(system, scene, monkeypatch, capfd):
    monkeypatch.setattr('depth_perception.ros.inputs.ARRIVING_S', 0.5)
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    system.depth_after(heard, scene.stereo())

    def send():
        messages = scene.stereo()
        zero_stamps(messages)
        system.send(messages)

    status.until_count('dropped zero_stamp', 30, each=send)
    said = status.until_message('without usable stamps', each=send)
    assert 'but left/image_rect, right/image_rect, left/camera_info' in said.message
    assert 'find no partner' not in capfd.readouterr().err
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01


def test_stamps_that_never_agree_are_explained(system, scene, monkeypatch):
    monkeypatch.setattr('depth_perception.ros.inputs.ARRIVING_S', 0.5)
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()

    def send():
        messages = scene.stereo()
        messages[RIGHT].header = scene.header(time.time_ns() + 4_000_000)
        system.send(messages)

    said = status.until_message('their stamps do not agree', each=send)
    assert 'set approximate_sync:=true' in said.message
    assert not heard


def test_approximate_sync_pairs_them(system, scene):
    system.start(StereoDepthNode, **SMALL, approximate_sync=True)
    heard = system.peer.listen('/depth/image_rect', Image)
    messages = scene.stereo()
    stamp_ns = time.time_ns()
    for offset_ms, message in enumerate(messages.values()):
        message.header = scene.header(stamp_ns + 2_000_000 * offset_ms, message.header.frame_id)
    assert scene.error(system.depth_after(heard, messages)) < 0.01


def test_future_stamps_are_served_with_a_warning(system, scene, capfd):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    depth = system.depth_after(heard, scene.stereo(stamp_ns=time.time_ns() + 60 * 10**9))
    assert scene.error(depth) < 0.01
    assert 'ahead of this clock' in capfd.readouterr().err


def test_stamps_jumping_back_start_afresh(system, scene):
    """A bag that loops: the same stamps come again, of a clock that is not ours."""
    node = system.start(StereoDepthNode, **{**SMALL, 'max_input_age_s': 0.0})
    heard = system.peer.listen('/depth/image_rect', Image)
    for seconds in (500, 501, 500):
        depth = system.depth_after(heard, scene.stereo(stamp_ns=seconds * 10**9))
        assert heard[-1].header.stamp.sec == seconds
        assert scene.error(depth) < 0.01
    system.peer.until(node._worker.times.percentiles_ms, 'times')
    assert {'service', 'queue'} < node._worker.times.percentiles_ms().keys()
    assert not {'total', 'arrive'} & node._worker.times.percentiles_ms().keys()


def test_a_gap_of_ten_seconds_does_not_matter(system, scene):
    system.start(StereoDepthNode, **{**SMALL, 'max_input_age_s': 0.0})
    heard = system.peer.listen('/depth/image_rect', Image)
    for seconds in (500, 510):
        assert scene.error(system.depth_after(heard, scene.stereo(seconds * 10**9))) < 0.01


def test_a_defect_in_one_frame_does_not_end_the_node(system, scene, capfd):
    node = system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    system.depth_after(heard, scene.stereo())
    serve = node._estimator.begin

    def fail_once(_frame):
        node._estimator.begin = serve
        raise RuntimeError('a defect')

    node._estimator.begin = fail_once
    system.send(scene.stereo())
    status.until_count('dropped internal_error')
    assert "RuntimeError('a defect')" in capfd.readouterr().err
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01


def test_exchanged_images_are_suspected(system, scene):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    bad = scene.stereo()
    bad[LEFT].data, bad[RIGHT].data = bad[RIGHT].data, bad[LEFT].data
    system.send(bad)
    said = status.until_message('of the pixels are known')
    assert 'are the left and the right image exchanged' in said.message
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
