"""Presets of topics: what is in the files, and what they become."""

from __future__ import annotations

import ast
from pathlib import Path
import re

from depth_perception.errors import SettingsError
from depth_perception.inference.topic_presets import preset_names, topic_preset, TRANSPORTS
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import settings_from_mapping
import pytest

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {'mono': MonoSettings, 'stereo': StereoSettings}
INPUTS = {
    'mono': {'image', 'camera_info'},
    'stereo': {f'{s}/{name}' for s in ('left', 'right') for name in ('image_rect', 'camera_info')},
}
PRESETS = [(n, t) for n in preset_names() for t in SETTINGS if (n, t) != ('isaac', 'mono')]


def published() -> set[str]:
    """Return the names of all outputs, read from the code because that needs rclpy."""
    tree = ast.parse((ROOT / 'depth_perception' / 'ros' / 'outputs.py').read_text('utf-8'))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r'[\w/]+', text)}


def test_there_is_one_for_each_driver():
    assert preset_names() == ['isaac', 'realsense', 'zed']


@pytest.mark.parametrize(('name', 'task'), PRESETS)
def test_files_name_topics_and_parameters_that_there_are(name, task):
    preset = topic_preset(name, task)
    assert set(preset.inputs) == INPUTS[task]
    assert set(preset.outputs) <= published()
    settings_from_mapping(SETTINGS[task], dict(preset.parameters))
    names = [*preset.inputs.values(), *preset.outputs.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(('name', 'task'), PRESETS)
def test_the_camera_info_stays_beside_its_image(name, task):
    """As image_transport's subscribers look for it; of Isaac's `depth`, nobody does."""
    outputs = topic_preset(name, task).outputs
    for info in (own for own in outputs if own.endswith('/camera_info')):
        folder = info.removesuffix('camera_info')
        images = [
            o for o in outputs if o.startswith(folder) and o not in {info, *TRANSPORTS.values()}
        ]
        beside = outputs[info].removesuffix('camera_info')
        assert images
        assert all(outputs[image].rpartition('/')[0] + '/' == beside for image in images)


def test_names_are_those_of_the_driver():
    preset = topic_preset('realsense', 'stereo')
    assert preset.inputs['right/image_rect'] == '/camera/camera/infra2/image_rect_raw'
    assert preset.outputs['depth/image_raw'] == '/camera/camera/depth/image_rect_raw'
    compressed = '/camera/camera/depth/image_rect_raw/compressedDepth'
    assert preset.outputs['depth/image_raw/compressedDepth'] == compressed
    assert preset.parameters['output_frame_id'] == 'camera_depth_optical_frame'


def test_another_name_of_the_driver_is_followed_by_topics_and_frames():
    front = topic_preset('realsense@robot/front', 'stereo')
    assert front.outputs['points'] == '/robot/front/depth/color/points'
    assert front.parameters['output_frame_id'] == 'front_depth_optical_frame'
    zed = topic_preset('zed@/rear/zed_node', 'stereo')
    assert zed.inputs['left/image_rect'] == '/rear/zed_node/left/color/rect/image'
    assert zed.parameters['cloud.frame_id'] == 'rear_left_camera_frame'


def test_without_a_driver_names_follow_the_namespace_of_the_node():
    assert topic_preset('isaac', 'stereo').outputs['depth/image_rect'] == 'depth'
    assert topic_preset('isaac@front', 'stereo').outputs['depth/image_rect'] == '/front/depth'


def test_what_does_not_exist_is_refused():
    with pytest.raises(SettingsError, match="'kinect' is not one of isaac, realsense, zed"):
        topic_preset('kinect', 'stereo')
    with pytest.raises(SettingsError, match='isaac has no topics for the mono node'):
        topic_preset('isaac', 'mono')
    assert topic_preset('', 'mono').outputs == {}


def test_the_page_tells_of_every_topic():
    page = (ROOT / 'docs' / 'compatibility.md').read_text(encoding='utf-8')
    for name, task in PRESETS:
        driver = {'realsense': '/camera/camera/', 'zed': '/zed/zed_node/', 'isaac': ''}[name]
        preset = topic_preset(name, task)
        for topic in [*preset.inputs.values(), *preset.outputs.values()]:
            named = topic.removeprefix(driver).removesuffix('/compressedDepth')
            assert f'`{named}`' in page
