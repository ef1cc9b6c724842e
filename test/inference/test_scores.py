"""Raw scores of networks, on networks whose answers and errors are known in closed form."""

import dataclasses
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import GroundPose, MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.scale_types import References
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import ModelError
from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.card_schema import read_section
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import decode
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.relative import decode_relative
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.score_runs import FLIP, varied
from depth_perception.inference.scores import ScoreSet
import numpy as np
import pytest

WIDTH, HEIGHT = 60, 44
CAMERA = PinholeCamera(WIDTH, HEIGHT, 90.0, 70.0, 25.0, 30.0)
RIG = StereoRig(CAMERA, dataclasses.replace(CAMERA, cx=28.0), 0.25)
COLUMN = np.arange(WIDTH, dtype=np.float32)
PAIR = 2.0 / math.sqrt(math.pi)  # E|a - b| over sigma


class Formula(Backend):
    """A network that is a function of its inputs, and remembers them."""

    def __init__(self, function, inputs=('x',), outputs=('o',), batch=1, side=None):
        self.name = self.description = 'formula'
        shape = (batch, 3, side or None, side or None)
        self.inputs = tuple(TensorSpec(name, 'float32', shape) for name in inputs)
        self.outputs = tuple(
            TensorSpec(name, 'float32', (batch, 1, None, None)) for name in outputs
        )
        self.function, self.feeds = function, []

    def _infer(self, feeds):
        self.feeds.append(feeds)
        made = self.function(**feeds)
        made = made if isinstance(made, tuple) else (made,)
        return {spec.name: value for spec, value in zip(self.outputs, made, strict=True)}

    def close(self):
        self.feeds = None


def card_of(kind='depth_metric', *, task='mono', inputs=None, sources=(), scores=None, **more):
    uncertainty = {'relative_floor': 0.0, 'sources': list(sources), 'scores': scores or {}}
    values = {
        'id': 'net',
        'task': task,
        'artifact': {'licence': 'MIT', 'commercial': True},
        'inputs': inputs or [{'tensor': 'x', 'from': 'left'}],
        'resize': more.pop('resize', {'policy': 'none'}),
        'output': {'tensor': 'o', 'kind': kind, **more.pop('output', {})},
        'uncertainty': uncertainty | more.pop('uncertainty', {}),
        **more,
    }
    return read_section(ModelCard, values, 'card')


def mono(red, **more):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = red
    return MonoFrame(Picture(pixels, 'rgb'), CAMERA, **more)


def scored(card, backend, frame, setting='', scores=None, scale=None):
    """Return the estimate with its score, as the estimators make it."""
    scores = scores or ScoreSet(card, backend, setting)
    plan = plan_resize(card.resize, WIDTH, HEIGHT)
    preparation = Preparation(frame, plan, card.resize)
    outputs = backend.infer(tensors_from(card.inputs, preparation))
    scale = scale or Scale(Rung.NETWORK)
    known = frame.surroundings.references
    if card.is_relative:
        decoded = decode_relative(outputs, card, preparation)
        metric = scale.s * decoded.output + np.float32(scale.t)
        rho = (metric if decoded.domain == 'inverse_depth' else 1.0 / metric).astype(np.float32)
        raw = RawEstimate(rho, np.zeros_like(rho), scale)
        return scores.add(raw, decoded, preparation, known)
    decoded = decode(outputs, card, preparation)
    disparity = None
    if decoded.disparity is not None:
        disparity = Disparity(decoded.disparity, frame.rig, 0.0, 64.0)
    raw = RawEstimate(decoded.rho * scale.s, decoded.sigma_rho * scale.s, scale,
                      disparity=disparity) if scale.s != 1.0 else RawEstimate(
                          decoded.rho, decoded.sigma_rho, scale, disparity=disparity)  # fmt: skip
    return scores.add(raw, decoded, preparation, known)


def tilted(x):
    """Return depth whose inverse is 0.2 + red, plus an error that grows across the image."""
    rho = 0.2 + x[:, :1] + 0.1 * (COLUMN / (WIDTH - 1) - 0.5)
    return (1.0 / rho).astype(np.float32)


