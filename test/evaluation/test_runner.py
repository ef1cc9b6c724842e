"""One unit on recordings with known truth: figures, drops, resuming, and what is left out."""

from dataclasses import replace
import math

from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.runner import evaluate_unit
from depth_perception.evaluation.streams import find_cameras, find_truth
from depth_perception.evaluation.units import choose_models, Span, Unit
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
pytest.importorskip('scipy')


class Patience:
    """A report that asks to stop after some frames."""

    def __init__(self, frames=10**9):
        self.frames = frames
        self.told = []

    def progress(self, done, total):
        self.told.append((done, total))

    def should_stop(self):
        return len(self.told) >= self.frames


@pytest.fixture
def unit_of(tmp_path, evaluation_bags):
    """Return a function that makes the unit of a bag."""

    def make(bag, model=evaluation_bags.SGBM, common=(), journal='unit', **given):
        (choice,) = choose_models([model], common)
        with Recording(bag) as recording:
            (camera,) = find_cameras(recording)
            camera = camera if choice.task == 'stereo' else camera.mono()
            truth, _ = find_truth(recording, camera)
            expected = recording.count(camera.image)
        return Unit(
            bag=bag,
            bag_name='bag',
            bag_sha256='0',
            model=choice,
            camera=camera,
            truth=truth,
            options=given.pop('options', JudgeOptions()),
            span=given.pop('span', Span()),
            truth_tolerance_ms=20.0,
            journal=tmp_path / f'{journal}.jsonl',
            expected=expected,
        )

    return make


@pytest.fixture
def bag(tmp_path, evaluation_bags):
    return evaluation_bags.write_stereo(tmp_path / 'bag')


def steady(run):
    """Return what must be equal whenever and wherever the work is done."""
    timed = ('latency_ms', 'network_ms', 'metrics_ms')
    columns = {k: v for k, v in run['columns'].items() if not k.endswith(timed)}
    totals = {k: v for k, v in run['totals'].items() if not k.endswith('live_drop_rate')}
    return {**run, 'columns': columns, 'totals': totals}


def assert_same(one, other):
    np.testing.assert_equal(steady(one), steady(other))


def test_figures_of_a_scene_with_known_depth(bag, unit_of, evaluation_bags):
    patience = Patience()
    run = evaluate_unit(unit_of(bag), patience)
    assert (run['frames_in'], run['frames_out'], run['status']) == (6, 6, 'complete')
    assert run['stamps_ns'] == [evaluation_bags.stamp_ns(n) for n in range(6)]
    assert np.mean(run['columns']['online/abs_rel']) < 0.01
    assert np.mean(run['columns']['online/epe_px']) < 0.2
    assert np.all(np.isfinite(run['columns']['online/latency_ms']))
    assert run['calibration']['baseline_m'] == pytest.approx(0.1)
    assert run['calibration']['doffs_px'] == pytest.approx(3.0)
    assert (run['drops'], run['warnings']) == ({}, [])
    assert patience.told[-1] == (6, 6)


def test_median_alignment_takes_a_wrong_scale_away(tmp_path, unit_of, evaluation_bags):
    bag = evaluation_bags.write_stereo(tmp_path / 'far', truth_factor=1.25)
    options = JudgeOptions(alignments=('online', 'median', 'lsq_disp_video'))
    columns = evaluate_unit(unit_of(bag, options=options), Patience())['columns']
    assert np.mean(columns['online/abs_rel']) == pytest.approx(0.2, abs=0.01)
    assert np.mean(columns['median/abs_rel']) < 0.01
    assert np.mean(columns['lsq_disp_video/abs_rel']) < 0.01
    np.testing.assert_allclose(columns['online/scale'], 1.25, rtol=0.02)


def test_truth_from_disparity_images(tmp_path, unit_of, evaluation_bags):
    bag = evaluation_bags.write_stereo(tmp_path / 'disparities', truth='disparity')
    run = evaluate_unit(unit_of(bag), Patience())
    assert run['truth']['kind'] == 'disparity'
    assert np.mean(run['columns']['online/epe_px']) < 0.2
    assert np.mean(run['columns']['online/abs_rel']) < 0.01


def test_without_truth_speed_and_steadiness_are_told(tmp_path, unit_of, evaluation_bags):
    bag = evaluation_bags.write_stereo(tmp_path / 'plain', truth='none')
    run = evaluate_unit(unit_of(bag), Patience())
    assert 'online/abs_rel' not in run['columns']
    assert np.all(np.isfinite(run['columns']['online/tae_pct'][1:]))
    assert run['frames_out'] == 6


@pytest.mark.parametrize('moving', [True, False])
def test_stopped_work_goes_on_and_gives_the_same(bag, unit_of, evaluation_bags, tmp_path, moving):
    bag = evaluation_bags.write_stereo(tmp_path / 'other', moving=moving, still=not moving)
    whole = evaluate_unit(unit_of(bag, journal='whole'), Patience())
    first = evaluate_unit(unit_of(bag), Patience(2))
    assert (first['status'], first['frames_out']) == ('partial', 2)
    second = evaluate_unit(unit_of(bag), Patience(5))
    assert second['frames_out'] >= 3
    last = Patience()
    assert_same(evaluate_unit(unit_of(bag), last), whole)
    again = Patience()
    assert_same(evaluate_unit(unit_of(bag), again), whole)
    assert again.told == []  # all of it was in the journal


