"""Matches and the answer of a network, put together: which one counts, and how sure it is."""

import math

from depth_perception.inference.stereo_fusion import (
    AGREEMENT_PX,
    AGREEMENT_SIGMAS,
    cues,
    fused,
    MATCH_WEIGHTS,
    MOST_REACH_PX,
    NETWORK_SHARE,
    NETWORK_WEIGHTS,
    NO_MATCH_PX,
    UNCHECKED_PX,
    wanted_range,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
SHAPE = 40, 60
PLACE = 20, 31


def plane(value):
    return np.full(SHAPE, value, np.float32)


def together(match, match_score, network, network_score, *, only_here=False):
    """Return disparity and score at one pixel; `only_here`: the other pixels have no match."""
    arrays = [plane(x) for x in (match, match_score, network, network_score)]
    if only_here:
        arrays[0][:] = arrays[1][:] = np.nan
        arrays[0][PLACE], arrays[1][PLACE] = match, match_score
    disparity, score = fused(cv2, (arrays[0], arrays[1]), (arrays[2], arrays[3]))
    return float(disparity[PLACE]), float(score[PLACE])


def mean_of(match, match_score, network, network_score):
    """Return the mean by the inverse of the variances, of one match in an image of equal ones."""
    w, v = MATCH_WEIGHTS, NETWORK_WEIGHTS
    around = min(abs(match - network), 4.0) + 0.2
    of_match = math.exp(w['constant']) * match_score ** w['score']
    of_network = math.exp(v['constant']) * network_score ** v['score'] * around ** v['around']
    share = of_match**2 * NETWORK_SHARE / (of_match**2 * NETWORK_SHARE + of_network**2)
    return match + share * (network - match)


@pytest.mark.parametrize(
    ('match', 'network_sigma', 'used'),
    [
        (20.0 + 0.9 * AGREEMENT_PX, 0.2, True),
        (20.0 - 0.9 * AGREEMENT_PX, 0.2, True),
        (20.0 + 1.1 * AGREEMENT_PX, 0.2, False),
        (20.0 - 1.1 * AGREEMENT_PX, 0.2, False),
        (20.0 + 0.9 * AGREEMENT_SIGMAS * 2.5, 2.5, True),
        (20.0 - 1.1 * AGREEMENT_SIGMAS * 2.5, 2.5, False),
        (20.0 + 0.9 * MOST_REACH_PX, 50.0, True),
        (20.0 + 1.1 * MOST_REACH_PX, 50.0, False),
    ],
)
def test_a_match_counts_where_the_network_is_near_to_it(match, network_sigma, used):
    wanted = mean_of(match, 0.3, 20.0, network_sigma) if used else 20.0
    assert together(match, 0.3, 20.0, network_sigma)[0] == pytest.approx(wanted, rel=1e-5)
    assert 20.0 <= wanted <= match or match <= wanted <= 20.0


def test_the_surer_one_counts_more_in_the_mean():
    unsure, sure = (together(21.0, score, 20.0, 0.5)[0] for score in (2.0, 0.05))
    assert 20.0 < unsure < 20.8
    assert 20.95 < sure < 21.0


def test_scores_are_the_power_laws_that_are_documented():
    w, v = MATCH_WEIGHTS, NETWORK_WEIGHTS
    _, agreed = together(21.5, 0.3, 20.0, 0.7)
    assert agreed == pytest.approx(
        math.exp(w['constant']) * 0.3 ** w['score'] * 2.5 ** w['difference'], rel=1e-4
    )
    _, refused = together(70.0, 0.3, 20.0, 0.7)  # the mean around is 4 px at most
    assert refused == pytest.approx(
        math.exp(v['constant']) * 0.7 ** v['score'] * 51.0 ** v['difference'] * 4.2 ** v['around'],
        rel=1e-4,
    )
    _, alone = together(math.nan, math.nan, 20.0, 0.7)
    assert alone == pytest.approx(
        math.exp(v['constant']) * 0.7 ** v['score'] * (NO_MATCH_PX + 0.2) ** v['around'], rel=1e-4
    )


def test_what_only_one_of_them_knows_is_taken():
    assert together(math.nan, math.nan, 20.0, 0.7)[0] == 20.0
    found, score = together(33.25, 0.3, math.nan, math.nan)
    assert found == 33.25
    assert score == pytest.approx(together(33.25, 0.3, 33.25 - UNCHECKED_PX, 0.3)[1], rel=1e-4)
    assert np.isnan(together(math.nan, math.nan, math.nan, math.nan)).all()


def test_disagreement_around_makes_the_network_doubtful_where_there_is_no_match():
    rng = np.random.default_rng(3)
    network, sigma = plane(20.0), plane(0.4)
    scores = []
    for off in (0.1, 2.5):
        match = plane(20.0 + off)
        match[:, 25:40] = np.nan
        match[rng.random(SHAPE) < 0.2] = np.nan
        found = fused(cv2, (match, np.where(np.isnan(match), match, 0.3)), (network, sigma))
        scores.append(found[1][PLACE])
    assert scores[1] > 2.0 * scores[0]


def test_around_is_the_mean_of_the_matches_in_36_px_and_not_of_the_holes():
    match = plane(np.nan)
    match[:, :30] = 22.0
    match[:20, 30:] = 21.0
    found = cues(cv2, (match, match * 0.0 + 0.3), (plane(20.0), plane(0.4)))
    assert found['around'][38, 2] == pytest.approx(2.0, abs=0.05)
    assert found['around'][2, 58] == pytest.approx(1.0, abs=0.05)
    assert (found['difference'][25:, 35:] == 0.0).all()


def test_the_matcher_searches_what_could_count_and_no_more():
    disparity, sigma = plane(20.0), plane(0.5)
    disparity[3, 4], sigma[3, 4] = 61.0, 2.0
    disparity[8, 9], sigma[8, 9] = 11.5, 90.0
    assert wanted_range(disparity, sigma) == (11.5 - MOST_REACH_PX, 61.0 + AGREEMENT_SIGMAS * 2.0)
    disparity[0, 0] = np.nan
    assert wanted_range(disparity, sigma) is None


numbers = st.floats(0.0, 200.0, width=32)
sigmas = st.floats(0.0625, 30.0, width=32)


@settings(max_examples=60, deadline=None)
@given(numbers, sigmas, numbers, sigmas)
def test_it_is_always_between_both_with_a_score(match, match_score, network, network_score):
    disparity, score = together(match, match_score, network, network_score)
    low, high = sorted((match, network))
    assert low - 1e-4 <= disparity <= high + 1e-4
    assert 0.0 < score < math.inf


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 2.5, width=32), st.floats(0.0, 2.5, width=32))
def test_the_farther_apart_the_less_sure(near, far):
    near, far = sorted((near, far))
    assert together(20.0 + near, 0.3, 20.0, 0.4)[1] <= together(20.0 + far, 0.3, 20.0, 0.4)[1]
