"""Names, frames and layouts of other drivers: what `topics:=` and `inputs:=` stand for.

Convention:
    A preset is written NAME or NAME@DRIVER, e.g. realsense@front/front: NAME is a file of
    config/topics, DRIVER the namespace and name of the driver's node where they are not those of
    its launch file. Names in a preset are relative to the driver; without a driver they are
    relative to our node's namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from depth_perception.errors import DepthPerceptionError, SettingsError
from depth_perception.resources import resource_path
import yaml

IMAGES = {
    'mono': {'image': 'image'},
    'stereo': {'left_image': 'left/image_rect', 'right_image': 'right/image_rect'},
}
"""Task -> what the source of an image is called -> input topic of the node."""
REFERENCES = {'reference_points': 'reference/points', 'reference_depth': 'reference/depth'}
"""What the source of a reference is called -> input topic of the node."""
TRANSPORTS = {name: f'{name}/compressedDepth' for name in ('depth/image_rect', 'depth/image_raw')}
"""Output -> the output that carries it compressed, and is named after it."""


@dataclass(frozen=True)
class TopicPreset:
    """What stands for another driver.

    Attributes:
        inputs: Our name of an input -> where the driver publishes it.
        outputs: Our name of an output -> where the driver would publish it.
        parameters: Parameters of our node, by name.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


OWN_NAMES = TopicPreset()


def input_topics(images: Mapping[str, str]) -> dict[str, str]:
    """Return what a source is called -> input topic: the images, and the camera_info beside each.

    Args:
        images: What the source of an image is called -> input topic of the node,
            e.g. 'left_image' -> 'left/image_rect'.
    """
    topics = dict(images)
    for name, topic in images.items():
        topics[name.replace('image', 'camera_info')] = _info_beside(topic)
    return topics


def remappings(
    images: Mapping[str, str], said: Mapping[str, str], inputs: TopicPreset, outputs: TopicPreset
) -> dict[str, str]:
    """Return topic of the node -> where it is to be.

    Args:
        images: What the source of an image is called -> input topic of the node.
        said: Input topic -> its source, as the user says; the topic itself or '': nothing said.
            It goes before the presets.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
    """
    said = {topic: source for topic, source in said.items() if source}
    named = dict(inputs.inputs)
    for image in images.values():
        if said.get(image, image) != image:  # of another camera: its camera_info is beside it
            named.pop(_info_beside(image), None)
        elif image in named:
            said.pop(image, None)
    return {**outputs.outputs, **named, **said}


def _info_beside(image: str) -> str:
    namespace, slash, _ = image.rpartition('/')
    return f'{namespace}{slash}camera_info'


def preset_names() -> list[str]:
    """Return the names of the presets."""
    return sorted(path.stem for path in resource_path('config', 'topics').glob('*.yaml'))


def two_presets(topics: str, inputs: str, task: str) -> tuple[TopicPreset, TopicPreset]:
    """Return the presets of the inputs and of the outputs.

    Args:
        topics: Preset of both.
        inputs: That of the inputs alone; 'own': our names; '': as `topics`.
        task: 'mono' or 'stereo'.

    Raises:
        SettingsError: If there is no such preset, or it has no topics for the task.
    """
    inputs = inputs or topics
    return topic_preset('' if inputs == 'own' else inputs, task), topic_preset(topics, task)


def topic_preset(text: str, task: str) -> TopicPreset:
    """Return a preset; that of '' renames nothing.

    Args:
        text: NAME or NAME@DRIVER.
        task: 'mono' or 'stereo'.

    Raises:
        SettingsError: If there is no such preset, or it has no topics for the task.
    """
    if not text:
        return OWN_NAMES
    name, at, driver = text.partition('@')
    if name not in preset_names():
        raise SettingsError(f'{name!r} is not one of {", ".join(preset_names())}')
    try:
        document = yaml.safe_load(
            resource_path('config', 'topics', f'{name}.yaml').read_text(encoding='utf-8')
        )
    except (OSError, yaml.YAMLError, DepthPerceptionError) as error:
        raise SettingsError(f'topics of {name}: {error}') from error
    if task not in document:
        raise SettingsError(f'{name} has no topics for the {task} node')
    part = document[task]
    driver = (driver if at else document['driver']).strip('/')
    outputs = _placed(part['outputs'], driver)
    for image, compressed in TRANSPORTS.items():
        if image in outputs:
            outputs[compressed] = f'{outputs[image]}/compressedDepth'
    namespace, _, node = driver.rpartition('/')
    words = {'{namespace}': namespace.replace('/', '_') or node, '{node}': node}
    return TopicPreset(
        _placed(part['inputs'], driver),
        outputs,
        {key: _filled(value, words) for key, value in part['parameters'].items()},
    )


def _placed(names: Mapping[str, str], driver: str) -> dict[str, str]:
    prefix = f'/{driver}/' if driver else ''
    return {own: prefix + name for own, name in names.items()}


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for placeholder, word in words.items():
            value = value.replace(placeholder, word)
    return value
