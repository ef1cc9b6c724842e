"""The configuration files for navigation and manipulation, as texts with places for numbers.

Names of parameters were checked against the sources: navigation2 a3a9704 (2026-08),
spatio_temporal_voxel_layer 403d9ed (2024-03), moveit2 8fcb5d2 (2026-08) and
depthimage_to_laserscan, branch ros2.
"""

from __future__ import annotations

_COSTMAP = """\
# $what
# $origin
#
# Merge it into the parameters of your Nav2: the layer goes before the inflation layer in
# `plugins`, beside the layers that you have. It keeps a grid of its own and only adds to the
# costmap (combination_method 1, the maximum), so it cannot clear what a laser has marked.
local_costmap:
  local_costmap:
    ros__parameters:
      update_frequency: $update_hz  # Hz; every cloud is seen once
      publish_frequency: 2.0
      global_frame: odom
      robot_base_frame: base_link
      rolling_window: true
      width: $window
      height: $window  # m; reaches to the end of the clearing rays
      resolution: 0.05
      robot_radius: 0.22  # m; yours
      plugins: ["depth_layer", "inflation_layer"]
      inflation_layer:
        plugin: "nav2_costmap_2d::InflationLayer"
        cost_scaling_factor: 3.0
        inflation_radius: 0.55  # m; yours
      depth_layer:
"""

_SOURCES = """\
        observation_sources: depth_mark depth_clear
        depth_mark:
          topic: $points_nav
          data_type: "PointCloud2"
          marking: true
          clearing: false
          # points_nav is cut to the robot's height by the floor that the camera sees. The band
          # here, by TF alone, is wider, or a tilt of half a degree would cost points.
          min_obstacle_height: $mark_low
          max_obstacle_height: $mark_high  # the default, 0.0, would drop everything
          obstacle_min_range: 0.0
          obstacle_max_range: $mark_range  # nav.max_range_m is $max_range
          observation_persistence: 0.0  # the newest cloud alone
          # A period in seconds. On bad input the node is silent, the costmap is not current, and
          # the robot waits: better than to drive blind.
          expected_update_rate: $expected
          inf_is_valid: false  # not for clouds; sky comes as ray ends in points_clear
        depth_clear:
          topic: $points_clear
          data_type: "PointCloud2"
          marking: false
          clearing: true
          min_obstacle_height: $clear_low  # rays to the floor end a little below it, by TF
          max_obstacle_height: $clear_high
          raytrace_min_range: 0.0
          raytrace_max_range: $raytrace  # rays are cut off at nav.clear_range_m, $clear_range
          observation_persistence: 0.0
          expected_update_rate: $expected
          inf_is_valid: false
"""

OBSTACLE_LAYER = (
    _COSTMAP
    + """\
        plugin: "nav2_costmap_2d::ObstacleLayer"
        enabled: true
        footprint_clearing_enabled: true
        min_obstacle_height: $mark_low
        max_obstacle_height: $mark_high
        combination_method: 1
"""
    + _SOURCES
)

VOXEL_LAYER = (
    _COSTMAP
    + """\
        # For this layer set nav.clear_columns: false in the depth node: voxels behind a low box
        # are then cleared by the rays that pass over it.
        plugin: "nav2_costmap_2d::VoxelLayer"
        enabled: true
        footprint_clearing_enabled: true
        min_obstacle_height: $mark_low
        max_obstacle_height: $mark_high
        combination_method: 1
        origin_z: $origin_z
        z_voxels: 16  # the most there can be
        # 16 voxels reach to $voxel_top m: above the robot, and above the camera, for a sensor
        # outside of the grid clears nothing ("Sensor origin is out of map bounds").
        z_resolution: $z_resolution
        unknown_threshold: 15
        mark_threshold: 0
        publish_voxel_map: false
"""
    + _SOURCES
)

STVL = (
    _COSTMAP
    + """\
        plugin: "spatio_temporal_voxel_layer/SpatioTemporalVoxelLayer"
        enabled: true
        voxel_decay: $decay  # s; what the camera does not see any more is forgotten after this
        decay_model: 0  # linear
        voxel_size: 0.05
        track_unknown_space: false
        mark_threshold: 0
        update_footprint_enabled: true
        combination_method: 1
        origin_z: 0.0
        publish_voxel_map: false
        transform_tolerance: 0.2
        mapping_mode: false
        map_save_duration: 60.0
        observation_sources: depth_mark depth_clear
        depth_mark:
          topic: $points_nav
          data_type: "PointCloud2"
          marking: true
          clearing: false
          enabled: true
          obstacle_range: $mark_range
          min_obstacle_height: $mark_low
          max_obstacle_height: $mark_high
          expected_update_rate: $expected
          observation_persistence: 0.0
          inf_is_valid: false
          filter: "passthrough"  # points_nav has one point per voxel already
          voxel_min_points: 0
          clear_after_reading: true
        depth_clear:
          # Clears by the frustum of the camera, not by rays: only stamp and frame are read. The
          # optical frame is right, the frustum lies along its z.
          topic: $points_nav
          data_type: "PointCloud2"
          marking: false
          clearing: true
          enabled: true
          expected_update_rate: 0.0  # must be 0: a source that only clears never counts as fresh
          observation_persistence: 0.0  # must be 0: it keeps no cloud to take the age of
          min_z: $min_z
          max_z: $max_z
          vertical_fov_angle: $vfov  # rad; symmetric, so the smaller half of the image counts
          horizontal_fov_angle: $hfov
          decay_acceleration: $acceleration  # in view, what is not marked again goes in a second
          model_type: 0  # depth camera
"""
)

