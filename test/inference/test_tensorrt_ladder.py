"""From a network to an engine that may be trusted, on releases of TensorRT that are played."""

from dataclasses import replace
import threading

from depth_perception.inference.card_schema import InputSpec
from depth_perception.inference.engine_cache import EngineCache
from depth_perception.inference.onnx_network import read_network, Rung
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.tensorrt_build import BuildCancelledError, Watch
from depth_perception.inference.tensorrt_ladder import (
    engine_key,
    EngineWish,
    find_engine,
    timing_key,
    Toolbox,
)
import numpy as np
import pytest

RELEASES = ('8.6.2', '10.3.0', '11.4.0')


@pytest.fixture
def make(fake_tensorrt, tmp_path):
    """Return a function that makes tools of a release, all with the same cache."""

    def tools(version='10.3.0', wrong=(), slow=None, device=fake_tensorrt.DEVICE):
        return Toolbox(
            fake_tensorrt.fake(version, wrong, slow),
            device,
            fake_tensorrt.FakeCuda,
            lambda network: OrtBackend(network.path, 1, cpu_only=True),
            EngineCache(tmp_path / 'engines'),
        )

    return tools


@pytest.fixture
def wish(networks, tmp_path):
    path = networks.vit(tmp_path / 'vit.onnx')
    return EngineWish(networks.card_of(path), read_network(path), (48, 32), ('fp16', 'fp32'))


@pytest.mark.parametrize('version', RELEASES)
def test_an_engine_is_built_checked_stored_and_found_again(make, wish, version):
    first = find_engine(make(version), wish, Watch())
    assert first.rung is Rung.HALF
    assert first.was_built
    assert first.reasons == []
    assert 'fp16 on Fake GPU' in first.engine.description
    tools = make(version)
    second = find_engine(tools, wish, Watch())
    assert not second.was_built
    assert tools.tensorrt.module.diary == []
    assert second.entry.stem == first.entry.stem
    x = np.random.default_rng(0).random((1, 3, 32, 48), np.float32)
    np.testing.assert_array_equal(
        second.engine.infer({'image': x})['depth'], first.engine.infer({'image': x})['depth']
    )


@pytest.mark.parametrize(
    ('wrong', 'rung'),
    [
        (('fp16',), Rung.MIXED),
        (('nan in fp16',), Rung.MIXED),
        (('fp16', 'mixed'), Rung.FULL),
        (('nan in fp16', 'nan in mixed'), Rung.FULL),
    ],
)
def test_a_wrong_engine_is_refused_and_the_next_rung_tried(make, wish, wrong, rung):
    outcome = find_engine(make(wrong=wrong), wish, Watch())
    assert outcome.rung is rung
    assert outcome.reasons[0].startswith('fp16: refused, depth ')
    stored = [entry for entry in make().cache.entries() if entry.plan and entry.model == 'vit']
    assert [entry.facts['precision'] for entry in stored] == [rung.value]


def test_the_ladder_ends_without_an_engine_and_with_the_reasons(make, wish):
    outcome = find_engine(make(wrong=('fp16', 'mixed', 'fp32')), wish, Watch())
    assert outcome.engine is None
    assert [reason.split(':')[0] for reason in outcome.reasons] == [
        'fp16', 'fp16 with normalisation and softmax in fp32', 'fp32',
    ]  # fmt: skip
    assert all('refused, depth differs by' in reason for reason in outcome.reasons)
    assert not [entry for entry in make().cache.entries() if entry.plan]


def test_what_was_refused_is_not_built_again(make, wish):
    find_engine(make(wrong=('fp16', 'mixed', 'fp32')), wish, Watch())
    tools = make()
    outcome = find_engine(tools, wish, Watch())
    assert outcome.engine is None
    assert tools.tensorrt.module.diary == []
    assert 'found earlier' in outcome.why_lower


def test_an_engine_that_refuses_to_run_is_not_stored_and_tried_again_later(make, wish):
    outcome = find_engine(make(wrong=('refuses',)), wish, Watch())
    assert outcome.engine is None
    assert 'refuses to run' in outcome.why_lower
    assert make().cache.entries() == []


