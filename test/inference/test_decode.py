"""Each output kind gives the right metres, with asymmetric numbers and closed-form answers."""

import dataclasses
from pathlib import Path

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import ModelError, NotMetricError
from depth_perception.inference.card_schema import read_section, ResizeSpec
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import decode
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.resize import plan_resize
import numpy as np
import pytest

CAMERA = PinholeCamera(60, 44, 90.0, 70.0, 25.0, 30.0)
RIGHT = dataclasses.replace(CAMERA, cx=28.0)
PICTURE = Picture(np.zeros((44, 60, 3), np.uint8), 'rgb')
MONO = MonoFrame(PICTURE, CAMERA)
PAIR = StereoFrame(PICTURE, PICTURE, StereoRig(CAMERA, RIGHT, 0.25))
HALF = ResizeSpec('stretch', (22, 30))


def card_of(output, resize=HALF, task='mono', **more):
    values = {
        'id': 'net',
        'task': task,
        'artifact': {'licence': 'MIT', 'commercial': True},
        'inputs': [{'tensor': 'x', 'from': 'left'}],
        'resize': {'policy': 'none'},
        'output': {'tensor': 'o', **output},
        **more,
    }
    card = read_section(ModelCard, values, 'card')
    return dataclasses.replace(card, resize=resize, path=Path('net.yaml'))


def decoded(raw, card, frame=MONO, **more):
    plan = plan_resize(card.resize, 60, 44)
    outputs = {'o': raw, **more}
    return decode(outputs, card, Preparation(frame, plan, card.resize))


def plane(value, shape=(1, 1, 22, 30)):
    return np.full(shape, value, np.float32)


@pytest.mark.parametrize(
    ('output', 'raw', 'depth_m'),
    [
        ({'kind': 'depth_metric'}, 4.0, 4.0),
        ({'kind': 'depth_metric', 'gain': 2.0, 'bias': 1.0}, 4.0, 9.0),
        # fx' = 45, fy' = 35 at half size: mean 40. With the input's focal it would be twice that.
        ({'kind': 'depth_focal', 'focal': {'reference': 10.0}}, 2.0, 8.0),
        ({'kind': 'depth_focal', 'focal': {'reference': 10.0, 'use': 'fx'}}, 2.0, 9.0),
        # 1 / Z = o W / fx = 0.75 * 60 / 90, at any resolution.
        ({'kind': 'inv_depth_fov'}, 0.75, 2.0),
        ({'kind': 'log_depth'}, float(np.log(3.0)), 3.0),
        # disp = 1/100 + (10 - 1/100) * 0.5 = 5.005; Z = 5.4 / disp.
        ({'kind': 'disparity_sigmoid'}, 0.5, 5.4 / 5.005),
        # d = 0.1 * 60 px = 6; Z = 90 * 0.54 / 6.
        ({'kind': 'disparity_width'}, 0.1, 8.1),
    ],
)
def test_kind_gives_the_closed_form_depth(output, raw, depth_m):
    result = decoded(plane(raw), card_of(output))
    assert result.rho.shape == (44, 60)
    np.testing.assert_allclose(1.0 / result.rho, depth_m, rtol=1e-5)


def test_disparity_is_divided_by_the_horizontal_scale_only():
    # Stretched to half the width and a quarter of the height: 4 px there are 8 px here.
    card = card_of({'kind': 'disparity_px'}, ResizeSpec('stretch', (11, 30)), 'stereo')
    result = decoded(plane(4.0, (1, 1, 11, 30)), card, PAIR)
    inside = result.rho[:, 10:]
    np.testing.assert_allclose(1.0 / inside, 90.0 * 0.25 / (8.0 + 3.0), rtol=1e-5)
    np.testing.assert_allclose(result.disparity[:, 10:], 8.0, rtol=1e-4)


def test_negative_flow_becomes_disparity_by_its_gain():
    card = card_of({'kind': 'disparity_px', 'gain': -1.0}, ResizeSpec('none'), 'stereo')
    result = decoded(plane(-5.0, (1, 44, 60)), card, PAIR)
    np.testing.assert_allclose(result.disparity[:, 6:], 5.0, rtol=1e-4)


