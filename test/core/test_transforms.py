from types import SimpleNamespace

from depth_perception.core.transforms import (
    inverse_of,
    pose_from,
    pose_from_rpy,
    rotation_from_quaternion,
    slerp,
    TransformTree,
)
from depth_perception.errors import FrameError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

spatial = pytest.importorskip('scipy.spatial.transform')
S = 10**9
UNIT = (0.0, 0.0, 0.0, 1.0)
QUARTER_ABOUT_Z = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))


def message(*transforms):
    """Return a TFMessage of (parent, child, stamp_ns, translation, quaternion)."""
    made = []
    for parent, child, stamp_ns, t, q in transforms:
        sec, nanosec = divmod(stamp_ns, S)
        header = SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
        pose = SimpleNamespace(
            translation=SimpleNamespace(x=t[0], y=t[1], z=t[2]),
            rotation=SimpleNamespace(x=q[0], y=q[1], z=q[2], w=q[3]),
        )
        made.append(SimpleNamespace(header=header, child_frame_id=child, transform=pose))
    return SimpleNamespace(transforms=made)


def tree_of(*dynamic, static=()):
    tree = TransformTree()
    tree.add(message(*dynamic), static=False)
    tree.add(message(*static), static=True)
    return tree


def moved(pose, point):
    return pose[:3, :3] @ point + pose[:3, 3]


@pytest.fixture
def robot():
    """A base that drives along x and turns left; a camera 0.5 m above it that looks ahead."""
    return tree_of(
        ('map', 'base', 1 * S, (1.0, 0.0, 0.0), UNIT),
        ('map', 'base', 2 * S, (3.0, 0.0, 0.0), QUARTER_ABOUT_Z),
        static=[
            ('base', 'eye', 0, (0.0, 0.0, 0.5), (-0.5, 0.5, -0.5, 0.5)),
            ('base', 'laser', 0, (0.2, -0.1, 1.0), UNIT),
        ],
    )


def test_optical_frame_looks_along_its_z(robot):
    np.testing.assert_allclose(
        moved(robot.lookup('map', 'eye', 1 * S), np.array([0.2, 0.1, 4.0])), [5.0, -0.2, 0.4]
    )


def test_chain_through_the_common_ancestor(robot):
    laser_in_eye = moved(robot.lookup('eye', 'laser', 1 * S), np.zeros(3))
    np.testing.assert_allclose(laser_in_eye, [0.1, -0.5, 0.2], atol=1e-12)
    there, back = robot.lookup('eye', 'laser', 1 * S), robot.lookup('laser', 'eye', 1 * S)
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-12)


