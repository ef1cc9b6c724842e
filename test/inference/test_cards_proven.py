"""Every card against a stand-in of its network: the right metres, by the card as it is."""

from depth_perception.errors import DepthPerceptionError
from depth_perception.inference.cards import available_cards
from depth_perception.resources import resource_path
import pytest
import yaml

pytest.importorskip('onnx', reason='onnx makes the stand-ins')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')

UNPROVEN = {  # builtin, or shipped and tested by what they answer
    'sgbm',
    'window-stereo',
    'depth-perception-stereo-small',
    'depth-perception-stereo',
    'floor-stixels',
    'room-depth',
}
CARDS = sorted(
    path.stem
    for path in resource_path('models').glob('*.yaml')
    if path.stem not in UNPROVEN and '.' not in path.stem  # a calibration is no card
)


@pytest.mark.parametrize('name', CARDS)
def test_card_is_proven(prover, tmp_path, name):
    for size in prover.SIZES:
        proof = prover.prove(name, prover.NETWORKS[name], size, tmp_path)
        assert proof.holds, proof
        assert proof.error < 1e-5


def test_every_network_has_its_proof_and_every_proof_its_card(prover):
    assert set(prover.NETWORKS) == set(CARDS)
    assert {card.id for card in available_cards()} >= set(CARDS) | UNPROVEN
    assert len(CARDS) >= 35


