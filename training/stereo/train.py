"""Train the network on shards: python -m training.stereo.train RUN --data FOLDER=WEIGHT ...

One process per core, each with one thread and its own steps; every few steps the weights of all
are averaged. On a shared machine that is faster than threads or averaged gradients, which wait for
the slowest at every step. The run ends by the clock: the learning rate is a function of the share
of the time that is spent, so that less time trains a worse network and not an unfinished one. It
can be stopped and started again; the checkpoint holds all of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import itertools
import json
import math
import os
from pathlib import Path
import time

import torch
from torch import distributed, multiprocessing, nn, Tensor
from torch.utils.data import DataLoader

from training.averaging import Average
from training.checkpoints import Checkpoint
from training.stereo.data import Crop, Pairs
from training.stereo.losses import losses, Weights
from training.stereo.model import StereoNetwork
from training.stereo.refinement import PX_PER_PLANE

CHECKPOINT_S = 240.0
LOG_STEPS = 50
WARM_UP = 0.02
CLIP = 5.0
SHARE_STEPS = 8
ENCODER_SHARE = 0.1  # of the rate: it has seen more pictures than it will here


def learning_rate(spent: float, most: float) -> float:
    """Return the rate when a share `spent` of the time is over: up, then down as a cosine."""
    if spent < WARM_UP:
        return most * (0.05 + 0.95 * spent / WARM_UP)
    turn = (spent - WARM_UP) / (1.0 - WARM_UP)
    return most * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(turn, 1.0))))


def _share(network: nn.Module) -> None:
    """Give every process the mean of the weights and of the statistics of all of them."""
    tensors = [x for x in network.state_dict().values() if x.is_floating_point()]
    flat = torch.cat([x.flatten() for x in tensors])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for tensor, part in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _worker_init(_: int) -> None:
    os.nice(5)
    torch.set_num_threads(1)


class Training:
    """Network, optimiser and average of the weights, and the checkpoint with all of them.

    Args:
        folder: Of the run, with the checkpoint to go on from if there is one.
        start: Checkpoint of another run, whose averaged weights are taken otherwise.
        encoder_weights: Published weights of EfficientNet-Lite0, to begin with.
    """

    def __init__(
        self, folder: Path, start: Path | None = None, encoder_weights: Path | None = None
    ) -> None:
        self.path = folder / 'last.pt'
        self.network = StereoNetwork()
        encoder = self.network.context.semantics.encoder
        if encoder_weights and not self.path.exists():
            weights = torch.load(encoder_weights, weights_only=True)
            self.network.context.semantics.load_encoder(weights)
        theirs = list(encoder.parameters())
        ids = {id(p) for p in theirs}
        own = [p for p in self.network.parameters() if id(p) not in ids]
        groups = [{'params': own, 'share': 1.0}, {'params': theirs, 'share': ENCODER_SHARE}]
        self.optimiser = torch.optim.AdamW(groups, 1e-3, weight_decay=1e-4)
        if start and not self.path.exists():
            weights = torch.load(start, weights_only=True)['average']
            self.network.load_state_dict(weights, strict=False)  # blocks that are new begin anew
        self.average = Average(self.network, 0.999)
        self.checkpoint = Checkpoint(self.path, self.network, self.average.network, self.optimiser)
        self.checkpoint.restore()
        self.state = self.checkpoint.state

    def step(self, batch: dict[str, Tensor], planes: int, rate: float) -> dict[str, Tensor]:
        """Learn from a batch, and return the parts of the loss."""
        for group in self.optimiser.param_groups:
            group['lr'] = rate * group['share']
        with torch.autocast('cpu', torch.bfloat16):
            found = self.network(batch['left'], batch['right'], planes)
        total, parts = losses(found, batch['truth'], batch['known'], batch['seen4'], Weights())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.state['step'] += 1
        return {**parts, 'loss': total.detach(), 'norm': norm}


class Log:
    """Means of the parts of the loss over some steps, a line of JSON each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: dict[str, float] = {}

    def add(self, step: int, spent_s: float, rate: float, values: dict[str, float]) -> None:
        """Count the values of a step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value / LOG_STEPS
        if step % LOG_STEPS == 0:
            line = {'step': step, 's': round(spent_s, 1), 'rate': rate}
            line |= {name: round(value, 4) for name, value in self._sums.items()}
            with self._path.open('a') as file:
                file.write(json.dumps(line) + '\n')
            self._sums = {}


def run(rank: int, arguments: argparse.Namespace) -> None:
    """Train in one of the processes."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(arguments.port))
    distributed.init_process_group('gloo', rank=rank, world_size=arguments.processes)
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    training = Training(arguments.run, arguments.start, arguments.encoder)
    folders = {Path(p): float(w) for p, w in (part.split('=') for part in arguments.data)}
    crop = Crop(arguments.width, arguments.height, arguments.planes * PX_PER_PLANE - 4.0)
    seed = arguments.seed + 1000 * (training.state['step'] + 1)
    data = DataLoader(
        Pairs(folders, crop, seed, rank),
        arguments.batch,
        num_workers=1,
        prefetch_factor=6,
        worker_init_fn=_worker_init,
    )
    _steps(rank, arguments, iter(data), training)
    distributed.destroy_process_group()
    os._exit(0)  # do not wait for the loader


def _steps(
    rank: int, arguments: argparse.Namespace, data: Iterator[dict[str, Tensor]], training: Training
) -> None:
    training.network.train()
    log = Log(arguments.run / 'log.jsonl')
    begun, saved = time.monotonic() - training.state['spent_s'], time.monotonic()
    spent = torch.zeros(1, dtype=torch.float64)
    for count in itertools.count():
        mark = time.monotonic()
        if count % SHARE_STEPS == 0:
            distributed.broadcast(spent.fill_(mark - begun), 0)
            _share(training.network)
        share = float(spent) / arguments.seconds
        if share >= 1.0:
            break
        batch = next(data)
        waited = time.monotonic() - mark
        rate = learning_rate(share, arguments.rate)
        parts = training.step(batch, arguments.planes, rate)
        training.state['spent_s'] = float(spent)
        if rank == 0:
            step = training.state['step']
            training.average.update(training.network, step)
            values = {name: float(part) for name, part in parts.items()}
            log.add(step, float(spent), rate, {**values, 'waited_s': waited})
            if time.monotonic() - saved > CHECKPOINT_S:
                saved = time.monotonic()
                training.checkpoint.save()
    if rank == 0:
        training.checkpoint.save()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('run', type=Path, help='folder of checkpoint and log')
    parser.add_argument('--data', nargs='+', required=True, help='FOLDER=WEIGHT')
    parser.add_argument('--seconds', type=float, required=True, help='whole length of the run')
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--batch', type=int, default=4, help='of each process')
    parser.add_argument('--width', type=int, default=384)
    parser.add_argument('--height', type=int, default=256)
    parser.add_argument('--planes', type=int, default=64, help='of 2 px each')
    parser.add_argument('--rate', type=float, default=2e-3)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--start', type=Path, help='checkpoint whose averaged weights to go on from'
    )
    parser.add_argument('--encoder', type=Path, help='published weights of EfficientNet-Lite0')
    parser.add_argument('--port', type=int, default=29571)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    multiprocessing.spawn(run, (arguments,), arguments.processes)


if __name__ == '__main__':
    main()
