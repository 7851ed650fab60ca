"""A device for tests on machines without an accelerator.

Its tensors compute on the CPU, say that they live on the device ``pretend`` and
refuse, as CUDA does, to work together with tensors of another device. So code that
forgets to move a tensor fails here as it would on a GPU. What it cannot show: kernels
without an implementation, other rounding, memory, time, and anything that the code does
for devices called ``cuda`` alone (autocast, cuDNN flags, CUDA events).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

aten = torch.ops.aten

_MOVES = {aten._to_copy.default, aten.copy_.default}
"""Operations that may see two devices."""

_INDEXED = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
"""CUDA takes positions that lie on the CPU for these, not the other way round."""


class PretendTensor(Tensor):
    """A CPU tensor that claims to be elsewhere."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "PretendTensor":
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=pretend_device(),
            requires_grad=False,
        )
        made.inner = inner
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.__reduce_ex__(protocol)  # as a file that a CPU can read

    def __repr__(self, **_: Any) -> str:
        return f"PretendTensor({self.inner!r})"

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert a tensor of another device to numpy; use .cpu()")

    def tolist(self) -> Any:
        return self.inner.tolist()

    def untyped_storage(self) -> Any:
        return self.inner.untyped_storage()

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Makes tensors on the device from those that are on none, and moves them."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def device_double() -> Iterator[torch.device]:
    """Offer the device while the context is open.

    Yields:
        The device.
    """
    future = torch.__future__
    before = future.get_overwrite_module_params_on_conversion()
    # `.data =` would change what a tensor says about itself, not what it holds.
    future.set_overwrite_module_params_on_conversion(True)
    try:
        # oneDNN corrupts the heap in strided 1x1 convs that a GPU runs as they are.
        with torch.backends.mkldnn.flags(enabled=False), _Factories():
            yield pretend_device()
    finally:
        future.set_overwrite_module_params_on_conversion(before)


@cache
def pretend_device() -> torch.device:
    """The device, registered in this process.

    To be called before the process runs its first backward pass: autograd counts the
    devices then, and never again.
    """
    from torch.utils import backend_registration

    backend_registration._setup_privateuseone_for_python_backend("pretend")
    # What `torch.tensor(data, device=...)` and `new_tensor` call below the dispatch.
    _LIBRARY.impl("empty_strided", _empty_strided, "PrivateUse1")
    _LIBRARY.impl("_copy_from", _copy_from, "PrivateUse1")
    return torch.device("pretend", 0)


_LIBRARY = torch.library.Library("aten", "IMPL")


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:
    return PretendTensor(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _unwrap(target).copy_(_unwrap(source))
    return target


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
    away = any(isinstance(tensor, PretendTensor) for tensor in tensors)
    asked = kwargs.get("device")
    to_away = asked is not None and torch.device(asked).type == "pretend"
    if not away and not to_away:
        return func(*args, **kwargs)
    if away:
        _refuse_mixed_devices(func, args, tensors)
    wraps = away if asked is None else to_away
    if wraps:
        generator = kwargs.get("generator") or next(
            (x for x in args if isinstance(x, torch.Generator)), None
        )
        if generator is not None:
            raise RuntimeError(
                f"{func}: expected a 'pretend' generator, got {generator.device}"
            )
    inside, named = tree_map(_unwrap, (args, kwargs))
    if asked is not None:
        named["device"] = torch.device("cpu")
    if named.get("pin_memory"):
        named["pin_memory"] = False
    out = func(*inside, **named)
    if func is aten.copy_.default:
        return args[0]
    originals = {
        id(tensor.inner): tensor
        for tensor in tensors
        if isinstance(tensor, PretendTensor)
    }

    def back(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) in originals:  # changed in place
            return originals[id(value)]
        return _wrap(value) if wraps else value

    return tree_map(back, out)


def _refuse_mixed_devices(func: Any, args: Any, tensors: list[Tensor]) -> None:
    if func in _MOVES:
        return
    if func in _INDEXED and isinstance(args[0], PretendTensor):
        tensors = [args[0], *(x for x in args[2:] if isinstance(x, Tensor))]
    for tensor in tensors:
        if not isinstance(tensor, PretendTensor) and tensor.ndim > 0:
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, but found at "
                f"least two devices, pretend:0 and {tensor.device}!"
            )


def _unwrap(value: Any) -> Any:
    return value.inner if isinstance(value, PretendTensor) else value


def _wrap(value: Any) -> Any:
    return PretendTensor(value) if isinstance(value, Tensor) else value
