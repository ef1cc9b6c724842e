"""What only converted data sets have: disparity, clouds, poses; each read back."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.evaluation.bag_writer import (
    BagWriter,
    quaternion_from_rotation,
    Transform,
)
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.calibration_files import rig_from_numbers
from hypothesis import given, strategies
import numpy as np
import pytest
import yaml

pytest.importorskip('rosbags')
RIG = rig_from_numbers(PinholeCamera(4, 2, 100.0, 100.0, 1.5, 0.5), 0.25, -6.5)
PART = strategies.floats(-1.0, 1.0)


@given(strategies.tuples(PART, PART, PART, PART).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternion_is_that_of_the_rotation(parts):
    x, y, z, w = np.array(parts) / np.linalg.norm(parts)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    vector = np.array([x, y, z])
    rotation = (w * w - vector @ vector) * np.eye(3) + 2 * np.outer(vector, vector) + 2 * w * cross
    found = quaternion_from_rotation(rotation)
    assert abs(found @ [x, y, z, w]) == pytest.approx(1.0, abs=1e-9)
    assert found[3] >= 0.0


def test_disparity_with_a_negative_offset(tmp_path):
    """Values below the unadjusted zero keep apart from the unknown ones."""
    values = np.array([[np.nan, 9.5, 2.25, 30.0], [8.0, 7.5, 6.5, np.nan]], np.float32)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_disparity(7, 'left', values, RIG, topic='/d', step_px=0.125)
    with Recording(tmp_path / 'bag') as recording:
        message = recording.first('/d')
    image = np.frombuffer(message.image.data.tobytes(), '<f4').reshape(2, 4)
    assert image[0].tolist() == [-7.5, 3.0, -4.25, 23.5]
    assert message.min_disparity == -6.5
    assert message.max_disparity == 23.5
    assert (message.f, message.t, message.delta_d) == (100.0, 0.25, 0.125)
    window = message.valid_window
    assert (window.x_offset, window.y_offset, window.height, window.width) == (0, 0, 2, 4)


def test_static_transforms_are_latched(tmp_path):
    pose = np.eye(4)
    pose[:3, 3] = 1.5, -2.25, 3.0
    transforms = [Transform('camera', 'lidar', pose), Transform('camera', 'imu', np.eye(4))]
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_transforms(5_000_000_001, transforms, static=True)
        bag.write_transforms(5_000_000_001, transforms[:1], static=False)
    with Recording(tmp_path / 'bag') as recording:
        stamped = recording.first('/tf_static').transforms
        moving = recording.first('/tf').transforms
    assert [(t.header.frame_id, t.child_frame_id) for t in stamped] == [
        ('camera', 'lidar'), ('camera', 'imu')
    ]  # fmt: skip
    shift = stamped[0].transform.translation
    assert (shift.x, shift.y, shift.z) == (1.5, -2.25, 3.0)
    assert (moving[0].header.stamp.sec, moving[0].header.stamp.nanosec) == (5, 1)
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    described = [
        topic['topic_metadata']
        for topic in metadata['rosbag2_bagfile_information']['topics_with_message_count']
    ]
    assert {
        topic['name']: [profile['durability'] for profile in topic['offered_qos_profiles']]
        for topic in described
    } == {'/tf_static': ['transient_local'], '/tf': []}


def test_points(tmp_path):
    points = np.array([[1.5, -2.0, 3.25, 0.5], [4.0, 5.0, np.nan, 0.25]], np.float32)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_points('/points', 3, 'lidar', points)
        bag.write_points('/points', 4, 'lidar', points[:1])
    with Recording(tmp_path / 'bag') as recording:
        first, second = (m.content for m in recording.messages(['/points']))
    read = np.frombuffer(first.data.tobytes(), '<f4').reshape(-1, 4)
    assert np.array_equal(read, points, equal_nan=True)
    assert [(f.name, f.offset, f.datatype) for f in first.fields] == [
        ('x', 0, 7), ('y', 4, 7), ('z', 8, 7), ('intensity', 12, 7)
    ]  # fmt: skip
    assert (first.width, first.point_step, first.row_step) == (2, 16, 32)
    assert (first.is_dense, second.is_dense) == (False, True)
