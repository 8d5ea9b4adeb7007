"""How many values a network holds at once, measured while a small image goes through it."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unet2015.networks.architecture import Network
from unet2015.networks.operations import Operations

_measured: "weakref.WeakKeyDictionary[Network, int]" = weakref.WeakKeyDictionary()


def live_values(network: Network, call: Callable[[Tensor], object], side: int) -> int:
    """Return the most values that are alive at once while `call` computes, in inference, on side x side px.

    Where all maps have a fixed share of the image's area, so has this number. It is measured once for each
    network. The image counts, the parameters do not; an index of 8 bytes counts as two values.
    """
    if network not in _measured:
        first, training = next(network.parameters()), network.training
        network.eval()  # no drop-out; and means stay what they are
        try:
            with torch.no_grad(), LiveBytes() as live:
                image = first.new_empty(1, network.in_channels, side, side)
                call(image.contiguous(memory_format=torch.channels_last))
        finally:
            network.train(training)
        _measured[network] = -(-live.peak // first.element_size())
    return _measured[network]


class LiveBytes(Operations):  # type: ignore[no-untyped-call]
    """Follows how many bytes of what operations give out are alive; views of one storage count once.

    Attributes
    ----------
    live, peak : int
        Bytes that are alive now, and the most that were at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._seen:
                    self._seen.add(storage._cdata)
                    self.live += storage.nbytes()
                    weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return out

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size
