"""What is to be done at each of torch's operations, instead of the operation or around it."""

from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, its ``__torch_dispatch__`` is called instead of each of torch's operations.

    Torch 2.11 and later hide that method from their compiler, and the first call would load it: 800 modules,
    which takes as long as torch itself. No network of the table is compiled.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # asked as a subclass is made
        return False
