"""The configuration files of Nav2 and MoveIt: current, complete, and fit for the camera."""

import math
from pathlib import Path
import re

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import CalibrationError, SettingsError
from depth_perception.inference.nav2_files import (
    camera_of,
    EXAMPLE_CAMERA,
    LAYERS,
    settings_of,
    texts_of,
    with_depth_layer,
)
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import declarations_of
import pytest
import yaml

SHIPPED = Path(__file__).resolve().parents[2] / 'config' / 'nav2'
CAMERA = PinholeCamera(800, 600, 500.0, 490.0, 380.0, 310.0)
# Read in the sources: ObstacleLayer::onInitialize, VoxelLayer::onInitialize (navigation2 a3a9704).
OBSTACLE_NAMES = {
    'plugin', 'enabled', 'footprint_clearing_enabled', 'min_obstacle_height',
    'max_obstacle_height', 'combination_method', 'observation_sources',
}  # fmt: skip
VOXEL_NAMES = OBSTACLE_NAMES | {
    'z_voxels', 'origin_z', 'z_resolution', 'unknown_threshold', 'mark_threshold',
    'publish_voxel_map',
}  # fmt: skip
SOURCE_NAMES = {
    'topic', 'sensor_frame', 'observation_persistence', 'expected_update_rate', 'data_type',
    'min_obstacle_height', 'max_obstacle_height', 'inf_is_valid', 'marking', 'clearing',
    'transport_type', 'obstacle_max_range', 'obstacle_min_range', 'raytrace_max_range',
    'raytrace_min_range',
}  # fmt: skip
# SpatioTemporalVoxelLayer::onInitialize (403d9ed).
STVL_NAMES = {
    'plugin', 'observation_sources', 'transform_tolerance', 'enabled', 'publish_voxel_map',
    'voxel_size', 'combination_method', 'mark_threshold', 'update_footprint_enabled',
    'track_unknown_space', 'decay_model', 'voxel_decay', 'mapping_mode', 'map_save_duration',
    'origin_z',  # in its examples, though it is not read
}  # fmt: skip
STVL_SOURCE_NAMES = {
    'topic', 'sensor_frame', 'observation_persistence', 'expected_update_rate', 'data_type',
    'min_obstacle_height', 'max_obstacle_height', 'inf_is_valid', 'marking', 'clearing',
    'obstacle_range', 'min_z', 'max_z', 'vertical_fov_angle', 'vertical_fov_padding',
    'horizontal_fov_angle', 'decay_acceleration', 'filter', 'voxel_min_points',
    'clear_after_reading', 'enabled', 'model_type',
}  # fmt: skip


def layer_of(name, camera=CAMERA, namespace='', rate_hz=10.0, **settings):
    text = texts_of(StereoSettings(**settings), camera, namespace, rate_hz)[name]
    tree = yaml.safe_load(text)['local_costmap']['local_costmap']['ros__parameters']
    return tree['depth_layer']


def test_shipped_files_are_current():
    texts = texts_of(StereoSettings(), EXAMPLE_CAMERA)
    assert {path.name for path in SHIPPED.iterdir()} == set(texts)
    for name, text in texts.items():
        command = 'run `depth_perception nav2-config stereo --out config/nav2`'
        assert (SHIPPED / name).read_text(encoding='utf-8') == text, command


@pytest.mark.parametrize(
    ('name', 'known', 'of_source'),
    [
        ('obstacle_layer.yaml', OBSTACLE_NAMES, SOURCE_NAMES),
        ('voxel_layer.yaml', VOXEL_NAMES, SOURCE_NAMES),
        ('stvl.yaml', STVL_NAMES, STVL_SOURCE_NAMES),
    ],
)
def test_layers_use_the_names_that_their_sources_read(name, known, of_source):
    layer = layer_of(name)
    sources = layer['observation_sources'].split()
    assert set(layer) <= known | set(sources)
    assert layer['combination_method'] == 1
    for source in sources:
        assert set(layer[source]) <= of_source
        assert layer[source]['data_type'] == 'PointCloud2'
    assert [layer[s]['marking'] for s in sources] == [True, False]
    assert [layer[s]['clearing'] for s in sources] == [False, True]


