"""Edges, range, residuals at references and their field: closed forms."""

from depth_perception.core.scale_types import References
from depth_perception.core.score_fields import (
    edge_sigma,
    range_sigma,
    reference_residuals,
    residual_field,
    STRIDE_PX,
)
import numpy as np
import pytest

SIZE = (96, 160)


def flat(rho=0.5):
    return np.full(SIZE, rho, np.float32)


def grid_references(rho, step=8, sigma=0.0):
    v, u = np.mgrid[4 : SIZE[0] : step, 4 : SIZE[1] : step].reshape(2, -1)
    values = np.broadcast_to(rho, SIZE)[v, u]
    return References(u, v, values, sigma * values)


def test_edge_of_a_ramp_is_its_slope_over_its_value():
    # rho = 1 + 0.03 u + 0.04 v: |grad| = 0.05 per pixel.
    rho = 1.0 + 0.03 * np.arange(160) + 0.04 * np.arange(96)[:, None]
    found = edge_sigma(rho.astype(np.float32), 0.5)
    np.testing.assert_allclose(found[1:-1, 1:-1], (0.5 * 0.05 / rho)[1:-1, 1:-1], rtol=1e-3)


@pytest.mark.parametrize('row', [30, 31, 32, 33, 63, 64])
def test_step_is_unsure_on_both_sides_in_any_block_of_rows(row):
    rho = flat(0.2)
    rho[row:] = 0.6
    found = edge_sigma(rho, 1.0)
    np.testing.assert_allclose(found[row - 1], 0.5 * 0.4 / 0.2, rtol=1e-5)
    np.testing.assert_allclose(found[row], 0.5 * 0.4 / 0.6, rtol=1e-5)
    assert not found[: row - 1].any()
    assert not found[row + 1 :].any()


def test_unknown_neighbours_make_no_edge():
    rho = flat(0.5)
    rho[10, 20], rho[40, 50], rho[60, 60] = np.nan, 0.0, -1.0
    found = edge_sigma(rho, 1.0)
    assert np.isnan(found[[10, 40, 60], [20, 50, 60]]).all()
    assert found[10, 19] == found[9, 20] == 0.0
    assert np.isfinite(found).sum() == found.size - 3


@pytest.mark.parametrize('shape', [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_images_of_a_few_pixels_have_edges_too(shape):
    assert edge_sigma(np.ones(shape, np.float32), 1.0).shape == shape


def test_range_grows_with_the_depth():
    rho = np.array([[0.5, 0.1, np.nan, 0.0, -0.2]], np.float32)
    found = range_sigma(rho, 0.03, 0.02)
    np.testing.assert_allclose(found, [[0.07, 0.23, np.nan, np.nan, np.nan]], rtol=1e-5)


def test_residual_is_relative_and_without_the_noise_of_the_reference():
    rho = flat(0.5)
    references = References(
        [10.0, 20.0, 30.0], [5.0, 6.0, 7.0], [0.55, 0.4, 0.5], [0.03, 0.0, 0.2]
    )
    row, column, residual = reference_residuals(rho, references)
    assert row.tolist() == [5, 6, 7]
    assert column.tolist() == [10, 20, 30]
    np.testing.assert_allclose(residual, [0.08, 0.2, 0.0], rtol=1e-5)


def test_references_that_cannot_be_used_are_left_out():
    rho = flat(0.5)
    rho[50, 50] = np.nan
    u = [-0.6, 159.6, 50.0, 3.0, 4.0, 5.0, np.nan]
    v = [5.0, 5.0, 50.0, 95.6, 4.0, 5.0, 5.0]
    references = References(u, v, [0.5, 0.5, 0.5, 0.5, 0.0, 0.45, 0.5], np.zeros(7))
    row, column, _ = reference_residuals(rho, references)
    assert (row.tolist(), column.tolist()) == ([5], [5])


def test_gross_references_count_as_five_sigmas():
    for usual, limit in ((0.51, 0.3), (0.56, 5.0 * 1.4826 * 0.12)):
        references = grid_references(usual)
        references.rho[7] = 4.0
        residual = reference_residuals(flat(0.5), references)[2]
        assert residual.max() == pytest.approx(limit, rel=1e-3)


def test_field_of_an_even_misfit_is_that_misfit_everywhere():
    # |0.5 - 0.55| / 0.5 = 0.1 as mean of |error|: sigma 0.12533.
    found = residual_field(flat(0.5), grid_references(0.55))
    assert found.shape == (SIZE[0] // STRIDE_PX, SIZE[1] // STRIDE_PX)
    np.testing.assert_allclose(found, 0.12533, rtol=1e-3)


def test_field_tells_left_from_right_and_near_from_far():
    rho = flat(0.5)
    rho[:, 80:] = 0.52
    truth = flat(0.5)
    truth[:, 80:] = 0.62
    field = residual_field(rho, grid_references(truth))
    assert field[:, :8].mean() < 0.25 * field[:, 12:].mean()


@pytest.mark.parametrize(('shift', 'low', 'high'), [(0, 0.37, 0.38), (4, 0.0, 0.12)])
def test_field_tells_two_depths_apart_at_the_same_place(shift, low, high):
    # Stripes of 4 px, the near ones 30 % wrong; the field's pixels lie in near ones, or in far.
    near = (np.arange(160) - shift) // 4 % 2 == 1
    rho = np.broadcast_to(np.where(near, 1.0, 0.2), SIZE).astype(np.float32)
    truth = np.where(near, 1.3, 0.2)
    random = np.random.default_rng(2)
    v, u = random.integers(0, 96, 800), random.integers(0, 160, 800)
    field = residual_field(rho, References(u, v, truth[u], np.zeros(800)))
    assert low < field.mean() < high


def test_few_references_make_no_field():
    references = References(np.arange(7.0), np.arange(7.0), np.full(7, 0.5), np.zeros(7))
    assert residual_field(flat(), references) is None


def test_unknown_pixels_have_no_residual():
    rho = flat(0.5)
    rho[:40] = np.nan
    field = residual_field(rho, grid_references(0.55))
    assert np.isnan(field[:5]).all()
    np.testing.assert_allclose(field[5:], 0.12533, rtol=1e-3)


def test_references_count_by_the_fourth_power_of_their_distance():
    # Equal depths, so one level; cells of 10 by 10 px.
    height, width, cells = 90, 120, np.indices((9, 12)).reshape(2, -1)
    random = np.random.default_rng(6)
    v, u = random.integers(0, height, 60), random.integers(0, width, 60)
    misfit = random.uniform(0.0, 0.2, 60)
    found = residual_field(
        np.full((height, width), 0.5, np.float32),
        References(u, v, 0.5 * (1.0 + misfit), np.zeros(60)),
    )
    row, column = v // 10, u // 10
    distance = (cells[0][:, None] - row) ** 2 + (cells[1][:, None] - column) ** 2
    weight = 1.0 / (distance + 0.25) ** 2
    nodes = (1.2533 * (weight @ misfit) / weight.sum(axis=1)).reshape(9, 12)
    for i, j in ((0, 0), (4, 9), (10, 13)):  # pixels (4, 4), (36, 76), (84, 108)
        y, x = (8 * i + 4.5) / 10 - 0.5, (8 * j + 4.5) / 10 - 0.5
        y, x = min(max(y, 0.0), 8.0), min(max(x, 0.0), 11.0)
        a, b = min(int(y), 7), min(int(x), 10)
        down = nodes[a] + (y - a) * (nodes[a + 1] - nodes[a])
        wanted = down[b] + (x - b) * (down[b + 1] - down[b])
        assert found[i, j] == pytest.approx(wanted, rel=1e-4)
