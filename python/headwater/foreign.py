"""Results from other libraries' attention: arrays, and Hugging Face models.

Attention goes into a trace builder of the library, so rollout and its settings are computed by the same code as for a
GGUF model. What attention alone does not have, values and output weights, no method can use: `rollout`, `attention`,
`flow` and the baselines are what is possible.

The note's procedure is `methods="rollout", row="own"` on a decoder.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ._library import Owner, check, lib, new, params
from .errors import ArgumentError, EngineError, UnsupportedError, need
from .result import Methods, Result, explain_trace
from .tables import Value

METHODS = ("rollout", "attention")
BLOCK_BYTES = 1 << 26  # weights that are passed to the library at once
BF16_TOLERANCE = 2.0**-8  # of a sum of weights that were rounded to bfloat16


def from_attentions(
    attentions: Any,
    tokens: Sequence[str | bytes] | None = None,
    *,
    n_prompt: int | None = None,
    methods: Methods = METHODS,
    by: str | None = None,
    fuse: str = "mean",
    causal: bool = True,
    sinks: bool = False,
    ids: Sequence[int] | None = None,
    logprobs: Sequence[float] | None = None,
    name: str = "",
    **settings: Value | None,
) -> Result:
    """Explains attention that was computed elsewhere.

    `attentions`: [L, H, T, T] or, heads fused, [L, T, T]: an array, or a sequence of layers such as the `attentions` of
    a Hugging Face model, [1, H, T, T] each. `tokens`: [T] texts, or bytes where a token is part of a character.
    `n_prompt`: prompt tokens; the others were generated one by one. Without it every row is explained against every
    column, as for encoders. `causal=False`: the prompt was read as a whole (encoder-decoder). `sinks`: rows may sum to
    less than 1. `fuse`: "mean", "max" or "min" of the heads. `ids` and `logprobs`, [T]: what else is known of the
    tokens (a NaN: not known).

    >>> import headwater, numpy
    >>> attention = numpy.array([[[1, 0, 0], [.6, .4, 0], [.5, .3, .2]], [[1, 0, 0], [.25, .75, 0], [.1, .7, .2]]])
    >>> result = headwater.from_attentions(attention, ["The", " cat", " sat"], n_prompt=2, methods="rollout", row="own")
    >>> result.values[0].astype(float).round(3).tolist()
    [[0.25, 0.305], [0.15, 0.335]]
    """
    layers = _layers(attentions)
    n_heads, n_tokens, _ = layers[0].shape
    if n_prompt is not None and not 1 <= n_prompt < n_tokens:
        raise ArgumentError(
            f"n_prompt is {n_prompt}: 1 to {n_tokens - 1} is accepted with {n_tokens} tokens, the rest being the "
            "completion; without n_prompt every row is explained"
        )
    known = _Known.of(n_tokens, tokens, ids, logprobs)
    bidirectional = (n_prompt is None or not causal) and _reads_later_tokens(layers)
    builder = _builder(
        n_layers=len(layers),
        n_heads=n_heads,
        n_prompt=n_tokens if n_prompt is None else n_prompt,
        max_tokens=n_tokens,
        fuse=_fuse(fuse),
        sinks=sinks,
        bidirectional=bidirectional,
        model=name.encode(),
    )
    try:
        known.append(builder)
        for block in _blocks(layers, bidirectional, sinks):
            data = block.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            check(lib.hw_trace_builder_rows, builder.address, data, block.shape[2], block.shape[3])
        trace = new(lib.hw_trace_builder_finish, lib.hw_trace_free, builder.address)
    except EngineError as error:  # the library's word for rows of its caller
        raise ArgumentError(f"attentions: {error}") from None
    builder.release()
    return explain_trace(trace, methods, by=by, settings=settings)


def _builder(**fields: Any) -> Owner:
    p = params("hw_trace_builder_params", **fields)
    return new(lib.hw_trace_builder_new, lib.hw_trace_builder_free, ctypes.byref(p))


def _fuse(name: str) -> int:
    out = ctypes.c_int()
    check(lib.hw_fuse_parse, ctypes.byref(out), name.encode())
    return out.value


class _Known:
    """What is known of each token: bytes, id, log probability."""

    def __init__(self, tokens: Sequence[str | bytes], ids: Sequence[int], logprobs: Sequence[float]) -> None:
        self.rows = list(zip(tokens, ids, logprobs, strict=True))

    @staticmethod
    def of(
        n: int, tokens: Sequence[str | bytes] | None, ids: Sequence[int] | None, logprobs: Sequence[float] | None
    ) -> _Known:
        for what, given in (("tokens", tokens), ("ids", ids), ("logprobs", logprobs)):
            if given is not None and len(given) != n:
                raise ArgumentError(f"{what} are {len(given)}: the attention has {n} tokens")
        return _Known(
            [""] * n if tokens is None else tokens,
            [-1] * n if ids is None else ids,
            [math.nan] * n if logprobs is None else logprobs,
        )

    def append(self, builder: Owner) -> None:
        for text, number, logprob in self.rows:
            raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
            check(lib.hw_trace_builder_token, builder.address, raw, len(raw), int(number), float(logprob))


def _layers(attentions: Any) -> list[Any]:
    """[L] arrays or tensors [H, T, T] of the same shape; nothing is copied."""
    layers = [_layer(one, i) for i, one in enumerate(attentions)]
    if not layers:
        raise ArgumentError("attentions: there are no layers")
    for i, one in enumerate(layers):
        if one.shape != layers[0].shape:
            sizes = f"layer {i} is {_size(one)}, layer 0 {_size(layers[0])}"
            raise ArgumentError(f"attentions: {sizes}: they must be alike")
    return layers


def _size(one: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in one.shape)


def _layer(one: Any, i: int) -> Any:
    import numpy

    values = one.detach() if hasattr(one, "detach") else numpy.asarray(one)
    if len(values.shape) == 4 and values.shape[0] != 1:
        raise ArgumentError(f"attentions: layer {i} is a batch of {values.shape[0]}; explain one text at a time")
    if len(values.shape) == 4:
        values = values[0]
    if len(values.shape) == 2:
        values = values[None]
    if len(values.shape) != 3 or values.shape[-1] != values.shape[-2] or not all(values.shape):
        raise ArgumentError(f"attentions: layer {i} has shape {_size(one)}; [H, T, T] or [T, T] is accepted")
    return values


def _numbers(part: Any, sinks: bool = False) -> Any:
    """A part of a layer, [H, rows, T], as float32 in NumPy. bfloat16, which NumPy does not have, rounds each weight by
    up to 2^-9: rows that sum to 1 within that are scaled to 1."""
    import numpy

    if not hasattr(part, "detach"):
        return numpy.asarray(part, numpy.float32)
    values: Any = part.float().cpu().numpy()
    if str(part.dtype) != "torch.bfloat16":
        return values
    sums = values.sum(-1, dtype=numpy.float64, keepdims=True)
    rounded = (abs(sums - 1) <= BF16_TOLERANCE) & ((sums > 1) | (not sinks))
    return (values / numpy.where(rounded, sums, 1)).astype(numpy.float32)


def _reads_later_tokens(layers: list[Any]) -> bool:
    import numpy

    return any(numpy.triu(_numbers(head), 1).any() for one in layers for head in one)


def _blocks(layers: list[Any], bidirectional: bool, sinks: bool) -> Iterator[Any]:
    """Weights [L, H, rows, columns] of some rows after another: as many as BLOCK_BYTES hold."""
    import numpy

    n_heads, n_tokens, _ = layers[0].shape
    step = max(1, BLOCK_BYTES // (4 * len(layers) * n_heads * n_tokens))
    for at in range(0, n_tokens, step):
        end = min(at + step, n_tokens)
        made = numpy.stack([_numbers(one[:, at:end], sinks) for one in layers])
        if not bidirectional:
            later = made[..., end:]
            made = made if later.any() else made[..., :end]  # the library names the weight that comes too early
        yield numpy.ascontiguousarray(made)


# ------------------------------------------------------------------ Hugging Face


def from_transformers(
    model: Any,
    tokenizer: Any,
    text: Any,
    *,
    completion: str | None = None,
    n: int = 32,
    methods: Methods = METHODS,
    by: str | None = None,
    generate: Mapping[str, Any] | None = None,
    **settings: Value | None,
) -> Result:
    """Explains a model of the library transformers, with PyTorch.

    A decoder generates up to `n` tokens after `text` (or takes `completion`). An encoder-decoder does the same, its
    prompt being what the encoder reads: each of its layers is a layer, and each decoder layer two, self-attention and
    then cross-attention, so that the rollout follows the decoder's tokens back into the encoder. An encoder is
    explained row by row: `result.scores(token)` selects the row. With an image model `tokenizer` is its image processor
    and `text` an image; `headwater.axes.overlay` draws the result over it.

    `generate`: further arguments of `model.generate()`. The model's attention implementation is set to "eager" while
    attention is computed, because others do not return it.
    """
    torch = _torch()
    config = model.config
    arguments: dict[str, Any] = {"methods": methods, "by": by, "name": str(getattr(config, "name_or_path", ""))}
    arguments |= settings
    model.eval()
    with torch.no_grad(), _Eager(model):
        if getattr(config, "is_encoder_decoder", False):
            attentions, tokens, rest = _encoder_decoder(model, tokenizer, text, completion, n, generate or {})
        elif hasattr(tokenizer, "image_mean"):
            attentions, tokens, rest = _image(model, tokenizer, text)
        elif hasattr(model, "can_generate") and model.can_generate():
            attentions, tokens, rest = _decoder(model, tokenizer, text, completion, n, generate or {})
        else:
            attentions, tokens, rest = _encoder(model, tokenizer, text)
    if any(one is None for one in attentions) or not len(attentions):
        raise UnsupportedError(f"{type(model).__name__} returned no attention weights")
    return from_attentions(attentions, tokens, **rest, **arguments)


def _torch() -> Any:
    return need("torch", "torch transformers")


class _Eager:
    """Sets the attention implementation that returns weights, and the former one afterwards."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.before: str | None = getattr(model.config, "_attn_implementation", None)

    def __enter__(self) -> None:
        self._set("eager")

    def __exit__(self, *_: object) -> None:
        self._set(self.before)

    def _set(self, name: str | None) -> None:
        if name and name != getattr(self.model.config, "_attn_implementation", None):
            self.model.set_attn_implementation(name)


