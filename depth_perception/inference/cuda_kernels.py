"""Launch the fused kernels."""

from __future__ import annotations

from typing import final

from depth_perception.inference.cuda_runtime import CudaRuntime, KernelCall, Size
from depth_perception.inference.cuda_source import SOURCE
from depth_perception.inference.kernel_twins import PrepareArguments, PublishArguments

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


def _grid(width: int, height: int) -> Size:
    return -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
