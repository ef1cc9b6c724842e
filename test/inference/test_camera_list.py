"""Several cameras in one file."""

from __future__ import annotations

from pathlib import Path

from depth_perception.errors import SettingsError
from depth_perception.inference.camera_list import cameras_from, cameras_of, read_cameras
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import settings_from_mapping
import pytest

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {'mono': MonoSettings, 'stereo': StereoSettings}


def test_the_file_that_ships_is_accepted_by_the_nodes():
    listed = read_cameras(ROOT / 'config' / 'cameras.yaml')
    assert [(c.name, c.task, c.namespace) for c in listed.cameras] == [
        ('front', 'mono', 'front'),
        ('rear', 'mono', 'rear'),
        ('arm', 'stereo', 'arm'),
    ]
    assert (listed.largest_batch, listed.window_s) == (0, 0.005)
    front, rear, arm = listed.cameras
    for camera in listed.cameras:
        settings_from_mapping(SETTINGS[camera.task], dict(camera.parameters))
        assert camera.params_file == ROOT / 'config' / f'{camera.task}.yaml'
    assert front.parameters == {'ground.pitch_deg': 10.0, 'ground.camera_height_m': 1.2}
    assert rear.parameters['ground.pitch_deg'] == 25.0  # of the camera, not of all
    assert (front.topics, rear.topics) == ({}, {'image': '/rear_camera/image_rect'})
    assert arm.topics['left/image_rect'] == '/arm/arm/infra1/image_rect_raw'


def test_names_alone_are_enough_and_assignments_go_before_everything():
    listed = cameras_of('a, b', ['task=stereo', 'min_depth_m=0.5', 'model=crestereo'])
    assert [c.task for c in listed.cameras] == ['stereo', 'stereo']
    assert [c.namespace for c in listed.cameras] == ['a', 'b']
    assert listed.cameras[1].parameters == {'min_depth_m': 0.5, 'model': 'crestereo'}
    again = cameras_of(str(ROOT / 'config' / 'cameras.yaml'), ['ground.pitch_deg=3.5'])
    assert {c.parameters['ground.pitch_deg'] for c in again.cameras} == {3.5}


def test_paths_are_relative_to_the_file(tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text('params_file: all.yaml\ncameras: {a: , b: {params_file: /abs/b.yaml}}\n')
    one, two = read_cameras(file).cameras
    assert (one.params_file, two.params_file) == (tmp_path / 'all.yaml', Path('/abs/b.yaml'))


def test_nested_parameters_are_flattened():
    said = {'cameras': {'a': {'parameters': {'ground': {'pitch_deg': 5.0}, 'threads': 2}}}}
    assert cameras_from(said).cameras[0].parameters == {'ground.pitch_deg': 5.0, 'threads': 2}


@pytest.mark.parametrize(
    ('document', 'part'),
    [
        (['a'], 'the file wants keys and values'),
        ({'cameras': {}}, 'at least one camera'),
        ({'camera': {'a': {}}}, 'unknown key camera'),
        ({'cameras': {'a': {'imgae': '/x'}}}, 'a: unknown key imgae'),
        ({'cameras': {'a': {'left_image': '/x'}}}, 'a: unknown key left_image'),
        ({'cameras': {'a': {'image': 3}}}, 'a: image wants text'),
        ({'cameras': {'a b': {}}}, "'a b' is no name"),
        ({'cameras': {'a': {'task': 'tof'}}}, "a: task 'tof' is not one of mono, stereo"),
        ({'cameras': {'a': ['x']}}, 'a wants keys and values'),
        ({'cameras': {'a': {'parameters': [1]}}}, 'a: parameters want names and values'),
        ({'cameras': {'a': {'topics': 'kinect'}}}, "'kinect' is not one of"),
        ({'cameras': {'a': {'namespace': 'b'}, 'b': {}}}, "have the namespace 'b'"),
        ({'cameras': {'a': {}}, 'batch': {'largest': 65}}, 'batch.largest'),
        ({'cameras': {'a': {}}, 'batch': {'window_ms': '5'}}, 'batch.window_ms'),
    ],
)
def test_what_is_not_known_is_refused(document, part):
    with pytest.raises(SettingsError, match=part):
        cameras_from(document)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(SettingsError, match='cannot be read'):
        cameras_of(str(tmp_path / 'none.yaml'))
    broken = tmp_path / 'broken.yaml'
    broken.write_text('cameras: [')
    with pytest.raises(SettingsError, match=r'broken\.yaml cannot be read'):
        cameras_of(str(broken))
    with pytest.raises(SettingsError, match="'x' is no NAME=VALUE"):
        cameras_of('a', ['x'])