@pytest.mark.parametrize(
    ('name', 'changes'),
    [
        ('crestereo', {'color': 'rgb'}),
        ('hitnet-middlebury', {'color': 'bgr'}),
        ('midas-v21-small', {'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225]}),
        ('metric3d-v2-small', {'divide': 255}),
        ('foundation-stereo', {'mean': [123.675, 116.28, 103.53]}),
        ('depth-anything-v2-small', {'std': [0.229, 0.225, 0.224]}),
        ('monodepth2-640x192', {'mean': [0.45, 0.45, 0.45], 'std': [0.225, 0.225, 0.225]}),
    ],
)
def test_wrong_picture_is_noticed(prover, tmp_path, name, changes):
    values = yaml.safe_load(resource_path('models', f'{name}.yaml').read_text())
    while 'inputs' not in values:
        values = yaml.safe_load(resource_path('models', f'{values["base"]}.yaml').read_text())
    inputs = [
        {**spec, **changes} if spec['from'] in ('left', 'right', 'pair_concat') else spec
        for spec in values['inputs']
    ]
    assert not changed(prover, tmp_path, name, {'inputs': inputs}).holds


@pytest.mark.parametrize(
    ('name', 'changes'),
    [
        ('raft-stereo', {'output': {'gain': 1.0}}),
        ('depth-anything-v3-metric-large', {'output': {'focal': {'reference': 300, 'use': 'fx'}}}),
        ('metric3d-v2-small', {'output': {'focal': {'reference': 1000, 'use': 'mean'}}}),
        ('depth-anything-v3-metric-large',
         {'masks': [{'tensor': 'sky', 'op': '>', 'value': 0.3, 'else': 'far'}]}),
        ('depth-anything-v3-metric-large',
         {'masks': [{'tensor': 'sky', 'op': '<', 'value': 0.3, 'else': 'invalid'}]}),
        ('metric3d-v2-small', {'resize': {'pad': {'place': 'top_left'}}}),
        ('metric3d-v2-small', {'resize': {'pad': {'value': [0.0, 0.0, 0.0]}}}),
        ('lightstereo-s', {'resize': {'pad': {'place': 'center'}}}),
        ('lightstereo-s', {'resize': {'pad': {'mode': 'constant'}}}),
        ('depth-anything-v2-indoor-small', {'output': {'saturate': 20.5, 'range_m': [0.1, 30.0]}}),
        ('depth-pro', {'output': {'kind': 'depth_metric'}}),
        ('depth-pro', {'resize': {'size': [1536, 1024]}}),
        ('moge2-small', {'output': {'params': {'metric_scale_tensor': None}}}),
        ('unidepth-v2-small', {'output': {'channel': 1}}),
        ('hitnet-flyingthings', {'output': {'tensor': '*'}}),
        ('monodepth2-640x192', {'output': {'params': {'rig_gain': 1.0}}}),
        ('monodepth-resnet50', {'output': {'channel': 1}}),
        ('leres-resnet50', {'output': {'kind': 'inv_depth_affine'}}),
    ],
)  # fmt: skip
def test_wrong_meaning_is_noticed(prover, tmp_path, name, changes):
    assert not changed(prover, tmp_path, name, changes).holds


def changed(prover, folder, name, changes):
    """Return the proof of a card with changes, from a file that lies beside the stand-in."""
    path = folder / 'changed.yaml'
    path.write_text(yaml.safe_dump({'base': name, **changes}))
    try:
        return prover.prove(str(path), prover.NETWORKS[name], prover.SIZES[0], folder)
    except DepthPerceptionError as error:
        return prover.Proof(name, prover.SIZES[0], float('inf'), 0.0, (str(error),))


KINDS = {  # what the network says -> output section
    'affine_inverse': {'kind': 'inv_depth_affine'},
    'affine_depth': {'kind': 'depth_affine'},
    'scaled_depth': {'kind': 'depth_scale'},
    'depth': {'kind': 'depth_metric'},
    'canonical_depth': {'kind': 'depth_focal', 'focal': {'reference': 1000.0, 'use': 'mean'}},
    'inverse_by_view': {'kind': 'inv_depth_fov'},
    'points_less_shift': {
        'kind': 'points_affine_z', 'channel': 2, 'params': {'metric_scale_tensor': 'scale'}
    },
    'metric_points': {'kind': 'points_metric', 'channel': 2},
    'disparity': {'kind': 'disparity_px'},
    'sigmoid': {'kind': 'disparity_sigmoid'},
    'width_share': {'kind': 'disparity_width'},
    'log_depth': {'kind': 'log_depth'},
}  # fmt: skip
POLICIES = {
    'stretch': ({'size': [150, 210]}, ('stretched', 150, 210)),
    'lower_bound': ({'size': 140, 'multiple': 14}, ('at_least', 140, 14)),
    'upper_bound': ({'size': 224, 'multiple': 32}, ('at_most', 224, 32)),
    'minimal': ({'size': 128, 'multiple': 32}, ('least_change', 128, 32)),
    'letterbox': ({'size': [160, 200], 'round': 'floor'}, ('boxed', 160, 200)),
    'pad': ({'multiple': 32}, ('padded', 32)),
    'area_range': ({'size': [30000, 60000], 'multiple': 14}, ('area_within', 30000, 60000, 14)),
    'none': ({}, ('as_it_is',)),
}
SHAPES = {'points_less_shift': '13HW', 'metric_points': '13HW'}


@pytest.mark.parametrize('policy', POLICIES)
@pytest.mark.parametrize('says', KINDS)
def test_every_kind_comes_back_through_every_policy(prover, model_script, tmp_path, says, policy):
    networks = model_script('proof_networks')
    size, (rule, *arguments) = POLICIES[policy]
    made = getattr(networks, rule)
    rule = made(*arguments) if arguments else made
    shapes = {'depth': SHAPES.get(says, '11HW')}
    if says == 'points_less_shift':
        shapes['scale'] = '1'
    pair = says == 'disparity'
    inputs = {'left': 'left', 'right': 'right'} if pair else {'image': 'left'}
    net = networks.Net(
        rule=rule,
        inputs=inputs,
        norm='unit',
        output='depth',
        says=says,
        shapes=shapes,
        constants={'scale': 1.7},
        static=policy in ('stretch', 'letterbox'),
    )
    values = {
        'schema': 1,
        'id': 'any',
        'task': 'stereo' if pair else 'mono',
        'artifact': {'licence': 'MIT', 'commercial': True},
        'inputs': [{'tensor': name, 'from': side} for name, side in inputs.items()],
        'resize': {'policy': policy, **size},
        'output': {'tensor': 'depth', **KINDS[says]},
    }
    path = tmp_path / 'any.yaml'
    path.write_text(yaml.safe_dump(values))
    proof = prover.prove(str(path), net, (173, 131), tmp_path)
    assert proof.holds, proof


def plain_card(folder, **sections):
    """Write the card of a metric network that wants 0..255."""
    values = {
        'schema': 1,
        'id': 'any',
        'task': 'mono',
        'artifact': {'licence': 'MIT', 'commercial': True},
        'inputs': [{'tensor': 'image', 'from': 'left', 'divide': 1}],
        'resize': {'policy': 'stretch', 'size': [150, 210]},
        'output': {'tensor': 'depth', 'kind': 'depth_metric'},
        **sections,
    }
    path = folder / 'any.yaml'
    path.write_text(yaml.safe_dump(values))
    return str(path)


@pytest.mark.parametrize('place', ['center', 'top_left', 'bottom_left'])
@pytest.mark.parametrize('mode', ['constant', 'replicate', 'reflect'])
@pytest.mark.parametrize('policy', ['letterbox', 'pad'])
def test_padding_is_what_and_where_the_card_says(
    prover, model_script, tmp_path, policy, mode, place
):
    networks = model_script('proof_networks')
    letterbox = policy == 'letterbox'
    size = {'size': [150, 210], 'round': 'floor'} if letterbox else {'multiple': 32}
    pad = {'mode': mode, 'place': place, 'value': [11.0, 22.0, 33.0]}
    resize = {'policy': policy, **size, 'pad': pad}
    net = networks.mono(
        networks.boxed(150, 210, place) if letterbox else networks.padded(32, place),
        norm='raw',
        says='depth',
        padding=(11.0, 22.0, 33.0) if mode == 'constant' else 'replicate',
    )
    card = plain_card(tmp_path, resize=resize)
    assert prover.prove(card, net, (173, 131), tmp_path).holds


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'uint8'])
def test_picture_comes_in_every_type_and_layout(prover, model_script, tmp_path, dtype, layout):
    networks = model_script('proof_networks')
    net = networks.mono(
        networks.stretched(150, 210), norm='raw', says='depth', dtype=dtype, layout=layout
    )
    inputs = [{'tensor': 'image', 'from': 'left', 'divide': 1, 'dtype': dtype, 'layout': layout}]
    card = plain_card(tmp_path, inputs=inputs)
    assert prover.prove(card, net, (173, 131), tmp_path).holds