def test_work_with_a_memory_starts_anew(bag, unit_of):
    common = ['filters.temporal_weight=0.5']
    whole = evaluate_unit(unit_of(bag, common=common, journal='whole'), Patience())
    evaluate_unit(unit_of(bag, common=common), Patience(3))
    assert_same(evaluate_unit(unit_of(bag, common=common), Patience()), whole)


def test_work_that_lost_its_state_starts_anew(bag, unit_of, tmp_path):
    whole = evaluate_unit(unit_of(bag, journal='whole'), Patience())
    evaluate_unit(unit_of(bag), Patience(3))
    (tmp_path / 'unit.npz').write_bytes(b'PK garbage')
    assert_same(evaluate_unit(unit_of(bag), Patience()), whole)


def test_other_options_are_other_work(bag, unit_of):
    one = unit_of(bag)
    assert one.key == replace(one, bag_name='other', expected=1, journal=one.bag).key
    assert one.key != replace(one, options=JudgeOptions(crop='garg')).key
    assert one.key != replace(one, span=Span(every=2)).key
    assert one.key != unit_of(bag, model='sgbm').key
    assert one.key != replace(one, bag_sha256='1').key
    assert one.key == replace(one, model=replace(one.model, label='name')).key


@pytest.mark.parametrize(
    ('span', 'frames'),
    [
        (Span(every=2), [0, 2, 4]),
        (Span(limit=2), [0, 1]),
        (Span(start_s=0.25), [3, 4, 5]),
        (Span(start_s=0.1, duration_s=0.25), [1, 2, 3]),
        (Span(start_s=0.1, every=2, limit=2), [1, 3]),
    ],
)
def test_part_of_a_recording(bag, unit_of, evaluation_bags, span, frames):
    run = evaluate_unit(unit_of(bag, span=span), Patience())
    assert run['stamps_ns'] == [evaluation_bags.stamp_ns(n) for n in frames]


def test_groups_of_figures_can_be_left_out(bag, unit_of):
    run = evaluate_unit(unit_of(bag, options=JudgeOptions(groups=('depth',))), Patience())
    names = {key.partition('/')[2] for key in run['columns']}
    assert {'abs_rel', 'latency_ms', 'scale', 'valid_share'} <= names
    assert not {'ause_abs_rel', 'epe_px', 'ssim', 'chamfer_m', 'tae_pct'} & names


def test_costly_figures_are_computed_for_some_frames(bag, unit_of):
    run = evaluate_unit(unit_of(bag, span=Span(detail_every=3)), Patience())
    told = {
        name: [i for i, v in enumerate(run['columns'][f'online/{name}']) if math.isfinite(v)]
        for name in ('abs_rel', 'ause_abs_rel', 'ssim', 'chamfer_m', 'tae_pct')
    }
    assert told['abs_rel'] == [0, 1, 2, 3, 4, 5]
    assert told['ause_abs_rel'] == told['ssim'] == told['chamfer_m'] == [0, 3]
    assert told['tae_pct'] == [3]
    assert unit_of(bag).detail_every == 1
    assert replace(unit_of(bag), expected=2000).detail_every == 20


def test_caps_apply_to_the_truth(bag, unit_of, evaluation_bags):
    depth = evaluation_bags.view(0).depth
    options = JudgeOptions(max_m=float(np.median(depth)), range_edges_m=(0.0, 1.2, 1.5, 1.7))
    run = evaluate_unit(unit_of(bag, options=options, span=Span(limit=1)), Patience())
    expected = [np.sum((depth >= a) & (depth < b)) for a, b in ((0, 1.2), (1.2, 1.5), (1.5, 1.7))]
    counted = run['sums']['online/range_truth']
    assert counted[0] == expected[0]
    assert sum(counted) == np.sum(depth < options.max_m)


def test_a_clock_that_jumps_back_keeps_all_frames(tmp_path, unit_of, evaluation_bags):
    base = evaluation_bags.stamp_ns(0)
    stamps = [base + 5_000_000_000 + i * 100_000_000 for i in range(3)]
    stamps += [base + i * 100_000_000 for i in range(3)]
    logs = [evaluation_bags.stamp_ns(n) for n in range(6)]
    bag = evaluation_bags.write_stereo(tmp_path / 'jump', stamps=stamps, logs=logs)
    run = evaluate_unit(unit_of(bag), Patience())
    assert run['stamps_ns'] == stamps
    assert any('jumped back by 5.2' in text for text in run['warnings'])
    assert math.isnan(run['columns']['online/tae_pct'][3])  # nothing is compared across it


def test_a_relative_network_without_scale_drops_every_frame_and_says_why(
    tmp_path, unit_of, evaluation_bags
):
    bag = evaluation_bags.write_stereo(tmp_path / 'flat')
    run = evaluate_unit(unit_of(bag, model='floor-stixels'), Patience())
    assert run['frames_out'] == 0
    assert run['drops'] == {'not_metric': 6}
    assert 'camera_height' in ' '.join(run['warnings'])
