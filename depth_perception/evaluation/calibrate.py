"""Fit the sigma curve of a model on recordings with truth, and say how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
import math

import depth_perception
from depth_perception.core.calibration_choice import (
    calibrated,
    Calibration,
    calibration_figures,
    CalibrationFigures,
)
from depth_perception.core.calibration_fit import joined, ONE_SIGMA, ScoredErrors, TWO_SIGMA
from depth_perception.core.estimate import Domain
from depth_perception.errors import CalibrationError
from depth_perception.evaluation.calibrate_groups import Group, groups_of
from depth_perception.evaluation.calibrate_unit import (
    BAG_PIXELS,
    collect,
    Collected,
    Collecting,
    FRAME_PIXELS,
    TruthSigma,
)
from depth_perception.evaluation.evaluate import Means
from depth_perception.evaluation.plan import Plan, Request
from depth_perception.evaluation.schedule import run_ordered
from depth_perception.evaluation.schedule_parts import Listener, Result
from depth_perception.evaluation.units import Unit
from depth_perception.inference.calibration_file import (
    BagSpec,
    CalibrationFile,
    curve_sections,
    FiguresSpec,
    ProvenanceSpec,
)
from depth_perception.inference.cards import load_card
from depth_perception.inference.sigma import network_sha256, score_settings
import numpy as np

LEAST_PIXELS = 1000
ALL_PIXELS = 200_000  # of all bags; the fit takes time in proportion
_MOST_NAMED, _MOST_NOTED = 150, 20  # in the file, which has at most 64 KiB
_LEAST_SPREAD = 1.02  # 98 % quantile of the true depth over its 2 % quantile
_COVERAGE_MISSES = 0.05, 0.03
_MOST_ENCE = 0.2
_LEAST_SPEARMAN = 0.3


@dataclass(frozen=True)
class Sampling:
    """Which pixels are used.

    Attributes:
        truth_sigma: How well the truth is known.
        most_pixels: Pixels used of all bags together; every bag has an equal share.
    """

    truth_sigma: TruthSigma = field(default_factory=TruthSigma)
    most_pixels: int = ALL_PIXELS


DEFAULT_SAMPLING = Sampling()


@dataclass(frozen=True)
class Calibrated:
    """What came of it.

    Attributes:
        file: What is to be written.
        found: The fit and its figures.
        groups: What was held out in turn.
        by_group: Held-out figures of each group.
        failed: Bags and runs that gave nothing -> why.
        warnings: What the user should know, most important first.
    """

    file: CalibrationFile
    found: Calibration
    groups: tuple[Group, ...]
    by_group: tuple[CalibrationFigures, ...]
    failed: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def held_out(self) -> tuple[ScoredErrors, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """All pixels, and for each the sigma by a curve that was fitted without its group."""
        sigmas = [self.found.held_out_sigma[group.name] for group in self.groups]
        return joined([group.sample for group in self.groups]), np.concatenate(sigmas)


def calibrate(
    request: Request,
    plan: Plan,
    means: Means,
    *,
    command: Sequence[str],
    sampling: Sampling = DEFAULT_SAMPLING,
    on_event: Listener | None = None,
) -> Calibrated:
    """Do the work of a plan and return the calibration of its one model.

    Args:
        request: Bags, the one model, and which frames and pixels count.
        plan: The units of work.
        means: Where the work is done.
        command: The command line, for the provenance.
        sampling: Which pixels are used.
        on_event: Told of progress.

    Raises:
        CalibrationError: If the recordings do not suffice for a calibration; the message says of
            which there is too little.
        Interrupted: If ctrl-C was pressed.
    """
    failed = dict(plan.problems)
    units = [unit for unit in plan.units if unit.truth.kind != 'none']
    for unit in plan.units:
        if unit.truth.kind == 'none':
            failed[_name(unit)] = (
                'has no ground truth (a depth image, a PointCloud2 or a DisparityImage, see '
                '--truth)'
            )
    share = max(LEAST_PIXELS, min(BAG_PIXELS, sampling.most_pixels // max(len(units), 1)))
    work = [Collecting(unit, sampling.truth_sigma, FRAME_PIXELS, share) for unit in units]
    results = run_ordered(
        work, collect, workers=means.workers, scheduler=means.scheduler, on_event=on_event
    )
    usable = _usable(units, results, failed)
    if not usable:
        reasons = '\n  '.join(f'{what}: {why}' for what, why in list(failed.items())[:10])
        raise CalibrationError(f'nothing to calibrate with:\n  {reasons}')
    _check_alike([collected for _, collected in usable])
    _check_truth([collected for _, collected in usable])
    groups = groups_of(usable)
    found = calibrated([group.sample for group in groups])
    by_group = tuple(
        calibration_figures(group.sample, found.held_out_sigma[group.name]) for group in groups
    )
    file = _file(request, usable, found, command)
    warnings = (*_warnings(groups, found), *_problems(usable))
    return Calibrated(file, found, groups, by_group, failed, warnings)


def _name(unit: Unit) -> str:
    return f'{unit.bag_name} {unit.camera.image}'


def _usable(
    units: Sequence[Unit], results: Sequence[Result[Collected]], failed: dict[str, str]
) -> list[tuple[Unit, Collected]]:
    """Return the units that gave pixels; of the others, `failed` is told why."""
    usable = []
    for unit, result in zip(units, results, strict=True):
        collected = result.outcome
        if collected is None:
            failed[_name(unit)] = result.error
        elif not collected.pixels:
            reasons = '; '.join(f'{cause}: {why}' for cause, why in collected.problems.items())
            failed[_name(unit)] = (
                f'no pixel with depth, score and truth in {collected.served} frames served, '
                f'{collected.without_truth} of them without truth' + (reasons and f' ({reasons})')
            )
        else:
            usable.append((unit, collected))
    return usable


def _check_alike(found: Sequence[Collected]) -> None:
    kinds = sorted({f'{one.name!r} in {one.domain}' for one in found})
    if len(kinds) > 1:
        raise CalibrationError(
            f'the bags give different scores, {" and ".join(kinds)}; calibrate them one by one'
        )


def _check_truth(found: Sequence[Collected]) -> None:
    pixels = sum(one.pixels for one in found)
    if pixels < LEAST_PIXELS:
        raise CalibrationError(
            f'{pixels} pixels have depth, score and truth; at least {LEAST_PIXELS} are needed: '
            'use longer recordings, or more of their frames'
        )
    truth_m = np.concatenate([frame.truth_m for one in found for frame in one.frames])
    low, high = (float(value) for value in np.quantile(truth_m, (0.02, 0.98)))
    if high < low * _LEAST_SPREAD:
        raise CalibrationError(
            f'all of the truth lies between {low:.3g} and {high:.3g} m; sigma of other depths '
            'cannot be told from that: record something with near and far parts'
        )


def _file(
    request: Request,
    usable: Sequence[tuple[Unit, Collected]],
    found: Calibration,
    command: Sequence[str],
) -> CalibrationFile:
    choice = request.models[0]
    card = load_card(choice.card)
    domain: Domain = usable[0][1].domain
    figures = found.held_out
    return CalibrationFile(
        model=card.id,
        domain=domain,
        score=usable[0][1].name,
        model_sha256=network_sha256(card),
        provenance=ProvenanceSpec(
            bags=_bags(usable)[:_MOST_NAMED],
            package_version=depth_perception.__version__,
            created_utc=datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'),
            command=_shortened(command),
            note=_note(found),
        ),
        figures=FiguresSpec(
            pixels=figures.pixels,
            within_1_sigma=round(figures.within_1_sigma, 4),
            within_2_sigma=round(figures.within_2_sigma, 4),
            beyond_5_sigma=round(figures.beyond_5_sigma, 5),
            ence=round(figures.ence, 4),
            ence_robust=round(figures.ence_robust, 4),
            spearman=round(figures.spearman, 4) if math.isfinite(figures.spearman) else None,
        ),
        settings=score_settings(card, choice.settings(compressed=False)),
        **curve_sections(found.curve),
    )


def _shortened(command: Sequence[str]) -> tuple[str, ...]:
    if len(command) <= _MOST_NAMED:
        return tuple(command)
    return (*command[:_MOST_NAMED], f'... and {len(command) - _MOST_NAMED} more words')


def _note(found: Calibration) -> str:
    count = len(found.groups)
    names = '; '.join(found.groups[:_MOST_NOTED])
    more = f' and {count - _MOST_NOTED} more' if count > _MOST_NOTED else ''
    return f'figures are of pixels held out of the fit, in turn ({count} groups): {names}{more}'


def _bags(usable: Sequence[tuple[Unit, Collected]]) -> tuple[BagSpec, ...]:
    found: dict[str, BagSpec] = {}
    for unit, collected in usable:
        before = found.get(unit.bag_sha256, BagSpec(unit.bag_name, unit.bag_sha256, 0, 0))
        found[unit.bag_sha256] = BagSpec(
            before.name,
            before.sha256,
            before.frames + len(collected.frames),
            before.pixels + collected.pixels,
        )
    return tuple(found.values())


def _warnings(groups: Sequence[Group], found: Calibration) -> list[str]:
    """Return what makes the calibration doubtful."""
    texts, figures = [], found.held_out
    if len({group.bag_sha256 for group in groups}) == 1:
        texts.append(
            f'ONLY ONE BAG: its {len(groups)} parts in time were held out in turn. They show the '
            'same place, so the figures are better than they will be elsewhere; give more bags'
        )
    elif len(groups) < 4:
        texts.append(
            f'only {len(groups)} bags: what holds for them need not hold elsewhere; give more'
        )
    misses = (
        abs(figures.within_1_sigma - ONE_SIGMA) > _COVERAGE_MISSES[0],
        abs(figures.within_2_sigma - TWO_SIGMA) > _COVERAGE_MISSES[1],
    )
    if any(misses):
        texts.append(
            f'{100 * figures.within_1_sigma:.1f} and {100 * figures.within_2_sigma:.1f} % of the '
            'held-out errors lie within 1 and 2 sigma, wanted 68.3 and 95.4 %: the errors are not '
            'shaped like a Gaussian, most often by gross ones'
        )
    if figures.ence_robust > _MOST_ENCE:
        texts.append(
            f'sigma is off by {100 * figures.ence_robust:.0f} % on average over its bins (robust '
            'ENCE): the bags differ from each other, or the score says little'
        )
    if not figures.spearman >= _LEAST_SPEARMAN:
        texts.append(
            f'the score hardly knows where errors are (Spearman {figures.spearman:.2f}): sigma '
            'will be right on average only'
        )
    return texts


def _problems(usable: Sequence[tuple[Unit, Collected]]) -> list[str]:
    texts = []
    for unit, collected in usable:
        if collected.without_truth:
            texts.append(
                f'{_name(unit)}: {collected.without_truth} of {collected.served} frames served '
                'have no truth'
            )
        texts += [
            f'{_name(unit)}: frames left out ({cause}), e.g.: {why}'
            for cause, why in collected.problems.items()
        ]
    return texts
