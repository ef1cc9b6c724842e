"""Recordings: what is written is read back, and damaged ones end in a clear error."""

from types import SimpleNamespace

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.bags import (
    array_from_image,
    camera_from_info,
    depth_from_image,
    projection_from_info,
    Recording,
)
import numpy as np
import pytest

pytest.importorskip('rosbags')
CAMERA = PinholeCamera(5, 3, 100.0, 110.0, 2.5, 1.25)


def image(pixels, encoding, step=None, big_endian=0):
    data = np.frombuffer(pixels.tobytes(), np.uint8)
    height, width = pixels.shape[:2]
    return SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=big_endian,
        step=step or data.size // height, data=data,
    )  # fmt: skip


@pytest.fixture
def bag(tmp_path):
    """Return a bag of two pictures, a depth image and two camera_infos."""
    path = tmp_path / 'bag'
    rgb = np.arange(45, dtype=np.uint8).reshape(3, 5, 3)
    depth = np.linspace(1.0, 2.0, 15, dtype=np.float32).reshape(3, 5)
    with BagWriter(path) as writer:
        for stamp_ns in (10_000_000_007, 10_500_000_000):
            writer.write_image('/left/image_rect', stamp_ns, 'optical', rgb, 'rgb8')
            writer.write_camera_info('/right/camera_info', stamp_ns, 'optical', CAMERA, 0.2)
        writer.write_image('/depth', 10_500_000_000, 'optical', depth, '32FC1')
    return path


def test_what_is_written_is_read_back(bag):
    with Recording(bag) as recording:
        messages = list(recording.messages(['/left/image_rect']))
        depth = depth_from_image(recording.first('/depth'))
        info = recording.first('/right/camera_info')
        assert recording.topics('sensor_msgs/msg/Image') == ['/depth', '/left/image_rect']
    assert [m.stamp_ns for m in messages] == [10_000_000_007, 10_500_000_000]
    assert messages[0].content.header.frame_id == 'optical'
    assert array_from_image(messages[0].content)[2, 4].tolist() == [42, 43, 44]
    assert depth[2, 4] == 2.0
    assert projection_from_info(info)[0, 3] == pytest.approx(-20.0)
    assert camera_from_info(info) == CAMERA


def test_missing_topic_lists_those_there(bag):
    with Recording(bag) as recording, pytest.raises(RecordingError, match='its topics: /depth'):
        recording.first('/image')


def test_what_is_no_bag_is_refused(tmp_path):
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'broken.mcap').write_bytes(b'\x89MCAP0\r\n' + bytes(40))
    for path in (tmp_path / 'none', tmp_path / 'notes', tmp_path / 'broken.mcap'):
        with pytest.raises(RecordingError, match='not a rosbag2'):
            Recording(path)


def test_a_bag_is_never_overwritten(bag):
    with pytest.raises(RecordingError, match='cannot write'):
        BagWriter(bag)


def test_truncated_bag_is_an_error_not_a_crash(bag):
    storage = next(bag.glob('*.mcap'))
    storage.write_bytes(storage.read_bytes()[:300])
    with pytest.raises(RecordingError), Recording(bag) as recording:
        list(recording.messages(['/depth']))


def test_padded_rows_and_channel_orders():
    bgr = np.zeros((2, 3, 3), np.uint8)
    bgr[1, 2] = 7, 8, 9
    padded = np.zeros((2, 12), np.uint8)
    padded[:, :9] = bgr.reshape(2, 9)
    message = image(padded, 'bgr8')
    message.width = 3
    assert array_from_image(message)[1, 2].tolist() == [9, 8, 7]
    rgba = np.array([[[1, 2, 3, 255]]], np.uint8)
    assert array_from_image(image(rgba, 'rgba8')).tolist() == [[[1, 2, 3]]]


def test_big_endian_and_millimetres():
    raw = np.array([[0, 1500, 258]], '>u2')
    depth = depth_from_image(image(raw, '16UC1', big_endian=1))
    assert np.isnan(depth[0, 0])
    assert depth[0, 1:] == pytest.approx([1.5, 0.258])


@pytest.mark.parametrize('change', [{'step': 2}, {'height': 400}, {'encoding': 'yuv422'}])
def test_lying_images_are_refused(change):
    message = image(np.zeros((4, 6), np.uint8), 'mono8')
    vars(message).update(change)
    with pytest.raises(RecordingError):
        array_from_image(message)


def test_colour_is_not_depth():
    with pytest.raises(RecordingError, match='not a depth image'):
        depth_from_image(image(np.zeros((2, 2), np.uint8), 'mono8'))


def test_binned_camera_is_refused(bag):
    with Recording(bag) as recording:
        info = recording.first('/right/camera_info')
    info.binning_x = 2
    with pytest.raises(CalibrationError, match='binning'):
        camera_from_info(info)
