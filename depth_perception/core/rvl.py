"""Run-length and variable-length coding (RVL) of 16-bit depth, for whole arrays at once.

Method: A. D. Wilson, Fast Lossless Depth Image Compression, ISS 2017.

Convention:
    The image in rows is a sequence of runs: the number of zeros, the number of other values, then
    for each of these the difference from the last one that was not zero (from 0 at the start), as
    2 d where it is positive and -2 d - 1 where it is not. Each number is cut into groups of three
    bits, lowest first, one to a nibble, whose fourth bit says that more follow. Eight nibbles fill
    a 32-bit word from its top; words are little-endian, and the last one is filled up with zeros.
"""

from __future__ import annotations

from depth_perception.errors import FrameError
import numpy as np
from numpy.typing import NDArray

_MORE = 0x8
_LONGEST = 11  # groups of three bits in 32 bits
_SHIFTS = np.arange(28, -4, -4, dtype=np.uint32)  # of the nibbles in a word


def rvl_from_codes(codes: NDArray[np.uint16]) -> bytes:
    """Return the RVL of an image.

    Args:
        codes: (H, W) uint16; 0 is invalid, and cheap.
    """
    return _packed(_numbers(codes.ravel()))


def codes_from_rvl(data: bytes | memoryview, count: int) -> NDArray[np.uint16]:
    """Return (count,) uint16, the pixels of an image in rows.

    Args:
        data: RVL from anywhere; nothing in it is trusted.
        count: Number of pixels.

    Raises:
        FrameError: If the data ends before the image does, or its runs do not fit the image.
    """
    numbers = _unpacked(np.frombuffer(data, '<u4', len(data) // 4))
    heads, end = _run_heads(numbers.tolist(), count)
    lengths = numbers[np.concatenate([heads, heads + 1]).reshape(2, -1).T.ravel()]
    known = np.repeat(np.arange(lengths.size) % 2 == 1, lengths)
    body = np.ones(end, np.bool_)
    body[heads] = body[heads + 1] = False
    steps = numbers[:end][body]
    values = np.zeros(count, np.uint16)
    values[known] = np.cumsum((steps >> 1) ^ -(steps & 1)).astype(np.uint16)
    return values


def _run_heads(numbers: list[int], count: int) -> tuple[NDArray[np.int64], int]:
    """Return where in `numbers` the runs of `count` pixels begin, and where the last one ends.

    Raises:
        FrameError: If the numbers end before the pixels do, or the runs do not fit.
    """
    heads = []
    place = written = 0
    while written < count:
        if place + 2 > len(numbers):
            raise FrameError('truncated', f'RVL ends after {written} of {count} pixels')
        zeros, others = numbers[place], numbers[place + 1]
        heads.append(place)
        place += 2 + others
        written += zeros + others
        if written > count or place > len(numbers) or not zeros + others:
            raise FrameError('corrupt', f'RVL has a run of {zeros} + {others} pixels of {count}')
    return np.asarray(heads, np.int64), place


def _numbers(values: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return what is to be written: for each run its two lengths, then its differences."""
    known = values != 0
    edges = np.flatnonzero(known[1:] != known[:-1]) + 1
    bounds = np.concatenate([[0], edges, [values.size]])
    if known.size and known[0]:
        bounds = np.concatenate([[0], bounds])  # a first run of no zeros
    if bounds.size % 2 == 0:
        bounds = np.concatenate([bounds, [values.size]])  # a last run of no others
    lengths = np.diff(bounds)
    zeros, others = lengths[0::2], lengths[1::2]
    kept = values[known].astype(np.int64)
    steps = np.diff(kept, prepend=0)
    numbers = np.empty(2 * zeros.size + kept.size, np.int64)
    heads = 2 * np.arange(zeros.size) + np.cumsum(others) - others
    numbers[heads], numbers[heads + 1] = zeros, others
    body = np.ones(numbers.size, np.bool_)
    body[heads] = body[heads + 1] = False
    numbers[body] = (steps << 1) ^ (steps >> 63)
    return numbers


def _packed(numbers: NDArray[np.int64]) -> bytes:
    groups = np.ones(numbers.size, np.int64)
    for place in range(1, _LONGEST):
        longer = numbers >> (3 * place) != 0
        if not longer.any():
            break
        groups += longer
    ends = np.cumsum(groups)
    total = int(ends[-1]) if ends.size else 0
    nibbles = np.zeros(-(-total // 8) * 8, np.uint32)
    starts = ends - groups
    for place in range(int(groups.max(initial=0))):
        which = groups > place
        digit = (numbers[which] >> (3 * place)) & 0x7
        digit |= _MORE * (groups[which] > place + 1)
        nibbles[starts[which] + place] = digit
    words = np.bitwise_or.reduce(nibbles.reshape(-1, 8) << _SHIFTS, axis=1)
    return bytes(words.astype('<u4'))


def _unpacked(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the numbers that words hold; one that does not end is left out.

    Raises:
        FrameError: If a number has more than 32 bits.
    """
    nibbles = ((words[:, None] >> _SHIFTS) & np.uint32(0xF)).ravel().astype(np.int64)
    ends = np.flatnonzero(nibbles < _MORE)
    starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
    groups = ends - starts + 1
    if groups.size and groups.max() > _LONGEST:
        raise FrameError('corrupt', f'RVL has a number of {int(groups.max())} groups of bits')
    numbers = np.zeros(ends.size, np.int64)
    for place in range(int(groups.max(initial=0))):
        which = groups > place
        numbers[which] |= (nibbles[starts[which] + place] & 0x7) << (3 * place)
    return numbers