def test_flip_reveals_an_error_that_sticks_to_the_image_and_averages_it_away():
    found = scored(card_of(), Formula(tilted), mono(51), 'flip')
    error = 0.1 * (COLUMN / (WIDTH - 1) - 0.5)
    u = np.broadcast_to(2.0 * np.abs(error) / PAIR / 0.4, (HEIGHT, WIDTH))
    np.testing.assert_allclose(found.rho, 0.4, rtol=1e-5)
    np.testing.assert_allclose(found.score.values, u, atol=1e-5)
    np.testing.assert_allclose(found.sigma_rho, 0.4 * u, atol=1e-5)
    assert (found.score.name, found.score.domain) == ('flip', 'log_depth')


def test_without_fusion_flip_only_scores():
    card = card_of(scores={'fuse': False})
    found = scored(card, Formula(tilted), mono(51), 'flip')
    plain = tilted(np.full((1, 1, HEIGHT, WIDTH), 0.2))[0, 0]
    np.testing.assert_allclose(1.0 / found.rho, plain, rtol=1e-5)


def test_network_that_ignores_its_input_has_no_flip_score_where_it_is_symmetric():
    def prejudice(x):
        o = 2.0 + np.abs(COLUMN - 29.5)
        o[5] += 1.0  # and not in column 54
        return np.broadcast_to(o, (1, 1, HEIGHT, WIDTH)).astype(np.float32)

    u = scored(card_of(), Formula(prejudice), mono(51), 'flip').score.values
    assert (u[:, [5, 54]] > 0.01).all()
    assert not np.delete(u, [5, 54], axis=1).any()


def test_flipped_scene_is_flipped_back():
    red = np.random.default_rng(0).integers(20, 250, (HEIGHT, WIDTH))
    found = scored(card_of(), Formula(lambda x: 1.0 / x[:, :1]), mono(red), 'flip')
    np.testing.assert_allclose(found.score.values, 0.0, atol=1e-5)
    np.testing.assert_allclose(found.rho, red / 255.0, rtol=1e-5)


def restless(x, error=0.0):
    """Return an affine output with another scale and shift in every run."""
    gain, shift = (3.0, 7.0) if x[0, 0, 0, 0] > x[0, 0, 0, -1] else (0.5, -2.0)
    bias = error * (COLUMN / (WIDTH - 1) - 0.5) ** 3
    return (gain * (x[:, :1] + bias) + shift).astype(np.float32)


@pytest.mark.parametrize('kind', ['inv_depth_affine', 'depth_affine'])
def test_another_scale_and_shift_is_no_error_of_an_affine_network(kind):
    red = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH))
    red[0, 0], red[0, -1] = 250, 10  # gain 3 and shift 7 in the plain run
    scale = Scale(Rung.REFERENCES, s=1.0 / 3.0, t=-7.0 / 3.0)
    found = scored(card_of(kind), Formula(restless), mono(red), 'flip', scale=scale)
    np.testing.assert_allclose(found.score.values, 0.0, atol=2e-5)
    wrong = scored(card_of(kind), Formula(lambda x: restless(x, 0.4)), mono(red), 'flip',
                   scale=scale)  # fmt: skip
    assert wrong.score.values[:, [0, -1]].mean() > 0.04
    assert wrong.score.values[:, 28:32].mean() < 0.01


def test_scale_of_a_network_without_shift_is_aligned_too():
    def loud(x):
        return x[:, :1] * (3.0 if x[0, 0, 0, 0] > x[0, 0, 0, -1] else 1.7)

    red = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH))
    red[0, 0], red[0, -1] = 250, 10
    scale = Scale(Rung.REFERENCES, s=3.0)
    found = scored(card_of('depth_scale'), Formula(loud), mono(red), 'flip', scale=scale)
    np.testing.assert_allclose(found.score.values, 0.0, atol=1e-5)


