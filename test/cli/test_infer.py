"""depth_perception infer: the files it writes hold the right numbers."""

import json

from depth_perception.cli.main import main
from depth_perception.errors import SettingsError
from depth_perception.evaluation.metrics import depth_figures
from depth_perception.evaluation.pictures import write_image
from depth_perception.evaluation.rendered import rendered_scene
from depth_perception.parameters import StereoEstimatorSettings
from depth_perception.settings import settings_with
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')


@pytest.fixture(scope='module')
def scene():
    return rendered_scene()


@pytest.fixture(scope='module')
def pictures(scene, tmp_path_factory):
    """Return the paths of the left and right picture."""
    folder = tmp_path_factory.mktemp('pair')
    write_image(folder / 'left.png', scene.left)
    write_image(folder / 'right.png', scene.right)
    return folder / 'left.png', folder / 'right.png'


def stereo(pictures, out, *words):
    left, right = map(str, pictures)
    return main(['infer', 'stereo', '--left', left, '--right', right, '--out', str(out), *words])


CAMERA = ('--fx', '520', '--cy', '219.5')


def test_stereo_depth_is_right(scene, pictures, tmp_path, capsys):
    assert stereo(pictures, tmp_path, *CAMERA, '--baseline-m', '0.12') == 0
    depth, sigma = np.load(tmp_path / 'depth.npy'), np.load(tmp_path / 'sigma.npy')
    disparity = np.load(tmp_path / 'disparity.npy')
    assert {depth.dtype, sigma.dtype, disparity.dtype} == {np.dtype(np.float32)}
    figures = depth_figures(depth, scene.truth)
    assert figures.coverage > 0.8
    assert figures.median_rel < 0.015
    known = np.isfinite(depth)
    np.testing.assert_allclose(disparity[known], 520 * 0.12 / depth[known], rtol=1e-3)
    assert (sigma[known] > 0).all()
    assert '% of the pixels have a depth' in capsys.readouterr().out
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['model'] == 'depth-perception-stereo'
    assert result['scale']['rung'] == 'stereo'
    assert result['camera']['cx'] == 319.5
    assert result['statistics']['valid_percent'] == pytest.approx(100 * known.mean())
    assert result['points'] == known.sum()


def test_the_other_files_agree_with_the_arrays(pictures, tmp_path):
    assert stereo(pictures, tmp_path, *CAMERA, '--baseline-m', '0.12') == 0
    depth = np.load(tmp_path / 'depth.npy')
    known = np.isfinite(depth)
    mm = cv2.imread(str(tmp_path / 'depth_mm.png'), cv2.IMREAD_UNCHANGED)
    assert mm.dtype == np.uint16
    assert np.abs(mm[known] - depth[known] * 1000).max() <= 0.51
    assert not mm[~known].any()
    header = (tmp_path / 'cloud.ply').read_bytes()[:300]
    assert b'element vertex %d\n' % known.sum() in header
    for name in ('input.png', 'depth.png', 'sigma.png', 'cloud.png'):
        assert cv2.imread(str(tmp_path / name)) is not None


def test_doffs_and_set_are_used(pictures, tmp_path):
    words = ('--doffs', '5', '--set', 'max_depth_m=3', '--set', 'sgbm.mode=sgbm')
    assert stereo(pictures, tmp_path, *CAMERA, '--baseline-m', '0.12', *words) == 0
    depth, disparity = np.load(tmp_path / 'depth.npy'), np.load(tmp_path / 'disparity.npy')
    known = np.isfinite(depth)
    assert depth[known].max() <= 3.0
    assert np.isposinf(depth).any()
    np.testing.assert_allclose(depth[known], 62.4 / (disparity[known] + 5.0), rtol=1e-3)
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['settings']['sgbm.mode'] == 'sgbm'


def test_mono_takes_its_scale_from_the_floor(scene, pictures, tmp_path):
    pytest.importorskip('onnxruntime')
    image = ['infer', 'mono', '--image', str(pictures[0]), *CAMERA, '--out', str(tmp_path)]
    assert main(image) == 2
    assert not (tmp_path / 'depth.npy').exists()
    assert main([*image, '--camera-height-m', '1.0', '--pitch-deg', '0']) == 0
    depth = np.load(tmp_path / 'depth.npy')
    floor = np.s_[440:, 250:400]
    known = np.isfinite(depth[floor])
    assert known.mean() > 0.5
    ratio = depth[floor][known] / scene.truth[floor][known]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert json.loads((tmp_path / 'result.json').read_text())['scale']['rung'] == 'ground_plane'
    assert not (tmp_path / 'disparity.npy').exists()


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        ((), 'give --calib FILE or --fx PX'),
        (('--fx', '520'), 'give --calib FILE or --baseline-m M'),
        (('--fx', '0', '--baseline-m', '0.1'), 'focal lengths are fx=0.0'),
        (('--fx', '520', '--baseline-m', '-0.1'), 'left and right are swapped'),
        (('--fx', '5', '--baseline-m', '1', '--model', 'floor-stixels'), 'set ground.camera'),
        (('--fx', '5', '--baseline-m', '1', '--set', 'x=1'), 'unknown setting x'),
        (('--fx', '5', '--baseline-m', '1', '--set', 'max_depth_m'), 'wants NAME=VALUE'),
        (('--fx', '5', '--baseline-m', '1', '--calib', 'none.txt'), 'cannot read the calibration'),
    ],
)
def test_what_is_missing_is_named(pictures, tmp_path, capsys, words, said):
    assert stereo(pictures, tmp_path / 'out', *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_settings_are_parsed_by_their_kind():
    settings = settings_with(
        StereoEstimatorSettings(),
        ['max_depth_m=7', 'filters.flying_pixels=false', 'sgbm.mode=hh', 'threads=2'],
    )
    assert settings.max_depth_m == 7.0
    assert settings.filters__flying_pixels is False
    assert (settings.sgbm__mode, settings.threads) == ('hh', 2)
    huge = 'max_depth_m=1' + '0' * 400
    bad_date = 'max_depth_m=2026-99-99'
    for wrong in (
        'max_depth_m=far',
        'threads=1.5',
        'sgbm.mode=best',
        'min_depth_m=30',
        huge,
        bad_date,
    ):
        with pytest.raises(SettingsError):
            settings_with(StereoEstimatorSettings(), [wrong])


def test_real_pair_with_its_calibration_file(shared_dir, tmp_path):
    folder = shared_dir / 'data' / 'middlebury_2014_q' / 'Pipes'
    calibration = ('--calib', str(folder / 'calib.txt'))
    assert stereo((folder / 'im0.png', folder / 'im1.png'), tmp_path, *calibration) == 0
    depth = np.load(tmp_path / 'depth.npy')
    assert 2.0 < np.nanmedian(depth[np.isfinite(depth)]) < 6.0