def test_ranges_and_heights_hold_what_the_node_publishes():
    layer = layer_of(
        'obstacle_layer.yaml', nav__max_range_m=7.0, nav__clear_range_m=8.0,
        nav__min_height_m=0.2, nav__max_height_m=1.3,
    )  # fmt: skip
    mark, clear = layer['depth_mark'], layer['depth_clear']
    assert 7.0 < mark['obstacle_max_range'] < 8.0
    assert 8.0 < clear['raytrace_max_range'] < 9.0
    assert 0.0 < mark['min_obstacle_height'] < 0.2
    assert 1.3 < mark['max_obstacle_height'] < 1.6
    assert layer['min_obstacle_height'] <= mark['min_obstacle_height']
    assert layer['max_obstacle_height'] >= mark['max_obstacle_height']
    assert clear['min_obstacle_height'] < -0.1
    assert clear['max_obstacle_height'] > 1.3
    assert mark['observation_persistence'] == clear['observation_persistence'] == 0.0


@pytest.mark.parametrize('camera_m', [0.0, 0.4, 3.1])
def test_voxels_reach_above_the_camera(camera_m):
    layer = layer_of('voxel_layer.yaml', ground__camera_height_m=camera_m)
    top = layer['origin_z'] + layer['z_voxels'] * layer['z_resolution']
    assert layer['z_voxels'] == 16
    assert top > max(camera_m, 2.0)
    assert layer['origin_z'] <= 0.0


def test_frustum_is_the_smaller_half_of_the_image_twice():
    clear = layer_of('stvl.yaml')['depth_clear']
    assert clear['horizontal_fov_angle'] == pytest.approx(2 * math.atan(380.5 / 500.0), abs=1e-3)
    assert clear['vertical_fov_angle'] == pytest.approx(2 * math.atan(289.5 / 490.0), abs=1e-3)
    assert clear['min_z'] == 0.2
    assert clear['max_z'] == 5.5
    assert clear['expected_update_rate'] == 0.0
    assert clear['observation_persistence'] == 0.0


def test_namespace_and_rate():
    layer = layer_of('obstacle_layer.yaml', namespace='/front/cam/', rate_hz=2.0)
    assert layer['depth_mark']['topic'] == '/front/cam/points_nav'
    assert layer['depth_clear']['topic'] == '/front/cam/points_clear'
    assert layer['depth_mark']['expected_update_rate'] == 2.5
    with pytest.raises(SettingsError, match='rate'):
        texts_of(StereoSettings(), CAMERA, '', 0.0)


@pytest.mark.parametrize(
    ('settings', 'known'),
    [({}, False), ({'ground__camera_height_m': 0.5}, True), ({'ground__frame': 'base'}, True)],
)
def test_collision_monitor_reads_heights_where_there_are_some(settings, known):
    text = texts_of(MonoSettings(**settings), CAMERA)['collision_monitor.yaml']
    monitor = yaml.safe_load(text)['collision_monitor']['ros__parameters']
    source = monitor[monitor['observation_sources'][0]]
    assert source['type'] == 'pointcloud'
    assert source['use_global_height'] is known
    assert 0.0 < source['min_height'] < 0.1
    assert source['max_height'] > 2.0
    assert monitor[monitor['polygons'][0]]['min_points'] == 4


def test_moveit_files_have_every_parameter_that_is_read():
    tree = yaml.safe_load(texts_of(StereoSettings(), CAMERA)['moveit_sensors_3d.yaml'])
    assert list(tree['depth_image']) == [
        'sensor_plugin', 'image_topic', 'queue_size', 'near_clipping_plane_distance',
        'far_clipping_plane_distance', 'shadow_threshold', 'padding_scale', 'padding_offset',
        'max_update_rate', 'skip_vertical_pixels', 'skip_horizontal_pixels',
        'filtered_cloud_topic', 'ns',
    ]  # fmt: skip  # DepthImageOctomapUpdater stops at the first that is missing
    assert set(tree['depth_points']) >= {
        'point_cloud_topic', 'max_range', 'padding_offset', 'padding_scale', 'point_subsample',
        'max_update_rate', 'filtered_cloud_topic',
    }  # fmt: skip
    assert set(tree['sensors']) <= set(tree)