def test_runs_of_a_metric_network_are_corrected_like_the_first():
    found = scored(card_of(), Formula(tilted), mono(51), 'flip', scale=Scale(Rung.FILTERED, s=1.5))
    np.testing.assert_allclose(found.rho, 0.6, rtol=1e-5)
    error = np.abs(0.1 * (COLUMN / (WIDTH - 1) - 0.5))
    np.testing.assert_allclose(found.score.values[3], 2.0 * error / PAIR / 0.4, atol=1e-5)


def test_rays_and_intrinsics_are_those_of_the_mirrored_camera():
    inputs = [
        {'tensor': 'x', 'from': 'left'},
        {'tensor': 'k', 'from': 'intrinsics'},
        {'tensor': 'rays', 'from': 'rays'},
    ]
    card = card_of(inputs=inputs, resize={'policy': 'stretch', 'size': [22, 30]})
    backend = Formula(lambda x, **_: x[:, :1] + 1.0, ('x', 'k', 'rays'))
    backend.inputs = tuple(
        dataclasses.replace(spec, shape=(1, 3, 3)) if spec.name == 'k' else spec
        for spec in backend.inputs
    )
    scored(card, backend, mono(51), 'flip')
    usual, turned = backend.feeds
    # cx = 25 is 12.25 at half size, its mirror image 59 - 25 = 34 is 16.75 = 29 - 12.25.
    assert usual['k'][0, 0, 2] == pytest.approx(12.25)
    assert turned['k'][0, 0, 2] == pytest.approx(16.75)
    np.testing.assert_allclose(turned['rays'][0, 0], -usual['rays'][0, 0, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(turned['rays'][0, 1:], usual['rays'][0, 1:, :, ::-1], atol=1e-6)


def test_roll_of_the_floor_changes_its_sign_in_the_mirror():
    pose = GroundPose(1.0, 0.2, 0.1)
    plan = plan_resize(card_of().resize, WIDTH, HEIGHT)
    usual = Preparation(mono(51), plan, card_of().resize, pose)
    turned = varied(usual, FLIP)
    assert turned.ground == GroundPose(1.0, 0.2, -0.1)
    floors = [ground_inverse_depth(p.camera, 1.0, 0.2, p.ground.roll_rad) for p in (usual, turned)]
    np.testing.assert_allclose(floors[1], floors[0][:, ::-1], atol=1e-6)


STEREO = {
    'task': 'stereo',
    'inputs': [{'tensor': 'x', 'from': 'left'}, {'tensor': 'y', 'from': 'right'}],
    'output': {'params': {'max_disp': 64.0}},
}


def pair(left_px, right_px):
    """Return a pair whose red channel tells the disparity of every pixel, in steps of 1/8 px."""
    pictures = []
    for disparity in (left_px, right_px):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[..., 0] = np.rint(8.0 * np.asarray(disparity))
        pictures.append(Picture(pixels, 'rgb'))
    return StereoFrame(*pictures, RIG)


def told(x, y):
    return x[:, :1] * np.float32(255.0 / 8.0)


def stereo_scores(frame, setting, function=told, **scores):
    card = card_of('disparity_px', scores=scores, **STEREO)
    return scored(card, Formula(function, ('x', 'y')), frame, setting)


def test_stereo_flip_runs_the_swapped_mirrored_pair():
    right = 5.0 + (COLUMN >= 30) * 0.5
    found = stereo_scores(pair(np.full(WIDTH, 5.0), right), 'flip')
    # Left column u is right column u - 5, where the right answer is 5.5 from u = 35 on.
    u = found.score.values
    np.testing.assert_allclose(u[:, 6:35], 0.0, atol=1e-5)
    np.testing.assert_allclose(u[:, 35:], 0.5 / PAIR, rtol=1e-4)
    np.testing.assert_allclose(found.disparity.values[:, 35:], 5.25, rtol=1e-5)
    np.testing.assert_allclose(found.rho[:, 35:], (5.25 + 3.0) / 22.5, rtol=1e-5)
    np.testing.assert_allclose(found.sigma_rho[:, 35:], 0.5 / PAIR / 22.5, rtol=1e-4)
    assert found.score.domain == 'disparity_px'


def test_surfaces_that_disagree_are_scored_but_not_averaged():
    found = stereo_scores(pair(np.full(WIDTH, 5.0), np.full(WIDTH, 9.0)), 'flip')
    np.testing.assert_allclose(found.disparity.values[:, 6:], 5.0, rtol=1e-5)
    np.testing.assert_allclose(found.score.values[:, 6:], 4.0 / PAIR, rtol=1e-4)


@pytest.mark.parametrize(('limit', 'known'), [(1.0, False), (2.0, True)])
def test_left_right_check_makes_pixels_unknown(limit, known):
    right = 5.0 + (COLUMN >= 30) * 1.5
    found = stereo_scores(pair(np.full(WIDTH, 5.0), right), 'lr', lr_limit_px=limit)
    np.testing.assert_allclose(found.score.values[:, 6:35], 0.0, atol=1e-5)
    # In the last column the right answer points beyond the left image.
    assert np.isfinite(found.rho[:, 35:-1]).all() == known
    assert np.isfinite(found.disparity.values[:, 35:]).any() == known
    if known:
        np.testing.assert_allclose(found.score.values[:, 35:-1], 1.5, rtol=1e-4)


def test_flip_and_left_right_share_a_run():
    card = card_of('disparity_px', **STEREO)
    backend = Formula(told, ('x', 'y'))
    scores = ScoreSet(card, backend, 'lr,flip')
    assert scores.runs == 1
    scored(card, backend, pair(np.full(WIDTH, 5.0), np.full(WIDTH, 5.5)), scores=scores)
    assert len(backend.feeds) == 2


def test_real_matcher_finds_the_same_disparity_in_the_mirrored_swapped_pair():
    from depth_perception.inference.estimator import open_estimator
    from depth_perception.parameters import StereoEstimatorSettings

    pytest.importorskip('onnxruntime')
    random = np.random.default_rng(5)
    wide = random.integers(0, 256, (80, 240)).astype(np.uint8)
    left, right = (Picture(wide[:, i : i + 200].copy(), 'grey') for i in (9, 16))  # d = 7
    camera = PinholeCamera(200, 80, 120.0, 120.0, 99.5, 39.5)
    frame = StereoFrame(left, right, StereoRig(camera, camera, 0.1))
    settings = StereoEstimatorSettings(
        model='window-stereo', threads=1, uncertainty__sources='flip'
    )
    with open_estimator(settings) as estimator:
        found = estimator.estimate(frame)
    inside = np.s_[10:-10, 20:-20]
    assert np.isfinite(found.depth[inside]).mean() > 0.95
    assert np.nanmedian(found.disparity.values[inside]) == pytest.approx(7.0, abs=0.02)
    assert np.nanpercentile(found.score.values[inside], 90) < 0.05


def test_augmentations_give_the_median_and_its_spread():
    # Depth is 1 / red: gamma 1.25 and 0.8 change it, the mirror image does not; sizes neither.
    found = scored(card_of(), Formula(lambda x: 1.0 / x[:, :1]), mono(102), 'tta')
    rho, dark, bright = 102 / 255, np.rint(255 * 0.4**1.25) / 255, np.rint(255 * 0.4**0.8) / 255
    answers = np.array([rho, rho, rho, rho, dark, bright])  # plain, flip, two sizes, two gammas
    np.testing.assert_allclose(found.rho, np.median(answers), rtol=1e-5)
    spread = 1.4826 * np.median(np.abs(answers - rho)) / rho
    np.testing.assert_allclose(found.score.values, spread, atol=1e-6)
    chosen = card_of(scores={'augmentations': ['darker', 'brighter']})
    found = scored(chosen, Formula(lambda x: 1.0 / x[:, :1]), mono(102), 'tta')
    middle = min(rho - dark, bright - rho)
    np.testing.assert_allclose(found.score.values, 1.4826 * middle / rho, rtol=1e-5)


def test_sizes_are_whole_multiples_and_left_out_where_the_network_has_one_size():
    resize = {'policy': 'stretch', 'size': [32, 64], 'multiple': 8}
    card = card_of(resize=resize, scores={'augmentations': ['smaller', 'larger', 'darker']})
    backend = Formula(lambda x: x[:, :1] + 1.0)
    scored(card, backend, mono(102), 'tta')
    sizes = [feeds['x'].shape[2:] for feeds in backend.feeds]
    assert sizes == [(32, 64), (24, 48), (40, 80), (32, 64)]
    fixed = Formula(lambda x: x[:, :1] + 1.0, side=32)
    assert ScoreSet(card, fixed, 'tta').runs == 1
    only = card_of(resize=resize, scores={'augmentations': ['smaller']})
    with pytest.raises(ModelError, match='no augmentation is left'):
        ScoreSet(only, fixed, 'tta')


@pytest.mark.parametrize(('batch', 'calls'), [(None, [1, 3]), (1, [1, 1, 1, 1])])
def test_further_runs_go_in_one_batch_where_the_network_takes_one(batch, calls):
    card = card_of(scores={'augmentations': ['flip', 'darker', 'brighter']})
    backend = Formula(lambda x: x[:, :1] + 0.1, batch=batch)
    random = np.random.default_rng(0).integers(20, 250, (HEIGHT, WIDTH))
    found = scored(card, backend, mono(random), 'tta')
    assert [len(feeds['x']) for feeds in backend.feeds] == calls
    alone = scored(card, Formula(lambda x: x[:, :1] + 0.1), mono(random), 'tta')
    np.testing.assert_array_equal(found.score.values, alone.score.values)


def test_batch_that_is_answered_once_is_refused():
    card = card_of(scores={'augmentations': ['flip', 'darker']})
    backend = Formula(lambda x: x[:1, :1] + 0.1, batch=None)
    with pytest.raises(ModelError, match='no row for each of 2 images'):
        scored(card, backend, mono(51), 'tta')


def noisy_card(runs=5):
    inputs = [
        {'tensor': 'x', 'from': 'left'},
        {'tensor': 'n', 'from': 'noise', 'value': [1, 1, HEIGHT, WIDTH]},
    ]
    return card_of('log_depth', inputs=inputs, scores={'monte_carlo_runs': runs})


def noisy(backend_function=lambda x, n: x[:, :1] + 0.3 + 0.01 * n):
    backend = Formula(backend_function, ('x', 'n'))
    shape = (1, 1, None, None)
    backend.inputs = (backend.inputs[0], TensorSpec('n', 'float32', shape))
    return backend


def test_monte_carlo_is_the_spread_of_the_draws():
    backend = noisy()
    found = scored(noisy_card(), backend, mono(51, stamp_ns=7), 'monte_carlo')
    draws = np.exp(-0.5 - 0.01 * np.stack([feeds['n'][0, 0] for feeds in backend.feeds]))
    assert len(draws) == 5
    np.testing.assert_allclose(found.rho, draws.mean(axis=0), rtol=1e-5)
    u = draws.std(axis=0) / draws.mean(axis=0)
    np.testing.assert_allclose(found.score.values, u, rtol=1e-3)
    again = scored(noisy_card(), noisy(), mono(51, stamp_ns=7), 'monte_carlo')
    np.testing.assert_array_equal(again.rho, found.rho)
    other = scored(noisy_card(), noisy(), mono(51, stamp_ns=8), 'monte_carlo')
    assert not np.array_equal(other.rho, found.rho)


def test_monte_carlo_of_a_network_without_chance_is_refused():
    with pytest.raises(ModelError, match='all runs of the network give the same answer'):
        scored(noisy_card(), noisy(lambda x, n: x[:, :1] + 0.3 + 0.0 * n), mono(51), 'monte_carlo')


def test_own_variances_are_averaged_over_the_draws():
    confidence = {'tensor': 'c', 'meaning': 'sigma', 'domain': 'log_depth'}
    card = dataclasses.replace(noisy_card(3), confidence=card_of(confidence=confidence).confidence)
    backend = noisy(lambda x, n: (x[:, :1] + 0.3 + 0.1 * n, np.abs(n)))
    backend.outputs = tuple(dataclasses.replace(backend.outputs[0], name=name) for name in 'oc')
    found = scored(card, backend, mono(51), 'confidence,monte_carlo')
    draws = np.stack([feeds['n'][0, 0] for feeds in backend.feeds])
    means = np.exp(-0.5 - 0.1 * draws)
    variance = np.square(means.std(axis=0) / means.mean(axis=0)) + np.square(draws).mean(axis=0)
    np.testing.assert_allclose(found.score.values, np.sqrt(variance), rtol=1e-3)


def test_sources_add_like_errors_that_do_not_know_of_each_other():
    red = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH))
    backend = Formula(lambda x: 1.0 / x[:, :1])
    alone = [
        scored(card_of(), backend, mono(red), name).score.values for name in ('edge', 'range')
    ]
    both = scored(card_of(), backend, mono(red), 'range, edge')
    np.testing.assert_allclose(both.score.values, np.hypot(*alone), rtol=1e-5)
    assert both.score.name == 'range+edge'
    np.testing.assert_allclose(alone[1], 0.02 * 255.0 / red, rtol=1e-4)


