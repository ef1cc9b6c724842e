"""A network on the left image, scaled by the pair: what odd matches and references do to it.

The matcher is played: it says what the test wants it to. What the real one finds is tested in
test_scaling.
"""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.errors import FrameError, NotMetricError
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.sgbm import derived_search_range
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnxruntime')
FRAME_NS = 100_000_000
MATCHES, TOPICS = 'checked matches of the pair', 'the reference topics'
S, T = 2.0, -0.1
BASELINE_M, DOFFS_PX = 0.1, 3.0


class Played:
    """An estimator whose matcher finds `factor` times the true inverse depth, or what it is told.

    Args:
        coded_network: Writes the network.
        folder: Where to.
        settings: Of the estimator.
    """

    def __init__(self, coded_network, folder, kind='inv_depth_affine', card=None, **settings):
        self.coded = coded_network
        model = coded_network.write_network(folder, kind, **(card or {}))
        self.estimator = open_estimator(StereoEstimatorSettings(model=model, **settings))
        self.matching = self.estimator._matcher.infer
        self.estimator._matcher.infer = lambda _: self.asked() or self.answer
        self.calls, self.stamp = 0, 0

    def asked(self):
        self.calls += 1

    def frame(self, width=96, height=64, **known):
        """Return the next frame of a wall that comes nearer downwards and to the right."""
        camera = PinholeCamera(width, height, 1.2 * width, 1.2 * width, 47.5, 31.5)
        self.rig = rig_from_numbers(camera, BASELINE_M, DOFFS_PX)
        self.rho = np.add.outer(np.linspace(0.2, 0.8, height), np.linspace(0.0, 0.4, width))
        picture = Picture(self.coded.picture_of((self.rho - T) / S), 'rgb')
        self.stamp += 1
        around = Surroundings(**known)
        return StereoFrame(picture, picture, self.rig, self.stamp * FRAME_NS, '', around)

    def matches(self, factor=1.0, disparity=None, sigma=0.05):
        """Let the matcher find what is `factor` times as near as it is; 0 for nothing."""
        if disparity is None:
            disparity = factor * self.rho * self.rig.focal_baseline - DOFFS_PX
        if not factor:
            disparity = np.full(self.rho.shape, np.nan)
        sigma = np.broadcast_to(np.float32(sigma), self.rho.shape)
        self.answer = {'disparity': np.float32(disparity), 'sigma': sigma}

    def look(self, factor=1.0, given=None, **odd):
        """Return the estimate of one more frame, and the median of depth over truth."""
        frame = self.frame(references=given)
        self.matches(factor, **odd)
        estimate = self.estimator.estimate(frame)
        return estimate, float(
            np.nanmedian(estimate.depth[estimate.valid] * self.rho[estimate.valid])
        )

    def points(self, count=300, factor=1.0, seed=0):
        """Return references at random pixels of the scene."""
        rho = np.add.outer(np.linspace(0.2, 0.8, 64), np.linspace(0.0, 0.4, 96))
        v, u = np.random.default_rng(seed).integers(0, (64, 96), (count, 2)).T
        return References(u, v, factor * rho[v, u], 0.01 * rho[v, u])


@pytest.fixture
def play(coded_network, tmp_path):
    opened = []

    def start(*arguments, **settings):
        opened.append(Played(coded_network, tmp_path, *arguments, **settings))
        return opened[-1]

    yield start
    for played in opened:
        played.estimator.close()


def odd_points(play_one, name):
    """Return references that say nothing."""
    points = play_one.points()
    values = {key: getattr(points, key).copy() for key in ('u', 'v', 'rho', 'sigma_rho')}
    if name in ('nan', 'inf', 'negative', 'zero'):
        values['rho'][:] = {'nan': np.nan, 'inf': np.inf, 'negative': -0.5, 'zero': 0.0}[name]
    elif name == 'sigma nan':
        values['sigma_rho'][:] = np.nan
    elif name == 'sigma negative':
        values['sigma_rho'][:] = -0.01
    elif name == 'outside':
        values['u'][::2], values['v'][1::2] = 96.0, -1.0
    elif name == 'nowhere':
        values['u'][::2], values['v'][1::2] = np.nan, np.inf
    elif name.isdigit():
        values = {key: value[: int(name)] for key, value in values.items()}
    return References(**values)


