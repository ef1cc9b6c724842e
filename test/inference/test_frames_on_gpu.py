"""Whole frames through a played GPU, whose kernels are their twins, against the CPU path."""

from dataclasses import replace
import importlib
from pathlib import Path
import threading

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture
from depth_perception.inference import backend_choice, frame_plan
from depth_perception.inference.backend_choice import Acceleration
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.frame_plan import image_problem, network_job
from depth_perception.inference.kernel_twins import prepare_arguments, prepare_twin
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.resize import plan_resize
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

POLICIES = {
    'stretch': '{policy: stretch, size: [32, 48]}',
    'stretch area': '{policy: stretch, size: [32, 48], interp: area}',
    'lower_bound': '{policy: lower_bound, size: 32, multiple: 16, interp: cubic}',
    'upper_bound': '{policy: upper_bound, size: [96, 128], multiple: 16, interp: area}',
    'minimal': '{policy: minimal, size: [64, 80], multiple: 16, interp: auto}',
    'letterbox': '{policy: letterbox, size: [64, 64], pad: {value: [10, 120, 250]}}',
    'pad': '{policy: pad, multiple: 32, pad: {mode: reflect, place: bottom_left}}',
    'area_range': '{policy: area_range, size: [1200, 1600], multiple: 16}',
    'none': '{policy: none}',
}
CARD = """
id: {name}
task: mono
artifact: {{file: {name}.onnx, licence: MIT, commercial: true}}
inputs: [{{tensor: image, from: left, mean: [0.4, 0.5, 0.3], std: [0.2, 0.25, 0.3]{more}}}]
resize: {resize}
output: {{tensor: depth, kind: depth_metric}}
uncertainty: {{sources: [edge], relative_floor: 0.08}}
"""


@pytest.fixture
def play(fake_tensorrt, monkeypatch, tmp_path):
    """Return a function that makes this machine one with a GPU; it returns the runtimes."""
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path / 'cache'))

    def with_(**personality):
        opened = []

        def open_runtime(*_):
            opened.append(fake_tensorrt.FakeCuda(**personality))
            return opened[-1]

        found = Acceleration(fake_tensorrt.DEVICE, fake_tensorrt.fake(), 'pycuda')
        monkeypatch.setattr(backend_choice, 'open_runtime', open_runtime)
        monkeypatch.setattr(backend_choice, 'find_acceleration', lambda settings: found)
        return opened

    return with_


@pytest.fixture
def open_one(networks, tmp_path):
    """Return a function that opens an estimator of a small network."""

    def open_(resize='none', more='', **values):
        path = tmp_path / 'small.onnx'
        if not path.exists():
            networks.cnn(path)
        card = path.with_suffix('.yaml')
        card.write_text(CARD.format(name='small', resize=POLICIES[resize], more=more))
        chosen = {'tensorrt__while_building': 'wait', 'min_depth_m': 0.5, 'max_depth_m': 4.0}
        settings = MonoEstimatorSettings(model=str(card), threads=1, **{**chosen, **values})
        return open_estimator(settings)

    return open_