def test_edge_and_range_of_disparity_are_in_pixels():
    left = 20.0 + np.rint(COLUMN / 2.0) / 8.0
    found = stereo_scores(pair(left, left), 'edge', edge_px=2.0)
    slope = np.abs(np.gradient(np.rint(8.0 * left) / 8.0))
    np.testing.assert_allclose(found.score.values[:, 30:-1], np.broadcast_to(
        2.0 * slope, (HEIGHT, WIDTH))[:, 30:-1], atol=1e-4)  # fmt: skip
    found = stereo_scores(pair(left, left), 'range', range_per_m=0.01)
    # c Z of D = f b / Z pixels is c f b everywhere.
    np.testing.assert_allclose(found.score.values[:, 30:], 0.01 * 22.5, rtol=1e-4)


def test_residual_needs_references_and_shows_the_bias_of_the_scene():
    backend = Formula(lambda x: 1.0 / x[:, :1])
    alone = scored(card_of(uncertainty={'relative_floor': 0.15}), backend, mono(102), 'residual')
    np.testing.assert_allclose(alone.score.values, 0.15)  # the floor in its place
    np.testing.assert_allclose(alone.sigma_rho, 0.15 * 0.4, rtol=1e-4)  # which was there before
    random = np.random.default_rng(0)
    u, v = random.uniform(0, WIDTH - 1, 200), random.uniform(0, HEIGHT - 1, 200)
    known = Surroundings(references=References(u, v, np.full(200, 0.44), np.zeros(200)))
    found = scored(card_of(), backend, mono(102, surroundings=known), 'residual')
    np.testing.assert_allclose(found.score.values, 0.1 * 1.2533, rtol=1e-3)


