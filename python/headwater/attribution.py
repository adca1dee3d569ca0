"""Attributions: the tensor M of one method, and views of it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import c_api
from ._library import Owner, array, check, copy, lib, new, params, structs, text
from .errors import need
from .run import Run, Token

if TYPE_CHECKING:
    import numpy
    import pandas
    from numpy.typing import NDArray

    Floats = NDArray[numpy.float32]


@dataclass(frozen=True)
class Diagnostics:
    """Means over the rows of M; `_mean` over layers, `_last` at full depth."""

    first_mean: float
    first_last: float
    """Mass on token 0."""
    outside_mean: float
    outside_last: float
    """Mass on columns that M does not show."""
    position_mean: float
    position_last: float
    """Rank correlation of value and position in the text."""


class Attribution:
    """One method's tensor M [n, m, L]: what each completion token took from each column, layer by layer.

    Arrays are read-only views of the library's memory: nothing is copied, and a view keeps that memory alive.
    """

    def __init__(self, owner: Owner, keeps: object = None) -> None:
        self._owner = owner
        self._keeps = keeps  # what the memory belongs to, where that is another object
        self.address = owner.address
        self.run = Run(lib.hw_attribution_run(self.address), self)
        self.method = text(lib.hw_attribution_method(self.address))

    def __repr__(self) -> str:
        n, m, layers = self.shape
        return f"<Attribution {self.method} n={n} m={m} L={layers}>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, m, L)"""
        a = self.address
        return (lib.hw_attribution_n_rows(a), lib.hw_attribution_n_columns(a), lib.hw_attribution_n_layers(a))

    @property
    def values(self) -> Floats:
        """M [n, m, L]."""
        return array(lib.hw_attribution_values(self.address), self.shape, "f4", self._memory)

    @property
    def outside(self) -> Floats:
        """[n, L] mass on columns that M does not show."""
        n, _, layers = self.shape
        return array(lib.hw_attribution_outside(self.address), (n, layers), "f4", self._memory)

    @property
    def layers(self) -> NDArray[numpy.int32]:
        """[L] the model's layer indices; -1: one number for all layers."""
        return array(lib.hw_attribution_layers(self.address), self.shape[2:], "i4", self._memory)

    @property
    def mean(self) -> Floats:
        """[n, m] mean over layers."""
        return self.values.mean(axis=2, dtype="f8").astype("f4")

    @property
    def tokens(self) -> list[Token]:
        """The explained tokens, one for each row of M."""
        first = lib.hw_attribution_first_token(self.address)
        return self.run.tokens[first : first + self.shape[0]]

    @property
    def columns(self) -> list[str]:
        """[m] labels: token texts, or the names or texts of segments."""
        p = self._params()
        if not p.groups:
            return [token.text for token in self.run.tokens[: self.shape[1]]]
        return [self._group_label(p, i) for i in range(p.n_groups)]

    @property
    def is_grouped(self) -> bool:
        """Whether columns are segments and not tokens."""
        return bool(self._params().groups)

    @property
    def settings(self) -> dict[str, str]:
        """Settings used, by name."""
        out = ctypes.create_string_buffer(256)
        p = self._params()
        rows = [lib.hw_setting_at(i) for i in range(lib.hw_setting_count())]
        where = ctypes.byref(p)
        return {
            text(row.contents.name): text(ctypes.string_at(lib.hw_setting_text(out, len(out), where, row)))
            for row in rows
        }

    @property
    def diagnostics(self) -> Diagnostics:
        d = lib.hw_attribution_diagnostics(self.address).contents
        return Diagnostics(**{name: getattr(d, name) for name in Diagnostics.__dataclass_fields__})

    @property
    def n_passes(self) -> int:
        """Forward passes besides the run's own."""
        return int(lib.hw_attribution_n_passes(self.address))

    @property
    def balance(self) -> NDArray[Any] | None:
        """[n] where each token's logit came from, in nats: fields prompt, completion, bias, mlp, embedding, logit. None
        for methods other than `logit`."""
        rows = lib.hw_attribution_balance(self.address)
        return structs(rows, c_api.hw_balance, self.shape[0], self._memory) if rows else None

    @property
    def through(self) -> NDArray[Any] | None:
        """[n] shares of prompt and model after following the completion's own tokens: fields prompt, model,
        prompt_direct, model_direct, raised. None if they were not followed."""
        rows = lib.hw_attribution_through_rows(self.address)
        return structs(rows, c_api.hw_through, self.shape[0], self._memory) if rows else None

    def followed(self) -> Attribution:
        """Follows a result with columns="all" back through the completion to the prompt."""
        return Attribution(new(lib.hw_attribution_through, lib.hw_attribution_free, self.address))

    def view(
        self,
        token: str | int | None = None,
        *,
        layers: str | int | None = None,
        hide: str | None = None,
        keep: str | None = None,
        normalise: bool = False,
        lift: bool = False,
    ) -> View:
        """Averages rows and layers, and hides tokens; M itself never changes.

        `token`: an index, a range `"2:5"` or a text; default all. `layers`: `5` or `"3-12"`, counted from 1. `hide`,
        `keep`: filters such as `"first,stopwords:en"`.
        """
        p = params("hw_view_params", normalise=normalise, lift=lift)
        if token is not None:
            rows = self.run.select(token)
            p.row_begin, p.row_end = rows.start, rows.stop
        if layers is not None:
            p.layer_begin, p.layer_end = self._select_layers(str(layers))
        p.hide = hide.encode() if hide is not None else None
        p.keep = keep.encode() if keep is not None else None
        return View(new(lib.hw_view_new, lib.hw_view_free, self.address, ctypes.byref(p)), self)

    def scores(self, token: str | int | None = None, **selection: Any) -> Floats:
        """[m] mean over the selected rows and layers; arguments as for `view`."""
        return self.view(token, **selection).scores

    def top(self, n: int = 10, token: str | int | None = None, **selection: Any) -> list[tuple[str, float]]:
        """The n strongest columns with their scores; arguments as for `view`."""
        view, labels = self.view(token, **selection), self.columns
        return [(labels[i], float(view.scores[i])) for i in view.top(n)]

    def to_pandas(self, *, layers: bool = False) -> pandas.DataFrame:
        """A row for each completion token and column, or with `layers` for each of the model's layers too.

        Columns: method, token (index in the completion), token_text, column, column_text, [layer,] value. Without
        `layers` the value is the mean over them.
        """
        import numpy

        frames = need("pandas")
        n, m, n_layers = self.shape
        depth = n_layers if layers else 1
        rows, labels = numpy.repeat(numpy.arange(n), m * depth), numpy.array(self.columns, object)
        at = numpy.tile(numpy.repeat(numpy.arange(m), depth), n)
        texts = numpy.array([t.text for t in self.tokens], object)
        data: dict[str, Any] = {"method": self.method, "token": rows, "token_text": texts[rows]}
        data |= {"column": at, "column_text": labels[at]}
        if layers:
            data["layer"] = numpy.tile(self.layers, n * m)
        data["value"] = (self.values if layers else self.mean).reshape(-1)
        return frames.DataFrame(data)

    @property
    def _memory(self) -> object:
        return (self._owner, self._keeps)

    def _params(self) -> Any:
        return copy(lib.hw_attribution_params_copy, c_api.hw_method_params, self.address)

    def _group_label(self, p: Any, i: int) -> str:
        name = text(p.group_names[i]) if p.group_names else ""
        if name:
            return name
        n = lib.hw_run_n_tokens(self.run.address) if p.columns == c_api.HW_COLUMNS_ALL else self.run.n_prompt
        return self.run.group_text(p.groups, n, i)

    def _select_layers(self, select: str) -> tuple[int, int]:
        begin, end = ctypes.c_size_t(), ctypes.c_size_t()
        check(
            lib.hw_attribution_select_layers, ctypes.byref(begin), ctypes.byref(end), self.address, select.encode()
        )
        return begin.value, end.value