def frame(seed=0, order='bgr', width=64, height=48):
    random = np.random.default_rng(seed)
    pixels = np.linspace(0, 150, width)[None, :, None] + random.integers(0, 90, (height, 1, 3))
    pixels[: height // 2, width // 3 :] += 30
    pixels = pixels.clip(0, 255).astype(np.uint8)
    if order == 'grey':
        pixels = np.ascontiguousarray(pixels[..., 1])
    camera = PinholeCamera(width, height, 60.0, 61.0, 31.0, 24.5)
    return MonoFrame(Picture(pixels, order), camera, stamp_ns=seed + 1, frame_id='eye')


def by_twins(specs, preparation):
    """Make tensors of pictures as the kernel does, which rounds otherwise than OpenCV."""
    made = {}
    for spec in specs:
        p = preparation
        arguments = prepare_arguments(p.frame.image, p.plan, p.resize, spec)
        made[spec.tensor] = prepare_twin(p.frame.image.pixels, arguments)[None]
    return made


def same(found, wanted):
    np.testing.assert_array_equal(found.depth, wanted.depth)
    np.testing.assert_array_equal(found.sigma, wanted.sigma)
    assert np.isfinite(wanted.depth).mean() > 0.3
    assert (found.stamp_ns, found.frame_id) == (wanted.stamp_ns, wanted.frame_id)


@pytest.mark.parametrize('flying', [True, False])
@pytest.mark.parametrize('policy', POLICIES)
def test_a_frame_is_that_of_the_cpu_under_every_policy(
    play, open_one, monkeypatch, policy, flying
):
    (runtimes := play()).clear()
    options = {'filters__flying_pixels': flying}
    with open_one(policy, **options) as gpu:
        found = gpu.estimate(frame())
        assert gpu.backend.name == 'tensorrt'
        assert gpu.kernels == 'images on the GPU, depth and cloud on the GPU'
    ran = [name for cuda in runtimes for name in cuda.ran]
    assert set(ran) == {'prepare', 'publish'} | ({'calm', 'finish'} if flying else set())
    with open_one(policy, tensorrt__kernels=False, **options) as cpu:
        plain = cpu.estimate(frame())
        assert cpu.backend.name == 'tensorrt'
        assert cpu.kernels == 'none: tensorrt.kernels is off'
        with monkeypatch.context() as patch:
            patch.setattr(frame_plan, 'tensors_from', by_twins)
            wanted = cpu.estimate(frame())
    same(found, wanted)
    if policy in ('pad', 'none'):  # nothing is interpolated: OpenCV does the same to the bit
        same(found, plain)
    both = np.isfinite(found.depth) & np.isfinite(plain.depth)
    assert both.mean() > 0.9 * np.isfinite(plain.depth).mean()
    off = np.abs(found.depth[both] / plain.depth[both] - 1.0)
    assert (np.percentile(off, [50, 99]) < [0.01, 0.05]).all()  # one grey level here or there


@pytest.mark.parametrize('order', ['rgb', 'bgr', 'grey'])
@pytest.mark.parametrize('more', ['', ', color: bgr', ', layout: NCHW, divide: 1'])
def test_the_cloud_comes_with_the_depth(play, open_one, order, more):
    from depth_perception.core.cloud import cloud_size, pack_cloud

    play()
    with open_one(more=more, max_relative_sigma=1.0) as gpu:
        assert gpu.estimate(frame(order=order)).cloud is None
        gpu.wants_cloud = True
        for seed in range(3):
            shown = frame(seed, order)
            found = gpu.estimate(shown)
            wanted = bytearray(cloud_size(found.camera))
            pack_cloud(found.depth, found.sigma, found.camera, shown.image, wanted)
            packed = np.frombuffer(wanted, np.uint32).reshape(found.cloud.shape)
            np.testing.assert_array_equal(found.cloud[..., 3], packed[..., 3])
            numbers = [0, 1, 2, 4]
            np.testing.assert_allclose(
                found.cloud.view(np.float32)[..., numbers],
                packed.view(np.float32)[..., numbers], rtol=1e-5,
            )  # fmt: skip


@pytest.mark.parametrize('captures', [False, True])
def test_many_frames_need_no_more_memory_and_are_replayed(play, open_one, captures):
    runtimes = play(captures=captures)
    with open_one('stretch') as gpu, open_one('stretch', tensorrt__kernels=False) as cpu:
        cuda = next(c for c in runtimes if not c.closed)
        gpu.wants_cloud = True
        for _ in range(2):
            gpu.estimate(frame())
        launched, slots = cuda.launches, len(cuda.slots)
        for seed in range(6):
            found = gpu.estimate(frame(seed))
        assert len(cuda.slots) == slots
        assert cuda.launches - launched == (12 if captures else 0)  # before and after the network
        with np.errstate(invalid='ignore'):
            off = np.abs(found.depth / cpu.estimate(frame(5)).depth - 1.0)
        assert np.nanpercentile(off, 98) < 0.05
        gpu.settings = replace(gpu.settings, max_depth_m=3.0)  # other arguments: another graph
        assert np.nanmax(np.where(np.isinf(d := gpu.estimate(frame(5)).depth), 0, d)) <= 3.0


def test_another_size_of_images_is_served_with_memory_of_its_own(play, open_one):
    runtimes = play()
    with open_one('stretch') as gpu:
        gpu.wants_cloud = True
        for width, height in ((64, 48), (80, 60), (64, 48)):
            found = gpu.estimate(frame(width=width, height=height))
            assert found.cloud.shape == (height, width, 5)
        cuda = next(c for c in runtimes if not c.closed)
        assert len(cuda.slots) == 2 + 1 + 9  # tensors, the picture, maps


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        ('compile', 'cannot be compiled: there is no compiler'),
        ('prepare', 'does not compute what its twin does: image differs by up to'),
        ('publish', 'does not compute what its twin does: the depth differs in'),
        ('finish', 'does not compute what its twin does: the depth differs in'),
        ('prepare fails', 'the kernels failed: an illegal memory access'),
        ('publish fails', 'the kernels failed: an illegal memory access'),
    ],
)
def test_a_wrong_kernel_never_serves_and_the_reason_is_said(play, open_one, wrong, words):
    play(wrong=(wrong,))
    with open_one('none') as gpu:
        found = [gpu.estimate(frame()) for _ in range(2)]
        assert gpu.backend.name == 'tensorrt'
        assert words in gpu.backend.warning
        assert words in gpu.kernels
    play()
    with open_one('none', tensorrt__kernels=False) as cpu:
        assert cpu.backend.warning == ''
        wanted = cpu.estimate(frame())
    for one in found:
        same(one, wanted)


