"""How plans are asked for, release by release."""

import ctypes.util
import os
import threading

from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.inference.onnx_network import read_network, Rung
from depth_perception.inference.tensorrt_build import (
    build_plan,
    BuildOptions,
    plugin_paths,
    ShapeRange,
    Watch,
)
import pytest

FIXED = {'image': ShapeRange.fixed((1, 3, 32, 48))}
RANGE = {'image': ShapeRange((1, 3, 32, 32), (1, 3, 64, 64), (1, 3, 96, 128))}


@pytest.fixture
def network(networks, tmp_path):
    return read_network(networks.cnn(tmp_path / 'cnn.onnx'))


def built(tensorrt, network, rung=Rung.FULL, shapes=FIXED, watch=None, **options):
    """Return what the fake saw of one build: the network and the configuration."""
    build_plan(tensorrt, network.content(rung), BuildOptions(shapes, rung, **options), watch)
    return next(entry[1:] for entry in tensorrt.module.diary if entry[0] == 'build')


@pytest.mark.parametrize(
    ('version', 'creation'),
    [('8.6.2', 'EXPLICIT_BATCH'), ('10.3.0', 'STRONGLY_TYPED'), ('11.4.0', 'STRONGLY_TYPED')],
)
def test_networks_are_explicit_on_8_and_strongly_typed_since(
    fake_tensorrt, network, version, creation
):
    tensorrt = fake_tensorrt.fake(version)
    made, _ = built(tensorrt, network)
    known = tensorrt.module.NetworkDefinitionCreationFlag
    assert made.flags == 1 << int(getattr(known, creation))


@pytest.mark.parametrize('version', ['10.3.0', '11.4.0'])
def test_precision_is_the_networks_own_since_10(fake_tensorrt, network, version):
    made, config = built(fake_tensorrt.fake(version), network, Rung.HALF)
    assert config.flags == {'TF32'}
    assert {layer.precision for layer in made.layers} == {None}


def test_on_8_6_every_layer_is_told_the_type_it_has_in_onnx(fake_tensorrt, network):
    made, config = built(fake_tensorrt.fake('8.6.2'), network, Rung.MIXED)
    assert config.flags == {'TF32', 'FP16', 'OBEY_PRECISION_CONSTRAINTS'}
    told = {layer.name: layer.precision.name for layer in made.layers}
    assert told['Conv_a'] == 'HALF'
    assert told['Softplus_depth'] == 'FLOAT'
    assert all(layer.types == {0: layer.kind} for layer in made.layers)


@pytest.mark.parametrize('version', ['8.6.2', '10.3.0', '11.4.0'])
def test_fp32_is_not_tf32(fake_tensorrt, network, version):
    assert built(fake_tensorrt.fake(version), network)[1].flags == set()


def test_a_fixed_shape_is_pinned_and_a_range_becomes_a_profile(fake_tensorrt, network):
    made, config = built(fake_tensorrt.fake(), network)
    assert made.inputs[0].shape == (1, 3, 32, 48)
    assert config.profiles == []
    made, config = built(fake_tensorrt.fake(), network, shapes=RANGE)
    assert made.inputs[0].shape == (1, 3, -1, -1)
    span = RANGE['image']
    assert config.profiles == [{'image': (span.low, span.opt, span.high)}]


@pytest.mark.parametrize(
    ('shapes', 'words'),
    [
        ({}, 'needs a shape'),
        ({'image': ShapeRange.fixed((1, 4, 32, 48))}, 'does not fit'),
        ({'image': ShapeRange.fixed((3, 32, 48))}, 'does not fit'),
        ({'image': ShapeRange((1, 3, 9, 9), (1, 3, 5, 9), (1, 3, 9, 12))}, 'is not between'),
    ],
)
def test_shapes_that_do_not_fit_are_named(fake_tensorrt, network, shapes, words):
    with pytest.raises(ModelError, match=words):
        built(fake_tensorrt.fake(), network, shapes=shapes)


def test_dla_is_an_option_and_must_be_there(fake_tensorrt, network):
    _, config = built(fake_tensorrt.fake(), network, dla_core=1)
    assert (config.DLA_core, config.default_device_type.name) == (1, 'DLA')
    assert 'GPU_FALLBACK' in config.flags
    with pytest.raises(BackendUnavailableError, match='DLA core 2 is asked for, this device has'):
        built(fake_tensorrt.fake(), network, dla_core=2)


def test_workspace_is_limited_if_asked(fake_tensorrt, network):
    assert built(fake_tensorrt.fake(), network)[1].pools == {}
    pools = built(fake_tensorrt.fake(), network, workspace_mib=256)[1].pools
    assert pools == {'WORKSPACE': 256 << 20}


def test_a_timing_cache_of_another_release_is_replaced(fake_tensorrt, network):
    tensorrt = fake_tensorrt.fake()
    options = BuildOptions(FIXED)
    plan = build_plan(tensorrt, network.content(Rung.FULL), options, None, b'of another release')
    assert plan.timing == b'+'


