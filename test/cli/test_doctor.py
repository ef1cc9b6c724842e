"""depth_perception doctor without a graph: judging what was kept, output and exit codes."""

import json

from depth_perception.cli.doctor import lines_of
from depth_perception.cli.main import main
from depth_perception.doctor.facts_file import text_of_facts
from depth_perception.doctor.findings import CATALOGUE
from depth_perception.doctor.judge import judge
import healthy_facts as h
import pytest

SWAPPED = h.with_stream('right image info', info=h.info(-0.12))


@pytest.fixture
def kept(tmp_path):
    def keep(facts):
        path = tmp_path / 'facts.json'
        path.write_text(text_of_facts(facts))
        return ['doctor', '--from', str(path)]

    return keep


def test_a_fault_is_told_for_people(kept, capsys):
    assert main(kept(SWAPPED)) == 1
    text = capsys.readouterr().out
    assert 'ERROR pair.swapped_info  /stereo_depth_node /cam/right/camera_info' in text
    assert 'seen:' in text
    assert 'a baseline of -0.1200 m' in text
    assert 'wanted: a negative P[3]' in text
    assert '-r left/camera_info:=' in text
    assert text.endswith(f'1 error, 0 warnings, 0 notes; {len(CATALOGUE)} kinds of faults, 6 s\n')
    assert '/cam/left/image_rect (10.0 Hz)' in text
    assert '\033' not in text  # not a terminal


def test_health_is_told_too(kept, capsys):
    assert main(kept(h.facts())) == 0
    assert 'healthy: 0 errors, 0 warnings, 0 notes' in capsys.readouterr().out


def test_colour_is_only_used_if_asked_for():
    found = judge(SWAPPED)
    plain = '\n'.join(lines_of(SWAPPED, found, colour=False))
    painted = '\n'.join(lines_of(SWAPPED, found, colour=True))
    assert '\033[1;31mERROR\033[0m' in painted
    assert painted.replace('\033[0m', '').replace('\033[1;31m', '') == plain
    assert max(len(line) for line in plain.splitlines()) <= 100


def test_json_holds_the_same(kept, capsys):
    assert main([*kept(SWAPPED), '--json']) == 1
    told = json.loads(capsys.readouterr().out)
    assert told['schema'] == 'depth_perception.doctor/1'
    assert [one['id'] for one in told['findings']] == ['pair.swapped_info']
    assert told['exit_code'] == 1


@pytest.mark.parametrize(
    ('facts', 'code'),
    [
        (h.with_frames(lacking='tf2_msgs is not installed'), 0),
        (h.with_frames(placed={'camera_optical': h.Placed()}), 4),
        (h.facts(nodes=(), topics=0, subjects=()), 3),
    ],
)
def test_exit_codes(kept, facts, code):
    assert main(kept(facts)) == code


def test_expectations_are_the_users(kept):
    assert main([*kept(h.facts()), '--rate', '9.5', '--link', '1000']) == 0
    assert main([*kept(h.facts()), '--rate', '10.5']) == 4
    assert main([*kept(h.facts()), '--link', '30']) == 4  # 0.3 MB at 10 Hz: 25 Mbit/s


@pytest.mark.parametrize('wrong', [['--seconds', '0'], ['--rate', 'nan'], ['--from', 'none.json']])
def test_what_cannot_be_used_is_refused(wrong, capsys):
    assert main(['doctor', *wrong]) == 2
    assert capsys.readouterr().err.startswith('depth_perception doctor: ')


@pytest.mark.parametrize(
    'impossible',
    [
        h.with_stream('left image info', info=h.info(p=(1.0, 2.0))),
        h.with_stream('left image', arrivals_s=(1.0,)),
        h.with_stream('left image', stamps_ns=(10**30,) * 30),
        h.with_parameters(max_depth_m='far'),
        h.with_parameters(max_depth_m=0.0),
    ],
)
def test_facts_that_cannot_be_are_refused(kept, impossible, capsys):
    assert main(kept(impossible)) == 2
    assert 'cannot have been seen' in capsys.readouterr().err


def test_without_ros_there_is_no_graph(monkeypatch, capsys):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert main(['doctor']) == 3
    assert 'source /opt/ros' in capsys.readouterr().err
