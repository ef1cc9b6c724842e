"""The package as colcon, rosdep and pip see it."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import depth_perception
from depth_perception.resources import resource_path
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_ROS = {  # imported name -> rosdep key, for what is not a ROS package
    'numpy': 'python3-numpy',
    'cv2': 'python3-opencv',
    'yaml': 'python3-yaml',
    'onnxruntime': 'python3-onnxruntime-pip',
    'rosbags': 'python3-rosbags-pip',
}
OPTIONAL = {
    'lz4',
    'onnx',
    'tensorrt',
    'pycuda',
    'cuda',
    'tf2_ros',
    'zstandard',
}  # used only where they are found


def package_xml() -> ET.Element:
    return ET.parse(ROOT / 'package.xml').getroot()


def setup_keyword(name: str) -> str | dict[str, list[str]]:
    """Return the literal value of one keyword of the call of setup()."""
    for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))):
        if isinstance(node, ast.keyword) and node.arg == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f'setup.py does not set {name}')


def imported_packages() -> set[str]:
    """Return every third-party package that the modules and launch files import."""
    names = set()
    for path in [*(ROOT / 'depth_perception').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module).split('.')[0])
    return names - sys.stdlib_module_names - {'depth_perception'}


def test_versions_agree():
    in_xml = package_xml().findtext('version')
    assert in_xml == setup_keyword('version') == depth_perception.__version__


def test_package_xml_is_one_that_colcon_accepts():
    xml = package_xml()
    assert xml.get('format') == '3'
    assert xml.findtext('export/build_type') == 'ament_python'
    assert xml.findtext('license') == 'Apache-2.0'
    email = xml.find('maintainer').get('email')
    assert re.fullmatch(r'[\w.-]+@[\w-]+(\.[\w-]+)*\.[a-zA-Z]{2,}', email)


def test_every_import_is_a_declared_dependency():
    declared = {element.text for element in package_xml().iter('exec_depend')}
    wanted = {NOT_ROS.get(name, name) for name in imported_packages() - OPTIONAL}
    assert wanted <= declared


def test_entry_points_exist():
    scripts = setup_keyword('entry_points')['console_scripts']
    for script in scripts:
        module, function = script.split(' = ')[1].split(':')
        path = ROOT.joinpath(*module.split('.')).with_suffix('.py')
        tree = ast.parse(path.read_text(encoding='utf-8'))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_executables_go_where_ros2_run_looks():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    assert config['develop']['script_dir'] == '$base/lib/depth_perception'
    assert config['install']['install_scripts'] == '$base/lib/depth_perception'


def test_resources_are_found_in_a_checkout():
    assert resource_path('config', 'stereo.yaml') == ROOT / 'config' / 'stereo.yaml'


def test_data_files_are_installed(tmp_path):
    pytest.importorskip('setuptools')
    command = [sys.executable, 'setup.py', '-q', 'install_data', '--install-dir', str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    share = tmp_path / 'share'
    assert (share / 'ament_index/resource_index/packages/depth_perception').is_file()
    assert (share / 'depth_perception/package.xml').is_file()
    for folder in ('launch', 'config', 'models', 'web'):
        sources = {p for p in (ROOT / folder).rglob('*') if '__pycache__' not in p.parts}
        wanted = {path.relative_to(ROOT) for path in sources if path.is_file()}
        there = {path for path in wanted if (share / 'depth_perception' / path).is_file()}
        assert wanted == there
        assert wanted


@pytest.mark.parametrize('broken', ['ruff check', 'ruff format', 'mypy', ''])
def test_lint_of_run_fails_where_one_of_its_tools_does(broken):
    source = (ROOT / 'run').read_text(encoding='utf-8')
    lint = re.search(r'^lint\(\) \{.*?^\}$', source, re.MULTILINE | re.DOTALL).group()
    tools = f"""
        set -euo pipefail
        say() {{ :; }}
        ruff() {{ [[ "ruff $1" != "{broken}" ]]; }}
        mypy() {{ [[ "{broken}" != mypy ]]; }}
    """
    done = subprocess.run(['bash', '-c', f'{tools}\n{lint}\nlint || exit 7'], check=False)
    assert done.returncode == (7 if broken else 0)


@pytest.mark.apt
@pytest.mark.slow
def test_colcon_builds_it_as_ament_python(tmp_path):
    colcon = shutil.which('colcon')
    if colcon is None:
        pytest.skip('colcon is not installed')
    (tmp_path / 'src').mkdir()
    (tmp_path / 'src' / 'depth_perception').symlink_to(ROOT)

    def run(*words: str) -> str:
        return subprocess.run(
            words, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=300
        ).stdout

    assert '(ros.ament_python)' in run(colcon, 'list', '--base-paths', 'src')
    run(colcon, 'build', '--base-paths', 'src')
    program = tmp_path / 'install/depth_perception/lib/depth_perception/depth_perception'
    bash = f'. install/local_setup.bash && {program} models list'
    assert 'sgbm' in run('bash', '-c', bash)
