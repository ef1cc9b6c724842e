"""Scales that nothing measured: stored ones, those of plug-ins, the network's own metres."""

from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.scale_filter import FilterRules
from depth_perception.core.scale_ladder import LadderRules, ScaleLadder
from depth_perception.core.scale_types import References, Rejection, ScaleFit
from ladder_runs import (
    FRAME_NS,
    ground,
    OUTPUT,
    PRIOR,
    references,
    RHO,
    Run,
    S,
    T,
    typical,
)
import numpy as np
import pytest


def guess(factor):
    """Return a plug-in that guesses the scale times `factor`."""
    return lambda: ScaleFit(S * factor, T * factor, np.zeros((2, 2)))


def stale(run, frames=100):
    """Let the carried scale grow old, and return the first step without it."""
    for _ in range(frames):
        step = run()
        if step.scale is None or step.scale.rung is not Rung.FILTERED:
            return step
    raise AssertionError


def test_step_to_the_stored_scale_and_back_is_told():
    far = ScaleFit(1.4 * S, 1.4 * T, np.diag([1e-8, 1e-6]))
    run = Run(prior=far)
    run(references())
    down = stale(run)
    assert down.scale.rung is Rung.PRIOR
    assert down.jump == 'the scale changed by +40% as its source did: prior after filtered'
    assert down.o_range == (-np.inf, np.inf)
    assert run().jump == ''
    steps = [run(references()) for _ in range(4)]
    assert [step.scale.rung for step in steps] == [Rung.PRIOR] * 2 + [Rung.REFERENCES] * 2
    assert ['held back' in step.jump for step in steps] == [True, True, False, False]
    assert steps[2].jump == 'the scale changed by -29% for good and is followed'
    assert steps[3].jump == ''


def test_one_frame_of_references_does_not_throw_a_guess_over():
    run = Run(prior=PRIOR)
    run()
    steps = [run(references(1.3)), run(), run(references(0.7)), run(None, ground(1.4)), run()]
    assert [step.scale.rung for step in steps] == [Rung.PRIOR] * 5
    assert [typical(step) for step in steps] == pytest.approx([1.0] * 5)
    assert ['held back' in step.jump for step in steps] == [True, False, True, True, False]
    assert steps[0].failures[1] == (Rung.FILTERED, 'no fit has been accepted yet')
    assert steps[3].failures[2] == (Rung.GROUND_PLANE, steps[3].jump)
    step = run(references(1.1))  # within what a guess is worth
    assert (step.scale.rung, step.jump) == (Rung.REFERENCES, '')
    assert typical(step) == pytest.approx(1.1, abs=0.01)


def test_floor_that_contradicts_a_guess_is_followed_when_it_lasts():
    run = Run(prior=PRIOR)
    run()
    steps = [run(None, ground(1.3)) for _ in range(4)]
    assert [step.scale.rung for step in steps] == [Rung.PRIOR] * 2 + [Rung.GROUND_PLANE] * 2
    assert 'for good' in steps[2].jump


def test_a_guess_that_is_no_longer_there_holds_nothing_back():
    ladder = ScaleLadder()
    ladder.step(0, OUTPUT, plugin=guess(1.0))
    assert ladder.step(FRAME_NS, OUTPUT).scale is None
    step = ladder.step(2 * FRAME_NS, OUTPUT, references(1.3))
    assert (step.scale.rung, step.jump) == (Rung.REFERENCES, '')


def test_references_at_one_depth_do_not_take_the_shift_of_a_guess():
    v, u = np.nonzero(np.abs(RHO - 0.8) < 0.02)
    run = Run(prior=PRIOR)
    run()
    step = run(References(u, v, RHO[v, u], 0.01 * RHO[v, u]))
    assert (step.fit.reason, step.scale.rung) == (Rejection.SMALL_SPREAD, Rung.PRIOR)