ODD = (
    'nan', 'inf', 'negative', 'zero', 'sigma nan', 'sigma negative', 'outside', 'nowhere',
    '0', '1', '2',
)  # fmt: skip


@pytest.mark.parametrize('name', ODD)
def test_points_that_say_nothing_change_nothing(play, name):
    played = play()
    estimate, ratio = played.look(given=odd_points(played, name))
    assert ratio == pytest.approx(1.0, abs=1e-3)
    assert estimate.scale.rung is Rung.REFERENCES
    assert (estimate.scale.s, estimate.scale.t) == pytest.approx((S, T), abs=1e-3)
    assert estimate.valid.all()
    estimate, _ = played.look(0.0, given=odd_points(played, name))
    assert estimate.scale.rung is Rung.FILTERED


@pytest.mark.parametrize('name', ODD)
def test_nothing_is_metric_of_points_that_say_nothing(play, name):
    played = play()
    with pytest.raises(NotMetricError, match='references: '):
        played.look(0.0, given=odd_points(played, name))
    assert played.look()[1] == pytest.approx(1.0, abs=1e-3)  # and nothing is left of them


@pytest.mark.parametrize(
    'odd',
    [
        {'disparity': np.full((64, 96), np.inf)},
        {'disparity': np.full((64, 96), -DOFFS_PX - 2.0)},  # beyond infinity
        {'sigma': np.nan},
        {'sigma': np.inf},
        {'sigma': -0.1},
    ],
)
def test_matches_that_say_nothing_leave_it_to_the_points(play, odd):
    played = play()
    with pytest.raises(NotMetricError):
        played.look(**odd)
    estimate, ratio = played.look(given=played.points(), **odd)
    assert ratio == pytest.approx(1.0, abs=0.01)
    assert estimate.scale.rung is Rung.REFERENCES
    assert np.isfinite(estimate.sigma[estimate.valid]).all()


def test_matches_at_one_depth_keep_the_shift_that_was_known(play):
    played = play()
    flat = lambda: np.where(np.abs(played.rho - 0.7) < 0.02, played.rho * 1.05, np.nan)  # noqa: E731

    def one_depth():
        frame = played.frame()
        played.matches(disparity=flat() * played.rig.focal_baseline - DOFFS_PX)
        return played.estimator.estimate(frame)

    with pytest.raises(NotMetricError, match='the output spreads over'):
        one_depth()
    before, _ = played.look()
    after = one_depth()
    assert after.scale.rung is Rung.REFERENCES
    assert after.scale.t == pytest.approx(before.scale.t, abs=1e-6)
    assert after.scale.s == pytest.approx(S + 0.05 * 0.7 / ((0.7 - T) / S), rel=0.01)


def test_a_camera_that_changes_its_size(play):
    played = play()
    for width, height in ((96, 64), (128, 80), (64, 96), (96, 64)):
        frame = played.frame(width, height)
        played.matches()
        estimate = played.estimator.estimate(frame)
        assert estimate.depth.shape == (height, width)
        np.testing.assert_allclose(estimate.depth * played.rho, 1.0, rtol=2e-3)
        assert estimate.report.jump == ''
        expected = played.rho * played.rig.focal_baseline - DOFFS_PX
        np.testing.assert_allclose(estimate.disparity.values, expected, rtol=2e-3, atol=0.02)
        settings, wide = played.estimator.settings, played.rig.focal_baseline
        limits = [wide / far - DOFFS_PX for far in (settings.max_depth_m, settings.min_depth_m)]
        assert [estimate.disparity.min_px, estimate.disparity.max_px] == pytest.approx(limits)


def test_one_image_is_refused(play):
    played = play()
    frame = played.frame()
    with pytest.raises(FrameError, match='left and right'):
        played.estimator.estimate(MonoFrame(frame.left, frame.camera))


@pytest.mark.parametrize('factor', [0.7, 1.3])
def test_matches_that_jump_for_one_frame_and_for_good(play, factor):
    played = play()
    steps = [played.look(f) for f in (1.0, 1.0, factor, 1.0, 1.0, *[factor] * 5)]
    ratios = [ratio for _, ratio in steps]
    np.testing.assert_allclose(ratios[:7], 1.0, rtol=0.01)
    assert ratios[-1] == pytest.approx(1.0 / factor, rel=0.01)
    jumps = [estimate.report.jump for estimate, _ in steps]
    assert [bool(jump) for jump in jumps] == [
        False,
        False,
        True,
        False,
        False,
        *[True] * 3,
        False,
        False,
    ]
    assert 'held back' in jumps[2]
    assert 'for good' in jumps[7]
    assert steps[2][0].scale.rung is Rung.FILTERED


