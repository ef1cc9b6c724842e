"""The ladder: which rung, why not the others, and scales that jump."""

from depth_perception.core.estimate import Rung
from depth_perception.core.scale_filter import FilterRules
from depth_perception.core.scale_ladder import LadderRules, ScaleLadder
from depth_perception.core.scale_types import References, Rejected, Rejection, ScaleFit
from ladder_runs import (
    FRAME_NS,
    ground,
    MIDDLE,
    OUTPUT,
    PRIOR,
    references,
    RHO,
    Run,
    rungs,
    S,
    T,
    TYPICAL,
    typical,
)
import numpy as np
import pytest


def test_references_first():
    step = Run(prior=PRIOR)(references(), ground(1.1))
    assert step.scale.rung is Rung.REFERENCES
    assert typical(step) == pytest.approx(1.0, abs=0.005)
    assert step.scale.references == 200
    assert 0.0 < step.scale.sigma_relative < 0.02
    assert (step.failures, step.jump) == ((), '')
    assert MIDDLE * 0.2 < step.o_range[0] < MIDDLE < step.o_range[1]


def test_fits_are_carried_on_with_a_sigma_that_grows_until_it_is_too_great():
    run = Run()
    fresh = run(references()).scale
    sigmas = []
    for _ in range(100):
        step = run()
        if step.scale is None:
            break
        assert step.scale.rung is Rung.FILTERED
        assert (step.scale.s, step.scale.t) == pytest.approx((fresh.s, fresh.t))
        assert step.scale.references == 0
        sigmas.append(step.scale.sigma_relative)
    assert (np.diff(sigmas) > 0.0).all()
    elapsed_s = len(sigmas) * FRAME_NS * 1e-9
    walk = 0.2 * np.sqrt(elapsed_s) * np.hypot((TYPICAL - T) / TYPICAL, 1.0)
    assert sigmas[-1] == pytest.approx(np.hypot(walk, fresh.sigma_relative), rel=0.01)
    assert 0.29 < sigmas[-1] <= 0.3
    assert rungs(step) == [Rung.REFERENCES, Rung.FILTERED, Rung.GROUND_PLANE, Rung.PRIOR]
    assert 'relative sigma is 0.3' in step.failures[1][1]


def test_ground_plane_serves_where_there_are_no_references():
    step = Run(prior=PRIOR)(None, ground())
    assert step.scale.rung is Rung.GROUND_PLANE
    assert rungs(step) == [Rung.REFERENCES, Rung.FILTERED]
    assert step.scale.references == 900


def test_ground_plane_is_not_asked_while_a_higher_rung_holds():
    def forbidden():
        raise AssertionError

    run = Run()
    run(references(), forbidden)
    assert run(None, forbidden).scale.rung is Rung.FILTERED


def test_prior_last_and_never_better_than_thirty_percent():
    refused = Rejected(Rejection.LOW_INLIER_RATIO, 'no floor in sight')
    step = Run(prior=PRIOR)(references(count=30), lambda: refused)
    assert step.scale.rung is Rung.PRIOR
    assert step.scale.sigma_relative == 0.3
    (ss, st), (_, tt) = step.scale.covariance
    assert np.sqrt(ss * MIDDLE**2 + 2 * st * MIDDLE + tt) / TYPICAL == pytest.approx(0.3)
    assert step.failures[0][1].startswith('30 references agree')
    assert step.failures[2] == (Rung.GROUND_PLANE, 'no floor in sight')


def test_nothing_metric_without_anything_to_go_on():
    step = Run()()
    assert step.scale is None
    assert rungs(step) == [Rung.REFERENCES, Rung.FILTERED, Rung.GROUND_PLANE, Rung.PRIOR]
    assert all(text for _, text in step.failures)
    blank = ScaleLadder(LadderRules(prior=PRIOR)).step(0, np.full_like(OUTPUT, np.nan))
    assert blank.scale is None


@pytest.mark.parametrize('factor', [0.7, 1.3])
def test_a_jump_of_one_frame_never_gets_through(factor):
    run = Run()
    for frame in range(40):
        jumps = frame % 10 == 5
        step = run(references(factor if jumps else 1.0, seed=frame))
        assert typical(step) == pytest.approx(1.0, abs=0.02)
        assert step.scale.rung is (Rung.FILTERED if jumps else Rung.REFERENCES)
        assert bool(step.jump) is jumps
        assert not jumps or 'held back' in step.jump