def test_matches_outside_the_right_image_are_unknown():
    card = card_of({'kind': 'disparity_px'}, ResizeSpec('none'), 'stereo')
    result = decoded(plane(20.0, (44, 60)), card, PAIR)
    assert np.isnan(result.rho[:, :19]).all()
    assert np.isfinite(result.rho[:, 20:]).all()
    assert np.isnan(result.sigma_rho[:, :19]).all()


def test_a_network_that_may_guess_is_known_outside_the_right_image_too():
    output = {'kind': 'disparity_px', 'params': {'keep_unseen': True}}
    result = decoded(plane(20.0, (44, 60)), card_of(output, ResizeSpec('none'), 'stereo'), PAIR)
    np.testing.assert_allclose(result.disparity, 20.0, rtol=1e-5)
    assert np.isfinite(result.sigma_rho).all()


@pytest.mark.parametrize(
    ('doffs_px', 'least', 'disparity', 'known'),
    [  # infinity is at -doffs
        (6.0, 0.0, 1.5, False), (6.0, 0.0, 2.5, True), (6.0, -64.0, -5.5, True),
        (0.0, 0.0, 0.5, True), (-6.0, 0.0, 6.5, True),
    ],
)  # fmt: skip
def test_what_may_be_farther_than_a_network_can_say_is_unknown(doffs_px, least, disparity, known):
    right = dataclasses.replace(CAMERA, cx=CAMERA.cx + doffs_px)
    pair = StereoFrame(PICTURE, PICTURE, StereoRig(CAMERA, right, 0.25))
    output = {'kind': 'disparity_px', 'params': {'min_disp': least, 'keep_unseen': True}}
    card = card_of(output, ResizeSpec('none'), 'stereo')
    result = decoded(plane(disparity, (44, 60)), card, pair)
    for values in (result.disparity, result.rho, result.sigma_rho):
        assert np.isfinite(values).all() == np.isfinite(values).any() == known


def test_ray_distance_becomes_z_depth():
    card = card_of({'kind': 'depth_metric', 'geometry': 'ray'}, ResizeSpec('none'))
    ray = (5.0 * CAMERA.ray_norm).astype(np.float32)
    np.testing.assert_allclose(1.0 / decoded(ray, card).rho, 5.0, rtol=1e-5)


def test_point_map_gets_its_shift_from_the_intrinsics():
    card = card_of(
        {'kind': 'points_affine_z', 'layout': 'NHWC', 'channel': 2,
         'params': {'metric_scale_tensor': 'm'}},
        ResizeSpec('none'),
    )  # fmt: skip
    z = np.linspace(2.0, 5.0, 44 * 60).reshape(44, 60)
    points = np.stack([z * CAMERA.ray_x, z * CAMERA.ray_y[:, None], z - 1.25], -1)
    result = decoded(points[None].astype(np.float32), card, m=np.array([3.0], np.float32))
    np.testing.assert_allclose(1.0 / result.rho, 3.0 * z, rtol=1e-4)


def test_range_saturation_and_masks_make_pixels_unknown_or_far():
    masks = [
        {'tensor': 'sky', 'op': '<', 'value': 0.3, 'else': 'far'},
        {'tensor': 'seen', 'op': '>', 'value': 0.5},
    ]
    card = card_of(
        {'kind': 'depth_metric', 'range_m': [1.0, 9.0], 'saturate': 8.5},
        ResizeSpec('none'),
        masks=masks,
    )
    raw, sky, seen = plane(4.0, (44, 60)), plane(0.0, (44, 60)), plane(1.0, (44, 60))
    raw[0, :4] = [0.5, 8.6, -2.0, np.nan]
    sky[1, 0], seen[2, 0] = 0.9, 0.1
    result = decoded(raw, card, sky=sky, seen=seen)
    assert np.isnan(result.rho[0, :4]).all()
    assert np.isfinite(result.rho[0, 4])
    assert result.far[1, 0]
    assert not result.far[0].any()
    assert np.isnan(result.rho[2, 0])


