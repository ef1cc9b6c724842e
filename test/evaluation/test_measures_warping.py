"""Warped depth and optical flow against the program of its authors, brute force and by hand."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.evaluation.datasets.files import read_depth_mm
from depth_perception.evaluation.measures.warping import (
    flow_between,
    opw_m,
    warp_error,
    warped_depth,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

NAN, INF = np.nan, np.inf
CAMERA = PinholeCamera(128, 96, 110.0, 112.0, 63.2, 47.9)
SMALL = PinholeCamera(16, 12, 14.0, 15.0, 7.6, 5.7)
KINECT = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)

# Video-Depth-Anything 4f5ae23, benchmark/eval/eval_tae.py, tae_torch, in double precision on
# numpy arrays. It has no z-buffer, so these are of motions on which no two points share a pixel,
# and (for the real frames) nearly none.
TAE_FORTH = 0.11047687215538603
TAE_FORTH_MASKED = 0.11039540526647226
TAE_KINECT_20_10 = 0.006486692467262185


def pose(x=0.0, y=0.0, z=0.0, turn_deg=0.0):
    """Return (4, 4): turned about y, then moved."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    return np.array([[c, 0, s, x], [0, 1, 0, y], [-s, 0, c, z], [0, 0, 0, 1]], np.float64)


def waves():
    """Return two smooth depths, and a motion towards them."""
    v, u = np.mgrid[0:96, 0:128]
    a = (3 + 0.2 * np.sin(u / 19) + 0.15 * np.cos(v / 17)).astype(np.float32)
    b = (1.9 + 0.2 * np.sin(u / 23) + 0.15 * np.cos(v / 13)).astype(np.float32)
    return a, b, pose(0.02, -0.03, -1.2, np.degrees(0.02)), (u + 2 * v) % 3 == 0


def constant(value, camera=CAMERA):
    return np.full((camera.height, camera.width), value, np.float32)


