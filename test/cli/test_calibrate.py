"""depth_perception calibrate, from bags with known errors to the file and the pictures."""

import importlib
import importlib.util
import os
from pathlib import Path
import re
import shlex
import signal

from depth_perception.cli.main import main, parser
from depth_perception.core.calibration_curve import PowerCurve
from depth_perception.evaluation.units import choose_models
from depth_perception.inference.calibration_file import read_calibration
from depth_perception.parameters import StereoSettings
from depth_perception.settings import declarations_of
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def scored():
    """Return the module scored_bags."""
    path = ROOT / 'test' / 'evaluation' / 'scored_bags.py'
    spec = importlib.util.spec_from_file_location('scored_bags', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def places(scored, evaluation_bags, tmp_path_factory):
    """Return three bags of two frames each."""
    folder = tmp_path_factory.mktemp('places')
    return [
        scored.write_scored(evaluation_bags, folder / f'place{i}', [10 * i + 1, 10 * i + 2])
        for i in range(3)
    ]


def calibrated(scored, bags, out, *more):
    command = [
        'calibrate',
        *map(str, bags),
        '--model',
        'sgbm',
        '--set',
        scored.SETTINGS,
        '--out',
        str(out),
        *more,
    ]
    return main(command)


@pytest.fixture(scope='module')
def made(scored, places, tmp_path_factory):
    """Return the calibration file of the three bags."""
    out = tmp_path_factory.mktemp('made') / 'mine.sigma.yaml'
    assert calibrated(scored, places, out) == 0
    return out


def test_the_law_of_the_errors_is_found(made, scored, evaluation_bags):
    found = read_calibration(made)
    assert isinstance(found.curve, PowerCurve)
    ((*_, estimate),) = scored.estimates(evaluation_bags, [90])
    score = np.nanquantile(estimate.score.values, np.linspace(0.02, 0.98, 20)).astype(float)
    np.testing.assert_allclose(found.curve.exact(score), scored.law(score), rtol=0.06)
    assert found.figures.within_1_sigma == pytest.approx(0.683, abs=0.02)
    assert found.figures.within_2_sigma == pytest.approx(0.954, abs=0.02)
    assert found.figures.ence < 0.1
    assert (found.model, found.model_sha256, found.domain) == ('sgbm', '', 'disparity_px')


def test_the_provenance_tells_what_it_was_made_from(made, places):
    found = read_calibration(made).provenance
    assert [bag.name for bag in found.bags] == [path.name for path in places]
    assert len({bag.sha256 for bag in found.bags}) == 3
    assert all(bag.frames == 2 and bag.pixels > 1000 for bag in found.bags)
    assert found.command[0] == 'calibrate'
    assert read_calibration(made).settings['sgbm.block_size'] == 3


def test_it_holds_on_a_bag_it_has_not_seen(made, scored, evaluation_bags):
    within = [[], []]
    seen = scored.estimates(
        evaluation_bags, range(70, 76), uncertainty__calibration_file=str(made),
        max_relative_sigma=1.0,
    )  # fmt: skip
    for number, (_, _, estimate) in enumerate(seen):
        rng = np.random.default_rng(number)
        true = scored.law(estimate.score.values) * rng.standard_normal(estimate.depth.shape)
        rig = estimate.disparity.rig
        claimed = estimate.sigma * rig.focal_baseline / np.square(estimate.depth)
        for k in (1, 2):
            within[k - 1].append(np.abs(true[estimate.valid]) <= k * claimed[estimate.valid])
    assert np.concatenate(within[0]).mean() == pytest.approx(0.683, abs=0.02)
    assert np.concatenate(within[1]).mean() == pytest.approx(0.954, abs=0.02)


def test_the_table_and_the_page(scored, places, tmp_path, capsys):
    out = tmp_path / 'a.sigma.yaml'
    assert calibrated(scored, places, out) == 0
    said = capsys.readouterr()
    rows = {line.split('  ')[0]: line for line in said.out.splitlines()}
    assert 'after, held out' in said.out
    assert re.search(r'68\.3 %.*6[78]\.\d %|68\.3 %.*69\.\d %', rows['within 1 sigma'])
    assert {path.name for path in places} <= rows.keys()
    assert 'only 3 bags' in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.sigma.html', 'a.sigma.yaml']
    page = (tmp_path / 'a.sigma.html').read_text()
    assert page.count('<svg class="graph"') == 2
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    for path in places:
        assert path.name in page


def test_the_file_is_called_like_the_model(scored, places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(['calibrate', *map(str, places), '--model', 'sgbm', '--set', scored.SETTINGS]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'sgbm.sigma.html',
        'sgbm.sigma.yaml',
    ]


def test_one_bag_is_split_in_time_and_that_is_said_loudly(
    scored, evaluation_bags, tmp_path, capsys
):
    bag = scored.write_scored(evaluation_bags, tmp_path / 'only', [1, 2, 3, 4])
    out = tmp_path / 'a.sigma.yaml'
    assert calibrated(scored, [bag], out) == 0
    said = capsys.readouterr()
    assert 'ONLY ONE BAG' in said.err
    assert 'only, part 4 of 4' in said.out
    assert read_calibration(out).figures.within_1_sigma == pytest.approx(0.683, abs=0.03)


def test_a_copy_of_a_bag_is_not_another_bag(scored, evaluation_bags, tmp_path, capsys):
    import shutil

    bag = scored.write_scored(evaluation_bags, tmp_path / 'one', [1, 2])
    shutil.copytree(bag, tmp_path / 'copy')
    assert calibrated(scored, [bag, tmp_path / 'copy'], tmp_path / 'a.sigma.yaml') == 0
    assert 'ONLY ONE BAG' in capsys.readouterr().err


def test_a_bad_bag_is_left_out(scored, evaluation_bags, places, tmp_path, capsys):
    without = scored.write_scored(evaluation_bags, tmp_path / 'blind', [5], truth=False)
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'broken.mcap').write_bytes(b'no bag at all')
    out = tmp_path / 'a.sigma.yaml'
    assert calibrated(scored, [*places, without, broken], out) == 3
    said = capsys.readouterr().err
    assert said.count('left out: blind') == 1
    assert said.count('left out: broken') == 1
    assert len(read_calibration(out).provenance.bags) == 3


@pytest.mark.parametrize(
    ('kind', 'told'),
    [
        ({'truth': False}, 'no ground truth'),
        ({'flat': True}, 'all of the truth lies between'),
    ],
)
def test_truth_that_says_nothing_is_refused(scored, evaluation_bags, tmp_path, capsys, kind, told):
    bags = [
        scored.write_scored(evaluation_bags, tmp_path / name, [seed], **kind)
        for seed, name in enumerate(('one', 'two'))
    ]
    out = tmp_path / 'a.sigma.yaml'
    assert calibrated(scored, bags, out) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_one_frame_is_refused(scored, evaluation_bags, tmp_path, capsys):
    bag = scored.write_scored(evaluation_bags, tmp_path / 'one', [1])
    assert calibrated(scored, [bag], tmp_path / 'a.sigma.yaml') == 2
    assert 'one frame' in capsys.readouterr().err


def test_too_few_pixels_are_refused(scored, places, tmp_path, capsys):
    out = tmp_path / 'a.sigma.yaml'
    assert calibrated(scored, places, out, '--min-depth', '2.23', '--max-depth', '2.24') == 2
    said = capsys.readouterr().err
    assert 'pixels have depth, score and truth' in said or 'nothing to calibrate' in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        (['--out', 'card.yaml'], r'\*.sigma.yaml'),
        (['--out', 'nowhere/a.sigma.yaml'], 'no folder nowhere'),
        (['--model', 'nothing'], 'no model'),
        (['--pixels', '5'], 'pixels'),
        (['--truth-sigma-m', '-1'], '0 or more'),
        (['--truth-sigma-px', 'nan'], '0 or more'),
        (['--workers', '-1'], 'workers'),
        (['--every', '0'], 'every'),
        (['--truth', '/nothing'], '/nothing'),
    ],
)
def test_wrong_options_are_refused(places, tmp_path, monkeypatch, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    assert main(['calibrate', str(places[0]), *options]) == 2
    assert re.search(told, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_the_page_tells_every_option_and_its_commands_can_be_read():
    page = (ROOT / 'docs' / 'calibrate.md').read_text(encoding='utf-8')
    with pytest.raises(SystemExit):
        main(['calibrate', '--help'])
    verbs = parser()._subparsers._group_actions[0].choices
    options = {name for name in verbs['calibrate']._option_string_actions if name[:2] == '--'}
    assert {name for name in options if not re.search(f'{name}\\b', page)} == {'--help'}
    commands = [
        line for line in page.split('```')[1].splitlines() if line.startswith('depth_perception')
    ]
    assert len(commands) == 3
    for command in commands:
        parser().parse_args(shlex.split(command)[1:])
    for name in re.findall(r'`((?:camera|uncertainty)\.\w+)', page):
        assert name in {'uncertainty.calibration'} | declarations_of(StereoSettings).keys()


def test_processes_side_by_side_give_the_same(made, scored, places, tmp_path):
    out = tmp_path / 'mine.sigma.yaml'
    assert calibrated(scored, places, out, '--workers', '2') == 0
    one, two = read_calibration(made), read_calibration(out)
    assert (one.curve, one.figures) == (two.curve, two.figures)


def test_an_earlier_calibration_does_not_matter(made, scored, places, tmp_path):
    out = tmp_path / 'mine.sigma.yaml'
    assert calibrated(scored, places, out, '--set', f'uncertainty.calibration_file={made}') == 0
    assert read_calibration(out).curve == read_calibration(made).curve


@pytest.mark.parametrize('where', ['calibrate_unit.frame_errors', 'calibrate.calibrated'])
def test_ctrl_c_leaves_nothing_behind(scored, places, tmp_path, monkeypatch, capsys, where):
    """Pressed while frames are served, and while the curve is fitted."""
    module, _, name = where.partition('.')
    target = importlib.import_module(f'depth_perception.evaluation.{module}')
    work = getattr(target, name)

    def pressed(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return work(*arguments)

    monkeypatch.setattr(target, name, pressed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # rclpy takes it where it ran before
    out = tmp_path / 'a.sigma.yaml'
    out.write_text('as it was')
    assert calibrated(scored, places, out) == 130
    assert 'interrupted' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['a.sigma.yaml']
    assert out.read_text() == 'as it was'


def test_figures_of_another_calibration_are_not_reused(made, tmp_path):
    path = tmp_path / 'a.sigma.yaml'
    hashes = set()
    for text in (made.read_text(), made.read_text().replace('a: ', 'a: 1')):
        path.write_text(text)
        (choice,) = choose_models(['sgbm'], [f'uncertainty.calibration_file={path}'])
        hashes.add(choice.sha256)
    (plain,) = choose_models(['sgbm'], ['uncertainty.calibration_file=none'])
    assert len(hashes | {plain.sha256}) == 3
