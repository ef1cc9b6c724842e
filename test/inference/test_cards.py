"""Model cards: read strictly, hostile ones refused with the place of the mistake."""

import hashlib

from depth_perception.errors import ModelError
from depth_perception.inference.backend import TensorSpec
from depth_perception.inference.cards import artifact_path, load_card, with_tensor_names
import pytest
import yaml

CARD = {
    'id': 'net',
    'task': 'mono',
    'artifact': {'file': 'net.onnx', 'licence': 'MIT', 'commercial': True},
    'inputs': [{'tensor': 'image', 'from': 'left', 'mean': [0.5, 0.4, 0.3], 'std': [1, 2, 3]}],
    'resize': {'policy': 'stretch', 'size': [192, 640]},
    'output': {'tensor': 'depth', 'kind': 'depth_focal', 'focal': {'reference': 300}},
    'masks': [{'tensor': 'sky', 'op': '<', 'value': 0.3, 'else': 'far'}],
}


def write(folder, changes=None, name='net.yaml'):
    path = folder / name
    path.write_text(yaml.safe_dump({**CARD, **(changes or {})}))
    return str(path)


def test_card_is_read_with_its_defaults(tmp_path):
    card = load_card(write(tmp_path))
    assert card.resize.size == (192, 640)
    assert card.inputs[0].std == (1.0, 2.0, 3.0)
    assert (card.inputs[0].layout, card.inputs[0].divide) == ('NCHW', 255.0)
    assert card.masks[0].otherwise == 'far'
    assert card.output.focal.reference == 300.0
    assert not card.is_relative


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'ouput': {}}, 'card: unknown key ouput; known are id, task'),
        ({'resize': {'policy': 'squash'}}, "card.resize.policy: 'squash' is not one of stretch"),
        ({'output': {'tensor': 'd'}}, 'card.output: kind is missing'),
        ({'output': {'tensor': 'd', 'kind': 'depth_focal'}}, 'output.focal is missing'),
        ({'output': {'tensor': 'd', 'kind': 'disparity_px'}}, 'needs a stereo pair'),
        ({'artifact': {'licence': 'MIT', 'commercial': 'maybe'}}, 'commercial: wants bool'),
        ({'schema': 2}, 'schema is 2, this version reads 1'),
        ({'inputs': [{'tensor': 'x', 'from': 'left', 'std': [1, 0, 1]}]}, 'must not be 0'),
        ({'inputs': [{'tensor': 'x', 'from': 'left', 'shrink': 0}]}, 'shrink must be at least 1'),
        ({'inputs': {'tensor': 'x'}}, 'card.inputs: wants a list'),
        ({'inputs': [{'tensor': 'x', 'from': 'left', 'mean': []}]}, 'a number per channel'),
        ({'inputs': [{'tensor': 'x', 'from': 'left', 'divide': float('nan')}]}, 'wants float'),
        ({'inputs': [{'tensor': 'x', 'from': 'left', 'divide': 10**400}]}, 'divide: wants float'),
        ({'inputs': [{'tensor': 'x', 'from': 'right'}]}, 'right needs a stereo pair'),
        ({'inputs': [{'tensor': 'x', 'from': 'const', 'value': 'pi'}]}, 'value is no float32'),
        ({'resize': {'policy': 'stretch'}}, 'resize.size is missing'),
        ({'resize': {'policy': 'stretch', 'size': [518]}}, 'one number or two'),
        ({'resize': {'policy': 'stretch', 'size': 0}}, 'all positive'),
        ({'output': {'tensor': 'd', 'kind': 'depth_focal', 'focal': {'reference': 0}}},
         'must be positive'),
        ({'output': {'tensor': 'd', 'kind': 'disparity_sigmoid', 'params': {'z_min': 0}}},
         'is no range'),
        ({'output': {'tensor': 'd', 'kind': 'log_depth', 'channel': -1}}, 'channel must be 0'),
        ({'path': '/etc/passwd'}, 'unknown key path'),
        ({'inputs': [{'tensor': 'x', 'from': 'noise'}]}, 'must be the shape of the noise'),
        ({'inputs': [{'tensor': 'x', 'from': 'noise', 'value': [1, 0]}]}, 'shape of the noise'),
        ({'inputs': [{'tensor': 'x', 'from': 'noise', 'value': [9**9, 9]}]}, 'shape of the'),
        ({'uncertainty': {'sources': ['luck']}}, r"sources\[0\]: 'luck' is not one of confidence"),
        ({'uncertainty': {'scores': {'edge_px': -1.0}}}, 'must not be negative'),
        ({'uncertainty': {'scores': {'temporal_memory': 1.0}}}, 'temporal_memory must be 0'),
        ({'uncertainty': {'scores': {'monte_carlo_runs': 1}}}, '2 to 64 runs make a spread'),
        ({'uncertainty': {'scores': {'augmentations': ['upside_down']}}}, 'is not one of flip'),
        ({'uncertainty': {'relative_floor': 0.0},
          'confidence': {'tensor': 'c', 'meaning': 'prob'}},
         'without a unit needs uncertainty.relative_floor'),
        ({'masks': [{'tensor': 's', 'op': '=~', 'value': 1.0}]}, r'card.masks\[0\].op'),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(tmp_path, changes, words):
    with pytest.raises(ModelError, match=words):
        load_card(write(tmp_path, changes))


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a: &a [1]\nb: *a\n', 'aliases'),
        ('!!python/object/apply:os.system [true]', 'not readable as YAML'),
        ('- 1\n', 'a card is a mapping'),
        ('{' * 3000, 'not readable as YAML'),
        ('x: ' + 'y' * 70_000, 'at most 65536 bytes'),
        ('summary: 2026-99-99\n', 'not readable as YAML'),
    ],
)
def test_hostile_yaml_is_refused(tmp_path, text, words):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)
    with pytest.raises(ModelError, match=words):
        load_card(str(path))