def test_an_engine_that_fails_under_way_gives_way_and_the_frame_is_served(
    play, open_one, fake_tensorrt, monkeypatch
):
    play()
    with open_one() as gpu:
        gpu.estimate(frame())
        monkeypatch.setattr(fake_tensorrt.Context, 'refuses', True)
        found = gpu.estimate(frame(2))
        assert gpu.backend.name == 'onnxruntime'
        assert 'refuses to run' in gpu.backend.warning
        assert gpu.kernels == 'none: no engine of TensorRT runs'
    with open_one(backend='onnxruntime') as cpu:
        same(found, cpu.estimate(frame(2)))


def test_a_run_goes_on_by_itself(play, open_one, fake_tensorrt, monkeypatch):
    gate, begun = threading.Event(), threading.Event()
    run = fake_tensorrt.Context.execute_async_v3

    def slow(self, stream):
        begun.set()
        assert gate.wait(20.0)
        return run(self, stream)

    play()
    with open_one() as gpu:
        first = gpu.estimate(frame(1))
        monkeypatch.setattr(fake_tensorrt.Context, 'execute_async_v3', slow)
        ticket = gpu.begin(frame(2))
        assert begun.wait(20.0)
        assert ticket.running is not None
        assert first.depth.sum() != 0.0  # nothing that was given away is touched
        gate.set()
        ticket.wait()
        second = gpu.finish(ticket)
        assert second.stamp_ns == 3
        same(second, gpu.estimate(frame(2)))
        assert second.timings_ms['infer'] > 0.0


@pytest.mark.parametrize(
    ('more', 'why'),
    [
        (', layout: HW', 'image has no channels'),
        (', shrink: 2', 'image is shrunk by 2'),
        (', dtype: int64', 'image is int64'),
    ],
)
def test_what_no_kernel_makes_is_made_on_the_cpu_with_the_reason(open_one, tmp_path, more, why):
    open_one(more='', backend='onnxruntime').close()
    card = tmp_path / 'small.yaml'
    card.write_text(CARD.format(name='small', resize=POLICIES['none'], more=more))
    spec = load_card(str(card)).inputs[0]
    assert image_problem(spec) == why
    shown = frame()
    plan = plan_resize(load_card(str(card)).resize, 64, 48)
    preparation = Preparation(shown, plan, load_card(str(card)).resize)
    job = network_job(load_card(str(card)), preparation, kernels=True)
    assert job.images == ()
    assert list(job.feeds) == ['image']


def test_filters_of_the_cpu_keep_depth_there_and_say_so(play, open_one):
    runtimes = play()
    with open_one(filters__speckle_area_px=5) as gpu:
        gpu.estimate(frame())
        assert 'depth and cloud on the CPU (the filter of speckles runs on the CPU)' in gpu.kernels
    assert {name for cuda in runtimes for name in cuda.ran} == {'prepare'}


def test_the_benchmark_takes_whole_frames_through_a_gpu(play, open_one, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / 'benchmark'))
    gpu_frames = importlib.import_module('gpu_frames')
    play(captures=True)
    open_one('stretch', backend='onnxruntime').close()
    findings = gpu_frames.measure(str(tmp_path / 'small.yaml'), frames=4)
    assert findings.faults == []
    assert findings.figures['the kernels serve'] == 'ok'
    assert findings.figures['kernels, overlapped: time per frame [ms]'] > 0.0
    play(wrong=('publish',))
    (fault,) = gpu_frames.measure(str(tmp_path / 'small.yaml'), frames=2).faults
    assert fault.startswith('the kernels serve images and clouds are made on the CPU')
