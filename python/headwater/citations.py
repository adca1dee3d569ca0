"""Answers with citations: which documents each sentence of an answer is based on."""

from __future__ import annotations

import ctypes
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import c_api
from ._library import Owner, copy, lib, new, params, text
from .attribution import Attribution
from .errors import ArgumentError
from .run import Segment, segments

if TYPE_CHECKING:
    from .model import Document, Job, Model, Progress
    from .run import Run


@dataclass(frozen=True)
class Citation:
    """A document that a part of the answer cites."""

    number: int
    """The number in brackets, from 1."""
    document: int
    """Index in `Citations.documents`."""
    name: str
    share: float
    """Share of everything that raised the tokens of this part."""
    peak: float
    """The largest such share of one token."""
    peak_token: int
    """That token, counted in the completion."""


@dataclass(frozen=True)
class Part:
    """A part of the answer, by default a sentence."""

    text: str
    begin: int
    end: int
    """Byte range in the completion."""
    citations: list[Citation]
    shares: list[float]
    """Share of each document."""
    rest: float
    """Share of the prompt outside the documents."""
    answer: float
    """Share of the answer so far."""
    model: float
    """Share of the model itself: MLPs, the last token, biases."""


@dataclass(frozen=True)
class CitedDocument:
    """A document, and what the answer took from it."""

    name: str
    text: str
    """As it stands in the prompt."""
    begin: int
    end: int
    """Byte range in the prompt."""
    number: int | None
    """The number in brackets; None if it is not cited."""
    share: float
    """Share of the whole answer."""
    drop: float | None = None
    """Drop of the answer's log probability without the document, in nats, measured or scaled: with `confirm`."""
    measured: bool = False
    main_share: float = 0.0
    """Share of what came from the main documents, which have at least a fifth of the highest share; else 0."""


@dataclass
class Citations:
    """An answer, its parts with their citations, and the documents.

    `str()` is the answer with numbers in brackets.
    """

    parts: list[Part]
    documents: list[CitedDocument]
    attribution: Attribution = field(repr=False)
    rule: str
    """What a citation goes by: "share", "ratio", "fall" or "weight"."""
    min_peak: float

    @property
    def run(self) -> Run:
        return self.attribution.run

    @property
    def answer(self) -> str:
        """The answer without numbers."""
        return self.run.completion

    def __str__(self) -> str:
        raw, made, at = self.run.completion_bytes, "", 0
        for part in self.parts:
            body = raw[at : part.end].decode("utf-8", "replace")
            end = len(body.rstrip())
            made += body[:end] + self._marks(part) + body[end:]
            at = part.end
        return made + raw[at:].decode("utf-8", "replace")

    def _marks(self, part: Part) -> str:
        return (" " if part.citations else "") + "".join(f"[{c.number}]" for c in part.citations)

    def _repr_html_(self) -> str:
        cited = sorted((d for d in self.documents if d.number), key=lambda d: d.number or 0)
        items = "".join(
            f"<li value={d.number}><b>{html.escape(d.name)}</b> {html.escape(d.text)} ({d.share:.0%})</li>"
            for d in cited
        )
        return f"<p>{html.escape(str(self))}</p><ol>{items}</ol>"


def passage_prompt(question: str, documents: Sequence[Document], *, chat: bool) -> tuple[str, list[tuple[str, str]]]:
    """The prompt that `headwater cite` makes of passages and a question; and each passage's name and its text there."""
    pieces: list[tuple[str, str]] = []
    for i, document in enumerate(documents):
        one: Mapping[str, str] = {"text": document} if isinstance(document, str) else document
        name, body = one.get("name") or "", one.get("text")
        if not body:
            raise ArgumentError(f'document {i}: it must be text, or have a "text" that is not empty')
        pieces.append((name, f"{name}: {body}" if name else body))
    if not pieces:
        raise ArgumentError("there are no documents: at least one is needed")
    if not question:
        raise ArgumentError("the question is empty")
    joined = "".join(body + "\n\n" for _, body in pieces)
    return joined + f"Question: {question}" + ("" if chat else "\nAnswer:"), pieces


def cite(
    model: Model,
    question: str,
    documents: Sequence[Document],
    *,
    chat: bool | None = None,
    system: str | None = None,
    completion: str | None = None,
    method: str = "logit",
    through: bool | None = None,
    answer_by: str = "sentence",
    min_peak: float = 0,
    confirm: int = 0,
    n: int = 128,
    progress: Progress | None = None,
    **options: Any,
) -> Citations:
    """Answers a question from documents (texts, or {"name", "text"}), and cites the documents that each part of the
    answer is based on.

    `chat`: use the model's chat template; by default where it has one. `completion`: cite for this answer instead of
    generating one. `through`: follow the answer's own tokens back to the prompt; by default with method logit.
    `answer_by`: how the answer is split. `min_peak`: minimum peak of a cited document, 0: the method's default.
    `confirm`: measure so many documents by leaving them out. Further options as for `Model.explain`.
    """
    chat = model.info.has_chat_template if chat is None else chat
    prompt, pieces = passage_prompt(question, documents, chat=chat or system is not None)
    turns = [{"role": "system", "content": system}] if system is not None else []
    run_result = model.explain(
        [*turns, {"role": "user", "content": prompt}] if chat or turns else prompt,
        completion=completion,
        n=n,
        methods=[method],
        keep="methods",
        progress=progress,
        **options,
    )
    trace: Owner = run_result._need_trace()  # pyright: ignore[reportPrivateUsage]
    follow = lib.hw_citation_rule_of(method.encode()).contents.through if through is None else through
    cited = _Cited(model, trace, run_result.run, pieces)
    return model.call(lambda job: cited.cite(job, method, follow, answer_by, min_peak, confirm))