def test_temporal_needs_a_past_and_a_pose_and_forgets_at_reset():
    card, backend = card_of(), Formula(lambda x: 1.0 / x[:, :1])
    scores = ScoreSet(card, backend, 'temporal')
    posed = Surroundings(fixed_from_camera=np.eye(4))
    first, second = mono(102, surroundings=posed), mono(128, surroundings=posed)
    assert not scored(card, backend, first, scores=scores).score.values.any()
    found = scored(card, backend, second, scores=scores)
    np.testing.assert_allclose(found.score.values, abs(255 / 128 - 2.5) * 128 / 255, rtol=1e-4)
    scores.reset()
    assert not scored(card, backend, first, scores=scores).score.values.any()


def test_what_another_run_does_not_see_gets_the_score_of_the_worst_pixels():
    card = card_of(output={'range_m': [0.1, 4.0]})

    def short(x):
        o = np.full_like(x[:, :1], 2.0)
        mirrored = x[0, 0, 0, 0] < x[0, 0, 0, -1]
        o[..., :10] = 9.0 if mirrored else 2.0
        o[..., 30:] = 2.5 if mirrored else 2.0
        return o

    found = scored(card, Formula(short), mono(np.linspace(255, 0, WIDTH)), 'flip')
    u = found.score.values
    assert np.isfinite(u).all()
    np.testing.assert_allclose(u[:, 50:], u[:, :30].max(), rtol=1e-5)
    np.testing.assert_allclose(found.rho[:, 50:], 0.5, rtol=1e-6)


