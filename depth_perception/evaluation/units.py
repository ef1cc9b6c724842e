"""What there is to evaluate: one model on one camera of one bag is one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
import hashlib
import json
from pathlib import Path
import re

import depth_perception
from depth_perception.errors import SettingsError
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.records import plain
from depth_perception.evaluation.references import NO_REFERENCE, ReferenceStreams
from depth_perception.evaluation.streams import CameraStreams, TruthStreams
from depth_perception.inference.cards import artifact_path, file_sha256, load_card, ModelCard
from depth_perception.inference.estimator import auto_mono, AUTO_STEREO
from depth_perception.inference.sigma import calibration_path
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import declarations_of, settings_with

DETAILED_FRAMES = 100
"""So many frames of a run have the costly figures, evenly spread; all of a short run."""
_ON_PAIR = 'pair:'
_LABEL = re.compile(r'[A-Za-z0-9][\w.+-]{0,63}')


@dataclass(frozen=True)
class ModelChoice:
    """A model with the parameters it is run with.

    Attributes:
        label: Name in the report; unique.
        card: Id or path of its card.
        assignments: 'NAME=VALUE' of every parameter that is not at its default.
        task: 'mono' or 'stereo'.
        sha256: Hash of the card, of its network file and of the calibration of its sigma: what the
            figures belong to.
    """

    label: str
    card: str
    assignments: tuple[str, ...]
    task: str
    sha256: str

    def settings(self, *, compressed: bool) -> MonoSettings | StereoSettings:
        """Return the parameters of the node that runs this model.

        Raises:
            SettingsError: Naming what is unknown or not accepted.
        """
        transport = 'compressed' if compressed else 'raw'
        if self.task == 'stereo':
            stereo = StereoSettings(model=self.card, image_transport=transport)
            return settings_with(stereo, self.assignments)
        return settings_with(
            MonoSettings(model=self.card, image_transport=transport), self.assignments
        )

    def changed_settings(self) -> dict[str, bool | int | float | str]:
        """Return parameter -> value where it is not the default."""
        settings = self.settings(compressed=False)
        return {
            name: getattr(settings, declared.field)
            for name, declared in declarations_of(type(settings)).items()
            if getattr(settings, declared.field) != declared.default and name != 'model'
        }


def choose_models(texts: Sequence[str], common: Sequence[str]) -> list[ModelChoice]:
    """Return the models that the command line names.

    Args:
        texts: '[LABEL=]CARD[,NAME=VALUE...]' each; 'pair:CARD' runs a network on one image in
            the stereo node, where the pair gives it its scale.
        common: 'NAME=VALUE' that holds for every model that knows NAME.

    Raises:
        SettingsError: If a text cannot be read, two have one label, or a parameter is not known.
        ModelError: If a card or a network file is missing.
    """
    choices: list[ModelChoice] = []
    for text in texts:
        choice = _choose(text, common)
        if any(choice.label == other.label for other in choices):
            raise SettingsError(
                f'--model {text!r}: there is a model {choice.label!r} already; '
                'give it another name with LABEL=CARD,...'
            )
        choices.append(choice)
    _check_common(choices, common)
    return choices


def _choose(text: str, common: Sequence[str]) -> ModelChoice:
    head, *assignments = text.split(',')
    label, equals, name = head.partition('=')
    name = name if equals else label
    on_pair = name.startswith(_ON_PAIR)
    name = name.removeprefix(_ON_PAIR)
    if name == 'auto-mono':
        name = auto_mono(settings_with(MonoSettings(), _for_mono((*common, *assignments))))
    card = load_card(AUTO_STEREO if name == 'auto' else name)
    task = 'stereo' if on_pair else str(card.task)
    if not equals:
        label = ','.join([f'{card.id}{"+pair" if on_pair else ""}', *assignments])
    elif not _LABEL.fullmatch(label):
        raise SettingsError(f'--model: {label!r} is no label; letters, digits, . _ + - only')
    known = declarations_of(StereoSettings if task == 'stereo' else MonoSettings)
    shared = tuple(one for one in common if one.partition('=')[0] in known)
    path = name if name.endswith(('.yaml', '.yml')) else card.id
    choice = ModelChoice(label, path, (*shared, *assignments), task, model_sha256(card))
    settings = choice.settings(compressed=False)  # refuses what is not accepted
    calibration = calibration_path(card, settings)
    return choice if calibration is None else replace(choice, sha256=_with(choice, calibration))


def _for_mono(assignments: Sequence[str]) -> list[str]:
    """Return those that the mono node knows."""
    known = declarations_of(MonoSettings)
    return [one for one in assignments if one.partition('=')[0] in known]


def _with(choice: ModelChoice, calibration: Path) -> str:
    """Return a hash of a model together with the calibration of its sigma."""
    return hashlib.sha256(f'{choice.sha256} {file_sha256(calibration)}'.encode()).hexdigest()


def _check_common(choices: Sequence[ModelChoice], common: Sequence[str]) -> None:
    known = {
        name
        for choice in choices
        for name in declarations_of(StereoSettings if choice.task == 'stereo' else MonoSettings)
    }
    for assignment in common:
        name, equals, _ = assignment.partition('=')
        if not equals:
            raise SettingsError(f'--set wants NAME=VALUE, got {assignment!r}')
        if name not in known:
            raise SettingsError(f'--set: none of the models has the parameter {name}')


def model_sha256(card: ModelCard) -> str:
    """Return a hash of what makes the figures of a card: the card, and its network file.

    Raises:
        ModelError: If the network file is missing.
    """
    digest = hashlib.sha256(repr(replace(card, path=Path())).encode())
    if card.builtin is None:
        digest.update(file_sha256(artifact_path(card)).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Span:
    """Which part of a recording is evaluated.

    Attributes:
        start_s: Seconds from the beginning of the recording.
        duration_s: Length [s]; infinite: up to the end.
        every: Only every n-th complete set of inputs.
        limit: At most so many sets; 0: all.
        detail_every: The figures that cost much (by range, of sigma, structure, clouds and
            stability) are computed for every n-th of these sets; 0: for DETAILED_FRAMES of a run
            or more.
    """

    start_s: float = 0.0
    duration_s: float = float('inf')
    every: int = 1
    limit: int = 0
    detail_every: int = 0

    def __post_init__(self) -> None:
        if not (self.start_s >= 0.0 and self.duration_s > 0.0):
            raise SettingsError(
                f'start {self.start_s:g} s and duration {self.duration_s:g} s select nothing'
            )
        if self.every < 1 or self.limit < 0 or self.detail_every < 0:
            raise SettingsError(
                f'--every is {self.every}, --limit {self.limit} and --detail-every '
                f'{self.detail_every}; wanted 1 or more'
            )


@dataclass(frozen=True)
class Unit:
    """One model on one camera of one bag.

    Attributes:
        bag: The recording.
        bag_name: Its name in the report.
        bag_sha256: Hash of its content.
        model: What is run.
        camera: Topics of the inputs.
        truth: Topics of the ground truth.
        options: How the estimates are judged.
        span: Which part of the recording.
        truth_tolerance_ms: Greatest difference of the stamps of image and truth [ms].
        journal: File of the records.
        expected: Number of images of the camera in the bag, for the progress bar.
        reference: Topics of the references that the estimator is given.
    """

    bag: Path
    bag_name: str
    bag_sha256: str
    model: ModelChoice
    camera: CameraStreams
    truth: TruthStreams
    options: JudgeOptions
    span: Span
    truth_tolerance_ms: float
    journal: Path
    expected: int = 0
    reference: ReferenceStreams = NO_REFERENCE

    @property
    def detail_every(self) -> int:
        """Every how many frames the costly figures are computed; see `Span.detail_every`."""
        return self.span.detail_every or max(1, self.expected // DETAILED_FRAMES)

    @property
    def key(self) -> str:
        """What the records depend on: equal for equal work, wherever the files lie."""
        parts = asdict(replace(self, bag=Path(), journal=Path(), bag_name='', expected=0))
        for gone in ('bag', 'journal', 'bag_name', 'expected'):
            del parts[gone]
        parts['model'].pop('label')
        parts['version'] = depth_perception.__version__
        parts['detail_every'] = self.detail_every
        text = json.dumps(plain(parts), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
