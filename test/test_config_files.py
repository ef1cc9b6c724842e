"""The files in config/ and docs/ agree with the code."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any
import xml.etree.ElementTree as ET

from depth_perception.cli import settings
from depth_perception.core.cloud import POINT_STEP
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import settings_from_mapping
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'config'
SETTINGS = {'mono': MonoSettings, 'stereo': StereoSettings}
XML = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'


def flat(tree: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Return dotted name -> value of a nested parameter file."""
    values = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            values |= flat(value, f'{prefix}{key}.')
        else:
            values[prefix + key] = value
    return values


def parameters_of(task: str) -> dict[str, Any]:
    document = yaml.safe_load((CONFIG / f'{task}.yaml').read_text(encoding='utf-8'))
    return flat(document['/**']['ros__parameters'])


@pytest.mark.parametrize('task', SETTINGS)
def test_parameter_files_hold_the_defaults_of_known_parameters(task):
    values = parameters_of(task)
    assert settings_from_mapping(SETTINGS[task], values) == SETTINGS[task]()
    assert len(values) > 5


def test_parameter_reference_is_current(capsys):
    settings.run(argparse.Namespace(task='all', markdown=True))
    page = (ROOT / 'docs' / 'parameters.md').read_text(encoding='utf-8')
    assert capsys.readouterr().out == page, 'run the command in the first line of the page'


def test_shared_memory_segment_holds_a_cloud_of_a_720p_camera():
    profile = ET.parse(CONFIG / 'fastdds_shm.xml').getroot()
    (shared,) = [
        transport
        for transport in profile.iter(f'{XML}transport_descriptor')
        if transport.findtext(f'{XML}type') == 'SHM'
    ]
    cloud_bytes = 1280 * 720 * POINT_STEP
    assert int(shared.findtext(f'{XML}segment_size')) > 2 * cloud_bytes
    assert int(shared.findtext(f'{XML}maxMessageSize')) > cloud_bytes


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that a node can reach, with the text of what is called."""
    offline = {'evaluation', 'cli'}
    for path in (ROOT / 'depth_perception').rglob('*.py'):
        if offline & set(path.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


def literals(node: ast.Call) -> set[str]:
    return {arg.value for arg in node.args if isinstance(arg, ast.Constant)}


def test_interface_explains_every_cause_of_a_drop():
    page = (ROOT / 'docs' / 'interface.md').read_text(encoding='utf-8')
    table = page[page.index('| cause |') : page.index('## Diagnostics')]
    names = ' '.join(row.split('|')[1] for row in table.splitlines() if row)
    documented = set(re.findall(r'`(\w+)`', names))
    ledgers = ('self._ledger', 'self._drops')
    counting = {'FrameError', *(f'{one}.{do}' for one in ledgers for do in ('drop', 'count'))}
    causes = {
        call.args[0].value
        for name, call in calls()
        if name in counting and isinstance(call.args[0], ast.Constant)
    }
    assert causes <= documented


def test_interface_lists_every_output():
    page = (ROOT / 'docs' / 'interface.md').read_text(encoding='utf-8')
    table = page[page.index('## Outputs') : page.index('### Values')]
    outputs = set().union(*(literals(node) for name, node in calls() if name.endswith('Output')))
    assert {'points', 'disparity', 'depth/image_rect'} <= outputs
    assert outputs <= set(re.findall(r'`([\w/]+)`', table))
