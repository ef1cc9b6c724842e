"""Contact sheets, shards of pairs, and timing: python -m training.renderer --help."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from training.renderer import degrade, KINDS, Pair, render
from training.renderer.stream import fill


def _row(pair: Pair, seed: int) -> NDArray[np.uint8]:
    left, right = degrade(pair, np.random.default_rng(seed))
    top = max(float(pair.disparity.max()), 1e-6)
    scaled = (np.clip(pair.disparity / top, 0, 1) * 255).astype(np.uint8)
    coloured = cv2.applyColorMap(scaled, cv2.COLORMAP_TURBO)[..., ::-1]
    masks = np.stack([pair.occluded, pair.sky, pair.glass], axis=-1).astype(np.uint8) * 255
    text = f'{seed} {pair.kind} {np.quantile(pair.disparity, 0.995):.0f} px'
    left = cv2.putText(left.copy(), text, (4, 16), 0, 0.5, (255, 255, 0), 1, cv2.LINE_AA)
    return np.concatenate([left, right, coloured, masks], axis=1)


def _size(text: str) -> tuple[int, int]:
    width, height = text.split('x')
    return int(width), int(height)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog='python -m training.renderer', description=__doc__)
    parser.add_argument(
        '--show', type=Path, help='write a contact sheet: left, right, disparity, masks'
    )
    parser.add_argument('--seeds', type=int, default=8, help='how many pairs the sheet shows')
    parser.add_argument('--fill', type=Path, help='write shards of pairs into a folder')
    parser.add_argument('--count', type=int, default=1000, help='how many pairs to write')
    parser.add_argument('--shard', type=int, default=200, help='pairs in a shard')
    parser.add_argument('--size', type=_size, default=(448, 320), help='WIDTHxHEIGHT')
    parser.add_argument('--seed', type=int, default=0, help='the first seed')
    parser.add_argument('--kind', choices=list(KINDS), help='one kind of scenes only')
    parser.add_argument('--textures', help='folder of a pool of textures')
    given = parser.parse_args(arguments)
    width, height = given.size
    say = sys.stdout.write
    if given.show:
        start = time.process_time()
        pairs = [
            render(given.seed + k, width, height, kind=given.kind, textures=given.textures)
            for k in range(given.seeds)
        ]
        spent = (time.process_time() - start) / max(given.seeds, 1)
        sheet = np.concatenate([_row(pair, given.seed + k) for k, pair in enumerate(pairs)])
        cv2.imwrite(str(given.show), sheet[..., ::-1])
        say(f'{given.seeds} pairs, textures: {pairs[0].textures}, {spent * 1e3:.0f} ms each\n')
    if given.fill:
        seeds = range(given.seed, given.seed + given.count)
        chosen = {'kind': given.kind, 'textures': given.textures}
        fill(given.fill, seeds, given.size, per_shard=given.shard, report=say, **chosen)


if __name__ == '__main__':
    main()
