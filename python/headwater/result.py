"""Results: attributions of one run, their files, figures and reports."""

from __future__ import annotations

import ctypes
import html
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from . import c_api, program
from ._library import Owner, addresses, check, lib, new, params, take_bytes, take_json
from .attribution import Attribution, by_method
from .errors import ArgumentError, FormatError, UnsupportedError, need
from .run import Run, Segment, Token
from .tables import Value, apply

if TYPE_CHECKING:
    import matplotlib.axes
    import numpy
    import pandas
    from numpy.typing import NDArray

Path = str | os.PathLike[str]
DRAWN = ("html", "png", "svg", "pdf")
"""Formats that the program writes."""
Methods = str | Sequence[str] | Mapping[str, Mapping[str, Value]]
"""Method names; or a mapping of names to their own settings."""


FRAME = """\
<iframe id="{name}" title="Headwater report" sandbox="allow-scripts allow-downloads" allow="clipboard-write *" \
style="width: 100%; height: 480px; border: 0" srcdoc="{page}"></iframe>
<script>(() => {{
  const frame = document.getElementById("{name}")
  addEventListener("message", ({{ source, data }}) => {{
    if (source === frame.contentWindow && data?.type === "headwater:size")
      frame.style.height = `${{Math.min(data.height, 640)}}px`
  }})
  frame.contentWindow.postMessage({{ type: "headwater:hello" }}, "*")
}})()</script>"""
"""A report in a page: docs/guide/embedding.md."""


