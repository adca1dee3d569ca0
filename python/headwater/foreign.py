"""Results from other libraries' attention: arrays, and Hugging Face models.

Attention goes through the library's import, so rollout and its settings are computed by the same code as for a GGUF
model. What such a file does not have, values and output weights, no method can use: `rollout`, `attention`, `flow` and
the baselines are what is possible.

The note's procedure is `methods="rollout", row="own"` on a decoder.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ._library import check, lib
from .errors import ArgumentError, UnsupportedError
from .result import Methods, Result, explain_trace, import_attention
from .tables import Value

METHODS = ("rollout", "attention")


def from_attentions(
    attentions: Any,
    tokens: Sequence[str] | None = None,
    *,
    n_prompt: int | None = None,
    methods: Methods = METHODS,
    by: str | None = None,
    fuse: str = "mean",
    causal: bool = True,
    sinks: bool = False,
    name: str = "",
    **settings: Value | None,
) -> Result:
    """Explains attention that was computed elsewhere.

    `attentions`: [L, H, T, T] or, heads fused, [L, T, T]: an array, or a sequence of layers such as the `attentions` of
    a Hugging Face model, [1, H, T, T] each. `tokens`: [T] texts. `n_prompt`: prompt tokens; the others were generated
    one by one. Without it every row is explained against every column, as for encoders. `causal=False`: the prompt was
    read as a whole (encoder-decoder). `sinks`: rows may sum to less than 1. `fuse`: "mean", "max" or "min" of the
    heads.

    >>> import headwater, numpy
    >>> attention = numpy.array([[[1, 0, 0], [.6, .4, 0], [.5, .3, .2]], [[1, 0, 0], [.25, .75, 0], [.1, .7, .2]]])
    >>> result = headwater.from_attentions(attention, ["The", " cat", " sat"], n_prompt=2, methods="rollout", row="own")
    >>> result.values[0].astype(float).round(3).tolist()
    [[0.25, 0.305], [0.15, 0.335]]
    """
    layers = [_layer(one, i) for i, one in enumerate(attentions)]
    if not layers:
        raise ArgumentError("attentions: there are no layers")
    metadata = {"model": name, "sinks": "true" if sinks else "false"}
    if tokens is not None:
        metadata["tokens"] = json.dumps(list(tokens))
    if n_prompt is not None:
        metadata |= {"m": str(n_prompt), "causal": "true" if causal else "false"}
    trace = import_attention(_pack(layers, metadata), _fuse(fuse))
    return explain_trace(trace, methods, by=by, settings=settings)


def _fuse(name: str) -> int:
    out = ctypes.c_int()
    check(lib.hw_fuse_parse, ctypes.byref(out), name.encode())
    return out.value


def _layer(one: Any, i: int) -> tuple[str, tuple[int, ...], bytes]:
    """dtype, shape [H, T, T] or [T, T], and bytes of one layer: a NumPy array or a PyTorch tensor."""
    import numpy

    dtype = ""
    if hasattr(one, "detach"):
        one = one.detach().cpu()
        if str(one.dtype) == "torch.bfloat16":  # NumPy has no such type: the upper halves of floats
            dtype, one = "BF16", (one.float().numpy().view(numpy.uint32) >> 16).astype(numpy.uint16)
    values = numpy.asarray(one)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 4:
        raise ArgumentError(f"attentions: layer {i} is a batch of {values.shape[0]}; explain one text at a time")
    if values.ndim not in (2, 3) or values.shape[-1] != values.shape[-2]:
        raise ArgumentError(f"attentions: layer {i} has shape {values.shape}; [H, T, T] or [T, T] is accepted")
    if not dtype:
        dtype = "F16" if values.dtype == numpy.float16 else "F32"
        values = values if dtype == "F16" else values.astype(numpy.float32)
    return dtype, values.shape, values.tobytes()


def _pack(layers: list[tuple[str, tuple[int, ...], bytes]], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with the layers as one tensor."""
    dtype, shape, _ = layers[0]
    for i, (other, size, _) in enumerate(layers):
        if (other, size) != (dtype, shape):
            raise ArgumentError(f"attentions: layer {i} is {other} {size}, layer 0 {dtype} {shape}: they must be alike")
    n = sum(len(data) for _, _, data in layers)
    tensor = {"dtype": dtype, "shape": [len(layers), *shape], "data_offsets": [0, n]}
    header = json.dumps({"__metadata__": metadata, "attention": tensor}).encode()
    header += b" " * (-len(header) % 8)
    return b"".join([struct.pack("<Q", len(header)), header, *(data for _, _, data in layers)])


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
    return importlib.import_module("torch")


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


Found = tuple[Any, list[str], dict[str, Any]]


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
    return out.attentions, pieces(tokenizer, ids[0].tolist()), {"n_prompt": m}


def _encoder(model: Any, tokenizer: Any, text: str) -> Found:
    batch = tokenizer(text, return_tensors="pt").to(model.device)
    out = model(**batch, output_attentions=True)
    return out.attentions, pieces(tokenizer, batch.input_ids[0].tolist()), {}


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
    tokens = pieces(tokenizer, source[0].tolist()) + pieces(tokenizer, target[0].tolist())
    joined = join_encoder_decoder(out.encoder_attentions, out.decoder_attentions, out.cross_attentions)
    return joined, tokens, {"n_prompt": int(source.shape[1]) + 1, "causal": False}


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


def pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Texts of tokens, each with its own space: "Ġcat", "▁cat" and WordPiece's "cat" as " cat"."""
    raw: list[str] = [str(piece) for piece in tokenizer.convert_ids_to_tokens(list(ids))]
    if any("Ġ" in piece or "Ċ" in piece for piece in raw):
        special = set(tokenizer.all_special_tokens)
        return [p if p in special else str(tokenizer.convert_tokens_to_string([p])) for p in raw]
    if any(piece.startswith("##") for piece in raw) or type(tokenizer).__name__.startswith("Bert"):
        return [_word_piece(piece, i) for i, piece in enumerate(raw)]
    return [piece.replace("▁", " ") for piece in raw]


def _word_piece(piece: str, i: int) -> str:
    if piece.startswith("##"):
        return piece[2:]
    return piece if i == 0 else f" {piece}"

