"""Choose the scale of every frame: the highest rung that holds, and why the others did not.

Fresh robust fit -> filtered fits with a covariance that grows -> ground plane -> a plug-in of the
user's, where there is one -> stored prior -> nothing. One filter watches over references and
ground plane, so a change of source is a change of scale like any other: held back until it has
lasted, then followed and reported. While a guess is published (plug-in, prior, the network's own
metres), the filter holds that, so that one wrong fit does not throw it over either.

Affine networks may choose another s and t in any frame, and a fit that follows them is right. It
is told from references that jump by the scene: the metric inverse depths of the image stay what
they were when the network changed its mind, and jump with the references when these did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import math

from depth_perception.core.estimate import Rung, Scale
from depth_perception.core.scale_filter import (
    DEFAULT_FILTER_RULES,
    Event,
    FilterRules,
    ScaleFilter,
    Update,
)
from depth_perception.core.scale_fit import DEFAULT_RULES, fit_scale, fit_scale_shift, FitRules
from depth_perception.core.scale_types import (
    common_sigma,
    Outcome,
    output_spread,
    References,
    Rejected,
    Rejection,
    sample_output,
    ScaleFit,
    Values,
)
from depth_perception.core.types import AnyArray
import numpy as np

_PRIOR_SIGMA = 0.3  # a stored scale is never better than this
_PLUGIN_SIGMA = 0.15  # nor is one guessed from a caption (RSA on NYU: AbsRel 0.148)
_HARMLESS = 0.05  # relative change of inverse depth that is no jump, however sure both fits are
_LATE_NS = 1_000_000_000  # a frame that is late by less is no new start
_MEASURED = frozenset([Rung.REFERENCES, Rung.FILTERED, Rung.GROUND_PLANE])
_SCENE_MEMORY_S = 0.5  # for so long the scene is taken to be nearly the same


@dataclass(frozen=True)
class LadderRules:
    """Rules of all rungs.

    Attributes:
        fit: When a fit is refused.
        filter: How fast scale and shift may change, and whether there is a shift.
        most_sigma: Relative sigma beyond which carried or ground-plane scales are given up.
        prior: Stored scale, or None.
    """

    fit: FitRules = DEFAULT_RULES
    filter: FilterRules = DEFAULT_FILTER_RULES
    most_sigma: float = 0.3
    prior: ScaleFit | None = None


@dataclass(frozen=True)
class LadderStep:
    """What the ladder says about one frame.

    Attributes:
        scale: The scale to publish with, None if nothing metric may be published.
        failures: Rungs above the one in use, with the reason why each failed, best first.
        jump: Report for diagnostics (level error): a change of scale was held back, or followed.
        fit: The fresh fit to the references, or why there is none.
        o_range: Outputs that the references cover; sigma is doubled outside.
    """

    scale: Scale | None
    failures: tuple[tuple[Rung, str], ...]
    jump: str
    fit: Outcome
    o_range: tuple[float, float] = (-math.inf, math.inf)


class ScaleLadder:
    """The ladder of one camera and one network.

    Args:
        rules: Rules of all rungs.
    """

    def __init__(self, rules: LadderRules | None = None) -> None:
        self._rules = rules or LadderRules()
        self._filter = ScaleFilter(self._rules.filter)
        self._source = Rung.REFERENCES  # of what the filter holds
        self._stamp_ns: int | None = None
        self._range = (-math.inf, math.inf)
        self._scene: Values | None = None  # inverse depths of the last frame
        self._published: Scale | None = None  # with the last frame

    def reset(self) -> None:
        """Forget the past, as after a change of camera or network."""
        self._filter.reset()
        self._stamp_ns = None
        self._scene = self._published = None

    def step(
        self,
        stamp_ns: int,
        output: AnyArray,
        references: References | None = None,
        ground: Callable[[], Outcome] | None = None,
        plugin: Callable[[], Outcome] | None = None,
        own: Scale | None = None,
    ) -> LadderStep:
        """Return the scale of a frame.

        Args:
            stamp_ns: Capture time [ns]. Going back by more than 1 s, as a bag that starts over
                does, forgets the past.
            output: (H, W) output in the domain of inverse depth; NaN unknown.
            references: Measured points of this image, if there are any.
            ground: Gives the fit to the ground plane; called only when it is needed.
            plugin: Gives the scale of a plug-in; called only when it is needed.
            own: The scale that the output is published with where no rung gives one: it is metric
                by itself.
        """
        spread = output_spread(output)
        if spread is None:  # the time it took counts for the next frame
            nothing = Rejected(Rejection.NO_OUTPUT, 'the network gave no finite value')
            return LadderStep(None, ((Rung.REFERENCES, nothing.text),), '', nothing)
        elapsed_s = self._elapsed(stamp_ns)
        o = spread[0]
        self._filter.predict(elapsed_s, o)
        fit = self._fit(output, references, spread)
        failures: list[tuple[Rung, str]] = []
        scale, jump = self._fresh(fit, elapsed_s, spread, failures)
        if scale is None:
            scale = self._filtered(fit, o, failures, held_back=bool(jump))
        if scale is None:
            scale, told = self._ground(ground, elapsed_s, spread, failures)
            jump = jump or told
        if scale is None and plugin is not None:
            scale = self._stored(Rung.PLUGIN, plugin(), _PLUGIN_SIGMA, o, failures)
        if scale is None:
            scale = self._stored(Rung.PRIOR, self._prior(), _PRIOR_SIGMA, o, failures)
        published = scale or own
        stepped = self._stepped(published, spread, elapsed_s)
        if not jump:
            jump = stepped
        elif stepped and published and published.rung not in _MEASURED:
            jump = f'{jump}; {stepped}'
        self._scene = _scene(published, spread) if published else None
        self._published = published
        self._suppose(published)
        return LadderStep(scale, tuple(failures), jump, fit, self._range)

    def _suppose(self, published: Scale | None) -> None:
        """Let a guess that is published be what the next fits are held against."""
        if published is not None and published.rung not in _MEASURED:
            parameters = np.array([published.s, published.t])
            doubt = max(published.sigma_relative, _PRIOR_SIGMA) ** 2
            covariance = doubt * np.multiply.outer(parameters, parameters)
            self._filter.suppose(ScaleFit(published.s, published.t, covariance))
            self._source = published.rung
        elif published is None and self._source not in _MEASURED:
            self._filter.reset()

    def _carried(self) -> ScaleFit | None:
        """Return the state of the filter where fits made it."""
        return self._filter.estimate() if self._source in _MEASURED else None

    def _elapsed(self, stamp_ns: int) -> float:
        before, self._stamp_ns = self._stamp_ns, stamp_ns
        if before is None:
            return 0.0
        if stamp_ns < before - _LATE_NS:
            self._filter.reset()
            self._scene = None
        elif stamp_ns < before:
            self._stamp_ns = before
        return max(stamp_ns - before, 0) * 1e-9

    def _stepped(self, scale: Scale | None, spread: tuple[float, float], elapsed_s: float) -> str:
        """Tell that the scale is another one than that of the last frame because its source is.

        No filter holds steps to a guess back: the carried scale was given up before.
        """
        before = self._published
        if self._scene is None or before is None or scale is None:
            return ''
        here = _scene(scale, spread)[1]
        scene, guess = here / self._scene[1], here / _scene(before, spread)[1]
        if scale.rung is before.rung:
            if scale.rung is not Rung.PLUGIN:
                return ''
            # It may guess as it likes in every frame. If the scene moved, its scale did not.
            scene = min(scene, guess, key=lambda ratio: abs(ratio - 1.0))
        if elapsed_s > _SCENE_MEMORY_S:
            if {scale.rung, before.rung} <= _MEASURED:
                return ''
            scene = guess  # of what the camera sees by now
        change = float(scene) - 1.0
        if abs(change) <= self._rules.filter.most_jump:
            return ''
        return (
            f'the scale changed by {change:+.0%} as its source did: {scale.rung.value} after '
            f'{before.rung.value}'
        )

    def _fit(
        self, output: AnyArray, references: References | None, spread: tuple[float, float]
    ) -> Outcome:
        if references is None or not len(references):
            return Rejected(Rejection.NO_REFERENCES, 'there are no references')
        samples = sample_output(output, references, spread)
        if isinstance(samples, Rejected):
            return samples
        if not self._rules.filter.affine:
            return fit_scale(samples, rules=self._rules.fit)
        fit = fit_scale_shift(samples, self._rules.fit)
        carried = self._carried()
        if (
            isinstance(fit, Rejected)
            and fit.reason is Rejection.SMALL_SPREAD
            and carried is not None
        ):
            variance = float(carried.covariance[1, 1])
            return fit_scale(samples, carried.t, variance, self._rules.fit)
        return fit

    def _fresh(
        self,
        fit: Outcome,
        elapsed_s: float,
        spread: tuple[float, float],
        failures: list[tuple[Rung, str]],
    ) -> tuple[Scale | None, str]:
        o = spread[0]
        if isinstance(fit, Rejected):
            failures.append((Rung.REFERENCES, fit.text))
            return None, ''
        sigma = common_sigma(fit.s, fit.t, fit.covariance, o)
        if not sigma <= self._rules.most_sigma:
            failures.append((Rung.REFERENCES, self._too_uncertain(sigma)))
            return None, ''
        harmless = self._harmless(fit, spread)
        update = self._filter.update(fit, elapsed_s, o)
        if update.event is Event.REJECTED and (
            harmless or self._same_scene(fit, elapsed_s, spread)
        ):
            self._filter.restart(fit)
        elif update.event is Event.REJECTED:
            failures.append((Rung.REFERENCES, _held_back(update)))
            return None, _held_back(update)
        self._source, self._range = Rung.REFERENCES, fit.o_range
        return _scale(Rung.REFERENCES, fit, sigma), '' if harmless else _followed(update)

    def _harmless(self, fit: ScaleFit, spread: tuple[float, float]) -> bool:
        """Return whether a fit changes the depths of the image too little to be called a jump.

        Many references at once agree to less than what the network errs by from view to view.
        """
        carried = self._filter.estimate()
        if carried is None:
            return False
        change = np.abs(_scene(fit, spread) / _scene(carried, spread) - 1.0)
        return float(np.max(change)) <= _HARMLESS

    def _same_scene(self, fit: ScaleFit, elapsed_s: float, spread: tuple[float, float]) -> bool:
        """Return whether the fit shows the scene of the last frame, and the carried one not."""
        carried = self._filter.estimate()
        if carried is None or self._scene is None or elapsed_s > _SCENE_MEMORY_S:
            return False
        before = self._scene
        fresh = float(np.max(np.abs(_scene(fit, spread) / before - 1.0)))
        kept = float(np.max(np.abs(_scene(carried, spread) / before - 1.0)))
        return fresh <= self._rules.filter.most_jump and fresh < 0.5 * kept

    def _filtered(
        self, fit: Outcome, o: float, failures: list[tuple[Rung, str]], *, held_back: bool
    ) -> Scale | None:
        carried = self._carried()
        if carried is None:
            failures.append((Rung.FILTERED, 'no fit has been accepted yet'))
            return None
        sigma = common_sigma(carried.s, carried.t, carried.covariance, o)
        if not sigma <= self._rules.most_sigma:
            failures.append((Rung.FILTERED, self._too_uncertain(sigma)))
            self._filter.reset()
            return None
        # While references are being held back, accepted ground planes would outvote them for good.
        if self._source is Rung.GROUND_PLANE and not held_back:
            failures.append((Rung.FILTERED, 'the last accepted scale is of the ground plane'))
            return None
        offered = 0 if isinstance(fit, Rejected) else fit.references
        return _scale(Rung.FILTERED, replace(carried, references=offered), sigma)

    def _ground(
        self,
        ground: Callable[[], Outcome] | None,
        elapsed_s: float,
        spread: tuple[float, float],
        failures: list[tuple[Rung, str]],
    ) -> tuple[Scale | None, str]:
        fit: Outcome = (
            ground() if ground else Rejected(Rejection.NO_REFERENCES, 'no ground plane is known')
        )
        o, jump = spread[0], ''
        if isinstance(fit, Rejected):
            failures.append((Rung.GROUND_PLANE, fit.text))
        else:
            sigma = common_sigma(fit.s, fit.t, fit.covariance, o)
            if sigma <= self._rules.most_sigma:
                harmless = self._harmless(fit, spread)
                update = self._filter.update(fit, elapsed_s, o)
                if harmless or update.event is not Event.REJECTED:
                    if update.event is Event.REJECTED:
                        self._filter.restart(fit)
                    self._source, self._range = Rung.GROUND_PLANE, fit.o_range
                    told = '' if harmless else _followed(update)
                    return _scale(Rung.GROUND_PLANE, fit, sigma), told
                jump = _held_back(update)
                failures.append((Rung.GROUND_PLANE, jump))
            else:
                failures.append((Rung.GROUND_PLANE, self._too_uncertain(sigma)))
        carried = self._carried()  # of the ground plane: _filtered saw to it
        if carried is None:
            return None, jump
        sigma = common_sigma(carried.s, carried.t, carried.covariance, o)
        return _scale(Rung.FILTERED, carried, sigma), jump

    def _prior(self) -> Outcome:
        if self._rules.prior is None:
            return Rejected(Rejection.NO_REFERENCES, 'no scale is stored')
        return self._rules.prior

    def _stored(
        self,
        rung: Rung,
        known: Outcome,
        least_sigma: float,
        o: float,
        failures: list[tuple[Rung, str]],
    ) -> Scale | None:
        """Return a scale that nothing in the image confirms, with a sigma that says so."""
        if isinstance(known, Rejected):
            failures.append((rung, known.text))
            return None
        sigma = common_sigma(known.s, known.t, known.covariance, o)
        if not math.isfinite(sigma):
            failures.append((rung, 'it gives no positive depth for the median output'))
            return None
        self._range = known.o_range
        if sigma < least_sigma:
            # The missing variance goes to a common factor: (s, t) scale together.
            parameters = np.array([known.s, known.t])
            missing = least_sigma**2 - sigma**2
            widened = known.covariance + missing * np.multiply.outer(parameters, parameters)
            known, sigma = replace(known, covariance=widened), least_sigma
        return _scale(rung, known, sigma)

    def _too_uncertain(self, sigma: float) -> str:
        if math.isinf(sigma):
            return 'it gives no positive depth for the median output'
        return f'its relative sigma is {sigma:.2f}, at most {self._rules.most_sigma:.2f} allowed'


def _scene(fit: ScaleFit | Scale, spread: tuple[float, float]) -> Values:
    """Return the inverse depth at the middle, and half a quartile range to both sides [1/m]."""
    o = spread[0] + spread[1] * np.array([-0.5, 0.0, 0.5])
    return np.maximum(fit.s * o + fit.t, 1e-6)


def _held_back(update: Update) -> str:
    return (
        f'the scale jumped (typical inverse depth {update.jump:+.0%}, scale and shift together '
        f'{math.sqrt(update.mahalanobis):.1f} sigma off) and is held back until it lasts'
    )


def _followed(update: Update) -> str:
    if update.event is not Event.RESTARTED:
        return ''
    return f'the scale changed by {update.jump:+.0%} for good and is followed'


def _scale(rung: Rung, fit: ScaleFit, sigma: float) -> Scale:
    (ss, st), (_, tt) = fit.covariance.tolist()
    return Scale(rung, fit.s, fit.t, ((ss, st), (st, tt)), fit.references, sigma)