def test_base_is_merged_deeply_and_lists_are_replaced(tmp_path):
    parent = write(tmp_path, name='parent.yaml')
    child = tmp_path / 'child.yaml'
    child.write_text(yaml.safe_dump({'base': parent, 'id': 'child', 'resize': {'multiple': 14}}))
    card = load_card(str(child))
    assert (card.id, card.resize.policy, card.resize.multiple) == ('child', 'stretch', 14)


def test_loop_of_bases_ends(tmp_path):
    path = tmp_path / 'loop.yaml'
    path.write_text(yaml.safe_dump({'base': str(path)}))
    with pytest.raises(ModelError, match='loop'):
        load_card(str(path))


def test_unknown_model_lists_those_there_are():
    with pytest.raises(ModelError, match=r"no model 'xyz'; there are .*sgbm"):
        load_card('xyz')


def test_a_misspelt_id_gets_the_ones_like_it():
    with pytest.raises(ModelError, match=r'did you mean depth-anything-v2-small.*models list'):
        load_card('depth_anything_v2_small')


def test_artifact_is_checked_by_its_hash(tmp_path):
    (tmp_path / 'net.onnx').write_bytes(b'network')
    digest = hashlib.sha256(b'network').hexdigest()
    artifact = {**CARD['artifact'], 'sha256': digest}
    card = load_card(write(tmp_path, {'artifact': artifact}))
    assert artifact_path(card) == tmp_path / 'net.onnx'
    (tmp_path / 'net.onnx').write_bytes(b'another')
    with pytest.raises(ModelError, match=f'the card net wants {digest}'):
        artifact_path(card)


@pytest.mark.parametrize('name', ['../net.onnx', '/etc/passwd', ''])
def test_artifact_outside_its_folder_is_refused(tmp_path, name):
    artifact = {**CARD['artifact'], 'file': name}
    card = load_card(write(tmp_path, {'artifact': artifact}))
    with pytest.raises(ModelError, match='plain file name'):
        artifact_path(card)


def test_missing_artifact_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    artifact = {**CARD['artifact'], 'source': 'https://example.org/net.onnx'}
    with pytest.raises(ModelError, match='depth_perception models fetch net'):
        artifact_path(load_card(write(tmp_path, {'artifact': artifact})))
    artifact = {**CARD['artifact'], 'export': 'somebody/net, export.py'}
    with pytest.raises(ModelError, match=r'make it \(somebody/net, export.py\) and put it into'):
        artifact_path(load_card(write(tmp_path, {'artifact': artifact})))


class Tensors:
    """As much of a backend as a card is compared with."""

    def __init__(self, inputs, outputs):
        self.inputs = tuple(TensorSpec(name, 'float32', (1, 3, 4, 5)) for name in inputs)
        self.outputs = tuple(TensorSpec(name, 'float32', (1, 1, 4, 5)) for name in outputs)


def any_name(folder):
    return load_card(
        write(
            folder,
            {
                'inputs': [{'tensor': '*', 'from': 'left'}],
                'output': {'tensor': '*', 'kind': 'depth_metric'},
                'masks': [],
            },
        )
    )


def test_star_stands_for_the_only_tensor(tmp_path):
    card = with_tensor_names(any_name(tmp_path), Tensors(['0'], ['797']))
    assert (card.inputs[0].tensor, card.output.tensor) == ('0', '797')


@pytest.mark.parametrize(
    ('inputs', 'outputs', 'words'),
    [
        (['a', 'b'], ['d'], r'the card feeds \* but the file wants a, b'),
        (['a'], ['c', 'd'], 'outputs c, d; the card must name one'),
    ],
)
def test_star_that_could_be_several_is_refused(tmp_path, inputs, outputs, words):
    with pytest.raises(ModelError, match=words):
        with_tensor_names(any_name(tmp_path), Tensors(inputs, outputs))


def test_metric_kind_may_be_declared_up_to_scale(tmp_path):
    output = {'tensor': 'depth', 'kind': 'log_depth', 'up_to_scale': True}
    assert load_card(write(tmp_path, {'output': output})).is_relative
