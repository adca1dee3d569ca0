"""Models: open a GGUF file, run it, and get each token's sources."""

from __future__ import annotations

import ctypes
import json
import os
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from . import c_api, program
from ._library import Owner, fill, lib, new, params, text
from .attribution import Attribution
from .errors import ArgumentError, HeadwaterError
from .result import Explainer, Methods, Result, method_list
from .run import ModelInfo, Run, Token, model_info, token
from .tables import Value, apply

if TYPE_CHECKING:
    from .citations import Citations

Prompt = str | bytes | Sequence[Mapping[str, str]]
"""Text, or messages [{"role", "content"}] for the model's chat template."""
Document = str | Mapping[str, str]
"""A text, or {"name", "text"}."""
Spans = Sequence[Mapping[str, Any]]
"""[{"name", "begin", "end"}], ascending, in characters of the prompt."""
Progress = Callable[[str, int, int], object]
"""Called with the stage ("load", "prefill", "decode", "explain"), what is done, and the total."""

STAGES = ("load", "prefill", "decode", "explain")
KEEPS = {
    "results": c_api.HW_KEEP_RESULTS,
    "methods": c_api.HW_KEEP_METHODS,
    "rows": c_api.HW_KEEP_ROWS,
    "all": c_api.HW_KEEP_ALL,
}
DEFAULT_METHODS = ("logit", "rollout")

T = TypeVar("T")


class Job:
    """One call of the library that can be stopped, with its callbacks.

    Calls run in the model's own thread, so that this one can be interrupted; the library reads the flag itself, without
    Python. An exception in a callback stops the call and is raised from it.
    """

    def __init__(self) -> None:
        self.flag = ctypes.c_ubyte(0)  # ends the completion
        self.halted = ctypes.c_ubyte(0)  # ends the explanation too
        self.failure: BaseException | None = None
        self.stop = ctypes.cast(lib.hw_stop_by_flag, c_api.hw_stop_fn)
        self._callbacks: list[Any] = []

    def cancel(self) -> None:
        """Ends the completion; the tokens so far are explained."""
        self.flag.value = 1

    def halt(self) -> None:
        """Ends the call as soon as possible."""
        self.flag.value = self.halted.value = 1

    def fields(self, progress: Progress | None, *, runs: bool = False) -> dict[str, Any]:
        """Fields of a params struct: stop, ctx, progress; `runs`: of a run, which can end early."""
        flag = self.flag if runs else self.halted
        made: dict[str, Any] = {"stop": self.stop, "ctx": ctypes.addressof(flag)}
        if progress is not None:
            report = progress

            def show(_ctx: int, stage: int, done: int, total: int) -> None:
                report(STAGES[stage], done, total)

            made["progress"] = self.callback(c_api.hw_progress_fn, show)
        return made

    def callback(self, kind: Any, function: Callable[..., object]) -> Any:
        def guarded(*arguments: Any) -> None:
            try:
                function(*arguments)
            except BaseException as error:  # noqa: BLE001 it is raised again in run()
                self.failure = self.failure or error
                self.halt()

        made = kind(guarded)
        self._callbacks.append(made)
        return made

    def run(self, work: Callable[[], T]) -> T:
        """Does the work; a callback's exception goes before the library's own."""
        try:
            done = work()
        except HeadwaterError:
            if self.failure is None:
                raise
            raise self.failure from None
        if self.failure is not None:
            raise self.failure
        return done

    def wait(self, future: Future[T]) -> T:
        """The result; an interrupt of this thread stops the work and waits for its end."""
        try:
            return future.result()
        except BaseException:
            self.halt()
            if not future.cancel():
                future.exception()
            raise


