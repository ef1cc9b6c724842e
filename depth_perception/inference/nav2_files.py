"""Configuration of Nav2 and MoveIt that fits a camera and the parameters of its node."""

from __future__ import annotations

from collections.abc import Mapping
import copy
import math
from pathlib import Path
from string import Template
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import CalibrationError, DepthPerceptionError, SettingsError
from depth_perception.inference.nav2_texts import FILES
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import settings_from_mapping, settings_with

EXAMPLE_CAMERA = PinholeCamera(640, 480, 460.0, 460.0, 319.5, 239.5)
"""A camera of 70 degrees, of which the files in config/nav2 are made."""
LAYERS = {'obstacle': 'obstacle_layer.yaml', 'voxel': 'voxel_layer.yaml', 'stvl': 'stvl.yaml'}
"""Kind of costmap layer -> file that configures it."""
SETTINGS = {'stereo': StereoSettings, 'mono': MonoSettings}
"""Task -> settings of its node."""
_ORIGIN = 'Made by `depth_perception nav2-config` for a camera of'
_LAYER = 'depth_layer'
_MARGIN_M = 0.5


def settings_of(task: str, params: Path | None, assignments: list[str]) -> Any:
    """Return the settings of a node by its parameter file and assignments.

    Raises:
        SettingsError: If the file cannot be read, or a parameter is not accepted.
    """
    values: dict[str, Any] = {}
    if params is not None:
        for node in yaml_of(params, SettingsError).values():
            inner = node.get('ros__parameters') if isinstance(node, dict) else None
            if isinstance(inner, dict):
                values |= _flat(inner)
        if not values:
            raise SettingsError(f'{params} holds no ros__parameters')
    values = {name: value for name, value in values.items() if name != 'use_sim_time'}
    return settings_with(settings_from_mapping(SETTINGS[task], values), assignments)


def camera_of(path: Path) -> PinholeCamera:
    """Return the rectified camera of a camera_info in YAML.

    Raises:
        CalibrationError: If the file cannot be read or is no camera_info.
    """
    content = yaml_of(path, CalibrationError)
    try:
        if 'image_width' in content:
            width, height = int(content['image_width']), int(content['image_height'])
            p = [float(value) for value in content['projection_matrix']['data']]
        else:
            width, height = int(content['width']), int(content['height'])
            p = [float(value) for value in content['p']]
        return PinholeCamera(width, height, p[0], p[5], p[2], p[6])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CalibrationError(
            f'{path} is no camera_info: it wants width, height and p, or image_width, '
            f'image_height and projection_matrix.data ({error!r})'
        ) from error


def texts_of(
    settings: Any, camera: PinholeCamera, namespace: str = '', rate_hz: float = 10.0
) -> dict[str, str]:
    """Return file name -> text.

    Args:
        settings: Settings of the node.
        camera: Its camera.
        namespace: Its namespace; '' if it has none.
        rate_hz: Frames per second.

    Raises:
        SettingsError: If the rate is not positive.
    """
    if not (math.isfinite(rate_hz) and rate_hz > 0.0):
        raise SettingsError(f'--rate must be positive, got {rate_hz}')
    prefix = '/' + namespace.strip('/') + '/' if namespace.strip('/') else '/'
    topics = {
        'points_nav': f'{prefix}points_nav',
        'points_clear': f'{prefix}points_clear',
        'points': f'{prefix}points',
        'depth_image': f'{prefix}depth/image_rect',
        'depth_info': f'{prefix}depth/camera_info',
    }
    numbers = {**_numbers(settings, rate_hz), **_optics(settings, camera)}
    told = (
        f'{_ORIGIN} {camera.width}x{camera.height}, {camera.hfov_deg:.0f} degrees, {rate_hz:g} Hz.'
    )
    return {
        name: Template(text).substitute(topics | numbers, what=what, origin=told)
        for name, (text, what) in FILES.items()
    }


