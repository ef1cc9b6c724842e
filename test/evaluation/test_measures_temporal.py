"""Steadiness from frame to frame and over whole runs, on series made by hand and real ones."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import ShapeError
from depth_perception.evaluation.datasets.files import read_depth_mm, read_image
from depth_perception.evaluation.measures.steadiness import scale_jitter
from depth_perception.evaluation.measures.temporal import TemporalMeasures
from depth_perception.evaluation.measures.warping import warp_error
import numpy as np
import pytest

NAN, INF = np.nan, np.inf
CAMERA = PinholeCamera(128, 96, 110.0, 112.0, 63.2, 47.9)
SMALL = PinholeCamera(16, 12, 14.0, 15.0, 7.6, 5.7)
KINECT = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)


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


def fed(*frames, measures=None, first=0):
    """Return (measures, figures of each frame) for frames given as dicts."""
    measures = measures or TemporalMeasures()
    figures = [
        measures.add(frame['depth'], 10 * (first + i) + 10, CAMERA, *(
            frame.get(key) for key in ('pose', 'grey')
        ))
        for i, frame in enumerate(frames)
    ]  # fmt: skip
    return measures, figures


def kinect(shared_dir, number):
    folder = shared_dir / 'data' / 'kinect_sequence'
    depth = read_depth_mm(folder / f'frame-{number:06d}.depth.png')
    depth[depth >= 10.0] = NAN
    return depth, np.loadtxt(folder / f'frame-{number:06d}.pose.txt')


# Frame by frame


def test_the_mean_over_the_frames_is_tae():
    a, b, b_from_a, _ = waves()
    poses = [pose(), np.linalg.inv(b_from_a), pose(z=1.3)]
    _, figures = fed(*({'depth': d, 'pose': p} for d, p in zip((a, b, b), poses, strict=True)))
    assert np.isnan([figures[0]['tae_pct'], figures[0]['opw_m'], figures[1]['opw_m']]).all()
    total = 0.0
    for i, (one, other) in enumerate(((a, b), (b, b))):
        motion = np.linalg.inv(poses[i + 1]) @ poses[i]
        total += warp_error(one, other, CAMERA, motion)
        total += warp_error(other, one, CAMERA, np.linalg.inv(motion))
    tae = 100.0 / (2 * (3 - 1)) * total
    assert np.mean([figure['tae_pct'] for figure in figures[1:]]) == pytest.approx(tae)


def test_poses_are_world_from_camera():
    """A camera that drives 1 m towards a wall; the other way round the wall would move off."""
    _, figures = fed(
        {'depth': constant(4.0), 'pose': pose()}, {'depth': constant(3.0), 'pose': pose(z=1.0)}
    )
    assert figures[1]['tae_pct'] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('lost', [None, np.full((4, 4), NAN)])
def test_no_tae_without_both_poses(lost):
    frames = [{'depth': constant(4.0), 'pose': p} for p in (pose(), lost, pose(), pose())]
    _, figures = fed(*frames)
    assert np.isnan([figure['tae_pct'] for figure in figures[:3]]).all()
    assert figures[3]['tae_pct'] == 0.0


def test_opw_of_frames():
    frames = [{'depth': constant(z), 'grey': picture()} for z in (4.0, 4.3, 4.1)]
    _, figures = fed(*frames)
    assert np.isnan(figures[0]['opw_m'])
    assert [figure['opw_m'] for figure in figures[1:]] == pytest.approx([0.3, 0.2], abs=1e-5)
    tiny = PinholeCamera(20, 20, 20.0, 20.0, 9.5, 9.5)
    measures = TemporalMeasures()
    for stamp in (1, 2):
        figure = measures.add(constant(2.0, tiny), stamp, tiny, None, np.zeros((20, 20), np.uint8))
        assert np.isnan(figure['opw_m'])


def test_real_truth_is_steady(shared_dir):
    folder = shared_dir / 'data' / 'kinect_sequence'
    measures, figures, wrong = TemporalMeasures(), [], TemporalMeasures()
    for number in range(0, 16, 5):
        depth, world_from_camera = kinect(shared_dir, number)
        grey = read_image(folder / f'frame-{number:06d}.color.jpg').mean(axis=2).astype(np.uint8)
        figure = measures.add(depth, number + 1, KINECT, world_from_camera, grey)
        other = wrong.add(depth, number + 1, KINECT, np.linalg.inv(world_from_camera))
        figures.append((figure['tae_pct'], figure['opw_m'], other['tae_pct']))
    tae, opw, other = np.mean(figures[1:], axis=0)
    assert 0.3 < tae < 1.0
    assert 0.005 < opw < 0.06
    assert other > 2 * tae
    assert np.isnan(measures.flicker())  # the camera moves


# Over the whole run


def series(frames=9, seed=0):
    """Return depths of a still camera: the pixels of each half have a noise of their own."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(128) < 70, 0.01, 0.05)
    return [
        (3.0 * np.exp(spread * rng.normal(size=(96, 128)))).astype(np.float32)
        for _ in range(frames)
    ]


