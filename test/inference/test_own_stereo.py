"""The stereo network that ships, on pairs with a known answer."""

from __future__ import annotations

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.cards import artifact_path, load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
from network_cost import multiply_adds
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
onnxruntime = pytest.importorskip('onnxruntime')

MODEL = 'depth-perception-stereo-small'
MARGIN = 100


@pytest.fixture(scope='module')
def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = artifact_path(load_card(MODEL))
    assert path.stat().st_size < 5_000_000
    providers = ['CPUExecutionProvider']
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def texture(width, height, seed):
    """Return (H, W, 3) float32, 0..1, with details of every size."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cell in (2, 5, 13, 40):
        small = rng.random((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total / 4.0, 0.0, 1.0)


def box_pair(width, height, far, near):
    """Return (left, right, disparity): a wall, and before it a box in the middle."""
    wall, box = texture(width + 2 * MARGIN, height, 1), texture(width + 2 * MARGIN, height, 2)
    truth = np.full((height, width), far, np.float32)
    rows, columns = slice(height // 4, 3 * height // 4), slice(width // 3, 2 * width // 3)
    truth[rows, columns] = near

    def seen(image, shift):
        return image[:, MARGIN + shift : MARGIN + shift + width].copy()

    left, right = seen(wall, 0), seen(wall, far)
    left[rows, columns] = seen(box, 0)[rows, columns]
    moved = slice(columns.start - near, columns.stop - near)
    right[rows, moved] = seen(box, near)[rows, moved]
    return left, right, truth


def answers(session, left, right):
    feeds = {
        name: np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        for name, image in (('left', left), ('right', right))
    }
    return [found[0, 0] for found in session.run(['disparity', 'log_variance'], feeds)]


@pytest.mark.parametrize(('width', 'height'), [(96, 64), (256, 128), (352, 224)])
def test_any_multiple_of_32_is_answered_in_its_size(session, width, height):
    left = texture(width + 20, height, 3)
    disparity, log_variance = answers(session, left[:, :width], left[:, 7 : 7 + width])
    assert disparity.shape == log_variance.shape == (height, width)
    assert np.isfinite(disparity).all()
    assert (disparity >= 0.0).all()
    assert np.abs(disparity[:, 24:] - 7.0).mean() < 1.0


@pytest.mark.parametrize('shift', [0, 10, 37, 90])
def test_shift_of_the_whole_picture_is_found(session, shift):
    image = texture(320 + MARGIN, 192, 4)
    disparity, log_variance = answers(session, image[:, :320], image[:, shift : shift + 320])
    inner = np.s_[8:-8, shift + 16 : -16]
    assert np.median(np.abs(disparity[inner] - shift)) < 0.5
    assert np.mean(np.abs(disparity[inner] - shift) > 2.0) < 0.03
    if shift:  # at the end of its range it is found, too, but not trusted
        assert np.median(np.exp(0.5 * log_variance[inner])) < 1.5


def test_box_before_a_wall_and_what_it_hides(session):
    left, right, truth = box_pair(384, 192, 8, 40)
    disparity, log_variance = answers(session, left, right)
    error = np.abs(disparity - truth)
    assert np.mean(error > 2.0) < 0.1
    assert np.median(error[60:130, 140:240]) < 0.5
    hidden = np.s_[60:130, 100:122]  # beside the box on the left: the wall, seen by one camera
    assert np.median(error[hidden]) < 4.0
    wrong = error > 2.0
    assert log_variance[wrong].mean() > log_variance[~wrong].mean() + 1.0


def test_exposure_of_one_camera_does_not_matter(session):
    left, right, truth = box_pair(384, 192, 8, 40)
    plain, _ = answers(session, left, right)
    darker, _ = answers(session, left, 0.6 * right)
    assert np.mean(np.abs(plain - darker) > 1.0) < 0.08
    assert np.mean(np.abs(darker - truth) > 2.0) < 0.12


def test_without_any_texture_it_knows_that_it_does_not_know(session):
    rng = np.random.default_rng(5)
    bare = [np.float32(0.5) + rng.normal(0.0, 0.004, (128, 256, 3)) for _ in range(2)]
    left, right, _ = box_pair(256, 128, 8, 30)
    _, unsure = answers(session, *(image.astype(np.float32) for image in bare))
    _, sure = answers(session, left, right)
    assert np.median(unsure) > np.median(sure) + 2.0


def test_depth_comes_out_in_metres_with_an_error_bar():
    left, right, truth = box_pair(400, 200, 8, 40)  # padded to multiples of 32
    camera = PinholeCamera(400, 200, 300.0, 300.0, 199.5, 99.5)
    pictures = [Picture(np.rint(255 * image).astype(np.uint8), 'rgb') for image in (left, right)]
    frame = StereoFrame(*pictures, StereoRig(camera, camera, 0.1))
    settings = StereoEstimatorSettings(model=MODEL, backend='onnxruntime', threads=1)
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame)
    assert estimate.depth.shape == (200, 400)
    depth = 300.0 * 0.1 / truth
    box = np.s_[60:140, 145:255]
    assert np.nanmedian(np.abs(estimate.depth / depth - 1.0)[box]) < 0.02
    assert estimate.valid[box].mean() > 0.95
    assert (estimate.sigma[estimate.valid] > 0.0).all()


def test_the_file_costs_at_most_12_gflop_at_640_by_480():
    onnx = pytest.importorskip('onnx', reason='onnx reads the graph')
    model = onnx.load(str(artifact_path(load_card(MODEL))))
    feeds = {name: np.zeros((1, 3, 480, 640), np.float32) for name in ('left', 'right')}
    assert 9e9 < 2 * multiply_adds(model, feeds) <= 12e9


def test_half_precision_says_nearly_the_same(session):
    onnx = pytest.importorskip('onnx', reason='onnx makes the network in half precision')
    from depth_perception.inference.onnx_half import ALWAYS_FULL, as_half

    card = load_card(MODEL)
    model = onnx.load(str(artifact_path(card)))
    half = as_half(model, ALWAYS_FULL, card.runtime.fp32_layers)
    narrow = onnxruntime.InferenceSession(
        half.SerializeToString(), providers=['CPUExecutionProvider']
    )
    left, right, _ = box_pair(256, 128, 8, 40)
    full, full_sigma = answers(session, left, right)
    found, sigma = answers(narrow, left, right)
    assert np.isfinite(found).all()
    assert np.isfinite(sigma).all()
    assert np.mean(np.abs(found - full) > 0.5) < 0.05
    assert np.median(np.abs(sigma - full_sigma)) < 0.2
