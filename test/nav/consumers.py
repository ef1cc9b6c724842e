"""What each consumer does with a cloud, written after its documentation and its source.

Nav2 at a3a9704 (nav2_costmap_2d: ObservationBuffer, ObstacleLayer, VoxelLayer;
nav2_collision_monitor: PointCloud), spatio_temporal_voxel_layer at 403d9ed, MoveIt at 8fcb5d2
(PointCloudOctomapUpdater), depthimage_to_laserscan, branch ros2. Each class reads a message with
numpy by the names of its fields, and takes the parameters of the YAML files in config/nav2.
"""

from __future__ import annotations

import math

import numpy as np

LETHAL, FREE = 254, 0


def fields_of(message):
    """Return name -> (N,) float32 of a PointCloud2, by its offsets and strides."""
    count = message.width * message.height
    raw = np.frombuffer(bytes(message.data), np.uint8).reshape(count, message.point_step)
    return {
        field.name: raw[:, field.offset : field.offset + 4].copy().view('<f4').ravel()
        for field in message.fields
    }


def xyz_of(message):
    fields = fields_of(message)
    return np.stack([fields[name] for name in 'xyz'], axis=1)


class Observation:
    """A cloud as the observation buffer keeps it: transformed, cut to the height band."""

    def __init__(self, message, world_from_camera, source):
        points = xyz_of(message).astype(np.float64)
        with np.errstate(invalid='ignore'):
            points = points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
            kept = points[:, 2] <= source.get('max_obstacle_height', 0.0)  # NaN fails
            kept &= points[:, 2] >= source.get('min_obstacle_height', 0.0)
        self.points = points[kept]
        self.origin = world_from_camera[:3, 3]
        self.source = source


class ObstacleLayer:
    """nav2_costmap_2d::ObstacleLayer on a grid of its own: clears by lines, then marks."""

    def __init__(self, parameters, *, low=(-1.0, -5.0), high=(9.0, 5.0), resolution=0.05):
        self.parameters = parameters
        self.low, self.resolution = np.array(low), resolution
        self.size = np.rint((np.array(high) - low) / resolution).astype(int)
        self.costs = np.zeros(self.size, np.uint8)
        self.newest = {}
        self.sources = parameters['observation_sources'].split()
        assert parameters.get('combination_method', 1) == 1  # the maximum over layers

    def receive(self, source, message, world_from_camera):
        """Keep the newest observation: observation_persistence is 0."""
        settings = self.parameters[source]
        assert settings['data_type'] == 'PointCloud2'
        assert settings.get('observation_persistence', 0.0) == 0.0
        self.newest[source] = Observation(message, world_from_camera, settings)

    def update(self):
        """Do what updateBounds does."""
        for source in self.sources:
            if source in self.newest and self.parameters[source].get('clearing', False):
                self.clear(self.newest[source])
        for source in self.sources:
            if source in self.newest and self.parameters[source].get('marking', True):
                self.mark(self.newest[source])

    def cells_of(self, points):
        cells = np.floor((points[:, :2] - self.low) / self.resolution).astype(int)
        inside = np.all((cells >= 0) & (cells < self.size), axis=1)
        return cells, inside

    def mark(self, seen):
        points = seen.points
        high = points[:, 2] <= self.parameters.get('max_obstacle_height', 2.0)
        points = points[high & (points[:, 2] >= self.parameters.get('min_obstacle_height', 0.0))]
        distance = np.hypot(*(points[:, :2] - seen.origin[:2]).T)
        near = distance <= seen.source.get('obstacle_max_range', 2.5)
        points = points[near & (distance >= seen.source.get('obstacle_min_range', 0.0))]
        cells, inside = self.cells_of(points)
        self.costs[tuple(cells[inside].T)] = LETHAL

    def clear(self, seen):
        """Free all cells on the lines from the sensor to the points."""
        most = seen.source.get('raytrace_max_range', 3.0)
        least = seen.source.get('raytrace_min_range', 0.0)
        start = np.floor((seen.origin[:2] - self.low) / self.resolution)
        ends = np.floor((seen.points[:, :2] - self.low) / self.resolution)
        for line in line_cells(start, np.unique(ends, axis=0), most / self.resolution):
            away = np.hypot(*(line - start).T) * self.resolution
            inside = (away >= least) & np.all((line >= 0) & (line < self.size), axis=1)
            self.costs[tuple(line[inside].T)] = FREE

    def marked(self):
        """Return the centres of the lethal cells, (N, 2) [m]."""
        return (np.argwhere(self.costs == LETHAL) + 0.5) * self.resolution + self.low


