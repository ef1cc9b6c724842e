"""One test for every mistake that integrations of these networks have made before.

The networks are not here: their cards are given pictures and raw outputs made up for the purpose,
and what is fed and what is read must be what the networks' own code feeds and reads.
"""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.cards import available_cards, load_card
from depth_perception.inference.decode import decode
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.relative import decode_relative
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.scaling import MetricScaler
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

pytest.importorskip('cv2')

RED = (200, 100, 50)  # R, G, B
CAMERA = PinholeCamera(640, 480, 500.0, 490.0, 330.0, 235.0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet


def flat(colour, camera=CAMERA):
    return Picture(np.full((camera.height, camera.width, 3), colour, np.uint8), 'rgb')


def prepared(name, camera=CAMERA, colour=RED, right=(10, 20, 30)):
    """Return (card, Preparation) of a picture of one colour."""
    card = load_card(name)
    if card.task == 'stereo':
        rig = StereoRig(camera, camera, 0.1)
        frame = StereoFrame(flat(colour, camera), flat(right, camera), rig)
    else:
        frame = MonoFrame(flat(colour, camera), camera)
    plan = plan_resize(card.resize, camera.width, camera.height)
    return card, Preparation(frame, plan, card.resize)


def fed(name, **kwargs):
    """Return {tensor: the numbers that it shows in the middle}."""
    card, preparation = prepared(name, **kwargs)
    tensors = tensors_from(card.inputs, preparation)
    images = {key: value for key, value in tensors.items() if value.ndim == 4}
    return {
        key: value[0, :, value.shape[2] // 2, value.shape[3] // 2] for key, value in images.items()
    }


def answer(name, camera=CAMERA, **outputs):
    """Return what a card makes of outputs; numbers fill the network's input."""
    card, preparation = prepared(name, camera)
    width, height = preparation.plan.target
    whole = {
        key: np.full((1, 1, height, width), value, np.float32)
        if np.isscalar(value)
        else np.asarray(value, np.float32)
        for key, value in outputs.items()
    }
    if card.output.layout == 'NHWC':
        whole = {key: np.moveaxis(value, 1, -1) for key, value in whole.items()}
    reader = decode_relative if card.is_relative else decode
    return reader(whole, card, preparation)


def normalised(colour):
    return (np.array(colour) / 255.0 - MEAN) / STD


def test_raft_stereo_gives_flow_to_the_left_which_is_negative():
    decoded = answer('raft-stereo', flow_up=-25.0)
    assert np.nanmedian(decoded.disparity) == pytest.approx(25.0)
    assert np.isnan(answer('raft-stereo', flow_up=25.0).rho).all()


def test_crestereo_sees_blue_first():
    seen = fed('crestereo')
    assert seen['next_left'] == pytest.approx(RED[::-1])
    assert seen['init_right'] == pytest.approx((30, 20, 10))


def test_crestereo_is_fed_at_half_the_size_too():
    card, preparation = prepared('crestereo')
    shapes = {key: value.shape for key, value in tensors_from(card.inputs, preparation).items()}
    assert shapes['init_left'] == (1, 3, 240, 320)
    assert shapes['next_right'] == (1, 3, 480, 640)


@pytest.mark.parametrize(
    ('name', 'tensor', 'wanted'),
    [
        ('midas-v21-small', '*', np.array(RED) / 255.0),  # in the graph
        ('dpt-large', 'image', np.array(RED) / 127.5 - 1.0),
        ('metric3d-v2-small', 'image', RED),  # in the graph
        ('metric3d-v2-small-hf', 'pixel_values', RED),  # in the graph
        ('moge2-small', 'image', np.array(RED) / 255.0),  # in the graph
        ('foundation-stereo', 'left', RED),  # in the graph
        ('c-foundation-stereo-small-576x960', 'left_image', normalised(RED)),  # outside
        ('fast-foundation-stereo', 'left_image', normalised(RED)),  # outside
        ('raft-stereo', 'left', RED),  # in the graph
        ('s2m2-s', 'input_left', RED),  # in the graph
        ('lightstereo-s', 'left_img', normalised(RED)),  # outside
        ('ess', 'input_left', (np.array(RED) - 127.5) / 127.5),
        ('monodepth2-640x192', 'image', np.array(RED) / 255.0),  # in the encoder
        ('depth-pro', 'image', np.array(RED) / 127.5 - 1.0),
    ],
)
def test_normalisation_is_done_where_the_graph_does_not_do_it(name, tensor, wanted):
    assert fed(name)[tensor] == pytest.approx(np.asarray(wanted, float), abs=1e-5)


def test_depth_anything_3_wants_the_focal_length_at_the_networks_resolution():
    # 640x480 becomes 504x280: fx 500 -> 393.75, fy 490 -> 285.83, in the mean 339.79.
    depth = 1.0 / answer('depth-anything-v3-metric-large', depth=3.0, sky=0.0).rho
    assert np.median(depth) == pytest.approx(3.0 * (393.75 + 490.0 * 280.0 / 480.0) / 600.0)


def test_metric3d_wants_the_focal_length_of_the_letterboxed_image():
    # 640x480 becomes 821x616 inside 1064x616; fx and the scale of 616 / 480 count.
    depth = 1.0 / answer('metric3d-v2-small', pred_depth=4.0).rho
    assert np.median(depth) == pytest.approx(4.0 * 500.0 * (616.0 / 480.0) / 1000.0, rel=1e-6)


def test_depth_anything_3_calls_sky_what_is_above_its_threshold():
    sky = np.zeros((1, 1, 280, 504), np.float32)
    sky[..., :140, :] = 0.31
    far = answer('depth-anything-v3-metric-large', depth=3.0, sky=sky).far
    assert far[:239].all()
    assert not far[241:].any()


def test_confidence_of_unidepth_is_an_error():
    points = np.full((1, 3, 462, 630), 2.0)
    error = np.full((1, 1, 462, 630), 0.02)
    error[..., 315:] = 0.5
    sigma = answer('unidepth-v2-small', pts_3d=points, confidence=error).sigma_rho
    # It ranks: the worse half gets 0.17, the better one 0.047, both with the floor of 0.1.
    assert np.median(sigma[:, 360:]) > 1.7 * np.median(sigma[:, :280])


@pytest.mark.parametrize('size', [(640, 480), (480, 640), (1920, 540), (1536, 1536)])
def test_depth_pro_sees_a_square_of_1536_whatever_the_image(size):
    camera = PinholeCamera(*size, 500.0, 500.0, 0.5 * size[0], 0.5 * size[1])
    card, preparation = prepared('depth-pro', camera)
    assert tensors_from(card.inputs, preparation)['image'].shape == (1, 3, 1536, 1536)


def test_depth_pro_takes_width_and_focal_length_of_the_same_image():
    decoded = answer('depth-pro', canonical_inverse_depth=0.5)
    assert np.median(decoded.rho) == pytest.approx(0.5 * 640.0 / 500.0)


def test_disparity_of_a_stretched_pair_is_divided_by_the_horizontal_scale_alone():
    # 640x480 becomes 960x576: s_x is 1.5 and s_y 1.2.
    decoded = answer('ess', output_left=30.0, output_conf=1.0)
    assert np.nanmedian(decoded.disparity) == pytest.approx(20.0)


def test_hitnet_takes_both_images_in_one_tensor():
    assert fed('hitnet-middlebury')['input'] == pytest.approx(np.array([*RED, 10, 20, 30]) / 255)
    grey = fed('hitnet-eth3d', colour=(90,) * 3, right=(30,) * 3)['input']
    assert grey == pytest.approx(np.array([90, 30]) / 255)


def test_lightstereo_is_padded_above_and_to_the_right():
    camera = PinholeCamera(1242, 375, 721.0, 721.0, 609.0, 172.0)
    _, preparation = prepared('lightstereo-s', camera)
    plan = preparation.plan
    assert (plan.target, plan.left, plan.top) == ((1248, 384), 0, 9)
    raw = np.full((1, 1, 384, 1248), 7.0, np.float32)
    raw[..., :9, :], raw[..., 1242:] = 90.0, 90.0
    decoded = answer('lightstereo-s', camera, disp_pred=raw)
    assert np.nanmax(decoded.disparity) == pytest.approx(7.0)


def test_s2m2_keeps_the_norm_in_single_precision():
    for size in ('s', 'm', 'l', 'xl'):
        assert load_card(f's2m2-{size}').runtime.fp32_layers == ('node_linalg_vector_norm_2',)


@pytest.mark.parametrize(('name', 'unit'), [('midas-v21-small', 1e-3), ('dpt-large', 1.0)])
def test_numbers_of_a_relative_network_have_any_size(name, unit):
    # MiDaS gives hundreds to thousands where Depth Anything gives ones to tens.
    card, preparation = prepared(name)
    width, height = preparation.plan.target
    ramp = np.linspace(0.1, 0.5, width, dtype=np.float32)  # 1/m
    output = np.broadcast_to(ramp / unit, (1, height, width)).astype(np.float32)
    relative = decode_relative({card.output.tensor: output}, card, preparation)
    assert np.isfinite(relative.output).all()
    u, v = np.meshgrid(np.arange(20, 620, 40), np.arange(20, 460, 40))
    rho = np.interp((u + 0.5) * width / 640.0 - 0.5, np.arange(width), ramp).ravel()
    known = References(u.ravel(), v.ravel(), rho, 0.01 * rho)
    frame = MonoFrame(flat(RED), CAMERA, surroundings=Surroundings(known))
    scaled = MetricScaler(card).scaled(relative, frame, MonoEstimatorSettings(), known)
    assert scaled.rho[v.ravel(), u.ravel()] == pytest.approx(rho, rel=1e-4)


@pytest.mark.parametrize(('where', 'limit'), [('indoor', 20.0), ('outdoor', 80.0)])
def test_depth_anything_says_nothing_at_its_limit(where, limit):
    name = f'depth-anything-v2-{where}-small'
    card, preparation = prepared(name)
    width, height = preparation.plan.target
    depth = np.full((1, height, width), 0.9 * limit, np.float32)
    depth[..., width // 2 :] = 0.985 * limit  # a sigmoid never reaches it
    rho = decode({'depth': depth}, card, preparation).rho
    assert rho[:, :310] == pytest.approx(1.0 / (0.9 * limit))
    assert np.isnan(rho[:, 330:]).all()


def test_between_two_depths_the_inverse_is_interpolated():
    # Between 1 m and 4 m lie points of 1 / mean(1, 1/4), not of 2.5 m; a mask has no in-between.
    depth = np.full((1, 1, 256, 320), 1.0, np.float32)
    depth[..., 160:] = 4.0
    rho = answer('fastdepth', depth=depth).rho
    edge = rho[240, 316:324]
    assert ((edge > 0.25) & (edge < 1.0)).any()
    between = edge[(edge > 0.26) & (edge < 0.99)]
    assert between == pytest.approx([0.8125, 0.4375], abs=1e-4)
    sky = np.zeros((1, 1, 280, 504), np.float32)
    sky[..., 252:] = 1.0
    assert answer('depth-anything-v3-metric-large', depth=3.0, sky=sky).far.dtype == bool


def test_every_relative_card_says_where_its_scale_may_come_from():
    for card in available_cards():
        if card.is_relative:
            assert {'sparse', 'stereo', 'ground', 'prior'} & set(card.scale.modes), card.id