class Result:
    """Attributions of one run, by method: a mapping, but for `values`.

    `result["logit"].values` is M [n, m, L] of method logit; `result.values` that of the first method.
    """

    def __init__(self, attributions: list[Attribution], run: Run, *, segments: list[Segment] | None = None) -> None:
        self._attributions = attributions
        self._run = run
        self._trace: Owner | None = None
        self.segments: list[Segment] = segments or []
        """Segments of the prompt, if it was split."""

    def __repr__(self) -> str:
        return f"<Result {', '.join(self)}: {self.run.n_completion} tokens after a prompt of {self.run.n_prompt}>"

    def __getitem__(self, method: str) -> Attribution:
        return by_method(self.attributions)[method]

    def __iter__(self) -> Iterator[str]:
        return iter(by_method(self.attributions))

    def __contains__(self, method: object) -> bool:
        return method in by_method(self.attributions)

    def keys(self) -> list[str]:
        """Names of the methods."""
        return list(self)

    def items(self) -> list[tuple[str, Attribution]]:
        return list(by_method(self.attributions).items())

    def __len__(self) -> int:
        return len(by_method(self.attributions))

    def __enter__(self) -> Result:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drops the attributions. Memory is freed when no array shows it any more, so arrays stay valid."""
        self._attributions = []
        self._trace = None

    @property
    def attributions(self) -> list[Attribution]:
        """All attributions, in the order of the methods; a method may occur more than once."""
        if not self._attributions:
            raise ArgumentError("the result is closed, or has no attributions")
        return self._attributions

    # ---------------------------------------------------------------- the run

    @property
    def run(self) -> Run:
        return self._run

    @property
    def prompt(self) -> str:
        return self.run.prompt

    @property
    def completion(self) -> str:
        return self.run.completion

    @property
    def tokens(self) -> list[Token]:
        """All tokens of the run: the prompt's, then the completion's."""
        return self.run.tokens

    # ---------------------------------------------------------------- the first method

    @property
    def values(self) -> NDArray[numpy.float32]:
        """M [n, m, L] of the first method, without a copy."""
        return self.attributions[0].values

    @property
    def columns(self) -> list[str]:
        """[m] labels of the columns of the first method."""
        return self.attributions[0].columns

    def scores(self, token: str | int | None = None, **selection: Any) -> NDArray[numpy.float32]:
        """As `Attribution.scores` of the first method."""
        return self.attributions[0].scores(token, **selection)

    def top(self, n: int = 10, token: str | int | None = None, **selection: Any) -> list[tuple[str, float]]:
        """As `Attribution.top` of the first method."""
        return self.attributions[0].top(n, token, **selection)

    # ---------------------------------------------------------------- other forms

    def to_pandas(self, *, layers: bool = False) -> pandas.DataFrame:
        """As `Attribution.to_pandas` of every method, one below the other."""
        return need("pandas").concat([a.to_pandas(layers=layers) for a in self.attributions], ignore_index=True)

    def to_document(self) -> bytes:
        """The run and its attributions as JSON: what the page and reports draw (docs/reference/formats.md)."""
        owners = [a._owner for a in self.attributions]  # pyright: ignore[reportPrivateUsage]
        return take_json(lib.hw_document_json, self.run.address, None, addresses(owners), len(owners))

    def save(self, path: Path, *, full: bool = True) -> None:
        """Saves by the extension: .json, .safetensors, .csv or .npy as `headwater.read` and other programs read them;
        .html a report; .png, .svg and .pdf a figure. A format that holds one method gives a file for each,
        NAME.METHOD.EXT. `full`: .json has the whole M, not only means."""
        if pathlib.Path(path).suffix.lower().lstrip(".") in DRAWN:
            self._draw(os.fspath(path), [])
            return
        owners = [a._owner for a in self.attributions]  # pyright: ignore[reportPrivateUsage]
        check(lib.hw_result_save, addresses(owners), len(owners), os.fsencode(path), full)

    def to_bytes(self, format: str = "json") -> bytes:  # noqa: A002 the usual name
        """The bytes of such a file: "json", "safetensors", "csv" or "npy"; "html" a report, "png", "svg" or "pdf" a
        figure. `headwater.read` reads the first two."""
        if format in DRAWN:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / f"drawn.{format}"
                self._draw(str(path), [])
                return path.read_bytes()
        owners = [a._owner for a in self.attributions]  # pyright: ignore[reportPrivateUsage]
        return take_bytes(lib.hw_result_to_bytes, addresses(owners), len(owners), format.encode())

    def trace_to_bytes(self) -> bytes:
        """The bytes of what `save_trace` saves."""
        return take_bytes(lib.hw_trace_to_bytes, self._need_trace().address, None)

    def drop_trace(self) -> None:
        """Frees the trace, if it was kept: the result stays, and cannot be explained again."""
        self._trace = None

    def save_trace(self, path: Path) -> None:
        """Saves all that explanations need, for `headwater.read` without the model. Requires keep="rows" or "all"."""
        check(lib.hw_trace_save, self._need_trace().address, os.fsencode(path))

    def explain(self, methods: Methods, *, by: str | None = None, **settings: Value | None) -> Result:
        """Explains the same run by other methods or settings, without the model. Requires a kept trace
        (keep="methods", "rows" or "all", or a trace read from a file)."""
        return explain_trace(self._need_trace(), methods, by=by, settings=settings)

    def report(self) -> str:
        """One HTML page with this result, which needs no server and no network."""
        return self.to_bytes("html").decode("utf-8")

    def _repr_html_(self) -> str:
        """The report in a frame of its own, for notebooks: as high as the report, at most 640 pixels."""
        page = html.escape(self.report(), quote=True)
        return FRAME.format(name=f"headwater-{os.urandom(8).hex()}", page=page)

    @overload
    def plot(self, kind: str = ..., *, ax: matplotlib.axes.Axes, **options: Any) -> matplotlib.axes.Axes: ...
    @overload
    def plot(self, kind: str = ..., *, ax: None = ..., format: str = ..., **options: Any) -> Figure: ...
    def plot(
        self,
        kind: str = "bars",
        *,
        ax: matplotlib.axes.Axes | None = None,
        format: str = "png",  # noqa: A002 the usual name
        **options: Any,
    ) -> Any:
        """Draws a figure: "bars", "heatmap", "map", "text" or "profile".

        Without `ax` the program draws it; options are those of `headwater plot` (token="sunny", hide="first",
        theme="dark", top=20). With Matplotlib axes "bars", "heatmap" and "map" of the first method are drawn into them;
        options are those of `Attribution.view`.
        """
        if ax is not None:
            from .axes import draw

            return draw(self.attributions[0], kind, ax, options)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"figure.{format}"
            self._draw(str(path), ["--kind", kind, *_command_line(options)])
            return Figure(path.read_bytes(), format)

    def _draw(self, path: str, arguments: list[str]) -> None:
        """Has the program draw the result as a figure or a report."""
        with tempfile.TemporaryDirectory() as folder:
            saved = os.path.join(folder, "result.safetensors" if len(self.attributions) == 1 else "result.json")
            self.save(saved)
            program.call("view", saved, "--quiet", "-o", path, *arguments)

    def _need_trace(self) -> Owner:
        if self._trace is None:
            raise UnsupportedError('the trace was not kept: explain with keep="methods", "rows" or "all"')
        return self._trace


def _command_line(options: Mapping[str, Any]) -> list[str]:
    """token="sunny", normalise=True as --token sunny --normalise."""
    words: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words


@dataclass(frozen=True)
class Figure:
    """A drawn figure; notebooks show it."""

    data: bytes
    format: str

    def save(self, path: Path) -> None:
        pathlib.Path(path).write_bytes(self.data)

    def _repr_png_(self) -> bytes | None:
        return self.data if self.format == "png" else None

    def _repr_svg_(self) -> str | None:
        return self.data.decode() if self.format == "svg" else None

    def __repr__(self) -> str:
        return f"<Figure {self.format}, {len(self.data)} bytes>"


def method_list(methods: Methods) -> list[tuple[str, Mapping[str, Value]]]:
    """Names with their own settings."""
    if isinstance(methods, str):
        return [(name.strip(), {}) for name in methods.split(",")]
    if isinstance(methods, Mapping):
        return list(methods.items())
    return [(name, {}) for name in methods]


class Explainer:
    """A hw_explainer with its methods."""

    def __init__(self, keep: int, **callbacks: Any) -> None:
        p = params("hw_explainer_params", keep=keep, **callbacks)
        self.owner = new(lib.hw_explainer_new, lib.hw_explainer_free, ctypes.byref(p))
        self._callbacks = p  # the library keeps a copy of its pointers, not of what they point to
        self.methods: list[str] = []
        self._kept: list[Any] = []

    def add(self, name: str, fields: Mapping[str, Any], settings: Mapping[str, Value | None]) -> None:
        """Adds a method. Names that only a run has are passed over: see Model.explain()."""
        p = params("hw_method_params", **fields)
        self._kept += [p, *apply(None, p, settings)]
        check(lib.hw_explainer_add, self.owner.address, name.encode(), ctypes.byref(p))
        self.methods.append(name)

    def split(self, by: str | None, spans: bytes | None, whole: bool = True) -> None:
        if by is not None and spans is not None:
            raise ArgumentError("by and spans both say what a segment is: give one of them")
        if by is not None:
            check(lib.hw_explainer_split, self.owner.address, by.encode(), whole)
        if spans is not None:
            check(lib.hw_explainer_split_spans, self.owner.address, spans, len(spans), b"spans", whole)

    def segments(self) -> int | None:
        return lib.hw_explainer_segments(self.owner.address)

    def results(self, trace: Owner) -> list[Attribution]:
        made: list[Attribution] = []
        for i in range(len(self.methods)):
            owner = new(lib.hw_explainer_result, lib.hw_attribution_free, self.owner.address, i, trace.address)
            made.append(Attribution(owner))
        return made

    def finish(self, trace: Owner, *, keep_trace: bool) -> Result:
        """The result of a captured or opened trace."""
        attributions, split = self.results(trace), self.segments()
        run = attributions[0].run
        result = Result(attributions, run, segments=run.segments(split) if split else None)
        if keep_trace:
            result._trace = trace  # pyright: ignore[reportPrivateUsage]
        return result


def explain_trace(trace: Owner, methods: Methods, *, by: str | None, settings: Mapping[str, Value | None]) -> Result:
    """Explains a trace without a model."""
    explainer = Explainer(c_api.HW_KEEP_ROWS)
    for name, own in method_list(methods):
        explainer.add(name, {}, {**settings, **own})
    explainer.split(by, None)
    return explainer.finish(trace, keep_trace=True)


def read(
    source: Path | bytes, methods: Methods = ("rollout",), *, by: str | None = None, **settings: Value | None
) -> Result:
    """Reads a result (.json, .safetensors), or explains a trace or exported attention by `methods`.

    `source`: a path, or the bytes of such a file. `by` and settings are for traces and attention; results are as they
    were saved.
    """
    kind, data = _probe(source)
    if kind in (c_api.HW_FILE_TRACE, c_api.HW_FILE_ATTENTION):
        trace = open_trace(data) if kind == c_api.HW_FILE_TRACE else import_attention(data)
        return explain_trace(trace, methods, by=by, settings=settings)
    if by is not None or settings:
        raise ArgumentError("by and settings do not apply to a saved result: read a trace, or explain again")
    if isinstance(source, bytes):
        saved = new(lib.hw_result_open_bytes, lib.hw_result_free, source, len(source))
    else:
        saved = new(lib.hw_result_open, lib.hw_result_free, os.fsencode(source))
    rows = [lib.hw_result_at(saved.address, i) for i in range(lib.hw_result_count(saved.address))]
    made = [Attribution(Owner(row, lambda _: None), keeps=saved) for row in rows]
    return Result(made, made[0].run)


def _probe(source: Path | bytes) -> tuple[int, Path | bytes]:
    """The kind of a file or of bytes, HW_FILE_X."""
    kind = ctypes.c_int()
    if not isinstance(source, bytes):
        check(lib.hw_file_probe, ctypes.byref(kind), os.fsencode(source))
        return kind.value, source
    formats = {"headwater-trace": c_api.HW_FILE_TRACE, "headwater-attribution": c_api.HW_FILE_RESULT}
    if source[:1].isspace() or source[:1] == b"{":
        return c_api.HW_FILE_RESULT, source
    try:
        n = int.from_bytes(source[:8], "little")
        header: Mapping[str, Mapping[str, str]] = json.loads(source[8 : 8 + n])
        return formats.get(header.get("__metadata__", {}).get("format", ""), c_api.HW_FILE_ATTENTION), source
    except (ValueError, AttributeError):
        raise FormatError(f"these {len(source)} bytes are neither a result, a trace nor exported attention") from None


def open_trace(source: Path | bytes) -> Owner:
    """Opens a saved trace: a path or its bytes."""
    if isinstance(source, bytes):
        return new(lib.hw_trace_open_bytes, lib.hw_trace_free, source, len(source))
    return new(lib.hw_trace_open, lib.hw_trace_free, os.fsencode(source))


def import_attention(source: Path | bytes, fuse: int = c_api.HW_FUSE_MEAN) -> Owner:
    """Opens exported attention as a trace: a path or its bytes."""
    if isinstance(source, bytes):
        return new(lib.hw_trace_import_bytes, lib.hw_trace_free, source, len(source), fuse)
    return new(lib.hw_trace_import, lib.hw_trace_free, os.fsencode(source), fuse)
