"""Collision monitor, MoveIt and laser scans on the clouds and depth of rendered rooms."""

from types import SimpleNamespace

from consumers import CollisionMonitor, laser_scan, ObstacleLayer, PointCloudOctomap
from depth_perception.core.cloud import CLOUD_FIELDS, cloud_size, pack_cloud, POINT_STEP
from depth_perception.parameters import StereoSettings
from nav_scenes import Box, CAMERA, perfect_estimate, pose_of, render, Room
import numpy as np
import pytest
from robots import cells_off, cells_on, configuration, layer_parameters, Robot

BOX = Box(1.3, 0.0, 0.25, 0.2)


def collision_monitor(**settings):
    tree = configuration('collision_monitor.yaml', CAMERA, **settings)
    return CollisionMonitor(tree['collision_monitor']['ros__parameters'])


@pytest.mark.parametrize('known', [{}, {'ground__camera_height_m': 0.6}])
def test_collision_monitor_stops_before_a_low_box_and_not_for_a_floor(known):
    pytest.importorskip('cv2')
    monitor, robot, ahead = collision_monitor(**known), Robot(), (1.0, 1.7, -0.3, 0.3)
    for _ in range(5):
        robot.look(Room((BOX,)))
    assert monitor.stops(robot.mark, pose_of(), ahead)
    assert not monitor.stops(robot.mark, pose_of(), (2.0, 3.0, -0.5, 0.5))
    for _ in range(5):
        robot.look(Room())
        assert not monitor.stops(robot.mark, pose_of(), (-10.0, 10.0, -10.0, 10.0))
    assert monitor.points(robot.mark, pose_of()).shape == (0, 3)


def test_heights_hold_where_the_base_frame_is_tilted():
    pytest.importorskip('cv2')
    robot = Robot()
    for _ in range(3):
        robot.look(Room((BOX,)))
    pitched = pose_of(pitch_rad=0.2094 + 0.12)  # TF misses that the robot brakes: 0.12 rad
    by_height = collision_monitor(ground__camera_height_m=0.6).points(robot.mark, pitched)
    by_tf = collision_monitor().points(robot.mark, pitched)
    assert len(by_height) == robot.mark.width > 2 * len(by_tf)


def organised(estimate):
    """Return the cloud `points` as a message."""
    data = np.zeros(cloud_size(estimate.camera), np.uint8)
    pack_cloud(estimate.depth, estimate.sigma, estimate.camera, None, data)
    fields = [SimpleNamespace(name=name, offset=offset) for name, offset in CLOUD_FIELDS]
    height, width = estimate.depth.shape
    return SimpleNamespace(
        height=height, width=width, point_step=POINT_STEP, fields=fields, data=data.tobytes()
    )


def test_octomap_of_points_holds_the_box_and_nothing_infinite():
    room = Room((BOX,), wall_x=3.0)
    depth = render(room)[1]
    assert np.isinf(depth).any()
    depth[:30, :40] = np.nan
    depth[200:, 100:110] = -np.inf
    sensors = configuration('moveit_sensors_3d.yaml', CAMERA)
    octomap = PointCloudOctomap(sensors['depth_points'])
    voxels = octomap.occupied(organised(perfect_estimate(depth, 0.01)), pose_of())
    centres = (voxels + 0.5) * octomap.resolution
    on_box = cells_on(centres[(centres[:, 2] > 0.05) & (centres[:, 2] < 0.25)][:, :2], BOX, 0.03)
    assert len(on_box) >= 4 * 3  # 0.25 m x 0.2 m of voxels of 5 cm
    assert centres[:, 0].max() < 3.1
    assert centres[:, 2].min() > -0.06


