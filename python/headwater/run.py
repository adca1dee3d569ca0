"""Runs: which tokens, by which model."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

from . import c_api
from ._library import bytes_at, check, copy, lib, text


@dataclass(frozen=True)
class Alternative:
    """A candidate token of one generation step."""

    text: str
    bytes: bytes
    id: int
    logprob: float


@dataclass(frozen=True)
class Token:
    """One token of a run."""

    index: int
    """Position in the run, from 0."""
    text: str
    """Text to display: a character that is split over several tokens is shown in the first."""
    bytes: bytes
    """Exact bytes; may be part of a character."""
    id: int
    """In the vocabulary of its model; -1: not known."""
    role: str
    """"prompt", "completion", "special" or "template"."""
    begin: int
    end: int
    """Byte range in the prompt; for completion tokens in the completion."""
    logprob: float
    """Natural logarithm of its probability; NaN if unknown."""
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    """The most probable tokens of the step, at most five, best first."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Segment:
    """A part of the prompt or of the completion: a sentence, a passage."""

    name: str
    text: str
    begin: int
    end: int
    """Byte range in its text."""


@dataclass(frozen=True)
class ModelInfo:
    """Properties of a model: the fields of hw_model_info that are numbers or text."""

    path: str
    engine: str
    engine_version: str
    architecture: str
    name: str
    quantisation: str
    metadata_sha256: str
    sample_sha256: str
    device: str
    problem: str
    values_problem: str
    readout_problem: str
    recurrent_problem: str
    adapters: str
    n_layers: int
    n_blocks: int
    n_heads: int
    n_heads_kv: int
    n_embd: int
    n_vocab: int
    n_ctx_train: int
    n_swa: int
    n_params: int
    n_bytes: int
    adds_bos: bool
    has_chat_template: bool
    has_sinks: bool
    host_rows: bool
    row_error: float
    layers: tuple[int, ...]
    """The model's own index of each layer with attention."""


def model_info(struct: Any) -> ModelInfo:
    """A copy of a hw_model_info."""
    values: dict[str, Any] = {}
    for name in ModelInfo.__dataclass_fields__:
        value = getattr(struct, name)
        values[name] = text(value) if isinstance(value, bytes) or value is None else value
    layers = ctypes.cast(struct.layers, ctypes.POINTER(ctypes.c_int32))
    values["layers"] = tuple(layers[i] for i in range(struct.n_layers)) if struct.layers else ()
    return ModelInfo(**values)


def token_text(run: int, i: int) -> str:
    out = ctypes.create_string_buffer(64)
    n = lib.hw_run_token_text(out, len(out), run, i)
    if n >= len(out):
        out = ctypes.create_string_buffer(n + 1)
        lib.hw_run_token_text(out, len(out), run, i)
    return text(out.value)


def token(run: int, i: int) -> Token:
    """A copy of token i."""
    t = copy(lib.hw_run_token_copy, c_api.hw_token, run, i)
    others = tuple(_alternative(t.alternatives[k]) for k in range(t.n_alternatives))
    role = text(lib.hw_role_name(t.role))
    return Token(i, token_text(run, i), bytes_at(t.bytes, t.n_bytes), t.id, role, t.begin, t.end, t.logprob, others)


def _alternative(a: Any) -> Alternative:
    raw = bytes_at(a.bytes, a.n_bytes)
    return Alternative(raw.decode("utf-8", "replace"), raw, a.id, a.logprob)


class Run:
    """The tokens of one run of a model."""

    def __init__(self, address: int, owner: object) -> None:
        self.address = address
        self._owner = owner
        self._tokens: list[Token] | None = None

    @property
    def tokens(self) -> list[Token]:
        """All tokens: those of the prompt first."""
        if self._tokens is None:
            self._tokens = [token(self.address, i) for i in range(lib.hw_run_n_tokens(self.address))]
        return self._tokens

    @property
    def n_prompt(self) -> int:
        """Number of tokens before the completion, including special and template tokens."""
        return int(lib.hw_run_n_prompt(self.address))

    @property
    def n_completion(self) -> int:
        return int(lib.hw_run_n_completion(self.address))

    @property
    def prompt_bytes(self) -> bytes:
        """The caller's prompt, unchanged."""
        return self._text(lib.hw_run_prompt)

    @property
    def completion_bytes(self) -> bytes:
        return self._text(lib.hw_run_completion)

    @property
    def prompt(self) -> str:
        """The prompt; bytes that are not UTF-8 are replaced by U+FFFD."""
        return self.prompt_bytes.decode("utf-8", "replace")

    @property
    def completion(self) -> str:
        """The joined completion tokens; bytes that are not UTF-8 are replaced by U+FFFD."""
        return self.completion_bytes.decode("utf-8", "replace")

    @property
    def model(self) -> ModelInfo:
        return model_info(lib.hw_run_model(self.address).contents)

    @property
    def finish_reason(self) -> str:
        """Why the completion ended: "length", "end", "given" or "cancelled"."""
        return text(lib.hw_stop_name(lib.hw_run_finish_reason(self.address)))

    @property
    def is_causal(self) -> bool:
        return bool(lib.hw_run_is_causal(self.address))

    @property
    def remarks(self) -> list[str]:
        """What a reader of the run must know of its texts, one sentence each."""
        return [text(lib.hw_run_remark(self.address, i)) for i in range(lib.hw_run_n_remarks(self.address))]

    @property
    def recurrent_share(self) -> float:
        """Share of recurrent layers, which methods of attention weights cannot see; NaN if there are none."""
        return float(lib.hw_run_recurrent_share(self.address))

    def select(self, token: str | int) -> range:
        """Completion tokens by index, range (`"2:5"`) or text."""
        begin, end = ctypes.c_size_t(), ctypes.c_size_t()
        check(lib.hw_run_select, ctypes.byref(begin), ctypes.byref(end), self.address, str(token).encode())
        return range(begin.value, end.value)

    def _text(self, function: Any) -> bytes:
        n = ctypes.c_size_t()
        return bytes_at(function(self.address, ctypes.byref(n)), n.value)

    def group_text(self, groups: int, n: int, group: int) -> str:
        """Joined text of the first n tokens that are in a group."""
        size = lib.hw_run_group_text(None, 0, self.address, groups, n, group)
        out = ctypes.create_string_buffer(size + 1)
        lib.hw_run_group_text(out, len(out), self.address, groups, n, group)
        return text(out.value)

    def segments(self, owner: int) -> list[Segment]:
        """Segments of the prompt, from a hw_segments."""
        return segments(owner, self.prompt_bytes)


def segments(address: int, of: bytes) -> list[Segment]:
    made: list[Segment] = []
    for i in range(lib.hw_segments_count(address)):
        span: c_api.hw_span = lib.hw_segments_at(address, i).contents
        made.append(
            Segment(text(span.name), of[span.begin : span.end].decode("utf-8", "replace"), span.begin, span.end)
        )
    return made