class Model:
    """A GGUF model.

    `path` is a file, or a name of a model that another program keeps ("hf:REPO:TAG", "ollama:llama3.2",
    "lmstudio:...": `headwater.models()` lists them). A model runs one call after another, in a thread of its own; calls
    from several threads wait for each other.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        gpu_layers: int = 0,
        context: int = 0,
        ubatch: int = 0,
        devices: str | None = None,
        rpc_servers: str | None = None,
        loras: Sequence[str] = (),
        f32_cache: bool = False,
        prove: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """`threads` 0: one for each core. `gpu_layers`: blocks to offload, negative: all. `context`: maximum number of
        tokens, 0: as in training. `ubatch`: prompt tokens in one pass. `loras`: "FILE" or "FILE=SCALE". `prove`: probe
        the model even where $XDG_CACHE_HOME/headwater (or ~/.cache/headwater) notes that nothing was missing in it."""
        job = Job()
        p = params("hw_model_params", **job.fields(progress), f32_cache=f32_cache)
        fill(p, n_threads=threads, n_gpu_layers=gpu_layers, n_ctx=context, n_ubatch=ubatch)
        p.devices = devices.encode() if devices else None
        p.rpc_servers = rpc_servers.encode() if rpc_servers else None
        p.cache = None if prove else _cache_folder()
        p.loras, p.n_loras = (ctypes.c_char_p * len(loras))(*(os.fsencode(lora) for lora in loras)), len(loras)
        name = os.fsencode(program.resolve(os.fspath(path)))
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="headwater")
        self._owner: Owner | None = None

        def load() -> Owner:
            return job.run(lambda: new(lib.hw_model_open, lib.hw_model_close, name, ctypes.byref(p)))

        try:
            self._owner = job.wait(self._worker.submit(load))
        finally:
            if self._owner is None:
                self._worker.shutdown()

    def __repr__(self) -> str:
        info = self.info
        return f"<Model {info.name or info.path}, {info.architecture}, {info.quantisation}>"

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the model, after the calls that run. Results stay valid."""
        self._worker.shutdown()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.release()

    @property
    def address(self) -> int:
        if self._owner is None:
            raise ArgumentError("the model is closed")
        return self._owner.address

    @property
    def info(self) -> ModelInfo:
        """Properties of the model."""
        return model_info(lib.hw_model_describe(self.address).contents)

    def problems(self) -> dict[str, str]:
        """Why the model cannot give what a method needs, by method; "" if it can."""
        info = lib.hw_model_describe(self.address)
        rows = [lib.hw_method_at(i) for i in range(lib.hw_method_count())]
        return {text(row.contents.name): text(lib.hw_method_problem(row, info)) for row in rows}

    def methods(self, wanted: Methods | None = None) -> list[str]:
        """Names of the methods that `explain` uses: those wanted, else the default ones that the model supports."""
        return [name for name, _ in self._choose(wanted)]

    def explain(
        self,
        prompt: Prompt,
        *,
        completion: str | bytes | None = None,
        n: int = 32,
        methods: Methods | None = None,
        by: str | None = None,
        spans: Spans | None = None,
        through: bool = False,
        keep: str = "results",
        memory: int = 0,
        progress: Progress | None = None,
        **options: Value | None,
    ) -> Result:
        """Generates up to `n` tokens, or takes `completion`, and traces each to its sources in the prompt.

        `prompt`: text, or messages for the chat template. `methods`: names, or a mapping to settings of each; default:
        logit and rollout, as far as the model supports them. `by`: segments as columns ("word", "sentence",
        "paragraph", "/REGEX/"); `spans`: your own. `through`: follow the completion's own tokens back to the prompt.
        `keep`: what the result keeps for `Result.explain` and `Result.save_trace`: "results", "methods", "rows" or
        "all". `memory`: refuse a run that needs more bytes. Further options: every row of `headwater.settings()`,
        for example chat=True, temperature=0.8, seed=3, residual=0.3, against="second".
        """
        return self._start(
            prompt, completion, n, methods, by, spans, keep, memory, progress, {"through": through or None, **options}
        ).result

    async def explain_async(self, prompt: Prompt, **arguments: Any) -> Result:
        """As `explain`. Cancelling the task stops the run."""
        import asyncio  # takes 40 ms, which most programs do not need

        arguments.setdefault("interval", 0)
        stream = self.stream(prompt, **arguments)
        try:
            return await asyncio.wrap_future(stream.future)
        except BaseException:
            stream.halt()
            raise

    def stream(
        self,
        prompt: Prompt,
        *,
        completion: str | bytes | None = None,
        n: int = 32,
        methods: Methods | None = None,
        by: str | None = None,
        spans: Spans | None = None,
        through: bool = False,
        keep: str = "results",
        memory: int = 0,
        progress: Progress | None = None,
        interval: int = 4,
        **options: Value | None,
    ) -> Stream:
        """As `explain`, but returns at once: iterate over the stream for tokens as they are generated.

        `interval`: completion tokens that are explained together for `Stream.explained`; fewer cost more, and 0, none
        before the end, costs nothing.
        """
        options = {"through": through or None, **options}
        return self._start(prompt, completion, n, methods, by, spans, keep, memory, progress, options, interval)

    def cite(self, question: str, documents: Sequence[Document], **arguments: Any) -> Citations:
        """Answers a question from documents, and cites the documents that each sentence of the answer is based on.

        Arguments are those of `headwater.cite`: chat, min_peak, confirm, n, method and options of the run.
        """
        from .citations import cite

        return cite(self, question, documents, **arguments)

    def call(self, work: Callable[[Job], T]) -> T:
        """Does work of the library in the model's thread, so that an interrupt can stop it."""
        job = Job()
        return job.wait(self._worker.submit(lambda: job.run(lambda: work(job))))

    def tokenize(self, prompt: Prompt, **options: Value | None) -> list[Token]:
        """The prompt's tokens, with roles and byte ranges; nothing is decoded."""
        p, kept = self._run_params(prompt, None, options)

        def work(_: Job) -> list[Token]:
            owner = new(lib.hw_run_tokenize, lib.hw_run_free, self.address, ctypes.byref(p))
            return Run(owner.address, owner).tokens

        done = self.call(work)
        del kept
        return done

    def _run_params(
        self, prompt: Prompt, completion: str | bytes | None, options: Mapping[str, Value | None]
    ) -> tuple[Any, list[Any]]:
        """hw_run_params, and what its pointers borrow."""
        p = params("hw_run_params")
        kept: list[Any] = []
        if isinstance(prompt, (str, bytes)):
            p.prompt, p.prompt_bytes = _borrow(prompt, kept)
        else:
            p.messages, p.n_messages = _messages(prompt, kept)
        if completion is not None:
            p.completion, p.completion_bytes = _borrow(completion, kept)
        known = {name: value for name, value in options.items() if _is_option(name)}
        kept += apply(p, None, known)
        return p, kept

    def _choose(self, methods: Methods | None) -> list[tuple[str, Mapping[str, Value]]]:
        """The methods that were named; else the default ones that this model supports."""
        if methods is not None:
            return method_list(methods)
        problems = self.problems()
        possible = [name for name in DEFAULT_METHODS if not problems[name]] or [DEFAULT_METHODS[-1]]
        return method_list(possible)

    def _start(  # noqa: PLR0913 the arguments of explain()
        self,
        prompt: Prompt,
        completion: str | bytes | None,
        n: int,
        methods: Methods | None,
        by: str | None,
        spans: Spans | None,
        keep: str,
        memory: int,
        progress: Progress | None,
        options: dict[str, Value | None],
        interval: int | None = None,
    ) -> Stream:
        if keep not in KEEPS:
            raise ArgumentError(f'keep "{keep}": {", ".join(KEEPS)} are accepted')
        job, events = Job(), Events()
        p, kept = self._run_params(prompt, completion, {"n_generate": n, **options})
        for field, value in job.fields(progress, runs=True).items():
            setattr(p, field, value)
        callbacks: dict[str, Any] = {}
        if interval is not None:
            p.on_token = job.callback(type(p.on_token), events.take_token)
            if interval:
                on_rows: Any = params("hw_explainer_params").on_rows
                callbacks = {"on_rows": job.callback(type(on_rows), events.take_rows), "interval": interval}
        explainer = Explainer(KEEPS[keep], **callbacks)
        only_run = {name for name in options if not lib.hw_setting_find(name.encode()) and _is_option(name)}
        settings = {name: value for name, value in options.items() if name not in only_run}
        for name, own in self._choose(methods):
            explainer.add(name, {"model": self.address, **job.fields(progress)}, {**settings, **own})
        explainer.split(by, json.dumps(list(spans)).encode() if spans is not None else None)
        fill(p, explainer=explainer.owner.address, memory=memory)
        model = self.address

        def capture() -> Result:
            trace = new(lib.hw_trace_capture, lib.hw_trace_free, model, ctypes.byref(p))
            return explainer.finish(trace, keep_trace=keep != "results")

        def work() -> Result:
            try:
                return job.run(capture)
            finally:
                kept.clear()
                events.end()

        return Stream(job, self._worker.submit(work), events, explainer.methods if interval else [])