@pytest.mark.parametrize('factor', [0.7, 1.3])
def test_a_lasting_change_is_followed_within_five_frames_and_reported(factor):
    run = Run()
    for frame in range(10):
        run(references(seed=frame))
    steps = [run(references(factor, seed=frame)) for frame in range(6)]
    assert [round(typical(step), 1) for step in steps] == [1.0, 1.0, *[factor] * 4]
    assert [bool(step.jump) for step in steps] == [True, True, True, False, False, False]
    assert 'for good' in steps[2].jump


def test_jumps_of_the_ground_plane_and_between_sources_are_held_back_too():
    run = Run()
    for _ in range(5):
        run(None, ground())
    step = run(None, ground(1.3))
    assert typical(step) == pytest.approx(1.0, abs=1e-6)
    assert step.scale.rung is Rung.FILTERED
    assert 'held back' in step.jump
    step = run(references(1.3), ground())  # one frame of references that disagree with the floor
    assert typical(step) == pytest.approx(1.0, abs=0.01)
    assert [round(typical(run(references(1.3), ground())), 1) for _ in range(4)][-1] == 1.3


def test_references_at_one_depth_solve_the_scale_and_keep_the_shift():
    v, u = np.nonzero(np.abs(RHO - 0.8) < 0.02)
    rho = RHO[v, u] + 0.02  # what s 2.3 % larger gives there
    flat = References(u, v, rho, 0.01 * rho)
    assert Run()(flat).fit.reason is Rejection.SMALL_SPREAD
    run = Run()
    before = run(references()).scale
    step = run(flat)
    assert step.scale.rung is Rung.REFERENCES
    assert step.scale.t == before.t
    assert step.scale.s / before.s == pytest.approx(1.0 + 0.02 / (0.8 - T), abs=0.005)
    assert step.scale.covariance[1][1] > before.covariance[1][1]


@pytest.mark.parametrize('factor', [0.7, 1.3])
def test_a_network_that_changes_its_own_scale_is_followed_at_once(factor):
    # The scene and its references stay; only the unit and the zero of the output change.
    ladder = ScaleLadder()
    for frame in range(20):
        other = frame % 5 == 3
        output = OUTPUT * np.float32(factor) + np.float32(4.0) if other else OUTPUT
        step = ladder.step(frame * FRAME_NS, output, references(seed=frame))
        assert step.scale.rung is Rung.REFERENCES
        assert (step.scale.s * output + step.scale.t) / RHO == pytest.approx(1.0, abs=0.03)
        assert step.jump == ''


def test_going_back_in_time_forgets_the_past():
    run = Run()
    run(references(), frames=100)
    step = run.ladder.step(0, OUTPUT, references(1.5))
    assert step.scale.rung is Rung.REFERENCES
    assert typical(step) == pytest.approx(1.5, abs=0.02)


def test_scale_only_networks_keep_a_shift_of_zero():
    ladder = ScaleLadder(LadderRules(filter=FilterRules(affine=False)))
    output = (RHO / 2.0).astype(np.float32)
    step = ladder.step(0, output, references())
    assert (step.scale.s, step.scale.t) == (pytest.approx(2.0, rel=0.005), 0.0)
    assert step.scale.covariance[1] == (0.0, 0.0)
    assert ladder.step(FRAME_NS, output).scale.rung is Rung.FILTERED


def sure(factor, rung_sigma=1e-4):
    """Return references so good and many that a change of a few percent is many sigma."""
    generator = np.random.default_rng(3)
    v, u = generator.integers(0, 120, 600), generator.integers(0, 160, 600)
    rho = factor * RHO[v, u] * generator.normal(1.0, rung_sigma, 600)
    return References(u, v, rho, rung_sigma * rho)


def test_small_change_is_no_jump_however_sure_both_are():
    run = Run(filter=FilterRules(scale_rate=1e-3, shift_rate=1e-3))
    run(sure(1.0))
    for factor in (1.04, 1.0):
        step = run(sure(factor))
        assert (step.jump, step.scale.rung) == ('', Rung.REFERENCES)
        assert typical(step) == pytest.approx(factor, abs=0.005)
    step = run(sure(1.3))
    assert 'held back' in step.jump
    assert typical(step) == pytest.approx(1.0, abs=0.01)


def test_small_change_of_the_floor_is_no_jump_either():
    run = Run()
    run(None, ground(1.0))
    step = run(None, ground(1.04))
    assert (step.jump, step.scale.rung) == ('', Rung.GROUND_PLANE)
    assert typical(step) == pytest.approx(1.04, abs=1e-6)
    assert 'held back' in run(None, ground(1.3)).jump


