"""Raw scores of networks: where is an answer unsure?

Every source gives a score u_k >= 0 in one domain: disparity [px] for stereo, the relative error of
inverse depth (which is that of depth, and the error of ln Z) for mono. They are combined as errors
that do not know of each other, u = sqrt(sum_k u_k^2). Only then u is calibrated.

Speed:
    `edge`, `range`, `residual` and `temporal` need no second run. The first two guess, and step
    aside in frames where `residual` measures: beside it they gain nothing. `flip` and `lr` double
    the time of the network (together, too: they share the run), `tta` takes it once more for every
    augmentation, `monte_carlo` for every run, `ensemble` adds the time of every model listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from depth_perception.core.estimate import Domain, RawScore
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.scale_types import References
from depth_perception.core.score_combine import add_squares, Before, joined
from depth_perception.core.score_variants import alignment
from depth_perception.core.stereo import inverse_depth_from_disparity
from depth_perception.core.types import AnyArray, SigmaMap
from depth_perception.errors import DepthPerceptionError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.card_schema import Source
from depth_perception.inference.cards import artifact_path, load_card, ModelCard
from depth_perception.inference.decode import decode, Decoded
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.plain_score import NAME as PLAIN
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.relative import decode_relative, Relative
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.roots import fastest_root
from depth_perception.inference.score_readings import own_score, reading_of, tells_own_score
from depth_perception.inference.score_runs import can_resize, infer_each, Variant, varied
from depth_perception.inference.score_sources import (
    Augmented,
    Confidence,
    Edge,
    Flip,
    LeftRight,
    Outcome,
    Photometric,
    Range,
    Reading,
    Residual,
    Scene,
    ScoreSource,
    Several,
    Temporal,
)
import numpy as np

IN_MATCHER: tuple[Source, ...] = ('photometric', 'lr')  # builtin matchers have these inside
SECOND_RUN: tuple[Source, ...] = ('ensemble', 'monte_carlo', 'tta', 'flip', 'lr')
STEREO_ONLY: tuple[Source, ...] = ('lr', 'photometric')
SOURCES: tuple[Source, ...] = (*SECOND_RUN, 'confidence', 'residual', 'edge', 'range',
                               'photometric', 'temporal')  # fmt: skip
GUESSES: tuple[Source, ...] = ('edge', 'range')  # step aside where the error is measured
_WORST_PERCENTILE = 95.0  # what pixels get that another run does not see
_SAMPLE_STEP = 7


@dataclass(frozen=True)
class Member:
    """Another model of an ensemble."""

    card: ModelCard
    backend: Backend


def source_names(card: ModelCard, setting: str) -> tuple[Source, ...]:
    """Return the sources of a model: those of the setting, or of the card if it is empty.

    Args:
        card: The model.
        setting: Names with commas between; '' for those of the card, 'none' for none.

    Raises:
        ModelError: If a source is unknown or not for this model.
    """
    names: list[Source] = list(card.uncertainty.sources)
    if setting:
        wanted = [name.strip() for name in setting.split(',')]
        known = {str(name): name for name in SOURCES}
        unknown = [name for name in wanted if name not in known and setting != 'none']
        if unknown:
            raise ModelError(
                f'uncertainty.sources: there is no source {", ".join(map(repr, unknown))}; '
                f'there are {", ".join(SOURCES)}, and none'
            )
        names = [] if setting == 'none' else [known[name] for name in wanted]
    if card.builtin is not None:
        if set(names) & set(IN_MATCHER):
            names = ['confidence', *(n for n in names if n not in (*IN_MATCHER, 'confidence'))]
        second = [name for name in names if name in SECOND_RUN]
        if second:
            raise ModelError(f'{card.id}: {", ".join(second)} needs a network')
    again = [name for name in names if name in (*SECOND_RUN, *STEREO_ONLY)]
    if card.matcher and again:
        raise ModelError(
            f'{card.id}: {", ".join(again)} is for a network alone; this one is checked by the '
            f'matcher {card.matcher}'
        )
    wrong = [name for name in names if name in STEREO_ONLY and card.task == 'mono']
    if wrong:
        raise ModelError(f'{card.id}: {", ".join(wrong)} needs a stereo pair')
    return tuple(dict.fromkeys(names))


class ScoreSet:
    """The sources of one model, and the further runs that they need.

    Args:
        card: The model.
        backend: What runs it.
        setting: Which sources, see `source_names`.
        threads: CPU threads of the other models of an ensemble; 0: all.

    Raises:
        ModelError: If a source is not for this model, or a model of the ensemble cannot be used.
        BackendUnavailableError: If nothing can run a model of the ensemble.
    """

    def __init__(self, card: ModelCard, backend: Backend, setting: str, threads: int = 0) -> None:
        self._card = card
        self._backend = backend
        self.names = source_names(card, setting)
        # Those that improve the answer go first: the others look at the better one.
        self._sources = [self._source(name) for name in sorted(self.names, key=SOURCES.index)]
        variants = dict.fromkeys(v for source in self._sources for v in source.variants)
        self._variants = tuple(variants)
        self._scratch: AnyArray | None = None
        self._members: dict[str, Member] = {}
        try:
            for name in dict.fromkeys(v.model for v in variants if v.model):
                self._members[name] = self._opened(name, threads)
        except DepthPerceptionError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Name of the score that estimates will have: that of the sources together."""
        return '+'.join(self.names) if set(self.names) - {'confidence'} else PLAIN

    @property
    def domain(self) -> Domain:
        """What the scores are in."""
        return 'disparity_px' if self._card.task == 'stereo' else 'log_depth'

    @property
    def runs(self) -> int:
        """How many further runs of a network every frame takes."""
        return len(self._variants)

    def reset(self) -> None:
        """Forget earlier frames."""
        for source in self._sources:
            source.reset()

    def close(self) -> None:
        """Free what the models of an ensemble hold."""
        for member in self._members.values():
            member.backend.close()
        self._members.clear()

    def add(
        self,
        raw: RawEstimate,
        decoded: Decoded | Relative,
        preparation: Preparation,
        references: References | None = None,
    ) -> RawEstimate:
        """Return an estimate made better by further runs, where the sources say so, and its score.

        A source that has nothing to go by in a frame (no references, no pose, no past) counts as
        the floor of the card, once for all of them, so that a calibrated sigma is not too small.

        Args:
            raw: The estimate, in metres.
            decoded: The answer of the network that it was made from.
            preparation: How the frame was given to the network.
            references: Measured points that a score may be made from.

        Returns:
            The estimate with its score, and `sigma_rho` made from that. The estimate as it is
            where there is no source but what the network says itself.

        Raises:
            ModelError: If a network fails or answers what its card does not say.
        """
        if self.name == PLAIN:
            return raw
        disparity = decoded.disparity if isinstance(decoded, Decoded) else None
        scene = Scene(preparation.frame, raw.rho, disparity, references=references)
        if 'confidence' in self.names and tells_own_score(self._card):
            own = own_score(decoded, self._card, scene.unit, raw.scale.s)
            scene = replace(scene, own=own)
        factor = 1.0
        if disparity is None and isinstance(decoded, Decoded) and decoded.rho is not raw.rho:
            factor = alignment(decoded.rho, raw.rho, 'scale')[0]
        scene = replace(scene, readings=self._readings(scene, preparation, factor))
        if self._scratch is None or self._scratch.shape != raw.rho.shape:
            self._scratch = np.empty(raw.rho.shape, np.float32)
        return self._looked_at(raw, replace(scene, scratch=self._scratch))

    def _looked_at(self, raw: RawEstimate, scene: Scene) -> RawEstimate:
        """Return the estimate with what the sources find in a scene."""
        squares: SigmaMap | None = None
        improved, lacking, told, measured = False, False, None, False
        for source in self._sources:
            if measured and source.name in GUESSES:
                continue
            outcome = source.look(scene)
            if outcome is None:
                lacking |= source.name != 'confidence'
                continue
            if outcome.values is not None and not improved:
                scene, improved = _with_values(scene, outcome.values), True
            if outcome.own is not None:
                scene = replace(scene, own=outcome.own)
            measured |= source.name == 'residual'
            score = _complete(outcome, scene.values)
            if source.name == 'confidence':
                told = score
            elif squares is None:
                squares = np.square(score, dtype=np.float32)
            else:
                add_squares(squares, score)
        if squares is None:
            squares = np.zeros(raw.rho.shape, np.float32)
        found = self._finished(raw, scene, told, squares)
        if lacking and found.score is not None:  # sigma has the floor already
            u = np.hypot(found.score.values, self._floor(scene))
            found = replace(found, score=replace(found.score, values=u))
        return found

    def _floor(self, scene: Scene) -> SigmaMap:
        """Return the least score by the card."""
        spec = self._card.uncertainty
        if scene.disparity is not None and spec.disparity_floor_px > 0.0:
            return np.full(scene.rho.shape, spec.disparity_floor_px, np.float32)
        return scene.score_of_relative(np.full(scene.rho.shape, spec.relative_floor, np.float32))

    def _finished(
        self, raw: RawEstimate, scene: Scene, own: SigmaMap | None, squares: SigmaMap
    ) -> RawEstimate:
        """Return the estimate with what the sources found."""
        unit = None if scene.disparity is None else float(scene.unit)
        before = Before(scene.rho, raw.sigma_rho, raw.shared_sigma_rho, unit)
        u, sigma_rho = joined(before, squares, own, fastest_root())
        rho, disparity = scene.rho, raw.disparity
        unknown = np.isnan(u) if np.isnan(u.min()) else None  # seldom, and slow
        if unknown is not None and np.count_nonzero(unknown) > np.count_nonzero(np.isnan(rho)):
            rho = np.where(unknown, np.float32(np.nan), rho)
        if disparity is not None and rho is not raw.rho:
            rig = disparity.rig
            values = rho * np.float32(rig.focal_baseline) - np.float32(rig.doffs_px)
            if scene.disparity is not None:
                values = scene.disparity
                if unknown is not None:
                    values = np.where(unknown, np.float32(np.nan), values)
            disparity = replace(disparity, values=values)
        score = RawScore(u, self.name, self.domain)
        return replace(raw, rho=rho, sigma_rho=sigma_rho, disparity=disparity, score=score)

    def _readings(
        self, scene: Scene, preparation: Preparation, factor: float
    ) -> dict[Variant, Reading]:
        """Return what the further runs answer, each on the grid of the image it is of."""
        found = {}
        frame = preparation.frame
        if self._card.task == 'mono' and isinstance(frame, StereoFrame):
            frame = MonoFrame(frame.left, frame.camera, frame.stamp_ns, frame.frame_id)
        for model in dict.fromkeys(variant.model for variant in self._variants):
            card, backend = self._card, self._backend
            usual = replace(preparation, frame=frame)
            if model:
                card, backend = self._members[model].card, self._members[model].backend
                plan = plan_resize(card.resize, *preparation.plan.source)
                usual = replace(usual, plan=plan, resize=card.resize)
            variants = [variant for variant in self._variants if variant.model == model]
            preparations = [varied(usual, variant) for variant in variants]
            answers = infer_each(backend, card.inputs, preparations)
            for variant, prepared, outputs in zip(variants, preparations, answers, strict=True):
                read = decode_relative if card.is_relative else decode
                answer = read(outputs, card, prepared)
                found[variant] = reading_of(answer, card, variant, scene, factor)
        return found

    def _opened(self, name: str, threads: int) -> Member:
        """Return a model of the ensemble, which must be a network of the same task."""
        card = load_card(name)
        if card.task != self._card.task or card.builtin is not None:
            raise ModelError(
                f'{self._card.id}: {name} cannot be in its ensemble, which wants networks of the '
                f'task {self._card.task}'
            )
        return Member(card, OrtBackend(artifact_path(card), threads))

    def _source(self, name: Source) -> ScoreSource:
        """Return a source with the parameters of the card."""
        spec = self._card.uncertainty.scores
        makers: dict[Source, Callable[[], ScoreSource]] = {
            'confidence': Confidence,
            'flip': lambda: Flip(spec),
            'lr': lambda: LeftRight(spec),
            'tta': lambda: Augmented(spec, any_size=can_resize(self._backend)),
            'edge': lambda: Edge(spec),
            'range': lambda: Range(spec),
            'photometric': Photometric,
            'residual': Residual,
            'temporal': lambda: Temporal(spec),
        }
        if name in makers:
            return makers[name]()
        if name == 'ensemble' and not spec.ensemble:
            raise ModelError(f'{self._card.id}: uncertainty.scores.ensemble lists no model')
        variants = [Variant(model=other) for other in spec.ensemble]
        if name == 'monte_carlo':
            variants = [Variant(draw=draw) for draw in range(1, spec.monte_carlo_runs)]
        return Several(name, tuple(variants), fuse=spec.fuse)


def _complete(outcome: Outcome, values: AnyArray) -> SigmaMap:
    """Return a score with something wherever there is an answer.

    What another run does not see gets the score of the worst pixels (95th percentile); a strict
    source makes it unknown instead.
    """
    score = outcome.score
    if outcome.strict or not np.isnan(score.min()):
        return score
    missing = np.isnan(score) & ~np.isnan(values)
    if not missing.any():
        return score
    sample = score.ravel()[::_SAMPLE_STEP]
    sample = sample[np.isfinite(sample)]
    worst = np.percentile(sample, _WORST_PERCENTILE) if sample.size else 0.0
    return np.where(missing, np.float32(worst), score)


def _with_values(scene: Scene, values: AnyArray) -> Scene:
    """Return the scene with another disparity, or inverse depth."""
    if scene.disparity is None or not isinstance(scene.frame, StereoFrame):
        return replace(scene, rho=values)
    rho = inverse_depth_from_disparity(values, scene.frame.rig)
    return replace(scene, rho=rho, disparity=values)