def _cache_folder() -> bytes | None:
    """Makes the folder where the program, too, notes which models were proven; None where that cannot be."""
    given, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if not os.path.isabs(given) and not os.path.isabs(home):
        return None
    base = given if os.path.isabs(given) else os.path.join(home, ".cache")
    path = os.path.join(base, "headwater")
    try:
        for folder in (base, path):
            if not os.path.isdir(folder):
                os.mkdir(folder, 0o700)
    except OSError:  # another process may have made it
        pass
    return os.fsencode(path) if os.path.isdir(path) else None


def _is_option(name: str) -> bool:
    return bool(lib.hw_run_option_find(name.encode()))


def _borrow(value: str | bytes, kept: list[Any]) -> tuple[int | None, int]:
    """Address and length of a text, which `kept` keeps alive. Lone surrogates stand for the bytes that were read."""
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    block = ctypes.create_string_buffer(raw, len(raw) + 1)
    kept.append(block)
    return ctypes.addressof(block), len(raw)


def _messages(messages: Sequence[Mapping[str, str]], kept: list[Any]) -> tuple[Any, int]:
    block = (c_api.hw_message * max(len(messages), 1))()
    for i, message in enumerate(messages):
        if set(message) != {"role", "content"}:
            raise ArgumentError(f'message {i} must have "role" and "content" and no other key: {sorted(message)}')
        role = message["role"].encode()
        block[i].role = role
        block[i].content, block[i].content_bytes = _borrow(message["content"], kept)
        kept.append(role)
    kept.append(block)
    return block, len(messages)