@pytest.mark.parametrize('factor', [0.7, 1.3])
def test_matches_that_contradict_the_stored_scale_once_and_for_good(play, factor):
    played = play(scale__prior_s=S, scale__prior_t=T)
    steps = [played.look(f) for f in (0.0, factor, 0.0, 0.0, *[factor] * 5)]
    ratios = [ratio for _, ratio in steps]
    np.testing.assert_allclose(ratios[:5], 1.0, rtol=0.01)
    np.testing.assert_allclose(ratios[5:], 1.0 / factor, rtol=0.01)  # the third that says so
    assert [estimate.scale.rung for estimate, _ in steps[:5]] == [Rung.PRIOR] * 5
    assert 'held back' in steps[1][0].report.jump
    assert any('for good' in estimate.report.jump for estimate, _ in steps[4:])


def test_points_that_contradict_the_matches_are_outvoted(play):
    played = play()
    played.look()
    for _ in range(4):
        estimate, ratio = played.look(given=played.points(factor=1.3))
        assert ratio == pytest.approx(1.0, abs=0.02)
        assert estimate.report.inliers < estimate.scale.references
        assert estimate.report.measured_by == f'{TOPICS} and {MATCHES}'


def test_points_alone_where_no_matches_are_wanted(play):
    played = play(scale__stereo_references=0)
    estimate, ratio = played.look(given=played.points())
    assert ratio == pytest.approx(1.0, abs=0.01)
    assert (estimate.report.measured_by, played.calls) == (TOPICS, 0)
    assert played.look(given=None)[0].report.measured_by == ''


@pytest.mark.parametrize('method', ['ground', 'prior'])
def test_nothing_is_matched_for_a_scale_that_is_not_fitted(play, method):
    played = play(scale__method=method, scale__prior_s=S, scale__prior_t=T)
    if method == 'ground':
        with pytest.raises(NotMetricError):
            played.look(given=played.points())
    else:
        estimate, _ = played.look(given=played.points())
        assert estimate.scale.rung is Rung.PRIOR
        assert estimate.report.measured_by == ''
    assert played.calls == 0


def test_what_is_missing_is_told(play):
    played = play()
    frame = played.frame(problem='reference/points is 0.800 s older than the image')
    played.matches(0.0)
    with pytest.raises(NotMetricError, match='older than the image'):
        played.estimator.estimate(frame)


def test_without_a_calibration_of_sigma_there_is_still_one(play):
    played = play(uncertainty__calibration_file='none')
    estimate, _ = played.look()
    assert estimate.valid.all()
    # 2 % of the card; the scale of 600 matches is known much better.
    assert np.median(estimate.sigma / estimate.depth) == pytest.approx(0.02, rel=0.05)


def test_a_metric_network_is_corrected_by_the_pair(play):
    output = {'kind': 'depth_metric', 'tensor': 'depth', 'gain': 1.0}
    played = play('depth_metric', {'output': output})
    frame = played.frame()
    depth = 0.9 / (played.rho * 6.0)
    frame = StereoFrame(Picture(played.coded.picture_of(depth), 'rgb'), frame.right, frame.rig, 1)
    played.matches()
    estimate = played.estimator.estimate(frame)
    assert estimate.scale.s == pytest.approx(0.9 / 6.0, rel=0.01)
    np.testing.assert_allclose(estimate.depth * played.rho, 1.0, rtol=0.01)


def test_the_matcher_follows_settings_and_rig_and_ends_with_the_estimator(play):
    played = play()
    for settings in (played.estimator.settings, StereoEstimatorSettings(min_depth_m=0.5)):
        played.estimator.settings = settings
        played.look()
        matcher = played.estimator._matcher
        assert matcher.settings is settings
        assert matcher.search_range == derived_search_range(played.rig, settings.min_depth_m)
    played.estimator.close()
    with pytest.raises(RuntimeError, match='shutdown'):
        matcher._worker.submit(print)


def test_a_reset_forgets_the_scale(play):
    played = play()
    played.look()
    assert played.look(0.0)[0].scale.rung is Rung.FILTERED
    played.estimator.reset()
    with pytest.raises(NotMetricError):
        played.look(0.0)
