from depth_perception.evaluation.measures.depth import range_sums
from depth_perception.evaluation.measures.ranges import disparity_range_sums
from depth_perception.evaluation.report_ranges import range_table
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

EDGES_M = (1.0, 2.0, 5.0)


def test_each_pixel_is_in_the_bin_of_its_true_distance():
    depth = np.array([[0.9, 1.0, 1.9, 2.0, 4.9, 5.0, 90.0, np.nan]], np.float32)
    truth = np.array([[70.0, 60.0, 40.0, 30.0, 20.0, 10.0, 100.0, 9.0]], np.float32)
    disparity = truth + np.array([[0, 1, 1.5, 2.5, np.nan, -3.5, 4.0, 0]], np.float32)
    sums = disparity_range_sums(disparity, truth, depth, np.ones((1, 8), bool), EDGES_M)
    assert sums == {
        'range_disparity_truth': [2.0, 2.0, 2.0],
        'range_disparity_pixels': [2.0, 1.0, 2.0],
        'range_epe_sum_px': [2.5, 2.5, 7.5],
        'range_bad_1': [1.0, 1.0, 2.0],
        'range_bad_2': [0.0, 1.0, 2.0],
        'range_d1': [0.0, 0.0, 1.0],  # 4 px of 100 is below 5 %
    }


def test_pixels_outside_of_the_mask_and_without_truth_do_not_count():
    depth = np.full((1, 4), 1.5, np.float32)
    truth = np.array([[0.0, -1.0, np.nan, 8.0]], np.float32)
    mask = np.array([[True, True, True, False]])
    sums = disparity_range_sums(truth, truth, depth, mask, EDGES_M)
    assert all(value == [0.0, 0.0, 0.0] for value in sums.values())


@given(st.integers(0, 2**32 - 1))
def test_bins_add_up_to_the_whole_and_agree_with_those_of_depth(seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 9.0, (7, 9)).astype(np.float32)
    truth = (30.0 / depth).astype(np.float32)
    disparity = np.where(rng.random((7, 9)) < 0.3, np.nan, truth + rng.normal(0, 2, (7, 9)))
    mask = rng.random((7, 9)) < 0.8
    sums = disparity_range_sums(disparity.astype(np.float32), truth, depth, mask, EDGES_M)
    predicted = np.where(np.isfinite(disparity), depth, np.nan).astype(np.float32)
    by_depth = range_sums(predicted, depth, mask, EDGES_M)
    assert sums['range_disparity_truth'] == by_depth['range_truth']
    assert sums['range_disparity_pixels'] == by_depth['range_pixels']
    inside = mask & (depth >= 1.0) & np.isfinite(disparity)
    error = np.abs(disparity.astype(np.float32)[inside] - truth[inside].astype(float))
    assert sum(sums['range_epe_sum_px']) == pytest.approx(error.sum())
    assert sum(sums['range_bad_2']) == np.count_nonzero(error > 2.0)


def test_the_table_shows_quotients_of_the_sums():
    sums = {
        'range_truth': [200.0, 0.0, 50.0],
        'range_pixels': [100.0, 0.0, 25.0],
        'range_abs_rel_sum': [3.0, 0.0, 2.0],
        'range_square_sum_m2': [4.0, 0.0, 100.0],
        'range_disparity_pixels': [80.0, 0.0, 0.0],
        'range_bad_2': [20.0, 0.0, 0.0],
    }
    table = range_table([('<a>', sums), ('empty', {})], EDGES_M)
    first, second = table.split('<tr><th scope="row">')[1:]
    assert first.startswith('1 - 2 m')
    cells = [cell.split('</td>')[0] for cell in first.split('<td>')[1:]]
    assert cells == ['200', '50', '3', '0.2', '25']
    assert [c.split('</td>')[0] for c in second.split('<td>')[1:]] == ['50', '50', '8', '2', '-']
    assert '<a>' not in table
    assert 'empty' not in table
    assert range_table([('b', {})], EDGES_M) == ''