def test_step_to_a_stored_scale_that_is_nearly_the_same_is_none():
    run = Run(prior=ScaleFit(1.1 * S, 1.1 * T, np.diag([1e-8, 1e-6])))
    run(references())
    assert stale(run).jump == ''
    assert run(references()).jump == ''


def test_steps_of_a_plug_in_are_told_and_its_changes_of_mind():
    ladder = ScaleLadder()
    factors = (1.0, 1.1, 1.4, 1.4)
    jumps = [
        ladder.step(n * FRAME_NS, OUTPUT, plugin=guess(f)).jump for n, f in enumerate(factors)
    ]
    assert jumps[:2] + jumps[3:] == ['', '', '']
    assert jumps[2] == 'the scale changed by +27% as its source did: plugin after plugin'
    step = ladder.step(4 * FRAME_NS, OUTPUT, references(), plugin=guess(1.4))
    assert step.scale.rung is Rung.PLUGIN
    assert 'held back' in step.jump
    # The network changed its unit, the plug-in followed: the depths are what they were.
    ladder = ScaleLadder()
    ladder.step(0, OUTPUT, plugin=guess(1.0))
    doubled = lambda: ScaleFit(S / 2.0, T, np.zeros((2, 2)))  # noqa: E731
    assert ladder.step(FRAME_NS, 2.0 * OUTPUT, plugin=doubled).jump == ''
    # The camera turned to what is twice as near, and the guess is what it was.
    ladder = ScaleLadder()
    ladder.step(0, OUTPUT, plugin=guess(1.0))
    assert ladder.step(FRAME_NS, 2.0 * OUTPUT, plugin=guess(1.0)).jump == ''


def test_references_held_back_while_the_carried_scale_runs_out_tell_both():
    run = Run(prior=ScaleFit(1.4 * S, 1.4 * T, np.diag([1e-8, 1e-6])), most_sigma=0.05)
    run(references())
    step = run(references(2.0))  # the carried one is 5.2 % off after one frame
    assert 'is held back until it lasts; the scale changed by +40%' in step.jump


def test_scale_of_the_network_itself_is_a_source_like_any_other():
    own = Scale(Rung.NETWORK)
    output = (1.3 * RHO).astype(np.float32)
    ladder = ScaleLadder(LadderRules(filter=FilterRules(affine=False)))
    assert ladder.step(0, output, own=own).scale is None
    steps = [ladder.step(n * FRAME_NS, output, references(), own=own) for n in range(1, 5)]
    assert [step.scale is None for step in steps] == [True, True, False, False]
    assert ['held back' in step.jump for step in steps] == [True, True, False, False]
    assert steps[2].jump == 'the scale changed by -23% for good and is followed'
    ladder = ScaleLadder(LadderRules(filter=FilterRules(affine=False), most_sigma=0.01))
    ladder.step(0, output, references(), own=own)
    step = ladder.step(FRAME_NS, output, own=own)
    assert step.scale is None
    assert step.jump == 'the scale changed by +30% as its source did: network after references'
    run = Run(prior=ScaleFit(0.7 * S, 0.7 * T, np.diag([1e-8, 1e-6])))
    run(references())
    assert stale(run).jump == 'the scale changed by -30% as its source did: prior after filtered'


def test_a_plug_in_is_not_asked_while_anything_measures():
    def forbidden():
        raise AssertionError

    ladder = ScaleLadder()
    for given, floor in ((references(), None), (None, None), (None, ground())):
        step = ladder.step(FRAME_NS, OUTPUT, given, floor, forbidden)
        assert step.scale.rung in (Rung.REFERENCES, Rung.FILTERED)


def test_step_to_a_guess_is_told_of_a_slow_camera_too():
    far = ScaleFit(1.4 * S, 1.4 * T, np.diag([1e-8, 1e-6]))
    ladder = ScaleLadder(LadderRules(prior=far))
    ladder.step(0, OUTPUT, references())
    later = OUTPUT * np.float32(1.5)  # the scene is another one
    step = ladder.step(60 * FRAME_NS, later)
    assert step.jump == 'the scale changed by +40% as its source did: prior after references'
