"""Give relative networks a metric scale, and keep metric ones true to what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from depth_perception.core.estimate import NO_REPORT, Rung, Scale, ScaleReport
from depth_perception.core.frame import GroundPose, MonoFrame, StereoFrame
from depth_perception.core.scale_filter import FilterRules
from depth_perception.core.scale_ground import fit_ground, in_depth
from depth_perception.core.scale_ladder import LadderRules, LadderStep, ScaleLadder
from depth_perception.core.scale_sigma import scaled_output
from depth_perception.core.scale_types import Outcome, References, ScaleFit
from depth_perception.core.types import InverseDepthMap, SigmaMap
from depth_perception.errors import NotMetricError
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.relative import Relative
from depth_perception.inference.roots import fastest_root
from depth_perception.inference.scale_plugin import guess_of, open_plugin, ScalePlugin
from depth_perception.parameters import EstimatorSettings
import numpy as np

_FACTOR_RATE = 0.02  # random walk of the log factor of a network that has no shift [1 / sqrt(s)]
_MODES = {
    Rung.REFERENCES: ('sparse', 'stereo'),
    Rung.GROUND_PLANE: ('ground',),
    Rung.PRIOR: ('prior',),
}
_HELP = {
    Rung.REFERENCES: 'points (reference/points, reference/depth; `evaluate --reference`)',
    Rung.GROUND_PLANE: 'the floor (ground.camera_height_m or ground.frame)',
    Rung.PRIOR: 'a stored scale (scale.prior_s)',
}


def ground_pose(frame: MonoFrame | StereoFrame, settings: EstimatorSettings) -> GroundPose | None:
    """Return where the floor is: by TF, else by the parameters; None if neither says it."""
    if frame.surroundings.ground is not None:
        return frame.surroundings.ground
    if settings.ground__camera_height_m <= 0.0:
        return None
    return GroundPose(
        settings.ground__camera_height_m,
        math.radians(settings.ground__pitch_deg),
        math.radians(settings.ground__roll_deg),
        settings.ground__height_sigma_m,
        math.radians(settings.ground__tilt_sigma_deg),
    )


@dataclass(frozen=True)
class Scaled:
    """An output made metric.

    Attributes:
        rho: (H, W) float32 [1/m]; NaN unknown, 0 or negative at or beyond infinity.
        sigma_rho: (H, W) float32 [1/m]; NaN unknown.
        scale: Where the metres come from.
        report: How they were come by.
        shared_sigma_rho: (H, W) float32 [1/m], the part of sigma that comes from the scale; None
            where the scale is that of the network.
    """

    rho: InverseDepthMap
    sigma_rho: SigmaMap
    scale: Scale
    report: ScaleReport
    shared_sigma_rho: SigmaMap | None = None


class MetricScaler:
    """The ladder of one camera and one network, set up from card and settings.

    Args:
        card: The network.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._key: tuple[object, ...] = ()
        self._ladder = ScaleLadder()
        self._started = False
        self._plugin: tuple[str, ScalePlugin] | None = None

    def reset(self) -> None:
        """Forget earlier frames."""
        self._ladder.reset()
        self._started = False

    def open(self, settings: EstimatorSettings) -> None:
        """Load the plug-in that the settings name.

        Raises:
            SettingsError: If there is none of that name.
        """
        name = settings.scale__plugin
        if name and (self._plugin is None or self._plugin[0] != name):
            self._plugin = name, open_plugin(name)

    def rungs(self, settings: EstimatorSettings) -> frozenset[Rung]:
        """Return the rungs that may give the scale; none of them where the network's own counts.

        A card without any of the modes that need something else allows them all.
        """
        method = settings.scale__method
        if method not in ('auto', 'network'):
            names = {'ground': Rung.GROUND_PLANE}
            return frozenset([names.get(method) or Rung(method)])
        if method == 'network':
            return frozenset()
        if not self._card.is_relative:
            return frozenset([Rung.REFERENCES])
        modes = self._card.scale.modes
        known = {mode for names in _MODES.values() for mode in names}
        allowed = {
            rung for rung, names in _MODES.items() if not known & {*modes} or {*names} & {*modes}
        }
        if settings.scale__plugin:
            allowed.add(Rung.PLUGIN)
        return frozenset(allowed)

    def missing(self, settings: EstimatorSettings) -> str:
        """Return what to configure for a relative network; '' where nothing is missing for sure.

        References may come with any frame; that they are asked for is known to the node only.
        """
        if self._card.is_relative and settings.scale__method == 'network':
            return f'{self._says_nothing()}; scale.method must not be network'
        return ''

    def scaled(
        self,
        relative: Relative,
        frame: MonoFrame | StereoFrame,
        settings: EstimatorSettings,
        references: References | None,
    ) -> Scaled:
        """Return a relative output in metres.

        Args:
            relative: Output of the network.
            frame: What it was made from, with what is known of the surroundings.
            settings: Which rungs may be used.
            references: Measured points of the image.

        Raises:
            NotMetricError: If no rung gives a scale; the message has the reason of each.
        """
        rungs = self.rungs(settings)
        in_domain = references
        if relative.domain == 'depth' and references is not None:
            in_domain = in_depth(references)
        step = self._step(relative, frame, settings, in_domain if rungs else None)
        if step.scale is None:
            raise NotMetricError(self._told(step, rungs, frame))
        shared: SigmaMap = np.empty(relative.output.shape, np.float32)
        metric, sigma = scaled_output(
            relative.output,
            relative.sigma,
            step.scale,
            step.o_range,
            relative.relative_sigma,
            shared,
            root=fastest_root(),
        )
        if relative.domain == 'depth':
            with np.errstate(divide='ignore', invalid='ignore'):
                metric = np.where(metric > 0.0, np.reciprocal(metric), np.float32(np.nan))
                slope = np.square(metric)
                sigma, shared = sigma * slope, shared * slope
        return Scaled(metric, sigma, step.scale, _report(step), shared)

    def refined(
        self,
        rho: InverseDepthMap,
        sigma_rho: SigmaMap,
        own: Scale,
        frame: MonoFrame | StereoFrame,
        settings: EstimatorSettings,
        references: References | None,
    ) -> Scaled:
        """Return a metric output corrected by a common factor, where something measures it.

        Args:
            rho: (H, W) float32 [1/m], what the network says.
            sigma_rho: (H, W) float32 [1/m].
            own: The scale where nothing corrects it.
            frame: What it was made from.
            settings: Which rungs may be used.
            references: Measured points of the image.

        Raises:
            NotMetricError: If the settings want a rung that gives nothing.
        """
        rungs = self.rungs(settings)
        needed = settings.scale__method not in ('auto', 'network')
        self._started |= references is not None and len(references) > 0
        if not rungs:
            return Scaled(rho, sigma_rho, own, NO_REPORT)
        nothing = np.zeros((), np.float32)
        output = Relative(rho, nothing, nothing, None, 'inverse_depth', affine=False)
        step = self._step(output, frame, settings, references, None if needed else own)
        if not (self._started or needed):
            return Scaled(rho, sigma_rho, own, NO_REPORT)
        if step.scale is None and needed:
            raise NotMetricError(self._told(step, rungs, frame))
        if step.scale is None:
            return Scaled(rho, sigma_rho, own, _report(step))
        everywhere = -math.inf, math.inf
        metric, sigma = scaled_output(rho, sigma_rho, step.scale, everywhere, root=fastest_root())
        return Scaled(metric, sigma, step.scale, _report(step))

    def _step(
        self,
        relative: Relative,
        frame: MonoFrame | StereoFrame,
        settings: EstimatorSettings,
        references: References | None,
        own: Scale | None = None,
    ) -> LadderStep:
        rungs = self.rungs(settings)
        self._configure(settings, rungs, affine=relative.affine)
        ground: Callable[[], Outcome] | None = None
        pose = ground_pose(frame, settings)
        if Rung.GROUND_PLANE in rungs and pose is not None:
            known = pose

            def ground() -> Outcome:
                return fit_ground(
                    relative.output,
                    frame.camera,
                    known,
                    affine=relative.affine,
                    depth_domain=relative.domain == 'depth',
                )

        plugin: Callable[[], Outcome] | None = None
        if Rung.PLUGIN in rungs:
            self.open(settings)
            if self._plugin is not None:
                chosen = self._plugin[1]

                def plugin() -> Outcome:
                    return guess_of(chosen, frame.image, relative.output, frame.camera)

        return self._ladder.step(
            frame.stamp_ns,
            relative.output,
            references if Rung.REFERENCES in rungs else None,
            ground,
            plugin,
            own,
        )

    def _configure(
        self, settings: EstimatorSettings, rungs: frozenset[Rung], *, affine: bool
    ) -> None:
        """Start the ladder anew where its rules have changed."""
        stored = settings.scale__prior_s, settings.scale__prior_t, settings.scale__prior_sigma
        key = (affine, rungs, *stored)
        if key == self._key:
            return
        rules = LadderRules(
            filter=FilterRules() if affine else FilterRules(affine=False, scale_rate=_FACTOR_RATE),
            prior=self._prior(settings) if Rung.PRIOR in rungs else None,
        )
        self._key, self._ladder = key, ScaleLadder(rules)

    def _prior(self, settings: EstimatorSettings) -> ScaleFit | None:
        s, t = settings.scale__prior_s, settings.scale__prior_t
        if s > 0.0:
            parameters = np.array([s, t])
            variance = settings.scale__prior_sigma**2
            return ScaleFit(s, t, variance * np.multiply.outer(parameters, parameters))
        stored = self._card.scale.prior
        if stored is None or stored.s <= 0.0:
            return None
        sigma = [float(value) for value in stored.sigma] or [0.0]
        return ScaleFit(stored.s, stored.t, np.diag(np.square([sigma[0], sigma[-1]])))

    def _says_nothing(self) -> str:
        return (
            f'{self._card.id} gives relative depth ({self._card.output.kind}), which has no unit'
            if self._card.is_relative
            else f'{self._card.id} is to be scaled by something else'
        )

    def _told(
        self, step: LadderStep, rungs: frozenset[Rung], frame: MonoFrame | StereoFrame
    ) -> str:
        """Return why there is no scale, rung by rung, and what would help."""
        reasons = [
            f'{rung.value}: {text}'
            for rung, text in step.failures
            if rung in rungs or (rung is Rung.FILTERED and Rung.REFERENCES in rungs)
        ]
        if frame.surroundings.problem:
            reasons.append(frame.surroundings.problem)
        needs = ' or '.join(mode for mode in self._card.scale.modes if mode != 'none') or 'any'
        return (
            f'{self._says_nothing()}, and nothing gives it one (this card knows: {needs}): '
            f'{"; ".join(reasons)}. {_advice(rungs)}or choose a metric model '
            '(`depth_perception models list`)'
        )


def _advice(rungs: frozenset[Rung]) -> str:
    """Return what to give to the rungs that may be taken, as the beginning of a sentence."""
    helps = [text for rung, text in _HELP.items() if rung in rungs]
    return f'Give it {", or ".join(helps)}, ' if helps else 'Set scale.method to auto, '


def _report(step: LadderStep) -> ScaleReport:
    inliers = step.fit.inliers if isinstance(step.fit, ScaleFit) else 0
    return ScaleReport(step.failures, step.jump, inliers)