def with_depth_layer(nav2: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the parameters of a Nav2 with the depth layer in its local costmap.

    Args:
        nav2: All parameters of Nav2, as in its YAML file.
        text: One of the layer files of `texts_of`.

    Raises:
        SettingsError: If there is no local costmap to add it to.
    """
    import yaml

    merged = copy.deepcopy(dict(nav2))
    path = ('local_costmap', 'local_costmap', 'ros__parameters')
    costmap: Any = merged
    layer: Any = yaml.safe_load(text)
    for key in path:
        costmap = costmap.get(key) if isinstance(costmap, dict) else None
        layer = layer[key]
    if not isinstance(costmap, dict) or not isinstance(costmap.get('plugins'), list):
        raise SettingsError(f'the Nav2 parameters hold no plugins of {".".join(path)}')
    names = [name for name in costmap['plugins'] if name != _LAYER]
    inflating = [
        place
        for place, name in enumerate(names)
        if 'InflationLayer' in str((costmap.get(name) or {}).get('plugin', ''))
    ]
    names.insert(inflating[0] if inflating else len(names), _LAYER)
    costmap['plugins'] = names
    costmap[_LAYER] = layer[_LAYER]
    return merged


def _numbers(settings: Any, rate_hz: float) -> dict[str, str]:
    """Return the numbers that follow from the parameters."""
    low, high = settings.nav__min_height_m / 2.0, settings.nav__max_height_m + 0.2
    clear_m = settings.nav__clear_range_m
    camera_m = settings.ground__camera_height_m
    origin_z = -0.1
    z_resolution = math.ceil((max(high, camera_m + 0.2) - origin_z) / 16.0 * 100.0) / 100.0
    known = settings.floor_is_known
    return {
        'update_hz': _real(min(rate_hz, 10.0)),
        'window': str(2 * math.ceil(clear_m)),
        'period': _real(1.0 / rate_hz),
        'expected': _real(max(0.5, 5.0 / rate_hz)),
        'timeout': _real(max(0.5, 5.0 / rate_hz)),
        'mark_low': _real(low),
        'mark_high': _real(high),
        'min_range': _real(settings.nav__min_range_m),
        'max_range': _real(settings.nav__max_range_m),
        'mark_range': _real(settings.nav__max_range_m + _MARGIN_M),
        'clear_range': _real(clear_m),
        'raytrace': _real(clear_m + _MARGIN_M),
        'clear_low': _real(-_MARGIN_M),
        'clear_high': _real(settings.nav__max_height_m + _MARGIN_M),
        'origin_z': _real(origin_z),
        'z_resolution': _real(z_resolution),
        'voxel_top': _real(origin_z + 16.0 * z_resolution),
        'decay': '4.0',
        'acceleration': '20.0',
        'voxel': _real(settings.nav__voxel_m),
        'global_height': 'true' if known else 'false',
        'min_depth': _real(settings.min_depth_m),
    }


def _optics(settings: Any, camera: PinholeCamera) -> dict[str, str]:
    """Return the numbers that follow from the camera."""
    across = min(camera.cx + 0.5, camera.width - 0.5 - camera.cx) / camera.fx
    along = min(camera.cy + 0.5, camera.height - 0.5 - camera.cy) / camera.fy
    return {
        'hfov': _real(2.0 * math.atan(across), 4),
        'vfov': _real(2.0 * math.atan(along), 4),
        'min_z': _real(settings.min_depth_m),
        'max_z': _real(settings.nav__clear_range_m),
        'subsample': str(max(1, round(camera.width / 160))),
        'scan_rows': str(max(1, camera.height // 48)),
        'scan_min': _real(settings.min_depth_m),
        'scan_max': _real(settings.max_depth_m),
        'image_height': str(camera.height),
        'pitch': f'{settings.ground__pitch_deg:g}',
    }


def _real(value: float, digits: int = 3) -> str:
    """Return a number with a point, as ROS wants its doubles."""
    text = f'{value:.{digits}f}'.rstrip('0')
    return f'{text}0' if text.endswith('.') else text


def _flat(tree: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            values |= _flat(value, f'{prefix}{key}.')
        else:
            values[f'{prefix}{key}'] = value
    return values


def yaml_of(path: Path, kind: type[DepthPerceptionError]) -> dict[str, Any]:
    """Return the first document of a YAML file, a mapping.

    Args:
        path: The file.
        kind: What is raised if it cannot be read.
    """
    import yaml

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding='utf-8')))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise kind(f'{path} cannot be read as YAML: {error}') from error
    if not documents or not isinstance(documents[0], dict):
        raise kind(f'{path} holds no parameters')
    content: dict[str, Any] = documents[0]
    return content
