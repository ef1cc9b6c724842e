"""A robot in a rendered room: camera, estimator, clouds and the layers of its costmap."""

from __future__ import annotations

from types import SimpleNamespace

from consumers import ObstacleLayer, SpatioTemporalLayer, VoxelLayer
from depth_perception.core.frame import Surroundings
from depth_perception.core.nav_points import NAV_FIELDS
from depth_perception.inference.nav2_files import texts_of
from depth_perception.inference.nav_clouds import nav_rules, NavClouds
from depth_perception.parameters import StereoSettings
from nav_scenes import CAMERA, ground_pose, pose_of, StereoCamera
import numpy as np
import yaml


def message_of(cloud):
    """Return a cloud as PointCloud2, without ROS; a test of ros compares the two."""
    values = cloud.values().astype('<f4')
    fields = [
        SimpleNamespace(name=name, offset=4 * place, datatype=7, count=1)
        for place, name in enumerate(NAV_FIELDS[: values.shape[1]])
    ]
    step = 4 * values.shape[1]
    return SimpleNamespace(
        height=1, width=len(values), point_step=step, row_step=step * len(values), fields=fields,
        data=values.tobytes(), is_bigendian=False, is_dense=True,
    )  # fmt: skip


def configuration(name, camera, **settings):
    """Return the parameters in one generated file."""
    return yaml.safe_load(texts_of(StereoSettings(**settings), camera)[name])


def layer_parameters(name, camera, **settings):
    tree = configuration(name, camera, **settings)
    return tree['local_costmap']['local_costmap']['ros__parameters']['depth_layer']


class Robot:
    """One camera and three costmap layers, with the default settings and generated parameters."""

    def __init__(self, seed=0, lens=CAMERA, **settings):
        self.settings = StereoSettings(**settings)
        self.camera = StereoCamera(seed, lens)
        self.clouds = NavClouds()
        known = {'ground__camera_height_m': 0.6, **settings}
        self.obstacle = ObstacleLayer(layer_parameters('obstacle_layer.yaml', lens, **known))
        self.voxel = VoxelLayer(layer_parameters('voxel_layer.yaml', lens, **known))
        self.stvl = SpatioTemporalLayer(layer_parameters('stvl.yaml', lens, **known))
        self.mark = self.clear = self.points = None

    def see(self, room, pose=None):
        """Serve one frame to all layers; return the estimate."""
        pose = pose_of() if pose is None else pose
        estimate = self.look(room, pose)
        for layer in (self.obstacle, self.voxel):
            layer.receive('depth_mark', self.mark, pose)
            layer.receive('depth_clear', self.clear, pose)
            layer.update()
        both = {'depth_mark': self.mark, 'depth_clear': self.mark}
        self.stvl.update(self.camera.stamp_ns * 1e-9, both, pose)
        return estimate

    def look(self, room, pose=None):
        """Make the clouds of one frame."""
        known = Surroundings(ground=ground_pose(), fixed_from_camera=pose)
        frame = self.camera.frame(room, pose, known)
        estimate = self.camera.estimator.estimate(frame)
        rules = nav_rules(self.settings)
        points = self.clouds.points(estimate, frame, rules, self.settings)
        ends = self.clouds.ends(estimate, frame, rules, self.settings)
        assert points is not None
        assert ends is not None
        self.points = points.points
        self.mark, self.clear = message_of(points), message_of(ends)
        return estimate

    @property
    def layers(self):
        return {'obstacle': self.obstacle, 'voxel': self.voxel, 'stvl': self.stvl}


def cells_on(cells, box, margin_m=0.15):
    """Return the marked cells that lie on a box, or within a margin of it."""
    cells = np.asarray(cells).reshape(-1, 2)
    low, high = box.low[:2] - margin_m, box.high[:2] + margin_m
    return cells[np.all((cells >= low) & (cells <= high), axis=1)]


def cells_off(cells, boxes):
    """Return the marked cells on no box: farther from all than 0.6 px of disparity explain."""
    cells = np.asarray(cells).reshape(-1, 2)
    for box in boxes:
        margin_m = 0.15 + 0.02 * box.x**2
        low, high = box.low[:2] - margin_m, box.high[:2] + margin_m
        cells = cells[~np.all((cells >= low) & (cells <= high), axis=1)]
    return cells
