"""Trains the mono network on rendered scenes: python -m training.mono.train RUN --data FOLDER ...

The clock of a run is the CPU time of its process, so that other work on the machine does not
shorten it. The learning rate stays high until the last quarter and then falls: a run that was
stopped early can be given more time. ``last.pt`` holds all that a run needs to go on; it is
written every few minutes and when the process is asked to end (SIGTERM).

With ``--shared`` the averaged weights are scored on the real validation frames from time to time
(never trained on) and the scores go to ``curve.jsonl`` beside the losses.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
import signal
import time
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader

from training.averaging import Average
from training.checkpoints import Checkpoint
from training.mono.data import Scenes
from training.mono.losses import losses, Weights
from training.mono.model import MonoNetwork
from training.mono.validate import frames, Predict, score

CHECKPOINT_S = 240.0
LOG_STEPS = 25
WARM_UP_STEPS = 60
FALL = 0.25
CLIP = 2.0


def learning_rate(step: int, share: float, most: float) -> float:
    """Return the rate of a step when a ``share`` of the time is over."""
    rate = most * min(1.0, (1.0 + step) / WARM_UP_STEPS)
    turn = min(max(share - (1.0 - FALL), 0.0) / FALL, 1.0)
    return rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * turn)))


def torch_network(network: MonoNetwork, size: tuple[int, int]) -> Predict:
    """Return a function as ``training.mono.validate`` scores it, at ``size`` (rows, columns)."""
    import cv2

    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(small.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        with torch.no_grad():
            out = network(x)
        whole = [cv2.resize(o[0, 0].numpy(), image.shape[1::-1]) for o in out]
        return whole[0], whole[1]

    return predict


def groups(network: MonoNetwork, encoder_share: float) -> list[dict[str, Any]]:
    """Return the trained parameters: the encoder learns at a share of the rate of the rest."""
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    doubt = list(network.doubt.parameters())
    known = {id(p) for p in (*network.encoder.parameters(), *doubt)}
    rest = [p for p in network.parameters() if id(p) not in known]
    return [
        {'params': encoder, 'share': encoder_share},
        {'params': rest, 'share': 1.0},
        {'params': doubt, 'share': 1.0},
    ]


class Run:
    """A training run in a folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.stopped = False
        torch.manual_seed(arguments.seed)
        network = MonoNetwork()
        if arguments.encoder:
            network.load_encoder(torch.load(arguments.encoder, weights_only=True))
        if arguments.start:
            network.load_state_dict(torch.load(arguments.start, weights_only=True)['average'])
        network.freeze(arguments.frozen)
        self.network = network.to(memory_format=torch.channels_last)
        self.average = Average(self.network, arguments.average)
        trained = groups(network, arguments.encoder_share)
        self.optimiser = torch.optim.AdamW(trained, arguments.rate, weight_decay=1e-2)
        self.checkpoint = Checkpoint(
            arguments.run / 'last.pt', self.network, self.average.network, self.optimiser
        )
        self.checkpoint.restore()
        self.state = self.checkpoint.state
        shared = arguments.shared
        self.pictures = list(frames(shared)) if shared and (shared / 'data').is_dir() else []

    def _stop(self, *_: object) -> None:
        """End after the current step, with a checkpoint."""
        self.stopped = True

    def note(self, line: dict[str, Any]) -> None:
        """Append a line to the curves."""
        with (self.arguments.run / 'curve.jsonl').open('a') as file:
            file.write(json.dumps(line) + '\n')

    def validate(self) -> None:
        """Score the averaged weights on the real frames."""
        if self.pictures:
            predict = torch_network(self.average.network, tuple(self.arguments.validate_size))
            scores = {k: round(v, 4) for k, v in score(predict, self.pictures).items()}
            self.note({'step': self.state['step'], 's': round(self.state['spent_s']), **scores})

    def step(self, batch: dict[str, Tensor], share: float) -> dict[str, float]:
        """Train on one batch and return the parts of the loss."""
        rate = learning_rate(self.state['step'], share, self.arguments.rate)
        for group in self.optimiser.param_groups:
            group['lr'] = rate * group['share']
        image = batch['image'].float().div_(255).to(memory_format=torch.channels_last)
        with torch.autocast('cpu', torch.bfloat16):
            inverse, log_variance = self.network(image)
        total, parts = losses(inverse, log_variance, batch['inverse'], batch['known'], Weights())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norms = [
            nn.utils.clip_grad_norm_(group['params'], CLIP)
            for group in self.optimiser.param_groups
        ]
        if all(torch.isfinite(norm) for norm in norms):
            self.optimiser.step()
        self.state['step'] += 1
        self.average.update(self.network, self.state['step'])
        return {name: float(p.detach()) for name, p in parts.items()} | {'norm': float(norms[1])}

    def train(self) -> None:
        """Train until the time is over."""
        a = self.arguments
        seed = a.seed + 1000 * (self.state['step'] + 1)
        scenes = Scenes(a.data, tuple(a.size), seed, real=a.real, real_share=a.real_share)
        stream = iter(DataLoader(scenes, a.batch))
        earlier = self.state['spent_s'] - time.process_time()
        saved = validated = time.monotonic()
        sums: dict[str, float] = {}
        counted = 0
        self.network.train()
        signal.signal(signal.SIGTERM, self._stop)
        while not self.stopped and (spent := earlier + time.process_time()) < a.seconds:
            now = time.monotonic()
            self.state['spent_s'] = spent
            parts = self.step(next(stream), spent / a.seconds)
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            counted += 1
            if self.state['step'] % LOG_STEPS == 0:
                line = {'step': self.state['step'], 's': round(spent)}
                self.note(line | {name: round(value / counted, 4) for name, value in sums.items()})
                sums, counted = {}, 0
            if now - saved > CHECKPOINT_S:
                self.checkpoint.save()
                saved = now
            if now - validated > a.validate_s:
                self.validate()
                validated = now
        self.checkpoint.save()
        self.validate()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('run', type=Path, help='folder of checkpoint and curves')
    parser.add_argument('--data', type=Path, nargs='+', required=True)
    parser.add_argument('--real', type=Path, help='folder of packed real pictures')
    parser.add_argument('--real-share', type=float, default=0.5, help='of the samples')
    parser.add_argument('--encoder', type=Path, help='ImageNet weights of EfficientNet-Lite0')
    parser.add_argument(
        '--start', type=Path, help='checkpoint whose averaged weights to go on from'
    )
    parser.add_argument('--seconds', type=float, required=True, help='CPU time of the whole run')
    parser.add_argument('--batch', type=int, default=12)
    parser.add_argument('--size', type=int, nargs=2, default=(192, 256), help='rows, columns')
    parser.add_argument('--frozen', type=int, default=5, help='blocks that stay as they are')
    parser.add_argument('--rate', type=float, default=1.5e-3)
    parser.add_argument('--encoder-share', type=float, default=0.3, help='of the rate')
    parser.add_argument('--average', type=float, default=0.998, help='kept of it at each step')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--shared', type=Path, help='folder of the validation frames')
    parser.add_argument('--validate-s', type=float, default=600.0)
    parser.add_argument('--validate-size', type=int, nargs=2, default=(192, 256))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.run.mkdir(parents=True, exist_ok=True)
    Run(arguments).train()


if __name__ == '__main__':
    main()