def test_far_and_negative_inverse_depth_stays_what_it_is():
    card = card_of('inv_depth_affine')
    red = np.full((HEIGHT, WIDTH), 100)
    red[:, :20] = 0
    frame, scale = mono(red), Scale(Rung.REFERENCES, s=1.0, t=-100 / 255)
    for setting in ('edge', 'range', 'flip', 'edge,range'):
        found = scored(card, Formula(lambda x: x[:, :1]), frame, setting, scale=scale)
        assert np.isfinite(found.rho).all()
        assert np.isfinite(found.sigma_rho).all()
        assert np.isfinite(found.score.values).all()


def test_what_the_network_says_is_joined_without_the_floor_of_the_card():
    confidence = {'tensor': 'c', 'meaning': 'sigma', 'domain': 'depth'}
    card = card_of(confidence=confidence, uncertainty={'relative_floor': 0.3})
    backend = Formula(lambda x: (x[:, :1] + 2.0, 0.5 + x[:, :1]), outputs=('o', 'c'))
    for setting in ('confidence', 'none'):
        assert scored(card, backend, mono(51), setting).score is None  # left to the estimator
    found = scored(card, backend, mono(51), 'confidence,range')
    np.testing.assert_allclose(found.score.values, np.hypot(0.7 / 2.2, 0.044), rtol=1e-4)
    # Sigma was that of the network and the floor, which is more.
    np.testing.assert_allclose(found.sigma_rho * 2.2, np.hypot(0.7 / 2.2, 0.3), rtol=1e-4)
    alone = scored(card, backend, mono(51), 'range')
    np.testing.assert_allclose(alone.score.values, 0.044, rtol=1e-4)