def picture(seed=0, shift=0, size=(96, 128)):
    """Return smooth grey noise, moved to the right by whole pixels."""
    grid = np.random.default_rng(seed).uniform(0, 255, (size[0] // 8, size[1] // 8 + 8))
    smooth = np.kron(grid, np.ones((8, 8)))
    for axis in (0, 1):
        smooth = sum(np.roll(smooth, n, axis) for n in range(-4, 5)) / 9
    return smooth[:, 32 - shift : 32 - shift + size[1]].astype(np.uint8)


# Warping


def test_warp_error_is_that_of_video_depth_anything():
    a, b, b_from_a, mask = waves()
    assert warp_error(a, b, CAMERA, b_from_a) == pytest.approx(TAE_FORTH, abs=1e-12)
    masked = warp_error(a, b, CAMERA, b_from_a, mask)
    assert masked == pytest.approx(TAE_FORTH_MASKED, abs=1e-12)


def kinect(shared_dir, number):
    folder = shared_dir / 'data' / 'kinect_sequence'
    depth = read_depth_mm(folder / f'frame-{number:06d}.depth.png')
    depth[depth >= 10.0] = NAN
    return depth, np.loadtxt(folder / f'frame-{number:06d}.pose.txt')


def test_warp_error_of_real_frames(shared_dir):
    (a, world_from_a), (b, world_from_b) = (kinect(shared_dir, i) for i in (20, 10))
    b_from_a = np.linalg.inv(world_from_b) @ world_from_a
    assert warp_error(a, b, KINECT, b_from_a) == pytest.approx(TAE_KINECT_20_10, rel=1e-5)
    assert warp_error(a, b, KINECT, np.linalg.inv(b_from_a)) > 2 * TAE_KINECT_20_10


@settings(deadline=None)
@given(st.integers(0, 200), st.floats(-1.5, 3.0), st.floats(-30.0, 30.0))
def test_warping_is_that_of_a_loop_with_a_z_buffer(seed, z, turn_deg):
    depth = np.random.default_rng(seed).uniform(0.5, 4.0, (12, 16))
    depth[depth < 0.9] = NAN
    b_from_a = pose(0.21, -0.13, z, turn_deg)
    wanted = np.full(depth.shape, INF)
    for v, u in zip(*np.nonzero(depth > 0), strict=True):
        ray = np.array([(u - SMALL.cx) / SMALL.fx, (v - SMALL.cy) / SMALL.fy, 1.0])
        x, y, far = (b_from_a @ [*(depth[v, u] * ray), 1.0])[:3]
        if far <= 0:
            continue
        column = round(SMALL.fx * x / far + SMALL.cx)
        row = round(SMALL.fy * y / far + SMALL.cy)
        if 0 <= column < 16 and 0 <= row < 12:
            wanted[row, column] = min(wanted[row, column], far)
    wanted[np.isinf(wanted)] = NAN
    np.testing.assert_allclose(warped_depth(depth, SMALL, b_from_a), wanted, rtol=1e-9)


@pytest.mark.parametrize('nearer', [0, 1])
def test_the_nearer_of_two_points_wins(nearer):
    """Whichever comes last; the reference has the last one, at 5.2 m in one of the two orders."""
    camera = PinholeCamera(2, 1, 1.0, 1.0, 0.0, 0.0)
    depth = np.array([[0.1, 0.2]]) if nearer == 0 else np.array([[0.2, 0.1]])
    warped = warped_depth(depth, camera, pose(z=5.0))
    assert warped[0, 0] == pytest.approx(5.1)
    assert np.isnan(warped[0, 1])


def test_a_point_behind_the_camera_is_not_seen():
    """The reference writes it, over the pixel it mirrors to."""
    assert np.isnan(warped_depth(constant(2.0), CAMERA, pose(z=-2.5))).all()
    assert np.isnan(warp_error(constant(2.0), constant(2.0), CAMERA, pose(z=-2.5)))
    assert np.isnan(warped_depth(constant(2.0), CAMERA, pose(z=-2.0))).all()


def test_a_wall_seen_from_nearer():
    towards = pose(z=-1.0)
    assert warp_error(constant(4.0), constant(3.0), CAMERA, towards) == pytest.approx(0.0)
    assert warp_error(constant(4.0), constant(3.3), CAMERA, towards) == pytest.approx(0.3 / 3.3)
    assert warp_error(constant(4.0), constant(4.0), CAMERA, towards) == pytest.approx(0.25)


@pytest.mark.parametrize('missing', [NAN, INF, -INF, 0.0, -1.0])
def test_what_is_not_known_is_not_warped(missing):
    a, b = constant(4.0), constant(5.0)
    a[:, 60:] = missing
    b[:50] = missing
    seen = warped_depth(a, CAMERA, pose())
    assert np.isnan(seen[:, 60:]).all()
    assert (seen[:, :60] == 4.0).all()
    assert warp_error(a, b, CAMERA, pose()) == pytest.approx(0.2)
    assert np.isnan(warp_error(a, constant(missing), CAMERA, pose()))


# Optical flow


def test_opw_by_hand():
    a, b = constant(4.0), constant(4.0)
    b[:, 64:] = 5.0
    dark, grey = np.zeros((96, 128), np.uint8), np.zeros((96, 128), np.uint8)
    grey[:, 64:] = 51  # 0.2
    flow = np.zeros((96, 128, 2), np.float32)
    weight = np.exp(-50 * 0.2**2)
    figure = opw_m(a, b, dark, grey, flow)
    assert figure == pytest.approx(weight / (1 + weight), rel=1e-6)
    flow[..., 0] = 30.0  # columns 34 to 97 now look at the right half; 98 to 127 at nothing
    share = 64 * weight / (34 + 64 * weight)
    assert opw_m(a, b, dark, grey, flow) == pytest.approx(share, rel=1e-6)


def test_opw_leaves_out_what_is_not_known():
    a, b = constant(4.0), constant(4.5)
    a[:40], b[:, :30] = NAN, INF
    grey, flow = picture(), np.zeros((96, 128, 2), np.float32)
    assert opw_m(a, b, grey, grey, flow) == pytest.approx(0.5)
    assert np.isnan(opw_m(a, constant(NAN), grey, grey, flow))


def test_opw_follows_the_picture():
    first, second = picture(), picture(shift=3)
    flow = flow_between(first, second)
    assert np.median(flow[..., 0]) == pytest.approx(3.0, abs=0.1)
    assert np.median(flow[..., 1]) == pytest.approx(0.0, abs=0.1)
    slope = np.broadcast_to(np.linspace(2.0, 4.0, 128, dtype=np.float32), (96, 128))
    moved = (slope - np.float32(3 * 2.0 / 127)).astype(np.float32)
    still = np.zeros_like(flow)
    assert opw_m(slope, moved, first, second, flow) < 0.005
    assert opw_m(slope, moved, first, second, still) == pytest.approx(6.0 / 127, rel=1e-3)