COLLISION_MONITOR = """\
# $what
# $origin
collision_monitor:
  ros__parameters:
    base_frame_id: "base_footprint"
    odom_frame_id: "odom"
    cmd_vel_in_topic: "cmd_vel_smoothed"
    cmd_vel_out_topic: "cmd_vel"
    state_topic: "collision_monitor_state"
    transform_tolerance: 0.2
    source_timeout: $timeout  # s; a silent camera stops the robot after this. 0.0: it does not
    base_shift_correction: true
    stop_pub_timeout: 2.0
    polygons: ["PolygonStop"]
    PolygonStop:
      type: "polygon"
      points: "[[0.4, 0.3], [0.4, -0.3], [0.0, -0.3], [0.0, 0.3]]"  # m; yours
      action_type: "stop"
      min_points: 4  # one point per $voxel m cube: a post of 0.2 m has that many
      visualize: true
      polygon_pub_topic: "polygon_stop"
      enabled: true
    observation_sources: ["depth"]
    depth:
      type: "pointcloud"
      topic: $points_nav
      enabled: true
      # By the field `height`, above the floor that the camera sees, where the node knows the
      # floor (ground.frame, or ground.camera_height_m); else by z of the base frame. Without the
      # field, true would make the source invalid. Older Nav2 ignores it and takes z.
      use_global_height: $global_height
      min_height: $mark_low
      max_height: $mark_high
      min_range: $min_range  # m from the camera
"""

LASER_SCAN = """\
# $what
# $origin
#
# Remap depth:=$depth_image and depth_camera_info:=$depth_info. It reads the rows in the
# middle of the image alone, so the camera must look level (here: $pitch deg down), and what is
# lower or higher than that line is not seen: points_nav sees it.
depthimage_to_laserscan:
  ros__parameters:
    scan_time: $period
    range_min: $scan_min
    # A depth beyond range_max would become NaN, which clears nothing. What the node publishes
    # beyond max_depth_m is +Inf already, and passes: with inf_is_valid: true the costmap clears.
    range_max: $scan_max
    scan_height: $scan_rows  # px, of $image_height
    output_frame: "camera_link"  # x forward, z up: NOT the optical frame
"""

MOVEIT = """\
# $what
# $origin
#
# Choose one. octomap_frame and octomap_resolution are parameters of move_group.
sensors:
  - depth_points
  # - depth_image
depth_points:
  # Skips NaN, but not Inf: `points` has no Inf. All of these parameters are required.
  sensor_plugin: occupancy_map_monitor/PointCloudOctomapUpdater
  point_cloud_topic: $points
  max_range: $max_range
  point_subsample: $subsample  # of rows and of columns
  padding_offset: 0.03
  padding_scale: 1.0
  max_update_rate: 2.0  # Hz
  filtered_cloud_topic: filtered_cloud
depth_image:
  # Wants 32FC1 in metres and the camera_info beside it, and OpenGL. They are read in this order
  # up to the first that is missing; the rest keeps its defaults without a word. Infinite depth
  # (sky) is not skipped by its code as read: prefer depth_points outdoors.
  sensor_plugin: occupancy_map_monitor/DepthImageOctomapUpdater
  image_topic: $depth_image
  queue_size: 5
  near_clipping_plane_distance: $min_depth
  far_clipping_plane_distance: $max_range
  shadow_threshold: 0.2
  padding_scale: 4.0
  padding_offset: 0.03
  max_update_rate: 2.0
  skip_vertical_pixels: 4
  skip_horizontal_pixels: 6
  filtered_cloud_topic: filtered_depth
  ns: ""
"""

FILES = {
    'obstacle_layer.yaml': (OBSTACLE_LAYER, 'Depth as an obstacle layer of Nav2 (2-D).'),
    'voxel_layer.yaml': (VOXEL_LAYER, 'Depth as a voxel layer of Nav2 (3-D).'),
    'stvl.yaml': (STVL, 'Depth as a spatio-temporal voxel layer of Nav2.'),
    'collision_monitor.yaml': (COLLISION_MONITOR, 'Depth as a source of the collision monitor.'),
    'depthimage_to_laserscan.yaml': (LASER_SCAN, 'A laser scan of the depth image.'),
    'moveit_sensors_3d.yaml': (MOVEIT, 'Depth as a 3-D sensor of MoveIt.'),
}
"""File -> its text and what it is."""