@pytest.mark.parametrize(
    ('setting', 'words'),
    [
        ('flip,colour', "no source 'colour'; there are ensemble"),
        ('lr', 'lr needs a stereo pair'),
        ('photometric, edge', 'photometric needs a stereo pair'),
        ('ensemble', 'scores.ensemble lists no model'),
    ],
)
def test_sources_that_cannot_be_are_refused(setting, words):
    with pytest.raises(ModelError, match=words):
        ScoreSet(card_of(), Formula(tilted), setting)


def test_setting_wins_over_the_card():
    card = card_of(sources=['edge', 'range'])
    assert ScoreSet(card, Formula(tilted), '').names == ('edge', 'range')
    assert ScoreSet(card, Formula(tilted), 'none').names == ()
    assert ScoreSet(card, Formula(tilted), 'flip, flip').names == ('flip',)


def test_guesses_step_aside_where_the_error_is_measured():
    rng = np.random.default_rng(4)
    red = rng.integers(60, 200, (HEIGHT, WIDTH))
    u, v = rng.uniform(0.0, WIDTH - 1.0, 60), rng.uniform(0.0, HEIGHT - 1.0, 60)
    around = Surroundings(references=References(u, v, np.full(60, 0.5), np.full(60, 0.001)))
    backend = Formula(lambda x: 1.0 / x[:, :1])
    guessed, measured, alone = (
        scored(card_of(), backend, mono(red, surroundings=known), sources)
        for known, sources in (
            (Surroundings(), 'edge,range,residual'),
            (around, 'edge,range,residual'),
            (around, 'residual'),
        )
    )
    assert measured.score.name == guessed.score.name == 'edge+range+residual'
    np.testing.assert_array_equal(measured.score.values, alone.score.values)
    assert not np.array_equal(guessed.score.values, measured.score.values)