Found = tuple[Any, list[str | bytes], dict[str, Any]]


def _decoder(model: Any, tokenizer: Any, text: str, completion: str | None, n: int, how: Mapping[str, Any]) -> Found:
    torch = _torch()
    prompt = tokenizer(text, return_tensors="pt").input_ids.to(model.device)
    if completion is None:
        ids = model.generate(prompt, max_new_tokens=n, **{"do_sample": False, **how})[:1]
    else:
        added = tokenizer(completion, return_tensors="pt", add_special_tokens=False).input_ids.to(model.device)
        ids = torch.cat([prompt, added], 1)
    m = int(prompt.shape[1])
    if ids.shape[1] <= m:
        raise ArgumentError("the completion has no tokens")
    out = model(ids, output_attentions=True, use_cache=False)
    logprobs = [math.nan] * m + _logprobs(out.logits[0, m - 1 : -1], ids[0, m:])
    listed = ids[0].tolist()
    return out.attentions, pieces(tokenizer, listed), {"n_prompt": m, "ids": listed, "logprobs": logprobs}


def _logprobs(logits: Any, chosen: Any) -> list[float]:
    """Log probabilities of the tokens [n] that these rows [n, V] chose."""
    every = logits.float().log_softmax(-1)
    found: list[float] = every.gather(-1, chosen[:, None])[:, 0].tolist()
    return [min(one, 0.0) for one in found]  # rounding