@pytest.mark.parametrize(
    ('meaning', 'domain', 'score', 'sigma_rho'),
    [
        # Z = 4, rho = 0.25; sigma_Z = 0.2 -> sigma_rho = 0.2 / 16.
        ('sigma', 'depth', 0.2, 0.0125),
        ('variance', 'depth', 0.04, 0.0125),
        ('log_sigma', 'raw', float(np.log(0.2)), 0.0125),
        ('log_variance', 'log_depth', float(2.0 * np.log(0.05)), 0.0125),
        ('log_error', 'log_depth', 0.05, 0.0125),
        ('sigma', 'inv_depth', 0.01, 0.01),
    ],
)
def test_confidence_becomes_sigma_of_inverse_depth(meaning, domain, score, sigma_rho):
    card = card_of(
        {'kind': 'depth_metric'},
        ResizeSpec('none'),
        confidence={'tensor': 'c', 'meaning': meaning, 'domain': domain},
        uncertainty={'relative_floor': 0.0},
    )
    result = decoded(plane(4.0, (44, 60)), card, c=plane(score, (44, 60)))
    np.testing.assert_allclose(result.sigma_rho, sigma_rho, rtol=1e-4)


# Z = 4 at a gain of 2 (o = 2), fx = 90 at full size: what 0.3 of sigma is as sigma_rho.
_PER_SIGMA = {
    'depth': 1.0 / 16.0,  # sigma_rho = sigma_Z / Z^2
    'inv_depth': 1.0,
    'log_depth': 1.0 / 4.0,  # sigma_rho = rho sigma_ln
    'raw': 2.0 / 16.0,  # sigma_Z = gain sigma_o
    'disparity': 2.0 / 16.0,  # of a network without disparity: its output
}
_SCORE_OF_SIGMA = {
    'sigma': lambda sigma: sigma,
    'variance': lambda sigma: sigma**2,
    'log_sigma': np.log,
    'log_variance': lambda sigma: 2.0 * np.log(sigma),
    'precision': lambda sigma: sigma**-2.0,
}


@pytest.mark.parametrize('better', ['high', 'low'])
@pytest.mark.parametrize('domain', _PER_SIGMA)
@pytest.mark.parametrize('meaning', [*_SCORE_OF_SIGMA, 'log_error'])
def test_every_meaning_in_every_domain_is_that_sigma(meaning, domain, better):
    card = card_of(
        {'kind': 'depth_metric', 'gain': 2.0},
        ResizeSpec('none'),
        confidence={'tensor': 'c', 'meaning': meaning, 'domain': domain, 'better': better},
        uncertainty={'relative_floor': 0.0},
    )
    score = 0.3 if meaning == 'log_error' else _SCORE_OF_SIGMA[meaning](0.3)
    result = decoded(plane(2.0, (44, 60)), card, c=plane(score, (44, 60)))
    per_sigma = _PER_SIGMA['log_depth' if meaning == 'log_error' else domain]
    np.testing.assert_allclose(result.sigma_rho, 0.3 * per_sigma, rtol=1e-4)


@pytest.mark.parametrize('domain', _PER_SIGMA)
@pytest.mark.parametrize(('better', 'score'), [('high', 0.25), ('low', 0.75)])
def test_probability_stretches_the_floor_in_any_domain(better, score, domain):
    card = card_of(
        {'kind': 'depth_metric'},
        ResizeSpec('none'),
        confidence={'tensor': 'c', 'meaning': 'prob', 'domain': domain, 'better': better},
        uncertainty={'relative_floor': 0.03},
    )
    result = decoded(plane(4.0, (44, 60)), card, c=plane(score, (44, 60)))
    # floor / p = 0.12 of rho, and the floor itself.
    np.testing.assert_allclose(result.sigma_rho, np.hypot(0.12, 0.03) / 4.0, rtol=1e-4)


def test_probability_of_a_match_stretches_the_floor_in_pixels():
    card = card_of(
        {'kind': 'disparity_px'},
        ResizeSpec('none'),
        'stereo',
        confidence={'tensor': 'c', 'meaning': 'prob', 'domain': 'disparity'},
        uncertainty={'relative_floor': 0.0, 'disparity_floor_px': 0.2},
    )
    result = decoded(plane(6.0, (44, 60)), card, PAIR, c=plane(0.5, (44, 60)))
    np.testing.assert_allclose(result.sigma_rho[:, 10:], np.hypot(0.4, 0.2) / 22.5, rtol=1e-4)