def test_motion_is_interpolated(robot):
    pose = robot.lookup('map', 'base', 1 * S + S // 4)
    np.testing.assert_allclose(pose[:3, 3], [1.5, 0.0, 0.0])
    turn = np.degrees(np.arctan2(pose[1, 0], pose[0, 0]))
    assert turn == pytest.approx(22.5)


def test_a_scan_taken_before_the_image_is_moved_with_the_robot(robot):
    # The wall stands at x = 6 m of the map. Seen 5 m ahead at 1 s, while the base is at 1 m.
    seen = np.array([6.0, 0.0, 0.0])
    pose = robot.lookup_full('base', 2 * S, 'base', 1 * S)
    at_1s = moved(inverse_of(robot.lookup('map', 'base', 1 * S)), seen)
    np.testing.assert_allclose(at_1s, [5.0, 0.0, 0.0])
    # At 2 s the base is at 3 m and has turned left: the wall is 3 m to its right.
    np.testing.assert_allclose(moved(pose, at_1s), [0.0, -3.0, 0.0], atol=1e-12)


@pytest.mark.parametrize('stamp_ns', [1 * S - 100_000_000, 2 * S + 100_000_000])
def test_within_the_tolerance_the_nearest_sample_is_used(robot, stamp_ns):
    x = 1.0 if stamp_ns < S else 3.0
    assert robot.lookup('map', 'base', stamp_ns)[0, 3] == x


@pytest.mark.parametrize('stamp_ns', [1 * S - 100_000_001, 2 * S + 100_000_001])
def test_beyond_the_tolerance_nothing_is_made_up(robot, stamp_ns):
    with pytest.raises(FrameError, match=r'known from 1\.000 to 2\.000 s') as caught:
        robot.lookup('map', 'eye', stamp_ns)
    assert caught.value.cause == 'no_transform'


def test_static_frames_hold_at_any_time(robot):
    assert robot.lookup('base', 'laser', 10**18)[1, 3] == -0.1
    assert not tree_of(static=[('a', 'b', 5, (1, 2, 3), UNIT)]).has_dynamic
    assert robot.has_dynamic


def test_gaps_are_not_bridged():
    tree = tree_of(
        ('map', 'base', 0, (0.0, 0.0, 0.0), UNIT), ('map', 'base', 3 * S, (3.0, 0.0, 0.0), UNIT)
    )
    assert tree.lookup('map', 'base', 50_000_000)[0, 3] == pytest.approx(0.05)
    with pytest.raises(FrameError, match=r'not known for 3\.0 s'):
        tree.lookup('map', 'base', 1 * S)


def test_unconnected_frames_are_named(robot):
    robot.add(message(('moon', 'rover', 0, (0, 0, 0), UNIT)), static=True)
    with pytest.raises(FrameError, match='not connected') as caught:
        robot.lookup('eye', 'rover', 1 * S)
    assert 'base, eye, laser, map, moon, rover' in str(caught.value)
    with pytest.raises(FrameError, match="'nowhere'"):
        robot.lookup('eye', 'nowhere', 1 * S)


def test_a_loop_is_told_and_does_not_hang():
    tree = tree_of(static=[('a', 'b', 0, (0, 0, 0), UNIT), ('b', 'a', 0, (0, 0, 0), UNIT)])
    with pytest.raises(FrameError, match='loop'):
        tree.lookup('a', 'c', 0)


@pytest.mark.parametrize(
    'bad',
    [
        ('map', 'base', 0, (np.nan, 0, 0), UNIT),
        ('map', 'base', 0, (0, 0, 0), (0.0, 0.0, 0.0, 0.0)),
        ('map', 'base', 0, (0, 0, 0), (np.inf, 0.0, 0.0, 1.0)),
        ('base', 'base', 0, (0, 0, 0), UNIT),
        ('', 'base', 0, (0, 0, 0), UNIT),
        ('map', '', 0, (0, 0, 0), UNIT),
    ],
)
def test_what_is_no_transform_is_left_out(bad):
    tree = tree_of(bad)
    assert tree.ignored == 1
    assert tree.frames == []


def test_messages_may_come_in_any_order_and_twice(robot):
    tree = TransformTree()
    for stamp_ns, x in ((2 * S, 9.0), (1 * S, 1.0), (2 * S, 3.0)):
        tree.add(message(('/map', '/base', stamp_ns, (x, 0.0, 0.0), UNIT)), static=False)
        tree.has_dynamic  # noqa: B018 - reading between the messages changes nothing
    assert tree.lookup('map', 'base', 3 * S // 2)[0, 3] == 2.0
    tree.add(message(('map', 'base', 4 * S, (5.0, 0.0, 0.0), UNIT)), static=False)
    assert tree.lookup('/map', '/base', 3 * S)[0, 3] == 4.0


def test_a_new_parent_takes_over(robot):
    robot.add(message(('odom', 'base', 5 * S, (7.0, 0.0, 0.0), UNIT)), static=False)
    assert robot.lookup('odom', 'base', 5 * S)[0, 3] == 7.0
    assert robot.root_of('eye') == 'odom'


def test_quaternions_need_not_be_unit():
    tree = tree_of(static=[('a', 'b', 0, (1, 2, 3), (0.0, 0.0, 2.0, 2.0))])
    np.testing.assert_allclose(moved(tree.lookup('a', 'b', 0), np.array([1.0, 0, 0])), [1, 3, 3])


quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)


@given(quaternions, quaternions, st.floats(0, 1))
def test_rotations_are_those_of_scipy(first, second, fraction):
    one, two = (np.array(q) / np.linalg.norm(q) for q in (first, second))
    np.testing.assert_allclose(
        rotation_from_quaternion(one), spatial.Rotation.from_quat(one).as_matrix(), atol=1e-9
    )
    if abs(one @ two) < 1e-3:
        return  # half a turn: either way round is right
    path = spatial.Slerp([0, 1], spatial.Rotation.from_quat([one, two]))
    np.testing.assert_allclose(
        rotation_from_quaternion(slerp(one, two, fraction)),
        path(fraction).as_matrix(),
        atol=1e-7,
    )


@given(quaternions, st.tuples(*[st.floats(-50, 50)] * 3))
def test_inverse_undoes_a_pose(quaternion, translation):
    unit = np.array(quaternion) / np.linalg.norm(quaternion)
    pose = pose_from(np.array(translation), unit)
    np.testing.assert_allclose(inverse_of(pose) @ pose, np.eye(4), atol=1e-9)


def edge_at(stamp_ns, x=0.0):
    return message(('map', 'base', stamp_ns, (x, 0.0, 0.0), UNIT))


@pytest.mark.parametrize('asked_every', [10, 10**9])
def test_old_samples_go_where_memory_is_bounded(asked_every):
    tree = TransformTree(keep_ns=2 * S)
    for number in range(5000):  # 50 s at 100 Hz
        tree.add(edge_at(number * S // 100, number / 100.0), static=False)
        tree.add(message(('base', 'eye', 0, (0.1, 0.0, 0.0), UNIT)), static=True)
        if number % asked_every == 0:
            tree.lookup('map', 'eye', number * S // 100)
    kept = [len(edge.stamps) + len(edge.stamps_ns) for edge in tree._edges.values()]
    assert max(kept) < 700
    assert min(kept) == 1  # the static one
    assert tree.lookup('map', 'eye', 48 * S)[0, 3] == pytest.approx(48.1)
    with pytest.raises(FrameError, match='known from'):
        tree.lookup('map', 'eye', 40 * S)


def test_all_samples_stay_where_nothing_is_said():
    tree = TransformTree()
    for number in range(1000):
        tree.add(edge_at(number * S, float(number)), static=False)
    assert tree.lookup('map', 'base', 3 * S)[0, 3] == 3.0


def test_time_that_jumps_back_starts_anew():
    """A bag that is played again; what is left of the first time is wrong."""
    tree = TransformTree(keep_ns=2 * S)
    for stamp_ns in (98 * S, 99 * S, 10 * S, 11 * S):
        tree.add(edge_at(stamp_ns, stamp_ns / S), static=False)
    assert tree.lookup('map', 'base', 21 * S // 2)[0, 3] == 10.5
    with pytest.raises(FrameError, match=r'known from 10\.000 to 11\.000'):
        tree.lookup('map', 'base', 98 * S)


def test_motion_can_be_forgotten(robot):
    robot.forget_motion()
    assert robot.lookup('eye', 'laser', S)[0, 3] == pytest.approx(0.1)
    with pytest.raises(FrameError, match='not connected'):
        robot.lookup('map', 'eye', S)


def test_reach_is_the_time_beyond_what_is_known(robot):
    assert robot.reach_ns('map', 'eye', 3 * S // 2) == 0
    assert robot.reach_ns('map', 'eye', 2 * S + 7) == 7
    assert robot.reach_ns('eye', 'map', S - 9) == 9
    assert robot.reach_ns('laser', 'eye', 99 * S) == 0


def test_frames_are_known_by_either_end(robot):
    assert 'map' in robot
    assert '/laser' in robot
    assert 'odom' not in robot


@given(st.tuples(*[st.floats(-3, 3)] * 6))
def test_roll_pitch_yaw_are_those_of_urdf(numbers):
    pose = pose_from_rpy(numbers)
    wanted = spatial.Rotation.from_euler('xyz', numbers[3:]).as_matrix()  # about fixed axes
    np.testing.assert_allclose(pose[:3, :3], wanted, atol=1e-9)
    np.testing.assert_array_equal(pose[:3, 3], numbers[:3])
