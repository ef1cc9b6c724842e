"""Launch the fused kernels."""

from __future__ import annotations

from typing import final

from depth_perception.inference.cuda_runtime import CudaRuntime, KernelCall, Size
from depth_perception.inference.cuda_source import SOURCE
from depth_perception.inference.kernel_twins import (
    FinishArguments,
    PrepareArguments,
    PublishArguments,
)

_BLOCK = (32, 8)


@final
class FusedKernels:
    """The kernels before and after a network, compiled for a device.

    Args:
        cuda: The runtime of the calling thread; it must outlive the kernels.

    Raises:
        InferenceError: If they do not compile.
    """

    def __init__(self, cuda: CudaRuntime) -> None:
        self._cuda = cuda
        code = cuda.compile(SOURCE)
        self._prepare = cuda.load(code, 'prepare')
        self._publish = cuda.load(code, 'publish')
        self._calm = cuda.load(code, 'calm')
        self._finish = cuda.load(code, 'finish')

    def prepare(self, image: int, tensor: int, arguments: PrepareArguments, stream: int) -> None:
        """Queue the kernel that makes an input tensor of 8-bit pixels.

        Args:
            image: Address of (height, width, channels) uint8.
            tensor: Address of the tensor.
            arguments: How.
            stream: Where to queue.
        """
        grid = _grid(arguments.target_width, arguments.target_height)
        self._cuda.run(self._prepare, grid, _BLOCK, KernelCall((image, tensor), arguments), stream)

    def publish(
        self, sources: tuple[int, int, int, int], results: tuple[int, int, int],
        arguments: PublishArguments, stream: int,
    ) -> None:  # fmt: skip
        """Queue the kernel that makes depth, sigma and cloud of what the network says.

        Args:
            sources: Addresses of the map, the relative sigma, the sky and the colours; 0 for those
                that there are not, except the map.
            results: Addresses of depth and sigma (height, width) float32 and of the cloud
                (height, width, 20 bytes); 0 for those that nobody wants.
            arguments: How.
            stream: Where to queue.
        """
        grid = _grid(arguments.width, arguments.height)
        self._cuda.run(
            self._publish, grid, _BLOCK, KernelCall((*sources, *results), arguments), stream
        )

    def finish(
        self, sources: tuple[int, int, int, int], results: tuple[int, int, int],
        arguments: FinishArguments, stream: int,
    ) -> None:  # fmt: skip
        """Queue the kernels that take flying pixels away, and make the cloud.

        Args:
            sources: Addresses of depth and sigma as `publish` made them, of room for a number per
                4x4 pixels, and of the colours or 0.
            results: Addresses of depth, sigma and cloud; 0 for a cloud that nobody wants.
            arguments: How.
            stream: Where to queue.
        """
        a = arguments
        depth, sigma, cells, colours = sources
        if a.sigmas > 0.0:
            grid = _grid(cells_along(a.width), cells_along(a.height))
            self._cuda.run(self._calm, grid, _BLOCK, KernelCall((depth, sigma, cells), a), stream)
        else:
            cells = 0
        call = KernelCall((depth, sigma, cells, colours, *results), a)
        self._cuda.run(self._finish, _grid(a.width, a.height), _BLOCK, call, stream)


def cells_along(pixels: int) -> int:
    """Return how many cells of 4 pixels there are along a side."""
    return -(-pixels // 4)


def _grid(width: int, height: int) -> Size:
    return -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
