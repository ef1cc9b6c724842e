"""The command line as a whole: verbs, exit codes, one line of error, no ROS."""

import subprocess
import sys

import depth_perception
from depth_perception.cli.main import main
from depth_perception.errors import SettingsError
from depth_perception.parameters import MonoSettings
from depth_perception.settings import declarations_of
import pytest


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(['--version'])
    assert end.value.code == 0
    assert capsys.readouterr().out == f'depth_perception {depth_perception.__version__}\n'


def test_no_verb_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert 'usage' in capsys.readouterr().err


def test_settings_lists_every_parameter(capsys):
    assert main(['settings', 'mono']) == 0
    text = capsys.readouterr().out
    missing = [name for name in declarations_of(MonoSettings) if name not in text]
    assert missing == []
    assert 'stereo_depth_node' not in text
    assert main(['settings', 'stereo', '--markdown']) == 0
    assert '| `sgbm.block_size` | int |' in capsys.readouterr().out


WRONG = ['infer', 'mono', '--image', 'none.png', '--fx', '500', '--out', 'out']


def test_an_error_is_one_line_and_exit_code_2(capsys):
    assert main(WRONG) == 2
    output = capsys.readouterr()
    assert output.out == ''
    assert output.err.startswith('depth_perception infer: cannot read none.png')
    assert output.err.count('\n') == 1


def test_debug_shows_the_error(monkeypatch):
    from depth_perception.cli import settings

    def fail(_):
        raise SettingsError('no')

    monkeypatch.setattr(settings, 'run', fail)
    assert main(['settings']) == 2
    with pytest.raises(SettingsError):
        main(['--debug', 'settings'])


def test_ctrl_c_is_130_without_traceback(monkeypatch, capsys):
    from depth_perception.cli import settings

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(settings, 'run', interrupt)
    assert main(['settings']) == 130
    assert 'Traceback' not in capsys.readouterr().err


def test_the_command_line_never_imports_ros():
    code = (
        'import sys; from depth_perception.cli.main import main; main(["settings", "mono"]); '
        'sys.exit(any(name in sys.modules for name in ("rclpy", "cv2", "onnxruntime")))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