class _Cited:
    """A captured run whose prompt consists of passages."""

    def __init__(self, model: Model, trace: Owner, run: Run, pieces: list[tuple[str, str]]) -> None:
        self.model, self.trace, self.run = model, trace, run
        self.passages = self._segments(pieces)

    def _segments(self, pieces: list[tuple[str, str]]) -> Owner:
        count = ctypes.c_size_t()
        messages = lib.hw_run_messages(self.run.address, ctypes.byref(count))
        at = messages[count.value - 1].begin if count.value else 0
        spans = (c_api.hw_span * len(pieces))()
        for i, (name, body) in enumerate(pieces):
            n = len(body.encode("utf-8", "surrogateescape"))
            spans[i] = c_api.hw_span(name.encode(), at, at + n)
            at += n + len("\n\n")
        return new(
            lib.hw_segments_from_spans,
            lib.hw_segments_free,
            self.run.address,
            c_api.HW_SIDE_PROMPT,
            spans,
            len(pieces),
        )

    def cite(
        self,
        job: Job,
        method: str,
        through: bool,
        answer_by: str,
        min_peak: float,
        confirm: int,
    ) -> Citations:
        n = ctypes.c_size_t()
        p = params("hw_method_params", model=self.model.address, through=through, **job.fields(None))
        p.groups = lib.hw_segments_groups(self.passages.address, ctypes.byref(n))
        p.n_groups = lib.hw_segments_count(self.passages.address)
        made = new(lib.hw_explain, lib.hw_attribution_free, self.trace.address, method.encode(), ctypes.byref(p))
        attribution = Attribution(made, keeps=self.passages)
        side = c_api.HW_SIDE_COMPLETION
        answer = new(lib.hw_segments_new, lib.hw_segments_free, self.run.address, side, answer_by.encode())
        rules = params("hw_citation_params", min_peak=min_peak)
        citation = new(
            lib.hw_citation_new,
            lib.hw_citation_free,
            made.address,
            self.passages.address,
            answer.address,
            ctypes.byref(rules),
        )
        confirmed = self._confirm(job, citation, answer, confirm) if confirm else None
        return _read(attribution, citation, self.passages, answer, confirmed)

    def _confirm(self, job: Job, citation: Owner, answer: Owner, n: int) -> Owner:
        p = params("hw_confirm_params", n_passages=n, **job.fields(None))
        cited = c_api.hw_cited(citation.address, self.passages.address, answer.address)
        confirmed = new(
            lib.hw_confirmation_new,
            lib.hw_confirmation_free,
            self.model.address,
            self.trace.address,
            ctypes.byref(cited),
            ctypes.byref(p),
        )
        lib.hw_citation_confirm(citation.address, confirmed.address)
        return confirmed


def _read(
    attribution: Attribution, citation: Owner, passages: Owner, answer: Owner, confirmed: Owner | None
) -> Citations:
    """Copies a hw_citation."""
    run, c = attribution.run, citation.address
    sources = segments(passages.address, run.prompt_bytes)
    parts = segments(answer.address, run.completion_bytes)
    n_marked = ctypes.c_size_t()
    order = ctypes.cast(lib.hw_citation_order(c, ctypes.byref(n_marked)), ctypes.POINTER(ctypes.c_size_t))
    marked = [order[i] for i in range(n_marked.value)]
    documents = [_document(c, len(parts), i, s, marked, confirmed) for i, s in enumerate(sources)]
    return Citations(
        [_part(c, i, s, sources, marked) for i, s in enumerate(parts)],
        documents,
        attribution,
        text(lib.hw_citation_rule_used(c).contents.name),
        lib.hw_citation_min_peak(c),
    )


def _link(c: int, part: int, passage: int) -> Any:
    return copy(lib.hw_citation_link_copy, c_api.hw_citation_link, c, part, passage)


def _document(c: int, whole: int, i: int, s: Segment, marked: list[int], confirmed: Owner | None) -> CitedDocument:
    number = marked.index(i) + 1 if i in marked else None
    share, main = _link(c, whole, i).share, float(lib.hw_citation_main_share(c, whole, i))
    if confirmed is None:
        return CitedDocument(s.name, s.text, s.begin, s.end, number, share, main_share=main)
    drop = lib.hw_confirmation_drop(confirmed.address, whole, i)
    measured = bool(lib.hw_confirmation_measured(confirmed.address, i))
    return CitedDocument(s.name, s.text, s.begin, s.end, number, share, drop, measured, main)


def _part(c: int, i: int, s: Segment, sources: list[Segment], marked: list[int]) -> Part:
    links: list[Any] = [_link(c, i, k) for k in range(len(sources))]
    cited = [
        Citation(at + 1, k, sources[k].name, links[k].share, links[k].peak, links[k].peak_token)
        for at, k in enumerate(marked)
        if links[k].marked
    ]
    rest = copy(lib.hw_citation_elsewhere_copy, c_api.hw_citation_elsewhere, c, i)
    shares = [link.share for link in links]
    return Part(s.text, s.begin, s.end, cited, shares, rest.rest, rest.answer, rest.model)


