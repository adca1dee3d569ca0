"""The loaded C library: finds and opens it, turns its codes into exceptions, and frees what it allocates.

`lib` is opened at the first call. Where it is looked for, first that applies: the file that HEADWATER_LIBRARY names;
`lib/` beside this file (a wheel); the system.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from . import c_api
from .errors import BY_CODE, ArgumentError, HeadwaterError

HERE = pathlib.Path(__file__).parent


def _find() -> str:
    named = os.environ.get("HEADWATER_LIBRARY")
    if named:
        return named
    bundled = sorted((HERE / "lib").glob("libheadwater.so.*"), key=lambda path: len(path.name))
    if bundled:
        return str(bundled[0])
    import ctypes.util  # not at the package's import, which is to be quick

    found = ctypes.util.find_library("headwater")
    if found:
        return found
    raise ImportError(
        f"libheadwater was not found: neither in {HERE / 'lib'} nor among the system's libraries; "
        "HEADWATER_LIBRARY may name the file"
    )


class _Library:
    """Functions of the library by name, each declared at its first use."""

    def __init__(self) -> None:
        self._opened: ctypes.CDLL | None = None

    def __getattr__(self, name: str) -> Any:
        if name not in c_api.FUNCTIONS:
            raise AttributeError(name)
        if self._opened is None:
            self._opened = _open(_find())
        function = getattr(self._opened, name)
        function.restype, function.argtypes = c_api.FUNCTIONS[name]
        setattr(self, name, function)
        return function


def _open(path: str) -> ctypes.CDLL:
    opened = ctypes.CDLL(path)
    opened.hw_version.restype = ctypes.c_char_p
    version = str(opened.hw_version().decode())
    if version.split(".")[0] != str(c_api.HW_VERSION_MAJOR) or _numbers(version) < _numbers(c_api.HW_VERSION):
        raise ImportError(f"{path} is version {version}, this package is for {c_api.HW_VERSION} and later 1.x")
    opened.hw_log_set(None, None)  # errors have the engine's reason; nothing is printed
    return opened


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


lib: Any = _Library()


def check(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function that can fail; its last parameter, the hw_error, is added here."""
    error = c_api.hw_error()
    code = function(*arguments, ctypes.byref(error))
    if code != c_api.HW_OK:
        raise BY_CODE.get(code, HeadwaterError)(error.msg.decode("utf-8", "replace"))


class Owner:
    """An object of the library, freed with the last reference to this one."""

    def __init__(self, address: int | None, free: Callable[[int], Any]) -> None:
        if not address:
            raise HeadwaterError("the library returned no object")
        self.address: int = address
        self._free: Callable[[int], Any] | None = free

    def release(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free(self.address)

    def __del__(self) -> None:
        self.release()


def new(function: Callable[..., int], free: Callable[[int], Any], *arguments: Any) -> Owner:
    """Calls a function whose out parameter comes first; owns what it returns."""
    out = ctypes.c_void_p()
    check(function, ctypes.byref(out), *arguments)
    return Owner(out.value, free)


def params(name: str, **fields: Any) -> Any:
    """A params struct with the library's defaults and these fields: params("hw_view_params", hide=b"first")."""
    made = getattr(c_api, name)()
    getattr(lib, f"{name}_init")(ctypes.byref(made), ctypes.sizeof(made))
    fill(made, **fields)
    return made


def fill(struct: Any, **fields: Any) -> None:
    """Sets fields. ctypes would cut an integer to what fits."""
    kinds: dict[str, Any] = {field[0]: field[1] for field in struct._fields_}
    for field, value in fields.items():
        if type(value) is int and kinds[field](value).value != value:
            raise ArgumentError(f"{field} is {value}: that is outside its range")
        setattr(struct, field, value)


def copy(function: Callable[..., Any], kind: type[ctypes.Structure], *arguments: Any) -> Any:
    """Calls a getter that fills a struct of the caller: copy(lib.hw_run_token_copy, hw_token, run, 0)."""
    made = kind()
    function(ctypes.byref(made), ctypes.sizeof(made), *arguments)
    return made


def addresses(owners: Sequence[Owner]) -> Any:
    """The objects as a C array of pointers."""
    return (ctypes.c_void_p * len(owners))(*(owner.address for owner in owners))


def text(value: bytes | None) -> str:
    """A NUL-terminated text of the library."""
    return (value or b"").decode("utf-8", "replace")


def bytes_at(address: int | None, n: int) -> bytes:
    return ctypes.string_at(address, n) if address and n else b""


def take_json(function: Callable[..., int], *arguments: Any) -> bytes:
    """Calls a function that returns a NUL-terminated text, which is copied and freed."""
    out = ctypes.c_void_p()
    check(function, ctypes.byref(out), *arguments)
    try:
        return ctypes.string_at(out.value or 0)
    finally:
        lib.hw_free(out.value)


def take_bytes(function: Callable[..., int], *arguments: Any) -> bytes:
    """Calls a function that returns bytes and their number, which are copied and freed."""
    out, n = ctypes.c_void_p(), ctypes.c_size_t()
    check(function, ctypes.byref(out), ctypes.byref(n), *arguments)
    try:
        return bytes_at(out.value, n.value)
    finally:
        lib.hw_free(out.value)


def array(address: int | None, shape: tuple[int, ...], kind: str, owner: object) -> Any:
    """A read-only NumPy view of the library's numbers, without a copy; it keeps `owner` alive."""
    import numpy

    n = 1
    for size in shape:
        n *= size
    if not address or n == 0:
        return numpy.zeros(shape, kind)
    block: Any = (ctypes.c_char * (n * numpy.dtype(kind).itemsize)).from_address(address)
    block.owner = owner  # the view refers to the block, the block to the owner
    view: Any = numpy.frombuffer(block, kind).reshape(shape)
    view.flags.writeable = False
    return view


def structs(address: Any, kind: type[ctypes.Structure], n: int, owner: object) -> Any:
    """A read-only structured NumPy view of [n] structs, as `array`."""
    import numpy

    shape = numpy.dtype(kind)
    where = ctypes.cast(address, ctypes.c_void_p).value
    raw = array(where, (n * shape.itemsize,), "u1", owner)
    return raw.view(shape)