def test_layer_goes_before_the_inflation_of_an_existing_nav2():
    inner = {
        'plugins': ['voxel_layer', 'blow_up'],
        'blow_up': {'plugin': 'nav2_costmap_2d::InflationLayer'},
        'voxel_layer': {'plugin': 'nav2_costmap_2d::VoxelLayer'},
        'width': 3,
    }
    nav2 = {'local_costmap': {'local_costmap': {'ros__parameters': inner}}, 'other': {'a': 1}}
    for name in LAYERS.values():
        merged = with_depth_layer(nav2, texts_of(StereoSettings(), CAMERA)[name])
        new = merged['local_costmap']['local_costmap']['ros__parameters']
        assert new['plugins'] == ['voxel_layer', 'depth_layer', 'blow_up']
        assert new['width'] == 3
        assert new['depth_layer']['depth_mark']['topic'] == '/points_nav'
        assert merged['other'] == {'a': 1}
        again = with_depth_layer(merged, texts_of(StereoSettings(), CAMERA)[name])
        assert again == merged
    assert inner['plugins'] == ['voxel_layer', 'blow_up']
    with pytest.raises(SettingsError, match='local_costmap'):
        with_depth_layer({'amcl': {}}, texts_of(StereoSettings(), CAMERA)['stvl.yaml'])


def test_camera_info_as_echoed_and_as_calibrated(tmp_path):
    p = [500.0, 0.0, 380.0, 0.0, 0.0, 490.0, 310.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    echoed, calibrated = tmp_path / 'echo.yaml', tmp_path / 'calibration.yaml'
    echoed.write_text(yaml.safe_dump({'width': 800, 'height': 600, 'p': p}) + '---\n')
    matrix = {'rows': 3, 'cols': 4, 'data': p}
    calibrated.write_text(
        yaml.safe_dump({'image_width': 800, 'image_height': 600, 'projection_matrix': matrix})
    )
    assert camera_of(echoed) == camera_of(calibrated) == CAMERA


@pytest.mark.parametrize('text', ['', 'a: [', '- 1', 'width: 800', 'width: a\nheight: 1\np: []'])
def test_what_is_no_camera_info_is_refused(tmp_path, text):
    path = tmp_path / 'info.yaml'
    path.write_text(text)
    with pytest.raises(CalibrationError, match=r'info\.yaml'):
        camera_of(path)


def test_parameters_come_from_the_file_of_the_node(tmp_path):
    path = tmp_path / 'stereo.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    use_sim_time: true\n    nav:\n      max_range_m: 3.0\n'
    )
    settings = settings_of('stereo', path, ['nav.drop_m=0.2'])
    assert settings.nav__max_range_m == 3.0
    assert settings.nav__drop_m == 0.2
    path.write_text('a: 1\n')
    with pytest.raises(SettingsError, match='ros__parameters'):
        settings_of('mono', path, [])


def test_page_names_every_parameter_with_its_default():
    page = (SHIPPED.parents[1] / 'docs' / 'nav2.md').read_text(encoding='utf-8')
    known = {
        name: declared.default
        for name, declared in declarations_of(StereoSettings).items()
        if name.startswith('nav.')
    }
    assert set(re.findall(r'`(nav\.\w+)[`:]', page)) == set(known)
    table = page[page.index('| parameter | default') : page.index('The image is looked at')]
    for row in re.findall(r'^\| (`nav.*)$', table, re.MULTILINE):
        names, defaults = row.split('|')[:2]
        wanted = [float(value) for value in defaults.split(',')]
        assert [known[name] for name in re.findall(r'`([\w.]+)`', names)] == wanted