@pytest.mark.parametrize('domain', ['depth', 'inv_depth', 'log_depth', 'raw'])
@pytest.mark.parametrize(
    ('meaning', 'better', 'sign'),
    [
        ('sigma', 'low', 1.0),
        ('variance', 'low', 1.0),
        ('log_error', 'low', 1.0),
        ('precision', 'high', -1.0),
        ('prob', 'high', -1.0),
        ('prob', 'low', 1.0),
        ('none', 'high', -1.0),
        ('none', 'low', 1.0),
    ],
)
def test_score_that_only_ranks_orders_the_pixels_of_its_image(meaning, better, sign, domain):
    card = card_of(
        {'kind': 'depth_metric'},
        ResizeSpec('none'),
        confidence={
            'tensor': 'c', 'meaning': meaning, 'domain': domain, 'better': better,
            'scope': 'rank_in_image',
        },
        uncertainty={'relative_floor': 0.2},
    )  # fmt: skip
    score = np.float32(2.0) ** (np.arange(44 * 60).reshape(1, 1, 44, 60) % 9 - 8.0)
    found = [
        decoded(plane(4.0, (44, 60)), card, c=(gain * score).astype(np.float32)).sigma_rho
        for gain in (1.0, 0.01)
    ]
    np.testing.assert_array_equal(*found)
    relative = np.sqrt(np.square(4.0 * found[0]) - 0.2**2)  # without the floor
    assert np.median(relative) == pytest.approx(0.2, rel=0.01)
    order = relative.ravel()[:9] if sign > 0.0 else relative.ravel()[8::-1]
    assert (np.diff(order) > 0.0).all()


def test_score_without_meaning_says_nothing():
    card = card_of(
        {'kind': 'depth_metric'},
        ResizeSpec('none'),
        confidence={'tensor': 'c', 'meaning': 'none'},
        uncertainty={'relative_floor': 0.2},
    )
    result = decoded(plane(4.0, (44, 60)), card, c=plane(9.0, (44, 60)))
    np.testing.assert_allclose(result.sigma_rho, 0.05, rtol=1e-5)


def test_disparity_sigma_is_scaled_like_the_disparity():
    card = card_of(
        {'kind': 'disparity_px'},
        HALF,
        'stereo',
        confidence={'tensor': 'v', 'meaning': 'variance', 'domain': 'disparity'},
        uncertainty={'relative_floor': 0.0},
    )
    result = decoded(plane(4.0), card, PAIR, v=plane(0.09))
    # 0.3 px at half size are 0.6 px here, over f b = 22.5.
    np.testing.assert_allclose(result.sigma_rho[:, 10:], 0.6 / 22.5, rtol=1e-4)


@pytest.mark.parametrize('kind', ['inv_depth_affine', 'depth_affine', 'depth_scale'])
def test_relative_output_is_never_read_as_metric(kind):
    with pytest.raises(NotMetricError, match=f'relative depth .{kind}., which has no unit'):
        decoded(plane(1.0), card_of({'kind': kind}))


@pytest.mark.parametrize(
    ('raw', 'words'),
    [(np.zeros((1, 3, 22, 30)), '3 channels; the card must name one'), (np.zeros(5), 'no image')],
)
def test_output_of_another_shape_is_refused(raw, words):
    with pytest.raises(ModelError, match=words):
        decoded(raw.astype(np.float32), card_of({'kind': 'depth_metric'}))


def test_missing_output_lists_those_there_are():
    with pytest.raises(ModelError, match="no output 'o'; it has depth"):
        decode({'depth': plane(1.0)}, card_of({'kind': 'depth_metric'}), Preparation(
            MONO, plan_resize(HALF, 60, 44), HALF))  # fmt: skip


@pytest.mark.parametrize(
    ('raw', 'output', 'words'),
    [
        (np.array([['far', 'near']]), {}, 'output o must be a tensor of numbers'),
        ({3: 0.5}, {}, r'must be a tensor of numbers and not empty, it is object \(\)'),
        (np.zeros((1, 1, 0, 30), np.float32), {}, 'not empty'),
        (np.ones((1, 2, 22, 30), np.float32), {'channel': 2}, 'has 2 channels'),
        (np.ones((2, 1, 22, 30), np.float32), {}, 'no image'),
    ],
)
def test_output_that_is_no_plane_of_numbers_is_refused(raw, output, words):
    with pytest.raises(ModelError, match=words):
        decoded(raw, card_of({'kind': 'depth_metric', **output}))