@pytest.mark.parametrize('damage', ['changed', 'cut', 'writable'])
def test_a_plan_that_was_tampered_with_is_never_deserialised(make, wish, damage):
    entry = find_engine(make(), wish, Watch()).entry
    path = make().cache.folder / entry.plan
    plan = path.read_bytes()
    if damage == 'changed':
        path.write_bytes(plan[:-5] + b'?' + plan[-4:])
    elif damage == 'cut':
        path.write_bytes(plan[: len(plan) // 2])
    else:
        path.chmod(0o666)
    tools = make()
    outcome = find_engine(tools, wish, Watch())
    assert outcome.was_built
    assert 'a stored engine was refused' in outcome.why_lower
    assert len(tools.tensorrt.module.loaded) == 1  # the one that was built
    assert tools.tensorrt.module.loaded[0] == plan


@pytest.mark.parametrize(
    'change',
    [
        {'name': 'Other GPU'}, {'capability': (8, 9)}, {'processors': 8}, {'driver': 13000},
        {'integrated': True},
    ],
)  # fmt: skip
def test_a_plan_of_another_gpu_or_driver_is_never_deserialised(make, wish, fake_tensorrt, change):
    find_engine(make(), wish, Watch())
    tools = make(device=replace(fake_tensorrt.DEVICE, **change))
    assert find_engine(tools, wish, Watch()).was_built
    assert len(tools.tensorrt.module.loaded) == 1


def test_a_plan_that_tensorrt_refuses_is_built_again(make, wish):
    tools = make()
    key = engine_key(tools, wish, Rung.HALF)
    tools.cache.store(key, b'not a plan of any release', {})
    outcome = find_engine(tools, wish, Watch())
    assert outcome.was_built
    assert 'magic tag does not match' in outcome.why_lower
    assert tools.cache.load(tools.cache.find(key)) != b'not a plan of any release'


@pytest.mark.parametrize(
    'change',
    [
        {'size': (96, 64)}, {'dla_core': 0}, {'workspace_mib': 64},
    ],
)  # fmt: skip
def test_what_an_engine_depends_on_is_in_its_key(make, wish, change, networks, tmp_path):
    tools = make()
    other = replace(wish, **change)
    assert engine_key(tools, other, Rung.HALF).digest != engine_key(tools, wish, Rung.HALF).digest
    assert engine_key(tools, wish, Rung.FULL).digest != engine_key(tools, wish, Rung.HALF).digest
    old = engine_key(make('8.6.2'), wish, Rung.HALF).digest
    assert old != engine_key(tools, wish, Rung.HALF).digest


def test_another_network_and_other_constants_make_another_engine(make, wish, networks, tmp_path):
    tools = make()
    digest = engine_key(tools, wish, Rung.HALF).digest
    other = replace(wish, network=replace(wish.network, sha256='00' * 32))
    assert engine_key(tools, other, Rung.HALF).digest != digest
    digests = set()
    for value in (3, 4):
        constant = InputSpec(tensor='n', source='const', value=value, dtype='int64')
        card = replace(wish.card, inputs=(*wish.card.inputs, constant))
        digests.add(engine_key(tools, replace(wish, card=card), Rung.HALF).digest)
    assert len(digests | {digest}) == 3


def test_a_card_with_a_range_of_sizes_gets_one_engine_for_all(make, networks, tmp_path):
    path = networks.cnn(tmp_path / 'cnn.onnx')
    runtime = '{precision: [fp32], shape: dynamic, min: [32, 32], opt: [64, 64], max: [96, 128]}'
    card = networks.card_of(path, runtime, '{policy: none}')
    wish = EngineWish(card, read_network(path), (48, 32), ('fp32',))
    engine = find_engine(make(), wish, Watch()).engine
    for height, width in ((32, 48), (96, 128), (64, 64)):
        x = np.random.default_rng(height).random((1, 3, height, width), np.float32)
        with OrtBackend(path) as reference:
            wanted = reference.infer({'image': x})['depth']
        np.testing.assert_allclose(engine.infer({'image': x})['depth'], wanted, atol=1e-5)


def test_the_timing_cache_is_kept_for_the_release_and_gpu(make, wish):
    tools = make()
    find_engine(tools, wish, Watch())
    find_engine(tools, replace(wish, size=(48, 32), precisions=('fp32',)), Watch())
    timings = [entry[1] for entry in tools.tensorrt.module.diary if entry[0] == 'timing']
    assert timings == [b'', b'+']
    assert timing_key(make('11.4.0')).digest != timing_key(tools).digest


@pytest.mark.parametrize('version', RELEASES)
def test_building_can_be_cancelled(make, wish, version):
    watch = Watch()
    seen = []

    def slow(step):
        seen.append(step)
        watch.cancelled.set()

    with pytest.raises(BuildCancelledError):
        find_engine(make(version, slow=slow), wish, watch)
    assert seen == ([0, 1, 2, 3] if version.startswith('8') else [0])
    assert make().cache.entries() == []


def test_building_happens_in_the_context_of_the_device(make, wish, fake_tensorrt):
    opened, seen = [], []

    def open_cuda():
        opened.append((threading.get_ident(), fake_tensorrt.FakeCuda()))
        return opened[-1][1]

    def slow(step):
        seen.append([ident for ident, cuda in opened if not cuda.closed])

    outcome = find_engine(replace(make(slow=slow), open_cuda=open_cuda), wish, Watch())
    assert seen[0] == [threading.get_ident()]
    assert [cuda.closed for _, cuda in opened] == [True, False]
    outcome.engine.close()


def test_plugins_that_cannot_be_had_are_named_and_nothing_is_built(make, wish):
    runtime = replace(wish.card.runtime, plugins=('ess_plugins.so',))
    tools = make()
    outcome = find_engine(tools, replace(wish, card=replace(wish.card, runtime=runtime)), Watch())
    assert 'needs the plugins ess_plugins.so' in outcome.why_lower
    assert tools.tensorrt.module.diary == []


def test_without_a_reference_nothing_is_built(make, wish, tmp_path):
    tools = make()
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'')
    tools = replace(tools, open_reference=lambda network: OrtBackend(broken))
    outcome = find_engine(tools, wish, Watch())
    assert outcome.engine is None
    assert 'ONNX Runtime cannot load' in outcome.why_lower
    assert tools.tensorrt.module.diary == []


def test_unknown_fp32_layers_are_named(make, networks, tmp_path):
    path = networks.vit(tmp_path / 'vit.onnx')
    card = networks.card_of(path, '{precision: [fp16], fp32_layers: [nothing_*]}')
    wish = EngineWish(card, read_network(path), (48, 32), ('fp16',))
    outcome = find_engine(make(), wish, Watch())
    assert outcome.rung is Rung.FULL
    assert "no node of the network is named 'nothing_*'" in outcome.why_lower