def test_flicker_is_the_spread_of_each_pixel():
    depths = series()
    wanted = np.median(np.std(np.log(np.array(depths, np.float64)), axis=0))
    measures, _ = fed(*({'depth': depth, 'pose': pose(0.5)} for depth in depths))
    assert measures.flicker() == pytest.approx(wanted, rel=1e-9)
    stacked = np.array(depths, np.float64)
    ratios = np.std(stacked / np.median(stacked, axis=0), axis=0)
    assert measures.flicker() == pytest.approx(np.median(ratios), rel=0.02)


@pytest.mark.parametrize('missing', [NAN, INF, -INF, 0.0])
def test_flicker_is_of_pixels_seen_five_times(missing):
    depths = series()
    for depth in depths[4:]:
        depth[:, :80] = missing  # seen 4 times
    for depth in depths[5:]:
        depth[:, 80:100] = missing  # seen 5 times
    stacked = np.array(depths, np.float64)
    five, nine = stacked[:5, :, 80:100], stacked[:, :, 100:]
    five, nine = (np.std(np.log(seen), axis=0) for seen in (five, nine))
    wanted = np.median(np.concatenate([five, nine], axis=1))
    measures, _ = fed(*({'depth': depth} for depth in depths))
    assert measures.flicker() == pytest.approx(wanted, rel=1e-9)
    assert np.isnan(fed(*({'depth': depth} for depth in depths[:4]))[0].flicker())


@pytest.mark.parametrize(
    ('moved', 'counts'),
    [(pose(0.009), True), (pose(0.011), False), (pose(turn_deg=0.09), True),
     (pose(turn_deg=0.11), False), (None, True)],
)  # fmt: skip
def test_flicker_wants_a_camera_that_stands_still(moved, counts):
    frames = [{'depth': depth, 'pose': pose()} for depth in series()]
    frames[6]['pose'] = moved
    assert np.isfinite(fed(*frames)[0].flicker()) == counts


def test_flicker_sees_a_slow_drift_of_the_poses():
    frames = [{'depth': d, 'pose': pose(x=0.002 * i)} for i, d in enumerate(series())]
    assert np.isnan(fed(*frames)[0].flicker())


@pytest.mark.parametrize(('shift', 'counts'), [(0, True), (2, False)])
def test_without_poses_the_pictures_tell_whether_the_camera_moves(shift, counts):
    frames = [{'depth': d, 'grey': picture(shift=shift * i)} for i, d in enumerate(series())]
    assert np.isfinite(fed(*frames)[0].flicker()) == counts
    for frame in frames:
        frame['pose'] = pose()
    assert np.isfinite(fed(*frames)[0].flicker())  # poses know better


def test_scale_jitter_is_the_spread_of_the_scale():
    scales = [1.0, 1.1, 0.8, 1.3]
    unknown = [NAN, INF, 0.0, -1.0]
    assert scale_jitter([*scales, *unknown]) == pytest.approx(np.std(np.log(scales)))
    assert scale_jitter([2.0 * scale for scale in scales]) == pytest.approx(scale_jitter(scales))
    assert np.isnan(scale_jitter([1.0, *unknown]))


# Jumps, and carrying on