def _encoder(model: Any, tokenizer: Any, text: str) -> Found:
    batch = tokenizer(text, return_tensors="pt").to(model.device)
    out = model(**batch, output_attentions=True)
    ids = batch.input_ids[0].tolist()
    return out.attentions, pieces(tokenizer, ids), {"ids": ids}


def _image(model: Any, processor: Any, image: Any) -> Found:
    batch = processor(image, return_tensors="pt").to(model.device)
    out = model(**batch, output_attentions=True)
    n = int(out.attentions[0].shape[-1])
    side = int((n - 1) ** 0.5)
    extra = n - side * side
    names = ["[CLS]", *(f"[{i}]" for i in range(1, extra))][:extra]
    return out.attentions, [*names, *(f"{i // side},{i % side} " for i in range(side * side))], {}


def _encoder_decoder(
    model: Any, tokenizer: Any, text: str, completion: str | None, n: int, how: Mapping[str, Any]
) -> Found:
    torch = _torch()
    source = tokenizer(text, return_tensors="pt").input_ids.to(model.device)
    if completion is None:
        target = model.generate(source, max_new_tokens=n, **{"do_sample": False, "num_beams": 1, **how})[:1]
    else:
        start = torch.tensor([[model.config.decoder_start_token_id]], device=model.device)
        added = tokenizer(completion, return_tensors="pt", add_special_tokens=False).input_ids.to(model.device)
        target = torch.cat([start, added], 1)
    if target.shape[1] < 2:
        raise ArgumentError("the completion has no tokens")
    out = model(input_ids=source, decoder_input_ids=target, output_attentions=True, use_cache=False)
    m = int(source.shape[1]) + 1
    ids = source[0].tolist() + target[0].tolist()
    known = {"ids": ids, "logprobs": [math.nan] * m + _logprobs(out.logits[0, :-1], target[0, 1:])}
    tokens = pieces(tokenizer, ids[: m - 1]) + pieces(tokenizer, ids[m - 1 :])
    joined = join_encoder_decoder(out.encoder_attentions, out.decoder_attentions, out.cross_attentions)
    return joined, tokens, {"n_prompt": m, "causal": False, **known}