def test_progress_is_told_and_ends(fake_tensorrt, network):
    told = []
    built(fake_tensorrt.fake(), network, watch=Watch(lambda *step: told.append(step)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert ('Building', 0.5) in told
    assert told[-1] == ('built', 1.0)


def test_the_complaint_of_the_parser_is_passed_on(fake_tensorrt, network, monkeypatch):
    tensorrt = fake_tensorrt.fake('8.6.2')
    with pytest.raises(ModelError, match="node 3 'odd': Failed to parse the ONNX model"):
        build_plan(tensorrt, b'\x08\x07garbage', BuildOptions(FIXED))


def test_a_driver_that_fails_under_tensorrt_is_an_error_not_a_crash(fake_tensorrt, network):
    tensorrt = fake_tensorrt.fake()

    def nothing(log):
        raise TypeError('pybind11::init(): factory function returned nullptr')

    tensorrt.module.Builder = nothing
    with pytest.raises(BackendUnavailableError, match='makes no builder'):
        built(tensorrt, network)


def test_plugins_come_from_a_folder_of_the_user_only(tmp_path):
    names = ('ess_plugins.so',)
    with pytest.raises(BackendUnavailableError, match=r'set tensorrt\.plugin_folder'):
        plugin_paths(names, '')
    with pytest.raises(BackendUnavailableError, match=r'no plugin ess_plugins\.so'):
        plugin_paths(names, str(tmp_path))
    library = tmp_path / 'ess_plugins.so'
    library.write_bytes(b'')
    library.chmod(0o644)
    assert plugin_paths(names, str(tmp_path)) == [library]
    library.chmod(0o666)
    with pytest.raises(BackendUnavailableError, match='somebody else'):
        plugin_paths(names, str(tmp_path))
    with pytest.raises(BackendUnavailableError, match='no plugin'):
        plugin_paths((f'../{tmp_path.name}/ess_plugins.so',), str(tmp_path))


def test_networks_that_say_8_bits_themselves_are_built_as_they_are(networks, tmp_path):
    path = quantised(networks, tmp_path)
    assert read_network(path).rungs(('fp16', 'fp32')) == (Rung.INT8,)


def quantised(networks, tmp_path):
    """Return a network with symmetric 8-bit quantisation, which TensorRT accepts."""
    tools = pytest.importorskip('onnxruntime.quantization')
    import numpy as np

    class Images(tools.CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(0)
            self.left = [random.random((1, 3, 32, 48), np.float32) for _ in range(4)]

        def get_next(self):
            return {'image': self.left.pop()} if self.left else None

    tools.quantize_static(
        networks.cnn(tmp_path / 'cnn.onnx'),
        tmp_path / 'int8.onnx',
        Images(),
        quant_format=tools.QuantFormat.QDQ,
        per_channel=True,
        activation_type=tools.QuantType.QInt8,
        weight_type=tools.QuantType.QInt8,
        op_types_to_quantize=['Conv'],
        extra_options={
            'ActivationSymmetric': True,
            'WeightSymmetric': True,
            'QuantizeBias': False,
            'DedicatedQDQPair': True,
        },
    )
    return tmp_path / 'int8.onnx'


# The real thing: TensorRT-RTX reads and builds without a GPU.


@pytest.fixture(scope='module')
def rtx():
    pytest.importorskip(
        'tensorrt_rtx', reason='tensorrt-rtx-cu13 is not installed; see requirements/README.md'
    )
    from depth_perception.inference.tensorrt_api import load_tensorrt

    return load_tensorrt(None)


def plan_of(rtx, path, rung, shapes=FIXED, watch=None, layers=()):
    content = read_network(path).content(rung, layers)
    return build_plan(rtx, content, BuildOptions(shapes, rung), watch).plan


@pytest.mark.parametrize('kind', ['cnn', 'vit'])
@pytest.mark.parametrize('rung', [Rung.HALF, Rung.MIXED, Rung.FULL])
def test_rtx_builds_every_rung(rtx, networks, tmp_path, kind, rung):
    path = getattr(networks, kind)(tmp_path / 'net.onnx')
    assert len(plan_of(rtx, path, rung)) > 10_000


def test_rtx_builds_a_range_of_shapes_and_fp32_layers(rtx, networks, tmp_path):
    path = networks.cnn(tmp_path / 'net.onnx')
    assert plan_of(rtx, path, Rung.HALF, RANGE, layers=('Conv_?',))


def test_rtx_builds_the_stand_in_of_every_kind_of_output(rtx, prover, tmp_path):
    from depth_perception.inference.cards import load_card
    from depth_perception.inference.engine_inputs import size_for_image
    from depth_perception.inference.ort_backend import OrtBackend
    from depth_perception.inference.tensorrt_ladder import EngineWish

    kinds = {}
    for name in prover.NETWORKS:
        kinds.setdefault(load_card(name).output.kind, name)
    for name in kinds.values():
        net = prover.NETWORKS[name]
        card = load_card(
            str(prover.stand_in_card(name, net, prover.scene_for(net, (158, 118)), tmp_path))
        )
        path = tmp_path / 'stand_in.onnx'
        with OrtBackend(path, 1) as backend:
            size = size_for_image(card, backend.inputs, (158, 118))
        wish = EngineWish(card, read_network(path), size, ('fp16', 'fp32'))
        for rung in (Rung.HALF, Rung.FULL):
            content = wish.network.content(rung, (), wish.constants())
            assert build_plan(rtx, content, BuildOptions(wish.shapes(), rung)).plan, name
    assert len(kinds) >= 11  # no network of the field says log_depth


@pytest.mark.parametrize('name', ['depth-perception-stereo-small', 'room-depth'])
def test_rtx_builds_the_networks_that_ship(rtx, name):
    from depth_perception.inference.cards import artifact_path, load_card
    from depth_perception.inference.engine_inputs import size_for_image
    from depth_perception.inference.ort_backend import OrtBackend
    from depth_perception.inference.tensorrt_ladder import EngineWish

    card = load_card(name)
    path = artifact_path(card)
    with OrtBackend(path, 1) as backend:
        size = size_for_image(card, backend.inputs, (160, 128))
    wish = EngineWish(card, read_network(path), size, ('fp16', 'fp32'))
    for rung in (Rung.HALF, Rung.FULL):
        content = wish.network.content(rung, (), wish.constants())
        assert len(build_plan(rtx, content, BuildOptions(wish.shapes(), rung)).plan) > 1_000_000


def test_rtx_builds_quantised_convolutions(rtx, networks, tmp_path):
    assert plan_of(rtx, quantised(networks, tmp_path), Rung.INT8)


def test_rtx_says_what_it_cannot_read(rtx, networks, tmp_path):
    with pytest.raises(ModelError, match=r'TensorRT-RTX .* cannot read the network'):
        build_plan(rtx, b'\x08\x07garbage', BuildOptions(FIXED))
    nodes = [networks.node('Det', 'image', 'd'), networks.node('ReduceMean', 'image', 'depth')]
    nodes[1].attribute.append(networks.helper.make_attribute('axes', [1]))
    path = networks.save(tmp_path / 'odd.onnx', nodes, {}, opset=13)
    with pytest.raises(ModelError, match='Det'):
        plan_of(rtx, path, Rung.FULL)


def test_rtx_without_a_gpu_refuses_its_plan_and_does_not_crash(
    rtx, networks, tmp_path, fake_tensorrt
):
    if ctypes.util.find_library('cuda') is not None:
        pytest.skip('this machine has a CUDA driver')
    from depth_perception.errors import InferenceError
    from depth_perception.inference.tensorrt_backend import TensorRTBackend

    plan = plan_of(rtx, networks.cnn(tmp_path / 'net.onnx'), Rung.FULL)
    cuda = fake_tensorrt.FakeCuda()
    with pytest.raises(InferenceError, match='does not load the plan'):
        TensorRTBackend(rtx, plan, lambda: cuda, 'an engine')
    assert cuda.closed


def test_rtx_tells_progress_and_can_be_cancelled(rtx, networks, tmp_path):
    from depth_perception.inference.tensorrt_build import BuildCancelledError

    told, watch = [], Watch()
    watch.report = lambda phase, share: told.append(share)
    path = networks.vit(tmp_path / 'net.onnx')
    plan_of(rtx, path, Rung.HALF, watch=watch)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(set(told)) > 5

    def stop(phase, share):
        if share > 0.1:
            watch.cancelled.set()

    watch.report = stop
    with pytest.raises(BuildCancelledError):
        plan_of(rtx, path, Rung.HALF, watch=watch)


def test_rtx_lets_other_threads_run(rtx, networks, tmp_path):
    path = networks.vit(tmp_path / 'net.onnx')
    thread = threading.Thread(target=plan_of, args=(rtx, path, Rung.FULL))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
        os.sched_yield()
    assert turns > 100


def test_rtx_has_all_that_is_called(rtx):
    from depth_perception.inference import tensorrt_api as api

    module = rtx.module
    real = {
        api.HostMemory: module.IHostMemory, api.ParserError: module.ParserError,
        api.Parser: module.OnnxParser, api.Network: module.INetworkDefinition,
        api.NetworkTensor: module.ITensor, api.OptimizationProfile: module.IOptimizationProfile,
        api.BuilderConfig: module.IBuilderConfig, api.Builder: module.Builder,
        api.ExecutionContext: module.IExecutionContext, api.Engine: module.ICudaEngine,
        api.Runtime: module.Runtime,
    }  # fmt: skip
    for protocol, found in real.items():
        wanted = {name for name in vars(protocol) if not name.startswith('_')}
        wanted |= set(vars(protocol).get('__annotations__', ()))
        assert wanted
        assert {name for name in wanted if not hasattr(found, name)} == set(), protocol