def line_cells(start, ends, most_cells):
    """Yield the cells of Bresenham lines, cut off at a length, as nav2_util::raytraceLine."""
    for end in ends:
        way = end - start
        length = float(np.hypot(*way))
        steps = int(max(abs(way)))
        if steps == 0:
            yield start[None].astype(int)
            continue
        count = int(steps * min(1.0, most_cells / length))
        share = np.arange(count + 1)[:, None] / steps
        yield np.floor(start + 0.5 + share * way).astype(int)


class VoxelLayer(ObstacleLayer):
    """nav2_costmap_2d::VoxelLayer: the same with columns of voxels, ranges in three dimensions."""

    def __init__(self, parameters, **grid):
        super().__init__(parameters, **grid)
        self.pitch_z = parameters.get('z_resolution', 0.2)
        self.origin_z = parameters.get('origin_z', 0.0)
        self.levels = parameters.get('z_voxels', 10)
        assert self.levels <= 16
        self.voxels = np.zeros((*self.size, self.levels), bool)
        self.refused = 0

    def voxels_of(self, points):
        scale = [self.resolution, self.resolution, self.pitch_z]
        cells = np.floor((points - [*self.low, self.origin_z]) / scale).astype(int)
        inside = np.all((cells >= 0) & (cells < self.voxels.shape), axis=1)
        return cells, inside

    def mark(self, seen):
        points = seen.points
        points = points[points[:, 2] <= self.parameters.get('max_obstacle_height', 2.0)]
        points = points[points[:, 2] >= self.parameters.get('min_obstacle_height', 0.0)]
        distance = np.linalg.norm(points - seen.origin, axis=1)
        points = points[distance < seen.source.get('obstacle_max_range', 2.5)]
        points = points * [1, 1, 0] + np.maximum(points, self.origin_z) * [0, 0, 1]
        cells, inside = self.voxels_of(points)
        self.voxels[tuple(cells[inside].T)] = True
        self._project()

    def clear(self, seen):
        """Free the voxels on the rays, which stop two cells before their ends."""
        if not self.voxels_of(seen.origin[None])[1][0]:
            self.refused += 1  # 'Sensor origin ... is out of map bounds'
            return
        way = seen.points - seen.origin
        length = np.linalg.norm(way, axis=1)
        share = np.clip((length - 2 * self.resolution) / np.maximum(length, 1e-9), 0.0, 1.0)
        top = self.origin_z + self.levels * self.pitch_z - 0.01
        with np.errstate(divide='ignore', invalid='ignore'):
            for bound, beyond in ((top, way[:, 2] > 0), (self.origin_z, way[:, 2] < 0)):
                limit = np.where(beyond, (bound - seen.origin[2]) / way[:, 2], np.inf)
                share = np.minimum(share, np.maximum(limit, 0.0))
        most = seen.source.get('raytrace_max_range', 3.0)
        share = np.minimum(share, most / np.maximum(length, 1e-9))
        # One voxel per step along the longest axis, as Bresenham's line has them.
        scale = np.array([self.resolution, self.resolution, self.pitch_z])
        start = (seen.origin - [*self.low, self.origin_z]) / scale
        ends = np.floor(start + way * share[:, None] / scale)
        across = ends - np.floor(start)
        steps = np.abs(across).max(axis=1)
        for step in range(int(steps.max(initial=-1.0)) + 1):
            on = step <= steps
            part = np.maximum(steps[on], 1.0)[:, None]
            cells = np.floor(np.floor(start) + 0.5 + across[on] * step / part).astype(int)
            cells = cells[np.all((cells >= 0) & (cells < self.voxels.shape), axis=1)]
            self.voxels[tuple(cells.T)] = False
        self._project()

    def _project(self):
        count = self.voxels.sum(axis=2)
        self.costs[:] = np.where(count > self.parameters.get('mark_threshold', 0), LETHAL, FREE)