def jump(how, measures):
    if how == 'reset':
        measures.reset()
    return {'reset': (CAMERA, 1000), 'clock': (CAMERA, 5), 'camera': (
        PinholeCamera(128, 96, 100.0, 112.0, 63.2, 47.9), 1000)}[how]  # fmt: skip


@pytest.mark.parametrize('how', ['reset', 'clock', 'camera'])
def test_nothing_is_compared_across_a_jump(how):
    frame = {'depth': constant(4.0), 'pose': pose(), 'grey': picture()}
    measures, _ = fed(frame, frame)
    camera, stamp_ns = jump(how, measures)
    first = measures.add(constant(4.0), stamp_ns, camera, pose(x=3.0), picture())
    assert np.isnan(list(first.values())).all()
    second = measures.add(constant(4.0), stamp_ns + 1, camera, pose(x=3.0), picture())
    assert list(second.values()) == pytest.approx([0.0, 0.0], abs=1e-6)


def test_flicker_is_the_mean_of_the_spans():
    short, long = series(5, seed=1), series(15, seed=2)
    parts = [fed(*({'depth': d} for d in depths))[0].flicker() for depths in (short, long)]
    measures, _ = fed(*({'depth': d, 'pose': pose()} for d in short))
    measures.reset()
    fed(*({'depth': d, 'pose': pose(x=2.0)} for d in long), measures=measures)
    wanted = (5 * parts[0] + 15 * parts[1]) / 20
    assert measures.flicker() == pytest.approx(wanted, rel=1e-9)
    measures.reset()
    moving = [{'depth': d, 'pose': pose(x=i)} for i, d in enumerate(short)]
    fed(*moving, measures=measures)
    assert measures.flicker() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize('cut', [0, 1, 4, 7])
def test_a_run_can_be_carried_on(tmp_path, cut):
    depths = series(8)
    frames = [{'depth': d, 'pose': pose(), 'grey': picture(i)} for i, d in enumerate(depths)]
    whole, wanted = fed(*frames)
    part, _ = fed(*frames[:cut])
    np.savez(tmp_path / 'state.npz', **part.state())
    with np.load(tmp_path / 'state.npz', allow_pickle=False) as state:
        later = TemporalMeasures()
        later.restore(dict(state))
    _, figures = fed(*frames[cut:], measures=later, first=cut)
    for got, want in zip(figures, wanted[cut:], strict=True):
        assert got == pytest.approx(want, nan_ok=True, rel=1e-12)
    assert later.flicker() == whole.flicker()


def test_what_moved_and_the_spans_before_are_carried_on_too():
    depths = series(6)
    measures, _ = fed(*({'depth': d, 'pose': pose()} for d in depths))
    wanted = measures.flicker()
    measures.reset()
    fed({'depth': depths[0], 'pose': pose()}, {'depth': depths[1], 'pose': pose(z=1)},
        measures=measures)  # fmt: skip
    later = TemporalMeasures()
    later.restore(measures.state())
    fed(*({'depth': d, 'pose': pose(z=1)} for d in depths), measures=later, first=2)
    assert later.flicker() == wanted


def test_memory_does_not_grow():
    def size_of(frames):
        measures, _ = fed(
            *({'depth': d, 'pose': pose(), 'grey': picture()} for d in series(frames))
        )
        return sum(array.nbytes for array in measures.state().values())

    assert size_of(2) == size_of(12)


def test_frames_are_kept_as_they_were_given():
    depth, measures = constant(4.0), TemporalMeasures()
    measures.add(depth, 1, CAMERA, pose(), None)
    depth[:] = 9.0
    assert measures.add(constant(4.0), 2, CAMERA, pose(), None)['tae_pct'] == 0.0


def test_sizes_must_be_those_of_the_camera():
    measures = TemporalMeasures()
    with pytest.raises(ShapeError, match='depth'):
        measures.add(constant(2.0, SMALL), 1, CAMERA)
    with pytest.raises(ShapeError, match='image_grey'):
        measures.add(constant(2.0), 1, CAMERA, None, picture(size=(48, 64)))
    with pytest.raises(ShapeError, match='b_from_a'):
        warp_error(constant(2.0), constant(2.0), CAMERA, np.eye(3))
