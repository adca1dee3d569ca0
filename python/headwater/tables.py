"""The library's tables of methods and settings, and their values as keyword arguments.

Each row of these tables is an argument of `Model.explain()`, so a setting that is added to the library is one here too.

>>> import headwater
>>> "rollout" in headwater.methods()
True
>>> headwater.settings()["residual"].accepts
'a number from 0 to 1'
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import c_api
from ._library import check, lib, text
from .errors import ArgumentError

Value = bool | int | float | str
"""The value of a setting: a flag, a number, or one of its words."""


@dataclass(frozen=True)
class Method:
    """One method: what it needs, what it costs, and what it does not show."""

    name: str
    summary: str
    needs: str
    cost: str
    reference: str
    limitations: str
    gives_shares: bool
    """Rows, with their outside mass, sum to 1; else numbers are nats."""


@dataclass(frozen=True)
class Setting:
    """One setting of methods, or one option of a run."""

    name: str
    accepts: str
    help: str


def methods() -> dict[str, Method]:
    """Every method by name."""
    rows = [lib.hw_method_at(i).contents for i in range(lib.hw_method_count())]
    fields = ("name", "summary", "needs", "cost", "reference", "limitations")
    made: dict[str, Method] = {}
    for row in rows:
        texts = {field: text(getattr(row, field)) for field in fields}
        made[texts["name"]] = Method(**texts, gives_shares=bool(row.traits & c_api.HW_GIVES_SHARES))
    return made


def settings() -> dict[str, Setting]:
    """Every setting and every option of a run by name: keyword arguments of `Model.explain()`."""
    tables = [(lib.hw_run_option_count, lib.hw_run_option_at), (lib.hw_setting_count, lib.hw_setting_at)]
    rows = [at(i) for count, at in tables for i in range(count())]
    return {text(row.contents.name): _setting(row) for row in rows}


def _setting(row: Any) -> Setting:
    accepts = ctypes.create_string_buffer(512)
    lib.hw_setting_accepts(accepts, len(accepts), row)
    return Setting(text(row.contents.name), text(accepts.value), text(row.contents.help))


def apply(run: Any, method: Any, options: Mapping[str, Value | None]) -> list[bytes]:
    """Sets options by name in hw_run_params and hw_method_params (either may be None). Returns borrowed texts, which
    must live as long as the structs. A value of None leaves the default."""
    kept: list[bytes] = []
    for name, value in options.items():
        if value is None:
            continue
        key = name.encode()
        rows = [(run, lib.hw_run_option_find(key)), (method, lib.hw_setting_find(key))]
        found = [(struct, row) for struct, row in rows if struct is not None and row]
        if not found:
            raise ArgumentError(f'unknown option "{name}": {", ".join(settings())} are accepted')
        for struct, row in found:
            _set(name, struct, row, value, kept)
    return kept


def _set(name: str, struct: Any, row: Any, value: Value, kept: list[bytes]) -> None:
    try:
        if isinstance(value, str):
            kept.append(value.encode())
            if b"\0" in kept[-1]:
                raise ArgumentError("must not contain a NUL")
            check(lib.hw_setting_read, ctypes.byref(struct), row, kept[-1])
        else:
            check(lib.hw_setting_set, ctypes.byref(struct), row, float(value))
    except ArgumentError as error:
        raise ArgumentError(f"{name} {error}") from None
