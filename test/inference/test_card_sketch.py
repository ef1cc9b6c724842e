"""The draft of a card from a network file: it loads, and it knows the networks that have cards."""

from depth_perception.inference.card_sketch import card_sketch, like_cards, normalises_by_itself
from depth_perception.inference.cards import available_cards, file_sha256, load_card
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.resources import resource_path
import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx makes the files that are looked at')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')


@pytest.fixture(scope='module')
def cards():
    return available_cards()


@pytest.fixture
def sketched(prover, cards, tmp_path):
    """Return what makes (draft, likely ids, card of the draft) of a stand-in."""

    def made(name):
        net = prover.NETWORKS[name]
        path = prover.stand_in_card(name, net, prover.scene_for(net, (158, 118)), tmp_path)
        file = path.with_suffix('.onnx')
        with OrtBackend(file, 1) as backend:
            draft = card_sketch(file, backend, cards)
            likely = like_cards(backend, cards)
        path.write_text(draft)
        return draft, likely, load_card(str(path))

    return made


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('depth-anything-v2-small', 'inv_depth_affine'),
        ('metric3d-v2-small', 'inv_depth_affine'),
        ('moge2-small', 'points_metric'),
        ('unidepth-v2-small', 'points_metric'),
        ('depth-pro', 'inv_depth_fov'),
        ('monodepth2-640x192', 'disparity_sigmoid'),
        ('raft-stereo', 'disparity_px'),
        ('crestereo', 'disparity_px'),
        ('hitnet-eth3d', 'disparity_px'),
        ('hitnet-flyingthings', 'disparity_px'),
        ('ess', 'disparity_px'),
        ('s2m2-s', 'disparity_px'),
    ],
)
def test_draft_loads_and_names_the_tensors(sketched, name, kind):
    draft, likely, card = sketched(name)
    real = load_card(name)
    assert name in likely
    assert card.task == real.task
    assert card.output.tensor == real.output.tensor
    assert card.output.kind == kind
    assert card.artifact.commercial == 'check'
    assert draft.count('# ?') >= 6
    fed = {(spec.tensor, spec.source, spec.layout, spec.dtype) for spec in card.inputs}
    assert fed == {(spec.tensor, spec.source, spec.layout, spec.dtype) for spec in real.inputs}
    if isinstance(real.resize.size, tuple):
        assert card.resize.size == real.resize.size


def test_draft_suggests_masks_by_their_names(sketched):
    _, _, card = sketched('depth-anything-v3-metric-large')
    assert [(mask.tensor, mask.op, mask.otherwise) for mask in card.masks] == [('sky', '<', 'far')]
    draft, _, card = sketched('s2m2-s')
    assert {mask.tensor for mask in card.masks} == {'output_occ', 'output_conf'}
    assert 'not used: normal' in sketched('moge2-small')[0]
    assert card.output.params.max_disp is None
    assert 'sign' in draft


def test_flow_is_taken_for_minus_the_disparity(sketched):
    draft, _, card = sketched('raft-stereo')
    assert card.output.gain == -1.0
    assert 'flow is minus the disparity' in draft


def test_file_of_fixed_size_is_not_taken_for_one_of_another_size(sketched):
    assert 'adabins-kitti' not in sketched('adabins-nyu')[1]
    assert 'depth-anything-v2-small' not in sketched('zoedepth-indoor')[1]
    assert 'zoedepth-indoor' not in sketched('depth-anything-v2-small')[1]


@pytest.mark.parametrize(('mean', 'inside'), [((0.485, 0.456, 0.406), True), ((0, 0, 0), False)])
def test_mean_inside_the_graph_is_seen(tmp_path, mean, inside):
    make = onnx.helper.make_tensor_value_info
    stored = onnx.numpy_helper.from_array(np.array(mean, np.float32).reshape(1, 3, 1, 1), 'm')
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Sub', ['image', 'm'], ['depth'])],
        'small',
        [make('image', 1, [1, 3, 'H', 'W'])],
        [make('depth', 1, [1, 3, 'H', 'W'])],
        [stored],
    )
    path = tmp_path / 'small.onnx'
    opset = [onnx.helper.make_opsetid('', 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    assert normalises_by_itself(path) is inside
    with OrtBackend(path, 1) as backend:
        draft = card_sketch(path, backend, [])
    assert ('the graph holds the mean' in draft) is inside
    assert ('0.485' in draft) is not inside


def test_file_of_a_card_is_recognised_by_its_hash(tmp_path):
    path = resource_path('models', 'window_stereo.onnx')
    card = tmp_path / 'mine.yaml'
    card.write_text(f'base: window-stereo\nid: mine\nartifact: {{sha256: {file_sha256(path)}}}\n')
    with OrtBackend(path, 1) as backend:
        draft = card_sketch(path, backend, [load_card(str(card))])
    assert 'This is the file of the card mine' in draft
