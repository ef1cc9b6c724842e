"""What the README promises exists: links, commands, parameters, models; and it stays short."""

from pathlib import Path
import re
import shlex

from depth_perception.cli.main import parser
from depth_perception.inference.cards import load_card
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import declarations_of
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
COMMANDS = [
    line.partition('#')[0].strip()
    for block in re.findall(r'```\n(.*?)```', README, re.S)
    for line in block.splitlines()
]


def test_first_result_comes_early_and_the_whole_stays_short():
    lines = README.splitlines()
    assert lines.index('```') < 30
    assert len(lines) <= 150


@pytest.mark.parametrize('link', sorted(set(re.findall(r'\]\(([^)#:]+)\)', README))))
def test_link_leads_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize('command', [c for c in COMMANDS if c.startswith('./run ')])
def test_run_knows_the_command(command):
    words = shlex.split(command)
    assert f'\n  {words[1]}' in (ROOT / 'run').read_text(encoding='utf-8')
    if words[1] == 'exec' and words[2] == 'depth_perception':
        parser().parse_args(words[3:])
    if words[1] == 'demo':
        parser().parse_args(words[1:])


@pytest.mark.parametrize('script', sorted(set(re.findall(r'python (\S+\.py)', README))))
def test_named_script_exists(script):
    assert (ROOT / script).is_file()


def test_named_parameters_exist_with_the_defaults_told():
    known = {**declarations_of(StereoSettings), **declarations_of(MonoSettings)}
    section = README[README.index('Parameters that matter first') : README.index('## Models')]
    rows = [row.split('|') for row in section.splitlines() if row.startswith('| `')]
    assert len(rows) >= 4
    for row in rows:
        names = [name for name in re.findall(r'`([^`]+)`', row[1]) if '*' not in name]
        defaults = [float(value) for value in re.findall(r'[\d.]+', row[2])]
        for name in names:
            assert name in known
            assert known[name].setting.live
        if defaults:
            assert [known[name].default for name in names] == defaults


def test_named_models_have_cards():
    section = README[README.index('| model | task |') : README.index('**Mono.**')]
    for name in re.findall(r'^\| `([^`]+)`', section, re.M):
        load_card(name)
