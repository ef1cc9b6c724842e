"""The kernels, compiled for the CPU, against their twins, and the twins against the CPU path."""

import ctypes
from dataclasses import replace
from pathlib import Path
import shutil
import subprocess

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.frame import MonoFrame, Picture
from depth_perception.inference import kernel_twins as twins
from depth_perception.inference.card_schema import InputSpec, PadSpec, ResizeSpec
from depth_perception.inference.cuda_source import SOURCE
from depth_perception.inference.frame_plan import publish_job
from depth_perception.inference.postprocess import Postprocessor, RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize, restored_map
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

HOST = Path(__file__).with_name('host_kernels.cpp').read_text()
POLICIES = {
    'shrink': ResizeSpec('stretch', (24, 40)),
    'enlarge': ResizeSpec('stretch', (90, 130)),
    'area': ResizeSpec('stretch', (20, 32), interp='area'),
    'area by whole numbers': ResizeSpec('stretch', (24, 31), interp='area'),
    'area upwards': ResizeSpec('stretch', (90, 130), interp='area'),
    'cubic': ResizeSpec('stretch', (70, 100), interp='cubic'),
    'auto': ResizeSpec('lower_bound', 32, 8, interp='auto'),
    'letterbox': ResizeSpec('letterbox', (64, 64), pad=PadSpec(value=(10.0, 120.0, 250.0))),
    'pad': ResizeSpec('pad', multiple=32, pad=PadSpec('replicate', place='top_left')),
    'reflect': ResizeSpec('pad', multiple=32, pad=PadSpec('reflect', place='bottom_left')),
    'none': ResizeSpec('none'),
}
INPUTS = {
    'rgb': InputSpec(tensor='x', source='left', mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3)),
    'bgr last half': InputSpec(
        tensor='x', source='left', color='bgr', layout='NHWC', dtype='float16'
    ),
    'grey': InputSpec(tensor='x', source='left', color='gray', mean=(0.5,), std=(0.5,)),
    'bytes': InputSpec(tensor='x', source='left', dtype='uint8', divide=1.0),
}