class View:
    """Scores of an attribution's columns: means over selected rows and layers."""

    def __init__(self, owner: Owner, of: Attribution) -> None:
        self._owner = owner
        self._of = of
        self.address = owner.address

    @property
    def scores(self) -> Floats:
        """[m] also of hidden columns."""
        return array(lib.hw_view_scores(self.address), (self._n_columns,), "f4", self._owner)

    @property
    def profile(self) -> Floats:
        """[m, layers] mean over the selected rows."""
        shape = (self._n_columns, int(lib.hw_view_n_layers(self.address)))
        return array(lib.hw_view_profile(self.address), shape, "f4", self._owner)

    @property
    def hidden(self) -> list[bool]:
        """[m] which columns the filters hide."""
        return [bool(lib.hw_view_is_hidden(self.address, i)) for i in range(self._n_columns)]

    @property
    def hidden_mass(self) -> float:
        """Sum of hidden scores."""
        return float(lib.hw_view_hidden_mass(self.address))

    @property
    def outside_mass(self) -> float:
        """Mean mass on columns that M does not show."""
        return float(lib.hw_view_outside_mass(self.address))

    def top(self, n: int = 10) -> list[int]:
        """The strongest visible columns, at most n."""
        n = min(n, self._n_columns)
        out = (ctypes.c_size_t * max(n, 1))()
        return list(out[: lib.hw_view_top(self.address, out, n)])

    @property
    def _n_columns(self) -> int:
        return int(lib.hw_view_n_columns(self.address))


def by_method(attributions: list[Attribution]) -> Mapping[str, Attribution]:
    """The first attribution of each method."""
    found: dict[str, Attribution] = {}
    for a in attributions:
        found.setdefault(a.method, a)
    return found
