"""depth_perception nav2-config."""

from depth_perception.cli.main import main
import yaml


def test_files_are_written(tmp_path, capsys):
    folder = tmp_path / 'new' / 'nav2'
    assert main(['nav2-config', 'mono', '--out', str(folder), '--namespace', 'cam']) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(list(folder.iterdir())) == 6
    assert 'example camera' in err
    assert 'topic: /cam/points_nav' in (folder / 'obstacle_layer.yaml').read_text()


def test_one_file_is_printed(tmp_path, capsys):
    info = tmp_path / 'info.yaml'
    info.write_text('width: 64\nheight: 48\np: [50, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0]\n')
    words = ['nav2-config', 'stereo', '--only', 'collision_monitor.yaml']
    words += ['--camera-info', str(info), '--set', 'nav.min_height_m=0.3']
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert not err
    depth = yaml.safe_load(out)['collision_monitor']['ros__parameters']['depth']
    assert depth['min_height'] == 0.15


def test_what_cannot_be_used_is_told(tmp_path, capsys):
    assert main(['nav2-config', 'stereo']) == 2
    assert '--out' in capsys.readouterr().err
    words = ['nav2-config', 'stereo', '--only', 'stvl.yaml']
    assert main([*words, '--set', 'nav.max_range_m=0.6', '--set', 'nav.min_range_m=2.0']) == 2
    assert 'nav.min_range_m' in capsys.readouterr().err
    assert main([*words, '--camera-info', str(tmp_path / 'none.yaml')]) == 2
    assert 'none.yaml' in capsys.readouterr().err
    taken = tmp_path / 'taken'
    taken.write_text('')
    assert main(['nav2-config', 'stereo', '--out', str(taken)]) == 2
    assert 'taken' in capsys.readouterr().err