def test_frames_without_an_output_let_the_doubt_grow():
    run = Run()
    run(references())
    for _ in range(600):
        run.frame += 1
        run.ladder.step(run.frame * FRAME_NS, np.full_like(OUTPUT, np.nan))
    assert run().scale is None


def test_frame_that_is_a_little_late_does_not_open_the_gate():
    run = Run()
    for seed in range(5):
        run(references(seed=seed))
    late = run.ladder.step(run.frame * FRAME_NS - 1_000_000, OUTPUT, references(1.3))
    assert late.scale.rung is Rung.FILTERED
    assert 'held back' in late.jump
    assert run(references()).jump == ''


def test_other_source_after_the_carried_scale_was_given_up_is_told():
    run = Run()
    run(references())
    steps = [run(None, ground(1.4)) for _ in range(100)]
    first = next(step for step in steps if step.scale.rung is Rung.GROUND_PLANE)
    assert 'changed by +4' in first.jump
    assert sum(bool(step.jump) for step in steps) == 1


@pytest.mark.parametrize('size', [1e7, 1e38, 1e200])
@pytest.mark.parametrize('name', ['rho', 'sigma_rho'])
def test_references_beyond_all_measure_are_left_out(size, name):
    given = references(count=400)
    getattr(given, name)[::2] = size
    assert typical(Run()(given)) == pytest.approx(1.0, abs=0.01)
    getattr(given, name)[:] = size
    assert Run()(given).scale is None


def test_a_reset_forgets_everything():
    run = Run()
    run(references())
    run.ladder.reset()
    assert run().scale is None
    assert (run(references(1.5)).jump, run().scale.rung) == ('', Rung.FILTERED)


@pytest.mark.parametrize('held', [False, True])
def test_a_network_that_changed_its_scale_for_good_is_carried_on(held):
    run = Run(filter=FilterRules(scale_rate=1e-3, shift_rate=1e-3))
    for seed in range(3):
        run(references(seed=seed))
    output = 1.3 * OUTPUT + np.float32(4.0) if held else 1.03 * OUTPUT
    for given in (references(), None):
        run.frame += 1
        step = run.ladder.step(run.frame * FRAME_NS, output, given)
        np.testing.assert_allclose((step.scale.s * output + step.scale.t) / RHO, 1.0, atol=0.03)
    assert step.scale.rung is Rung.FILTERED


def test_what_is_held_back_is_offered_all_the_same():
    run = Run()
    run(references())
    assert run(references(1.3, count=150)).scale.references == 150


def test_scale_that_gives_no_positive_depth_is_none():
    below = ScaleFit(S, -S * MIDDLE - 0.1, np.diag([1e-8, 1e-6]))
    step = Run(prior=below)()
    assert step.scale is None
    assert step.failures[-1] == (Rung.PRIOR, 'it gives no positive depth for the median output')
    run = Run()
    run(references())
    step = run.ladder.step(2 * FRAME_NS, OUTPUT - np.float32(2.0 * MIDDLE))
    assert step.failures[1] == (Rung.FILTERED, 'it gives no positive depth for the median output')


def test_a_frame_that_is_late_lets_no_doubt_grow_twice():
    sigmas = []
    for late_ns in (0, 900_000_000):
        run = Run()
        run(references(), frames=20)
        run.ladder.step(run.frame * FRAME_NS - late_ns, OUTPUT)
        sigmas.append(run().scale.sigma_relative)
    assert sigmas[0] == sigmas[1]


def test_a_fit_that_is_too_uncertain_says_so():
    step = Run(most_sigma=1e-5)(references())
    assert step.scale is None
    assert 'at most 0.00 allowed' in step.failures[0][1]


SLOW = FilterRules(scale_rate=1e-3, shift_rate=1e-3)


def test_a_tenth_is_a_jump_where_both_are_sure_of_it():
    run = Run(filter=SLOW)
    run(sure(1.0))
    step = run(sure(1.1))
    assert 'held back' in step.jump
    assert typical(step) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize('floor', [False, True])
def test_small_changes_may_add_up(floor):
    run = Run(filter=SLOW)
    for number in range(6):
        factor = 1.04**number
        step = run(None, ground(factor)) if floor else run(sure(factor))
        assert step.jump == ''
        assert typical(step) == pytest.approx(factor, abs=0.005)