class Events:
    """What the model's thread reports: tokens, and rows of attributions."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[Token | tuple[int, Attribution] | None] = queue.SimpleQueue()

    def take_token(self, _ctx: int, run: int, i: int) -> None:
        self.queue.put(token(run, i))

    def take_rows(self, _ctx: int, method: int, rows: int) -> None:
        self.queue.put((method, Attribution(Owner(rows, lib.hw_attribution_free))))

    def end(self) -> None:
        self.queue.put(None)


class Stream:
    """A run in progress: iterate over it for its tokens, with `for` or `async for`.

    Leaving the loop early, or `close()`, stops the run; `result` is the whole result. An interrupted run keeps the
    tokens that it has generated.
    """

    def __init__(self, job: Job, future: Future[Result], events: Events, methods: Sequence[str]) -> None:
        self.future = future
        self._job = job
        self._events = events
        self._methods = methods

    @property
    def result(self) -> Result:
        """Waits for the end of the run."""
        return self._job.wait(self.future)

    def halt(self) -> None:
        """Stops the run without a result."""
        self._job.halt()

    def close(self) -> None:
        """Stops the run. `result` then has the tokens so far."""
        if not self.future.done():
            self._job.cancel()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Token]:
        for event in self._all():
            if isinstance(event, Token):
                yield event

    def explained(self) -> Iterator[tuple[Token, dict[str, Any]]]:
        """Each token with its row of M, [m, L], of each method that can explain it now. A token waits for its rows;
        methods that need the whole run are in `result` only."""
        if not self._methods:
            raise ArgumentError("interval 0 explains nothing before the end: stream with 1 or more")
        ready = _Rows(self._methods)
        for event in self._all():
            yield from ready.take(event)
        yield from ready.rest()

    async def __aiter__(self) -> AsyncIterator[Token]:
        import asyncio

        loop = asyncio.get_running_loop()
        try:
            while (event := await loop.run_in_executor(None, self._events.queue.get)) is not None:
                if isinstance(event, Token):
                    yield event
            await asyncio.wrap_future(self.future)
        finally:
            self.close()

    def _all(self) -> Iterator[Token | tuple[int, Attribution]]:
        try:
            while (event := self._events.queue.get()) is not None:
                yield event
        finally:
            self.close()
        self._job.wait(self.future)  # raises what the run raised


class _Rows:
    """Tokens that wait for their rows: all methods' rows of a batch come between two tokens."""

    def __init__(self, methods: Sequence[str]) -> None:
        self.methods = methods
        self.tokens: list[Token] = []
        self.rows: dict[int, dict[str, Any]] = {}

    def take(self, event: Token | tuple[int, Attribution]) -> Iterator[tuple[Token, dict[str, Any]]]:
        if isinstance(event, Token):
            while self.tokens and self.tokens[0].index in self.rows:
                yield self.tokens[0], self.rows.pop(self.tokens.pop(0).index)
            self.tokens.append(event)
            return
        method, part = self.methods[event[0]], event[1]
        first = lib.hw_attribution_first_token(part.address)
        for i, row in enumerate(part.values):
            self.rows.setdefault(first + i, {})[method] = row

    def rest(self) -> Iterator[tuple[Token, dict[str, Any]]]:
        for waiting in self.tokens:
            yield waiting, self.rows.pop(waiting.index, {})
