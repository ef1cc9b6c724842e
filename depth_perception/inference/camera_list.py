"""Several cameras in one file: which there are, where their images come from, what is special.

Example:
    task: mono
    cameras:
      front: {image: /front/image_rect}
      rear:
        topics: realsense@rear/rear
        parameters: {ground.camera_height_m: 1.2}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
import re
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.inference.shared_network import WINDOW_S
from depth_perception.inference.topic_presets import (
    IMAGES,
    input_topics,
    REFERENCES,
    remappings,
    two_presets,
)
from depth_perception.resources import resource_path
import yaml

_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')
_MAX_BYTES = 256 * 1024
_FILE_KEYS = {'task', 'params_file', 'parameters', 'batch', 'cameras'}
_CAMERA_KEYS = {'task', 'namespace', 'params_file', 'parameters', 'topics', 'inputs'}


@dataclass(frozen=True)
class Camera:
    """One camera, as its node wants it.

    Attributes:
        name: What it is called.
        task: 'mono' or 'stereo'.
        namespace: Namespace of its node.
        params_file: YAML file with the parameters of its node.
        parameters: Parameters that go before those of the file.
        topics: Topic of the node -> where it is to be.
    """

    name: str
    task: str
    namespace: str
    params_file: Path
    parameters: Mapping[str, Any]
    topics: Mapping[str, str]


@dataclass(frozen=True)
class CameraList:
    """All cameras, and how they share a network.

    Attributes:
        cameras: In the order of the file.
        window_s: Longest wait of one camera for the others [s].
        largest_batch: Most images in one run of the network; 1: cameras take turns; 0: as it pays.
    """

    cameras: tuple[Camera, ...]
    window_s: float = WINDOW_S
    largest_batch: int = 0


def cameras_of(text: str, assignments: Sequence[str] = ()) -> CameraList:
    """Return the cameras that a launch argument or a command line names.

    Args:
        text: Path of a YAML file, or names with commas between: their images have our names, in
            a namespace each.
        assignments: NAME=VALUE of parameters of all cameras, which go before those of the file,
            and task=mono or stereo of cameras that are only named.

    Raises:
        SettingsError: If the file cannot be read, or says something that is not known.
    """
    parameters = dict(_assignment(one) for one in assignments)
    task = parameters.pop('task', 'mono')
    if text.endswith(('.yaml', '.yml')):
        listed = read_cameras(Path(text))
    else:
        names = [name.strip() for name in text.split(',')]
        listed = cameras_from({'task': task, 'cameras': {name: {} for name in names}})
    cameras = (replace(one, parameters={**one.parameters, **parameters}) for one in listed.cameras)
    return replace(listed, cameras=tuple(cameras))


def _assignment(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition('=')
    if not sign or not name:
        raise SettingsError(f'{text!r} is no NAME=VALUE')
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f'{name}: {value!r} is no value: {error}') from error


def read_cameras(path: Path) -> CameraList:
    """Return the cameras of a file; paths in it are relative to it.

    Raises:
        SettingsError: If the file cannot be read, or says something that is not known.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SettingsError(f'{path} is no list of cameras: it has over {_MAX_BYTES} bytes')
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f'{path} cannot be read: {error}') from error
    try:
        return cameras_from(document, path.parent)
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error


def cameras_from(document: Any, folder: Path = Path()) -> CameraList:
    """Return the cameras of a document.

    Args:
        document: What the YAML file holds.
        folder: Where relative paths begin.

    Raises:
        SettingsError: If it says something that is not known.
    """
    _check_keys('the file', document, _FILE_KEYS)
    said = document.get('cameras')
    if not isinstance(said, dict) or not said:
        raise SettingsError('cameras: wants at least one camera, as `name: {}`')
    shared = {key: value for key, value in document.items() if key not in {'cameras', 'batch'}}
    cameras = tuple(_camera(name, one or {}, shared, folder) for name, one in said.items())
    places = [(camera.namespace, camera.task) for camera in cameras]
    for place in places:
        if places.count(place) > 1:
            raise SettingsError(f'two {place[1]} cameras have the namespace {place[0]!r}')
    batch = document.get('batch') or {}
    _check_keys('batch', batch, {'largest', 'window_ms'})
    largest, window_ms = (
        batch.get('largest', 0),
        batch.get('window_ms', WINDOW_S * 1e3),
    )
    if type(largest) is not int or not 0 <= largest <= 64:
        raise SettingsError(f'batch.largest: wants a number of images, 0 to 64, got {largest!r}')
    if type(window_ms) not in {int, float} or not 0.0 <= window_ms <= 1000.0:
        raise SettingsError(f'batch.window_ms: wants 0 to 1000 ms, got {window_ms!r}')
    return CameraList(cameras, window_ms / 1e3, largest)


def _camera(name: Any, said: Any, shared: Mapping[str, Any], folder: Path) -> Camera:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(f'cameras: {name!r} is no name for a camera; use letters, digits, _')
    task = said.get('task', shared.get('task', 'mono')) if isinstance(said, dict) else 'mono'
    if task not in IMAGES:
        raise SettingsError(f'{name}: task {task!r} is not one of {", ".join(IMAGES)}')
    sources = {**input_topics(IMAGES[task]), **REFERENCES}
    _check_keys(name, said, _CAMERA_KEYS | sources.keys())
    texts = {key: said[key] for key in said if key != 'parameters'}
    wrong = [key for key, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise SettingsError(f'{name}: {wrong[0]} wants text, got {texts[wrong[0]]!r}')
    inputs, outputs = two_presets(texts.get('topics', ''), texts.get('inputs', ''), task)
    own = {topic: texts.get(key, '') for key, topic in sources.items()}
    file = texts.get('params_file', shared.get('params_file', ''))
    return Camera(
        name,
        task,
        texts.get('namespace', name),
        folder / file if file else resource_path('config', f'{task}.yaml'),
        {
            **_flat(name, shared.get('parameters')),
            **outputs.parameters,
            **_flat(name, said.get('parameters')),
        },
        remappings(IMAGES[task], own, inputs, outputs),
    )


def _check_keys(where: str, found: Any, known: set[str]) -> None:
    if not isinstance(found, dict):
        raise SettingsError(f'{where} wants keys and values, got {found!r}')
    unknown = sorted(str(key) for key in found if key not in known)
    if unknown:
        raise SettingsError(
            f'{where}: unknown key {", ".join(unknown)}; there are {", ".join(sorted(known))}'
        )


def _flat(name: str, tree: Any, prefix: str = '') -> dict[str, Any]:
    """Return dotted name -> value of parameters, nested or not."""
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f'{name}: parameters want names and values, got {tree!r}')
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            values |= _flat(name, value, f'{prefix}{key}.')
        else:
            values[f'{prefix}{key}'] = value
    return values
