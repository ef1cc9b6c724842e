"""The rules of the house: who may import what, and how long a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'depth_perception'
MODULES = sorted(PACKAGE.rglob('*.py'))
SHARED = {
    'colour_parameters', 'errors', 'fastdds', 'ground_parameters', 'nav_parameters',
    'output_parameters', 'parameters',
    'reference_parameters', 'resources', 'settings', 'tensorrt_parameters',
}  # fmt: skip
ABOVE = {  # room -> the rooms it may import, besides itself and the shared modules
    'shared': set(),
    'core': set(),
    'messages': {'core'},
    'inference': {'core'},
    'doctor': {'core', 'messages'},
    'view': {'core', 'messages'},
    'ros': {'core', 'messages', 'inference', 'doctor', 'view'},
    'evaluation': {'core', 'messages', 'inference'},
    'cli': {'core', 'messages', 'inference', 'evaluation', 'doctor', 'view'},
}
LIGHT = {'numpy', 'yaml'}  # may be imported when a module is loaded
HEAVY = {
    'cuda', 'cv2', 'dask', 'distributed', 'lz4', 'onnx', 'onnxruntime', 'pycuda', 'rosbags',
    'scipy', 'tensorrt', 'zstandard',
}  # fmt: skip
FOR_EVALUATION = {'dask', 'distributed', 'lz4', 'rosbags', 'scipy', 'zstandard'}
ROS = {
    'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs', 'geometry_msgs',
    'launch', 'launch_ros', 'lifecycle_msgs', 'message_filters', 'rcl_interfaces', 'rclpy',
    'rosgraph_msgs', 'sensor_msgs', 'sensor_msgs_py', 'std_msgs', 'stereo_msgs', 'tf2_ros',
}  # fmt: skip
THIRD_PARTY = {  # room -> what it may import from outside, anywhere in a module
    'shared': LIGHT,
    'core': {'numpy'},
    'messages': {'numpy', 'cv2'},
    'doctor': {'numpy', 'cv2'},
    'view': {'numpy', 'cv2'},
    'inference': LIGHT | HEAVY - FOR_EVALUATION,
    'ros': LIGHT | HEAVY - FOR_EVALUATION | ROS | {'rosbags'},
    'evaluation': LIGHT | HEAVY,
    'cli': LIGHT | HEAVY,
}
MAX_LINES = 400


def room_of(path: Path) -> str:
    """Return the room a module is in; 'shared' for the modules beside the rooms."""
    inside = path.relative_to(PACKAGE).parts
    return inside[0] if len(inside) > 1 else 'shared'


def names_imported(node: ast.AST) -> list[str]:
    """Return the dotted names that one statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f'{node.module}.{alias.name}' for alias in node.names]
    return []


def statements(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    """Walk a tree, leaving out what only a type checker reads, and functions if told so."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, functions) and not inside_functions:
            continue
        if isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.dump(child.test):
            continue
        yield child
        yield from statements(child, inside_functions=inside_functions)


def imports_of(path: Path, *, inside_functions: bool = True) -> set[str]:
    """Return every dotted name that a module imports."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {
        name
        for node in statements(tree, inside_functions=inside_functions)
        for name in names_imported(node)
    }


def outside(names: set[str]) -> set[str]:
    """Return the top-level third-party packages among dotted names."""
    return {name.split('.')[0] for name in names} - sys.stdlib_module_names - {'depth_perception'}


def module_name(path: Path) -> str:
    """Return the dotted name of a module, for test ids and imports."""
    parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
    return '.'.join(part for part in parts if part != '__init__')


each_module = pytest.mark.parametrize('path', MODULES, ids=module_name)


@each_module
def test_imports_point_down(path):
    room = room_of(path)
    allowed = SHARED | ABOVE[room] | {room}
    inside = {
        name.split('.')[1]
        for name in imports_of(path)
        if name.startswith('depth_perception.') and name != 'depth_perception.__version__'
    }
    assert inside <= allowed


@each_module
def test_third_party_packages_stay_in_their_room(path):
    assert outside(imports_of(path)) <= THIRD_PARTY[room_of(path)]


@each_module
def test_heavy_packages_are_imported_when_first_used(path):
    assert not outside(imports_of(path, inside_functions=False)) & HEAVY


@each_module
def test_modules_are_short_and_say_what_they_are(path):
    text = path.read_text(encoding='utf-8')
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text))


def test_the_walk_sees_imports_everywhere(tmp_path):
    path = tmp_path / 'sample.py'
    path.write_text(
        'import numpy as np\n'
        'from typing import TYPE_CHECKING\n'
        'if TYPE_CHECKING:\n    import rclpy\n'
        'class A:\n    import yaml\n'
        'def f():\n    from cv2 import resize\n'
        'try:\n    import onnx.helper\nexcept ImportError:\n    pass\n'
    )
    assert outside(imports_of(path)) == {'numpy', 'yaml', 'cv2', 'onnx'}
    assert outside(imports_of(path, inside_functions=False)) == {'numpy', 'yaml', 'onnx'}


IMPORT_WITHOUT = """
import importlib, sys
blocked, modules = set(sys.argv[1].split(',')), sys.argv[2].split(',')
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in blocked:
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Blocker())
for module in modules:
    importlib.import_module(module)
"""


def import_without(blocked: set[str], modules: list[str]) -> str:
    """Import modules in a new interpreter where `blocked` are missing; return what it says."""
    command = [sys.executable, '-c', IMPORT_WITHOUT, ','.join(blocked), ','.join(modules)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=PACKAGE.parent, timeout=120
    )
    return done.stderr if done.returncode else ''


@pytest.mark.parametrize(
    'room', ['shared', 'core', 'messages', 'inference', 'doctor', 'view', 'evaluation', 'cli']
)
def test_rooms_import_with_numpy_and_yaml_alone(room):
    modules = [module_name(path) for path in MODULES if room_of(path) == room]
    assert import_without(HEAVY | ROS, modules) == ''


@pytest.mark.ros
def test_nodes_import_without_heavy_packages_and_without_a_full_ros_installation():
    pytest.importorskip('rclpy')
    needs_launch = {'launching', 'multi_launching'}
    modules = [
        module_name(path)
        for path in MODULES
        if room_of(path) == 'ros' and path.stem not in needs_launch
    ]
    full = {'launch', 'launch_ros', 'cv_bridge', 'message_filters', 'sensor_msgs_py', 'tf2_ros'}
    assert import_without(HEAVY | full, modules) == ''


def test_the_blocker_blocks():
    assert 'numpy is blocked' in import_without({'numpy'}, ['depth_perception.core.camera'])
