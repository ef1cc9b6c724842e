"""What every runtime of a matcher or a network has in common.

`infer` checks names, types and shapes once for all runtimes; a subclass writes `_infer`. A class
here is abstract, its subclasses are final.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
import os
from types import TracebackType

from depth_perception.core.types import AnyArray
from depth_perception.errors import DepthPerceptionError, InferenceError, ModelError
from depth_perception.inference.frame_jobs import NetworkJob, Pending, Published, PublishJob


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy dtype and shape of a tensor; a side that is free is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def problem(self, array: AnyArray) -> str | None:
        """Return what is wrong with `array` as this tensor, or None."""
        fits = array.ndim == len(self.shape) and all(
            wanted is None or wanted == size
            for wanted, size in zip(self.shape, array.shape, strict=True)
        )
        if fits and array.dtype == self.dtype:
            return None
        shape = ', '.join('any' if side is None else str(side) for side in self.shape)
        return (
            f'{self.name} must be {self.dtype} ({shape}), got {array.dtype} '
            f'({", ".join(map(str, array.shape))})'
        )


def usable_cpus() -> int:
    """Return how many CPUs this process may use.

    Containers and taskset make them fewer, and so does OMP_NUM_THREADS, by which schedulers share
    a machine among their workers.
    """
    count = len(os.sched_getaffinity(0))
    wanted = os.environ.get('OMP_NUM_THREADS', '').partition(',')[0]
    return (
        min(count, int(wanted)) if wanted.isascii() and wanted.isdigit() and int(wanted) else count
    )


class Backend(abc.ABC):
    """Runs one matcher or network.

    Attributes:
        name: Short name, e.g. 'onnxruntime'.
        description: What was picked and why, for the log and the diagnostics.
        inputs: Tensors that `infer` wants.
        outputs: Tensors that `infer` returns.
        batches_pay: Whether several images at once are faster than one after the other.
        warning: What an operator should know, e.g. that no engine passed its check; else ''.
        takes_frames: Whether `begin` and `publish` may do anything now.
        kernels_problem: Why pictures and maps are left to the CPU; '' if they need not be.
    """

    name: str
    description: str
    batches_pay: bool = True
    warning: str = ''
    takes_frames: bool = False
    kernels_problem: str = 'no engine of TensorRT runs'
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the network once.

        Args:
            feeds: One array per input tensor, by name.

        Returns:
            One array per output tensor, by name. They may be reused by the next call.

        Raises:
            ModelError: If a tensor is missing, unknown, or has another type or shape.
            InferenceError: If the runtime fails.
        """
        known = {spec.name for spec in self.inputs}
        if feeds.keys() != known:
            raise ModelError(
                f'{self.name} wants the inputs {", ".join(sorted(known))}, '
                f'got {", ".join(sorted(feeds)) or "none"}'
            )
        problems = [spec.problem(feeds[spec.name]) for spec in self.inputs]
        wrong = [problem for problem in problems if problem]
        if wrong:
            raise ModelError(f'{self.name}: {"; ".join(wrong)}')
        try:
            return self._infer(feeds)
        except DepthPerceptionError:
            raise
        except Exception as error:
            raise InferenceError(f'{self.name} failed: {error}') from error

    def begin(self, job: NetworkJob) -> Pending | None:
        """Start a run that goes on while the caller does something else.

        Args:
            job: The inputs.

        Returns:
            What to wait for; None if it must be done with `infer`.
        """
        del job
        return None

    def publish(self, job: PublishJob) -> Published | None:
        """Return depth, sigma and cloud of a metric map; None if that is left to the caller."""
        del job
        return None

    @abc.abstractmethod
    def _infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the network on checked inputs."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free what the runtime holds; the backend cannot be used afterwards."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
