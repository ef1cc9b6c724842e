"""Network and matcher as one estimator, the model that `auto` opens."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import disparity_from_depth, StereoRig
from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.evaluation.rendered import rendered_scene
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import AUTO_STEREO, open_backend, open_estimator
from depth_perception.inference.scores import source_names
from depth_perception.inference.stereo_estimators import FusedEstimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnxruntime')
NETWORK = 'depth-perception-stereo-small'


@pytest.fixture(scope='module')
def scene():
    """Return a rendered pair with noise, and its true disparity [px]."""
    found = rendered_scene()
    rng = np.random.default_rng(5)
    noisy = [
        np.clip(np.rint(x + rng.normal(0.0, 1.5, x.shape)), 0, 255).astype(np.uint8)
        for x in (found.left, found.right)
    ]
    truth = disparity_from_depth(found.truth, found.rig)
    return StereoFrame(*(Picture(x, 'rgb') for x in noisy), found.rig), truth


def looked_at(frame, model, **settings):
    with open_estimator(StereoEstimatorSettings(model=model, **settings)) as estimator:
        return estimator.estimate(frame)


def refusing(card, settings):
    if card.builtin is None:
        raise BackendUnavailableError('no runtime today')
    return open_backend(card, settings)


def test_auto_is_network_and_matcher_together(scene):
    frame, _ = scene
    with open_estimator(StereoEstimatorSettings()) as estimator:
        assert isinstance(estimator, FusedEstimator)
        assert estimator.card.id == AUTO_STEREO
        assert not estimator.fallback
        assert {'infer', 'match'} <= estimator.estimate(frame).timings_ms.keys()


def test_auto_falls_back_to_the_matcher_where_nothing_runs_a_network(scene):
    frame, _ = scene
    with open_estimator(StereoEstimatorSettings(), refusing) as estimator:
        assert estimator.card.id == 'sgbm'
        assert 'no runtime today' in estimator.fallback
        alone = estimator.estimate(frame)
    np.testing.assert_array_equal(alone.depth, looked_at(frame, 'sgbm').depth)


@pytest.mark.parametrize('asked', [{'model': AUTO_STEREO}, {'backend': 'onnxruntime'}])
def test_what_was_asked_for_does_not_fall_back(asked):
    with pytest.raises(BackendUnavailableError, match='no runtime today'):
        open_estimator(StereoEstimatorSettings(**asked), refusing)


def test_it_knows_more_than_the_matcher_and_errs_less(scene):
    frame, truth = scene
    covered, gross = {}, {}
    for model in ('sgbm', NETWORK, AUTO_STEREO):
        found = looked_at(frame, model).disparity.values
        known = np.isfinite(found) & np.isfinite(truth)
        covered[model] = known.sum() / np.isfinite(truth).sum()
        gross[model] = float((np.abs(found - truth)[known] > 2.0).mean())
    assert covered[AUTO_STEREO] > covered['sgbm'] + 0.02
    assert gross[AUTO_STEREO] <= gross['sgbm']
    assert gross[AUTO_STEREO] <= gross[NETWORK]


def test_matches_give_the_parts_of_a_pixel(scene):
    frame, truth = scene
    found = {m: looked_at(frame, m).disparity.values for m in ('sgbm', NETWORK, AUTO_STEREO)}
    known = np.isfinite(truth) & np.all([np.isfinite(x) for x in found.values()], axis=0)
    middle = {m: float(np.median(np.abs(x - truth)[known])) for m, x in found.items()}
    assert middle[AUTO_STEREO] <= middle['sgbm']


def test_range_is_that_of_both(scene):
    frame, _ = scene
    of = {
        m: looked_at(frame, m, min_depth_m=0.5).disparity for m in ('sgbm', NETWORK, AUTO_STEREO)
    }
    assert of[AUTO_STEREO].min_px == min(of['sgbm'].min_px, of[NETWORK].min_px)
    assert of[AUTO_STEREO].max_px == max(of['sgbm'].max_px, of[NETWORK].max_px)


def near_thing(near_px):
    """Return a frame of a wall at 30 px and a thing before it, and where that is seen."""
    rng = np.random.default_rng(4)
    wall, thing = (
        cv2.resize(rng.integers(0, 256, (120, 210, 3)).astype(np.uint8), (840, 480)) for _ in '12'
    )
    left, right = wall[:, 100:740].copy(), wall[:, 130:770].copy()
    left[80:400, 300:560] = thing[80:400, 300:560]
    right[80:400, 300 - near_px : 560 - near_px] = thing[80:400, 300:560]
    camera = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)
    rig = rig_from_numbers(camera, 0.12, 0.0)
    return StereoFrame(Picture(left, 'rgb'), Picture(right, 'rgb'), rig), np.s_[100:380, 320:540]


@pytest.mark.parametrize('near_px', [150, 188, 215, 240])
def test_what_is_nearer_than_the_network_can_tell_is_matched(near_px):
    frame, there = near_thing(near_px)
    found = looked_at(frame, AUTO_STEREO).disparity.values[there]
    assert (np.abs(found - near_px) < 1.0).mean() > 0.95


def test_what_is_farther_than_the_network_can_tell_is_matched_or_unknown():
    rng = np.random.default_rng(6)
    wall = cv2.resize(rng.integers(0, 256, (120, 210, 3)).astype(np.uint8), (840, 480))
    left = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)
    right = PinholeCamera(640, 480, 525.0, 525.0, 331.5, 239.5)  # infinity is at -12 px
    pictures = [Picture(wall[:, x : x + 640].copy(), 'rgb') for x in (100, 94)]
    frame = StereoFrame(*pictures, StereoRig(left, right, 0.12))
    found = looked_at(frame, AUTO_STEREO).disparity.values
    wrong = np.isfinite(found) & (np.abs(found + 6.0) > 1.0)
    assert np.isfinite(found[20:-20, 20:-20]).mean() > 0.9
    assert wrong.mean() < 0.01


def test_only_what_could_count_is_searched(scene):
    with open_estimator(StereoEstimatorSettings()) as estimator:
        searched = []
        for frame in (scene[0], near_thing(215)[0], scene[0]):
            estimator.estimate(frame)
            searched.append(estimator._matcher.search_range)
            whole = estimator._matcher.whole_range
            assert whole.last > 192
        assert searched[0] == searched[2]
        assert searched[0].last < 120
        assert searched[1].last == whole.last


def test_every_pixel_is_answered_where_no_limit_is_set(scene):
    frame, _ = scene
    whole = looked_at(
        frame,
        AUTO_STEREO,
        filters__max_sigma_px=1e3,
        max_relative_sigma=1.0,
        filters__flying_pixels=False,
    )
    assert whole.valid.mean() > 0.999


@pytest.mark.parametrize(('width', 'height'), [(16, 16), (33, 20), (321, 243)])
@pytest.mark.parametrize('kind', ['noise', 'black', 'white', 'grey'])
def test_pictures_without_an_answer_do_no_harm(width, height, kind):
    rng = np.random.default_rng(1)
    shape = (height, width) if kind == 'grey' else (height, width, 3)
    left = PinholeCamera(width, height, 300.0, 300.0, width / 2, height / 2)
    right = PinholeCamera(width, height, 300.0, 300.0, width / 2 + 7.5, height / 2)
    level = {'black': 0, 'white': 255}.get(kind)
    pictures = [
        rng.integers(0, 256, shape).astype(np.uint8)
        if level is None
        else np.full(shape, level, np.uint8)
        for _ in range(2)
    ]
    order = 'grey' if kind == 'grey' else 'rgb'
    rig = StereoRig(left, right, 0.1)
    found = looked_at(StereoFrame(*(Picture(p, order) for p in pictures), rig), AUTO_STEREO)
    assert np.isfinite(found.depth[found.valid]).all()
    assert (found.sigma[found.valid] > 0.0).all()
    if level is not None and width < 64:
        assert not found.valid.any()


def test_scores_of_a_network_alone_are_refused():
    card = load_card(AUTO_STEREO)
    with pytest.raises(ModelError, match='checked by the matcher sgbm'):
        source_names(card, 'confidence,flip')
    assert source_names(card, 'confidence,residual') == ('confidence', 'residual')


def test_a_card_of_one_image_cannot_name_a_matcher(tmp_path):
    path = tmp_path / 'odd.yaml'
    path.write_text('base: room-depth\nid: odd\nmatcher: sgbm\n')
    with pytest.raises(ModelError, match='only a stereo network'):
        load_card(str(path))