def join_encoder_decoder(encoder: Sequence[Any], decoder: Sequence[Any], cross: Sequence[Any]) -> list[Any]:
    """Attention of an encoder-decoder as square layers [H, S+T, S+T] over the S source tokens and the T decoder tokens.

    Tokens that a layer does not touch attend to themselves, which with the residual leaves them as they are. The
    decoder's first token is part of the prompt: its row chose the first token of the completion.
    """
    import numpy

    def numbers(one: Any) -> Any:
        values = one.detach().float().cpu().numpy() if hasattr(one, "detach") else numpy.asarray(one, numpy.float32)
        return values[0] if values.ndim == 4 else values

    s, t = numbers(encoder[0]).shape[-1], numbers(decoder[0]).shape[-1]
    n_heads = max(numbers(one).shape[0] for one in (encoder[0], decoder[0], cross[0]))

    def square(one: Any, rows: slice, columns: slice) -> Any:
        values = numbers(one)
        made = numpy.broadcast_to(numpy.eye(s + t, dtype=numpy.float32), (n_heads, s + t, s + t)).copy()
        made[:, rows] = 0
        made[:, rows, columns] = values if values.shape[0] == n_heads else values.mean(0)
        return made

    source, target = slice(0, s), slice(s, s + t)
    made = [square(one, source, source) for one in encoder]
    for own, other in zip(decoder, cross, strict=True):
        made += [square(own, target, target), square(other, target, source)]
    return made


def pieces(tokenizer: Any, ids: Sequence[int]) -> list[str | bytes]:
    """Each token's text with its own space: "Ġcat", "▁cat" and WordPiece's "cat" are " cat". Tokens of byte-level
    vocabularies, and bytes of SentencePiece, are exact bytes: a token may be part of a character."""
    raw: list[str] = [str(piece) for piece in tokenizer.convert_ids_to_tokens(list(ids))]
    if hasattr(tokenizer, "convert_tokens_to_string") and tokenizer.convert_tokens_to_string(["Ġ"]) == " ":
        letters, special = _byte_letters(), set(tokenizer.all_special_tokens)
        return [p if p in special or not letters.keys() >= set(p) else bytes(letters[c] for c in p) for p in raw]
    if any(piece.startswith("##") for piece in raw) or type(tokenizer).__name__.startswith("Bert"):
        return [_word_piece(piece, i) for i, piece in enumerate(raw)]
    return [_sentence_piece(piece) for piece in raw]


def _byte_letters() -> dict[str, int]:
    """Byte-level vocabularies write bytes that are not printable as letters from U+0100 on."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


def _sentence_piece(piece: str) -> str | bytes:
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
    return bytes.fromhex(byte[1]) if byte else piece.replace("▁", " ")


def _word_piece(piece: str, i: int) -> str:
    if piece.startswith("##"):
        return piece[2:]
    return piece if i == 0 else f" {piece}"