@pytest.fixture(scope='module')
def host(tmp_path_factory):
    """Return the kernels as a library for this CPU."""
    compiler = shutil.which('g++') or shutil.which('c++')
    if compiler is None:
        pytest.skip('there is no C++ compiler')
    folder = tmp_path_factory.mktemp('kernels')
    (folder / 'kernels.cpp').write_text(SOURCE + HOST)
    library = folder / 'kernels.so'
    done = subprocess.run(
        [compiler, '-O1', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', str(library),
         str(folder / 'kernels.cpp')],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if '_Float16' in done.stderr:
        pytest.skip('the compiler has no half precision')
    assert (done.returncode, done.stderr) == (0, '')
    return ctypes.CDLL(str(library))


def picture(order='rgb', height=48, width=62):
    random = np.random.default_rng(5)
    smooth = np.add.outer(np.arange(height) * 2.0, np.arange(width))[..., None] * [1.0, 0.7, 0.4]
    pixels = (smooth + random.integers(0, 60, smooth.shape)).clip(0, 255).astype(np.uint8)
    return Picture(np.ascontiguousarray(pixels[..., 0]) if order == 'grey' else pixels, order)


def pointer(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


def on_host(host, image, arguments, like):
    out = np.zeros(like.shape, like.dtype)
    pixels = np.ascontiguousarray(image.pixels)
    host.host_prepare(pointer(pixels), pointer(out), ctypes.byref(arguments))
    return out


def test_arguments_have_the_layout_of_the_kernels(host):
    assert host.size_of_prepare() == ctypes.sizeof(twins.PrepareArguments)
    assert host.size_of_publish() == ctypes.sizeof(twins.PublishArguments)
    assert host.size_of_finish() == ctypes.sizeof(twins.FinishArguments)


@pytest.mark.parametrize('order', ['rgb', 'bgr', 'grey'])
@pytest.mark.parametrize('name', INPUTS)
@pytest.mark.parametrize('policy', POLICIES)
def test_prepare_makes_what_the_cpu_makes(host, policy, name, order):
    image, resize, spec = picture(order), POLICIES[policy], INPUTS[name]
    plan = plan_resize(resize, image.width, image.height)
    camera = PinholeCamera(image.width, image.height, 50.0, 50.0, 30.0, 24.0)
    wanted = tensors_from((spec,), Preparation(MonoFrame(image, camera), plan, resize))['x'][0]
    arguments = twins.prepare_arguments(image, plan, resize, spec)
    twin = twins.prepare_twin(image.pixels, arguments)
    kernel = on_host(host, image, arguments, twin)
    assert twin.dtype == wanted.dtype
    step = 1.0 if spec.dtype == 'uint8' else max(arguments.gain)
    for found in (twin, kernel):
        error = np.abs(found.astype(np.float64) - wanted) / step  # in units of 8 bits
        assert error.max() < 1.4
        assert error.mean() < 0.2  # OpenCV rounds its weights, too
    difference = np.abs(kernel.astype(np.float64) - twin) / step
    assert difference.max() < 1.2  # where both round, rarely
    assert (difference > 0.01).mean() < 0.03


CAMERA = PinholeCamera(62, 48, 55.0, 54.0, 30.5, 23.5)
SETTINGS = MonoEstimatorSettings(filters__flying_pixels=False, min_depth_m=0.8, max_depth_m=5.0)


def published(plan, image=None, **values):
    """Return the arguments of `publish` for a plan."""
    colours = {} if image is None else {'channels': 1 if image.order == 'grey' else 3}
    return twins.PublishArguments(
        width=62, height=48, map_width=plan.target[0], map_height=plan.target[1],
        scaled_width=plan.scaled[0], scaled_height=plan.scaled[1], left=plan.left, top=plan.top,
        swap=int(image is not None and image.order == 'bgr'), fx=CAMERA.fx, fy=CAMERA.fy,
        cx=CAMERA.cx, cy=CAMERA.cy, rho_near=1.0 / SETTINGS.min_depth_m,
        rho_far=1.0 / SETTINGS.max_depth_m, most_sigma=SETTINGS.max_relative_sigma,
        **{'gain': 1.0, 's': 1.0, 'relative': 0.1, **colours, **values},
    )  # fmt: skip


def network_map(plan):
    """Return inverse depth from beyond the range to too near, with holes."""
    width, height = plan.target
    rho = np.add.outer(np.linspace(0.1, 1.0, height), np.linspace(0.0, 0.6, width))
    rho[5:8, 10:14] = np.nan
    rho[12:14, 3:6] = -0.2
    return rho.astype(np.float32)


def kernel_of(host, values, arguments, score=None, far=None, image=None):
    depth = np.zeros((48, 62), np.float32)
    sigma, cloud = np.zeros_like(depth), np.zeros((48, 62, 5), np.uint32)
    pixels = None if image is None else np.ascontiguousarray(image.pixels)
    host.host_publish(
        pointer(values), pointer(score), pointer(far), pointer(pixels), pointer(depth),
        pointer(sigma), pointer(cloud), ctypes.byref(arguments),
    )  # fmt: skip
    return depth, sigma, cloud


def cpu_path(rho, plan, scale, floor=0.0, far=None, score=0.1):
    """Return depth and sigma as the package makes them of the network's inverse depth."""
    o = restored_map(rho, plan)
    metric = np.float32(scale.s) * o + np.float32(scale.t)
    (ss, st), (_, tt) = scale.covariance
    relative = restored_map(score, plan) if isinstance(score, np.ndarray) else np.float32(score)
    deviation = np.sqrt((relative * metric) ** 2 + floor**2 + ss * o * o + 2 * st * o + tt)
    raw = RawEstimate(metric, deviation.astype(np.float32), Scale(Rung.NETWORK), far)
    frame = MonoFrame(Picture(np.zeros((48, 62), np.uint8), 'grey'), CAMERA)
    estimate = Postprocessor().finish(raw, frame, SETTINGS)
    return estimate.depth, estimate.sigma


def agree(found, wanted, rtol):
    """Compare, but for pixels at the edge between two codes, where rounding decides."""
    same = np.isclose(found, wanted, rtol=rtol, atol=0.0, equal_nan=True)
    assert (~same).mean() < 0.002
    assert np.isfinite(wanted).mean() > 0.3


@pytest.mark.parametrize('policy', ['shrink', 'enlarge', 'letterbox', 'pad', 'reflect', 'none'])
@pytest.mark.parametrize('order', ['rgb', 'bgr', 'grey'])
def test_publish_makes_what_the_cpu_makes(host, policy, order):
    plan = plan_resize(POLICIES[policy], 62, 48)
    image, rho = picture(order), network_map(plan)
    far = np.zeros((48, 62), bool)
    far[:6] = True
    wanted = cpu_path(rho, plan, Scale(Rung.NETWORK), far=far)
    arguments = published(plan, image)
    twin = twins.publish_twin(rho, arguments, far=far)
    depth, sigma, cloud = kernel_of(host, rho, arguments, far=far, image=image)
    for found in (twin, (depth, sigma)):
        for one, other in zip(found, wanted, strict=True):
            agree(one, other, 2e-5)
    assert {np.inf, -np.inf} < set(depth[~np.isnan(depth)].tolist())
    packed = twins.cloud_twin(depth, sigma, CAMERA, image)
    np.testing.assert_array_equal(cloud[..., 3], packed[..., 3])
    np.testing.assert_allclose(
        cloud.view(np.float32)[..., [0, 1, 2, 4]], packed.view(np.float32)[..., [0, 1, 2, 4]],
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def test_publish_scales_and_adds_the_sigma_of_the_scale(host):
    plan = plan_resize(POLICIES['shrink'], 62, 48)
    scale = Scale(Rung.NETWORK, s=0.8, t=0.05, covariance=((4e-4, -1e-4), (-1e-4, 9e-4)))
    (ss, st), (_, tt) = scale.covariance
    rho = network_map(plan)
    score = np.linspace(0.02, 0.4, rho.size, dtype=np.float32).reshape(rho.shape)
    arguments = published(
        plan, s=scale.s, t=scale.t, ss=ss, st=st, tt=tt, floor=0.01, relative=9.0
    )
    wanted = cpu_path(rho, plan, scale, floor=0.01, score=score)
    for found in (
        twins.publish_twin(rho, arguments, score=score),
        kernel_of(host, rho, arguments, score=score)[:2],
    ):
        for one, other in zip(found, wanted, strict=True):
            agree(one, other, 5e-5)


@pytest.mark.parametrize(
    ('kind', 'encode'),
    [
        (twins.INVERSE, lambda rho: (rho - 0.2) / 3.0),
        (twins.DEPTH, lambda rho: (1.0 / rho - 0.2) / 3.0),
        (twins.LOG, lambda rho: (np.log(1.0 / rho) - 0.2) / 3.0),
    ],
)
def test_publish_decodes_before_it_interpolates(host, kind, encode):
    plan = plan_resize(POLICIES['enlarge'], 62, 48)
    rho = np.where(network_map(plan) > 0.0, network_map(plan), np.float32(np.nan))
    wanted = cpu_path(rho, plan, Scale(Rung.NETWORK))
    arguments = published(plan, kind=kind, gain=3.0, bias=0.2)
    values = encode(rho).astype(np.float32)
    for found in (
        twins.publish_twin(values, arguments), kernel_of(host, values, arguments)[:2]
    ):  # fmt: skip
        for one, other in zip(found, wanted, strict=True):
            agree(one, other, 1e-4)


@pytest.mark.parametrize('flying', ['off', 'plain', 'by sigma'])
@pytest.mark.parametrize('sky', [False, True])
def test_a_map_is_judged_and_packed_as_on_the_cpu(host, flying, sky):
    settings = replace(
        SETTINGS, filters__flying_pixels=flying != 'off',
        filters__flying_sigmas=2.0 if flying == 'by sigma' else 0.0,
    )  # fmt: skip
    image = picture('bgr')
    rho, sigma_rho = slopes()
    far = np.zeros((48, 62), bool)
    far[:6, 20:] = True
    raw = RawEstimate(rho, sigma_rho, Scale(Rung.NETWORK), far if sky else None)
    frame = MonoFrame(image, CAMERA)
    wanted = Postprocessor().finish(raw, frame, settings)
    job = publish_job((rho, sigma_rho, raw.far), CAMERA, image, settings, 0.3)
    twin = twins.publish_twin(rho, job.publish, score=sigma_rho, far=raw.far)
    first = kernel_of(host, rho, job.publish, sigma_rho, raw.far, image)
    kernel = first
    if job.finish is not None:
        twin = twins.finish_twin(*twin, job.finish)
        kernel = finish_of(host, *first[:2], job.finish, image)
        assert 20 < np.isfinite(first[0]).sum() - np.isfinite(kernel[0]).sum() < 900
    for found in (twin, kernel[:2]):
        np.testing.assert_array_equal(found[0], wanted.depth)
        np.testing.assert_array_equal(found[1], wanted.sigma)
    packed = twins.cloud_twin(wanted.depth, wanted.sigma, CAMERA, image)
    np.testing.assert_array_equal(kernel[2][..., 3], packed[..., 3])
    numbers = [0, 1, 2, 4]
    np.testing.assert_allclose(
        kernel[2].view(np.float32)[..., numbers], packed.view(np.float32)[..., numbers],
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def slopes():
    """Return inverse depth with steps, slopes across steps, holes and noise, and its sigma."""
    random = np.random.default_rng(3)
    rho = np.add.outer(np.linspace(0.15, 0.4, 48), np.zeros(62))
    rho[:, 30:] += 0.5
    rho[:, 27:30] += np.array([0.12, 0.25, 0.38])  # hangs between the two
    rho[20:23, :25] *= np.array([1.4, 2.0, 2.8])[:, None]
    rho[23:, :25] *= 3.5
    rho[5:8, 10:14] = np.nan
    rho[12:14, 3:6] = -0.2
    rho[40:, 50:] = 2.0
    rho *= 1.0 + 0.02 * random.standard_normal(rho.shape)
    sigma = np.abs(rho) * random.uniform(0.01, 0.05, rho.shape)
    sigma[30:34] *= 10.0
    sigma[0, 0] = 0.0
    return rho.astype(np.float32), sigma.astype(np.float32)


def finish_of(host, depth, sigma, arguments, image):
    kept, error = np.zeros_like(depth), np.zeros_like(sigma)
    cloud = np.zeros((48, 62, 5), np.uint32)
    cells = np.zeros((12, 16), np.float32) if arguments.sigmas > 0.0 else None
    pixels = np.ascontiguousarray(image.pixels)
    host.host_finish(
        pointer(depth), pointer(sigma), pointer(cells), pointer(pixels), pointer(kept),
        pointer(error), pointer(cloud), ctypes.byref(arguments),
    )  # fmt: skip
    return kept, error, cloud


def test_nvcc_compiles_the_kernels(tmp_path):
    nvcc = shutil.which('nvcc')
    if nvcc is None:
        pytest.skip('there is no nvcc')
    (tmp_path / 'kernels.cu').write_text(SOURCE)
    command = [nvcc, '-ptx', '-Werror', 'all-warnings', '-o', str(tmp_path / 'kernels.ptx')]
    done = subprocess.run(
        [*command, str(tmp_path / 'kernels.cu')],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code = (tmp_path / 'kernels.ptx').read_text()
    assert '.entry prepare' in code
    assert '.entry publish' in code


def test_nvrtc_compiles_the_kernels_for_every_gpu():
    nvrtc = pytest.importorskip('cuda.bindings.nvrtc', reason='cuda-bindings is not installed')
    try:
        nvrtc.nvrtcVersion()
    except Exception:  # noqa: BLE001 - whichever error the loader of libraries has
        pytest.skip('the library NVRTC is not installed')
    from depth_perception.errors import InferenceError
    from depth_perception.inference.cuda_python import CudaPythonRuntime

    runtime = CudaPythonRuntime.__new__(CudaPythonRuntime)  # compiling needs no device
    for capability in ((7, 5), (8, 7), (9, 0), (12, 0)):
        runtime._capability = capability
        assert runtime.compile(SOURCE)[:4] == b'\x7fELF'
    with pytest.raises(InferenceError, match=r'kernels\.cu\(1\): error'):
        runtime.compile('void f( {')
