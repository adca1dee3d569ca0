"""Exceptions: one class for each error code of the library, all of them `HeadwaterError`.

>>> import headwater
>>> try:
...     headwater.read("no-such-file.json")
... except headwater.FileError as error:
...     print(error.code)
HW_ERR_IO
"""

from __future__ import annotations

import importlib
from typing import Any

from . import c_api


class HeadwaterError(Exception):
    """Any error of the library. The text says what is wrong, which value, and what is accepted."""

    code: str = ""
    """Name of the error code, as in headwater.h."""


class ArgumentError(HeadwaterError, ValueError):
    """A value outside the accepted range."""

    code = "HW_ERR_ARGUMENT"


class FileError(HeadwaterError, OSError):
    """A file cannot be read or written."""

    code = "HW_ERR_IO"


class FormatError(HeadwaterError, ValueError):
    """Bytes violate the file format."""

    code = "HW_ERR_FORMAT"


class OutOfMemoryError(HeadwaterError, MemoryError):
    """An allocation failed."""

    code = "HW_ERR_MEMORY"


class UnsupportedError(HeadwaterError):
    """Not supported by the model, the trace or this build."""

    code = "HW_ERR_UNSUPPORTED"


class EngineError(HeadwaterError, RuntimeError):
    """The engine failed, or produced invalid rows."""

    code = "HW_ERR_ENGINE"


class CancelledError(HeadwaterError):
    """The run was stopped before its first token."""

    code = "HW_ERR_CANCELLED"


BY_CODE: dict[int, type[HeadwaterError]] = {
    c_api.HW_ERR_ARGUMENT: ArgumentError,
    c_api.HW_ERR_IO: FileError,
    c_api.HW_ERR_FORMAT: FormatError,
    c_api.HW_ERR_MEMORY: OutOfMemoryError,
    c_api.HW_ERR_UNSUPPORTED: UnsupportedError,
    c_api.HW_ERR_ENGINE: EngineError,
    c_api.HW_ERR_CANCELLED: CancelledError,
}
"""The class of each code; tests/python/test_api.py compares its keys with the header."""


def need(module: str, package: str | None = None) -> Any:
    """Imports a package that the wheel does not require; without it the error says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        text = f"{module} is needed for this: pip install {package or module}"
        raise ModuleNotFoundError(text, name=module) from None