@pytest.mark.parametrize('role', ['mask', 'confidence'])
def test_companion_on_another_grid_is_refused(role):
    more = {'masks': [{'tensor': 'c', 'op': '>', 'value': 0.5}]}
    if role == 'confidence':
        more = {'confidence': {'tensor': 'c', 'meaning': 'sigma', 'domain': 'depth'}}
    card = card_of({'kind': 'depth_metric'}, **more)
    with pytest.raises(ModelError, match=r'output c is \(11, 15\) but the main output'):
        decoded(plane(4.0), card, c=plane(1.0, (11, 15)))


def test_missing_metric_scale_is_refused():
    card = card_of({'kind': 'points_affine_z', 'layout': 'NHWC', 'channel': 2,
                    'params': {'metric_scale_tensor': 'm'}})  # fmt: skip
    with pytest.raises(ModelError, match="no output 'm'"):
        decoded(plane(1.0, (1, 22, 30, 3)), card)


def test_output_smaller_by_no_whole_factor_covers_the_same_view():
    # The network's input is 30x22, its output 20x15: a ramp keeps its place at pixel centres.
    ramp = 1.0 + (np.arange(20, dtype=np.float32) + 0.5) / 20.0
    raw = np.broadcast_to(1.0 / ramp, (1, 1, 15, 20)).copy()
    wanted = 1.0 + (np.arange(60, dtype=np.float32) + 0.5) / 60.0
    rho = decoded(raw, card_of({'kind': 'depth_metric'})).rho
    np.testing.assert_allclose(rho[:, 3:-3], np.broadcast_to(wanted, (44, 60))[:, 3:-3], rtol=1e-3)


def test_raw_sigma_is_multiplied_by_the_gain_and_joins_the_floor():
    # Z = 2 * 2; sigma_Z = 2 * 0.1, hence sigma_rho = 0.2 / 16; floor 0.08 / 4.
    card = card_of(
        {'kind': 'depth_metric', 'gain': 2.0},
        ResizeSpec('none'),
        confidence={'tensor': 'c', 'meaning': 'sigma', 'domain': 'raw'},
        uncertainty={'relative_floor': 0.08},
    )
    result = decoded(plane(2.0, (44, 60)), card, c=plane(0.1, (44, 60)))
    np.testing.assert_allclose(result.sigma_rho, np.hypot(0.0125, 0.02), rtol=1e-4)


@pytest.mark.parametrize(('disparity', 'known'), [(10.9, True), (11.1, False), (0.4, False)])
def test_disparity_at_the_ends_of_the_search_is_unknown(disparity, known):
    params = {'max_disp': 12.0, 'min_disp': 0.5}
    card = card_of({'kind': 'disparity_px', 'params': params}, ResizeSpec('none'), 'stereo')
    result = decoded(plane(disparity, (44, 60)), card, PAIR)
    assert np.isfinite(result.rho[:, 20:]).all() == known
    assert np.isfinite(result.rho[:, 20:]).any() == known


def test_far_is_what_any_mask_calls_far():
    masks = [{'tensor': name, 'op': '<', 'value': 0.5, 'else': 'far'} for name in ('a', 'b')]
    card = card_of({'kind': 'depth_metric'}, ResizeSpec('none'), masks=masks)
    a, b = plane(0.0, (44, 60)), plane(0.0, (44, 60))
    a[3, 4], b[5, 6] = 1.0, 1.0
    far = decoded(plane(4.0, (44, 60)), card, a=a, b=b).far
    assert np.argwhere(far).tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e300, -1e300])
@pytest.mark.parametrize('kind', ['depth_metric', 'log_depth', 'disparity_sigmoid'])
def test_numbers_that_are_none_give_no_depth(kind, value):
    raw = np.full((44, 60), value)  # float64, as some exports have it
    result = decoded(raw, card_of({'kind': kind, 'range_m': [0.1, 50.0]}, ResizeSpec('none')))
    assert np.isnan(result.rho).all()
    assert np.isnan(result.sigma_rho).all()