class SpatioTemporalLayer:
    """spatio_temporal_voxel_layer: voxels that age, faster inside the frustum of the camera."""

    def __init__(self, parameters):
        self.parameters = parameters
        assert parameters.get('decay_model', 0) == 0  # linear
        self.voxel_m = parameters.get('voxel_size', 0.05)
        self.marks = {}

    def update(self, now_s, clouds, world_from_camera):
        """Clear by time and frustum, then mark, as updateBounds does; sources by name."""
        frustums = []
        for name in self.parameters['observation_sources'].split():
            source = self.parameters[name]
            if source.get('clearing', False) and name in clouds:
                # A source that only clears never refreshes its clock, and keeps no cloud.
                assert source.get('expected_update_rate', 0.0) == 0.0
                assert source.get('observation_persistence', 0.0) == 0.0
                frustums.append(source)
        decay_s = self.parameters.get('voxel_decay', -1.0)
        for key, moment in list(self.marks.items()):
            age_s = now_s - moment
            left_s = decay_s - age_s
            point = (np.array(key) + 0.5) * self.voxel_m
            inside = [s for s in frustums if in_frustum(point, world_from_camera, s)]
            if inside:
                sooner_s = inside[0].get('decay_acceleration', 0.0) * age_s**3 / 6.0
                if left_s - sooner_s < 0.0:
                    del self.marks[key]
                else:
                    self.marks[key] = moment - sooner_s
            elif left_s < 0.0:
                del self.marks[key]
        for name, message in clouds.items():
            if self.parameters[name].get('marking', True):
                self._mark(message, world_from_camera, self.parameters[name], now_s)

    def _mark(self, message, world_from_camera, source, now_s):
        points = Observation(message, world_from_camera, source).points  # the passthrough filter
        distance = np.linalg.norm(points - world_from_camera[:3, 3], axis=1)
        points = points[(distance <= source.get('obstacle_range', 2.5)) & (distance > 0.01)]
        for key in np.unique(np.floor(points / self.voxel_m).astype(int), axis=0):
            self.marks[tuple(key)] = now_s

    def marked(self):
        cells = {key[:2] for key in self.marks}
        return (np.array(sorted(cells)).reshape(-1, 2) + 0.5) * self.voxel_m


def in_frustum(point, world_from_camera, source):
    """Return whether a point is in the frustum along z of the optical frame."""
    x, y, z = (point - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    if not source.get('min_z', 0.0) <= z <= source.get('max_z', 10.0):
        return False
    across = abs(math.atan2(x, z)) <= source.get('horizontal_fov_angle', 1.04) / 2
    return across and abs(math.atan2(y, z)) <= source.get('vertical_fov_angle', 0.7) / 2


class CollisionMonitor:
    """nav2_collision_monitor::PointCloud: points in the base frame, by height and range."""

    def __init__(self, parameters):
        self.parameters = parameters

    def points(self, message, base_from_camera):
        source = self.parameters[self.parameters['observation_sources'][0]]
        assert source['type'] == 'pointcloud'
        points = xyz_of(message).astype(np.float64)
        based = points @ base_from_camera[:3, :3].T + base_from_camera[:3, 3]
        height = based[:, 2]
        if source.get('use_global_height', False):
            fields = fields_of(message)
            if 'height' not in fields:
                return None  # 'height field not in cloud': the source is invalid
            height = fields['height']
        kept = np.linalg.norm(points, axis=1) >= source.get('min_range', 0.0)
        kept &= height >= source.get('min_height', 0.05)
        kept &= height <= source.get('max_height', 0.5)
        return based[kept]

    def stops(self, message, base_from_camera, polygon):
        """Return whether the rectangle (x from, to, y from, to) holds min_points points."""
        points = self.points(message, base_from_camera)
        x0, x1, y0, y1 = polygon
        inside = (points[:, 0] > x0) & (points[:, 0] < x1)
        inside &= (points[:, 1] > y0) & (points[:, 1] < y1)
        name = self.parameters['polygons'][0]
        return np.count_nonzero(inside) >= self.parameters[name].get('min_points', 4)


class PointCloudOctomap:
    """moveit PointCloudOctomapUpdater: what is not NaN is occupied, up to max_range."""

    def __init__(self, parameters, resolution=0.05):
        self.parameters, self.resolution = parameters, resolution

    def occupied(self, message, world_from_camera):
        """Return the occupied voxels; an infinite point would make a nonsensical one."""
        step = self.parameters['point_subsample']
        points = xyz_of(message).reshape(message.height, message.width, 3)[::step, ::step]
        points = points.reshape(-1, 3)
        points = points[~np.isnan(points).any(axis=1)].astype(np.float64)
        assert np.isfinite(points).all()
        near = np.linalg.norm(points, axis=1) <= self.parameters['max_range']
        world = points[near] @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
        return np.unique(np.floor(world / self.resolution).astype(int), axis=0)


def laser_scan(depth, camera, parameters):
    """Return angles and ranges that depthimage_to_laserscan makes of the middle rows."""
    rows = parameters['scan_height']
    top = int(camera.cy - rows / 2)
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    ranges = depth[top : top + rows] * np.hypot(x, 1.0)
    with np.errstate(invalid='ignore'):
        inside = (ranges >= parameters['range_min']) & (ranges <= parameters['range_max'])
    finite = np.where(inside, ranges, np.inf).min(axis=0)
    passed = np.where(np.isposinf(ranges).any(axis=0), np.inf, np.nan)  # NaN and Inf pass through
    return -np.arctan(x), np.where(np.isfinite(finite), finite, passed)