def test_laser_scan_keeps_sky_free_and_unknown_unknown():
    depth = np.full((CAMERA.height, CAMERA.width), 3.0, np.float32)
    depth[:, :100] = np.inf
    depth[:, 100:150] = np.nan
    depth[115:124, 220:260] = 1.0  # in the middle rows
    parameters = configuration('depthimage_to_laserscan.yaml', CAMERA)
    parameters = parameters['depthimage_to_laserscan']['ros__parameters']
    angles, ranges = laser_scan(depth, CAMERA, parameters)
    assert np.isposinf(ranges[:100]).all()
    assert np.isnan(ranges[100:150]).all()
    np.testing.assert_allclose(ranges[230:250], 1.0 / np.cos(angles[230:250]))
    np.testing.assert_allclose(ranges[160:210], 3.0 / np.cos(angles[160:210]))
    # What the node publishes ends at max_depth_m, so no finite depth is lost beyond range_max.
    assert parameters['range_max'] >= StereoSettings().max_depth_m


def test_hostile_points_are_dropped_by_the_height_band():
    layer = ObstacleLayer(layer_parameters('obstacle_layer.yaml', CAMERA))
    values = np.float32([[np.nan] * 4, [np.inf, 0, 2, 0], [0, -np.inf, 2, 0], [0, 0.2, 2, 0]])
    fields = [SimpleNamespace(name=n, offset=4 * i) for i, n in enumerate('xyz')]
    message = SimpleNamespace(
        width=4, height=1, point_step=16, fields=fields, data=values.tobytes()
    )
    with np.errstate(invalid='ignore'):
        layer.receive('depth_mark', message, pose_of(pitch_rad=0.1))
    layer.update()
    assert len(layer.marked()) == 1


def test_a_moving_robot_marks_the_box_where_it_is_and_nothing_else():
    pytest.importorskip('cv2')
    room, robot = Room((Box(3.0, 0.3, 0.25, 0.3),)), Robot()
    for number in range(6):
        robot.see(room, pose_of(x=0.2 * number, yaw=0.03 * number))
    for name in ('obstacle', 'voxel', 'stvl'):
        marked = robot.layers[name].marked()
        assert len(cells_on(marked, room.boxes[0])) >= 4, name
        assert not len(cells_off(marked, room.boxes)), name


def test_without_sigma_there_are_three_times_as_many_false_marks():
    pytest.importorskip('cv2')
    room = Room(
        (Box(3.0, 0.0, 0.6, 1.0, contrast=0.1), Box(4.5, 0.0, 20.0, 1.4, contrast=0.1)),
        contrast=0.2,
    )
    off = {'nav__max_sigma_m': 0.0, 'nav__max_sigma_relative': 0.0, 'nav__height_sigmas': 0.0}
    counts = []
    for settings in ({}, off):
        robot, count = Robot(seed=3, **settings), 0
        for _ in range(8):
            robot.look(room)
            world = robot.points @ pose_of()[:3, :3].T + pose_of()[:3, 3]
            cells = np.unique(np.floor(world[:, :2] / 0.05), axis=0)
            count += len(cells_off((cells + 0.5) * 0.05, room.solids))
        counts.append(count)
    assert counts[1] >= 3 * counts[0]
    assert counts[1] > 20


def test_a_step_down_is_marked_on_demand():
    pytest.importorskip('cv2')
    room, counts = Room(holes=(1.5, 2.6)), {}
    for drop_m in (0.0, 0.2):
        robot = Robot(nav__drop_m=drop_m)
        for _ in range(4):
            robot.look(room)
        world = robot.points @ pose_of()[:3, :3].T + pose_of()[:3, 3]
        counts[drop_m] = len(world)
    assert counts[0.0] == 0
    assert counts[0.2] > 50
    assert 1.3 < world[:, 0].min() < 1.7  # at the edge
    assert world[:, 0].max() < 2.8
    layer = ObstacleLayer(layer_parameters('obstacle_layer.yaml', CAMERA))
    layer.receive('depth_mark', robot.mark, pose_of())
    layer.update()
    ahead = layer.marked()[np.abs(layer.marked()[:, 1]) < 0.5]
    assert len(ahead) > 10
