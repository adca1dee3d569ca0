"""Files of Inseq, the library for attribution of generation models: its JSON, written and read.

`save(results, "out.json")` writes what `inseq.FeatureAttributionOutput.load("out.json")` reads: a sequence for each
result, decoder-only, with Headwater's scores as target attributions (means over layers, or the layers as a third
dimension). Columns that are segments become the source of an encoder-decoder's sequence. The results themselves are
kept in `info["headwater"]`, so that `read` returns them exactly.

`read("out.json")` also reads what Inseq's method `attention` wrote. Scores of its other methods are in units that no
method of Headwater has, and are refused.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import os
import pathlib
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .attribution import Attribution
from .errors import ArgumentError, FileError, FormatError, UnsupportedError
from .foreign import from_attentions
from .result import Path, Result
from .result import read as read_result

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

SEQUENCE = "FeatureAttributionSequenceOutput"
TENSOR = "attribution"  # the only tensor of each of Inseq's safetensors
MAX_DIFFERENCE = 1e-6


def save(results: Result | Sequence[Result], path: Path, *, method: str | None = None, layers: bool = False) -> None:
    """Saves one method of each result (default: its first) as Inseq's JSON; `.json.gz` is compressed.

    `layers`: scores of each layer, [tokens, generated tokens, L]; else their means.
    """
    listed = [results] if isinstance(results, Result) else list(results)
    chosen = [one.attributions[0] if method is None else one[method] for one in listed]
    if not chosen:
        raise ArgumentError("there are no results: at least one is needed")
    info = {
        "attribution_method": chosen[0].method,
        "attribute_target": True,
        "model_name": chosen[0].run.model.name,
        "input_texts": [a.run.prompt for a in chosen],
        "generated_texts": [a.run.prompt + a.run.completion for a in chosen],
        "headwater": [base64.b64encode(Result([a], a.run).to_bytes("safetensors")).decode() for a in chosen],
    }
    sequences = [_sequence(a, layers) for a in chosen]
    made = _instance(
        "data.attribution",
        "FeatureAttributionOutput",
        {"sequence_attributions": sequences, "step_attributions": None, "info": info},
    )
    raw = json.dumps(made, indent=1, sort_keys=True).encode()
    try:
        pathlib.Path(path).write_bytes(gzip.compress(raw) if os.fspath(path).endswith(".gz") else raw)
    except OSError as error:
        raise FileError(str(error)) from None


def read(path: Path) -> list[Result]:
    """A result for each sequence of a file that `save` or Inseq's `attention` wrote."""
    try:
        raw = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise FileError(str(error)) from None
    try:
        content = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        found: dict[str, Any] = content["attributes"]
        sequences = [one["attributes"] for one in found["sequence_attributions"]]
        info: Mapping[str, Any] = found.get("info") or {}
    except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise FormatError(f"{path}: this is not what Inseq saves: {error!r}") from None
    own: list[Any] | None = info.get("headwater")
    if own and len(own) == len(sequences):
        return [_own(str(one), sequence, i) for i, (one, sequence) in enumerate(zip(own, sequences, strict=True))]
    name = str(info.get("attribution_method"))
    if name != "attention":
        raise UnsupportedError(
            f'{path}: scores of Inseq\'s method "{name}" have no equivalent here; those of "attention" are read'
        )
    return [_attention(sequence, str(info.get("model_name") or ""), i) for i, sequence in enumerate(sequences)]


# ------------------------------------------------------------------ writing


def _instance(module: str, name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"__instance_type__": [f"inseq.{module}", name], "attributes": dict(attributes)}


def _tokens(pairs: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    return [_instance("utils.typing", "TokenWithId", {"token": text, "id": number}) for text, number in pairs]


def _scores(a: Attribution, layers: bool) -> NDArray[numpy.float32]:
    """[columns, n] or [columns, n, L]."""
    values = a.values if layers else a.mean
    return values.swapaxes(0, 1)


def _sequence(a: Attribution, layers: bool) -> dict[str, Any]:
    import numpy

    n, m, _ = a.shape
    tokens = a.run.tokens
    first = tokens.index(a.tokens[0])
    scores = _scores(a, layers)
    everything = [(token.text, token.id) for token in tokens]
    logprobs = numpy.array([token.logprob for token in a.tokens], "f4")
    fields: dict[str, Any] = {
        "attr_pos_start": first,
        "attr_pos_end": first + n,
        "source_attributions": None,
        "sequence_scores": None,
        "step_scores": None if numpy.isnan(logprobs).any() else {"probability": _pack(numpy.exp(logprobs))},
    }
    if a.is_grouped:
        labels = [(label, -1) for label in a.columns]
        fields |= {"source": _tokens(labels), "target": _tokens(everything[first : first + n])}
        fields |= {"attr_pos_start": 0, "attr_pos_end": n, "source_attributions": _pack(scores)}
        fields["target_attributions"] = None
    else:
        whole = numpy.full((len(tokens), *scores.shape[1:]), numpy.nan, "f4")
        whole[:m] = scores
        for i in range(n):  # a token is not attributed to itself or to later ones
            whole[first + i :, i] = numpy.nan
        fields |= {"source": _tokens(everything[:first]), "target": _tokens(everything)}
        fields["target_attributions"] = _pack(whole)
    return _instance("data.attribution", SEQUENCE, fields)


def _pack(values: Any) -> str:
    """An array as Inseq keeps it: a safetensors with one tensor, in base64."""
    import numpy

    raw = numpy.ascontiguousarray(values, "<f4").tobytes()
    tensor = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [0, len(raw)]}
    header = json.dumps({TENSOR: tensor}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return base64.b64encode(struct.pack("<Q", len(header)) + header + raw).decode()


# ------------------------------------------------------------------ reading


def _unpack(packed: Any, what: str) -> NDArray[numpy.float32]:
    import numpy

    try:
        raw = base64.b64decode(packed, validate=True)
        size = struct.unpack_from("<Q", raw)[0]
        tensor: dict[str, Any] = json.loads(raw[8 : 8 + size])[TENSOR]
        begin, end = tensor["data_offsets"]
        kinds = {"F32": "<f4", "F16": "<f2"}
        if tensor["dtype"] not in kinds:
            raise UnsupportedError(f"{what}: precision {tensor['dtype']}: float32 and float16 are read")
        values = numpy.frombuffer(raw[8 + size :][begin:end], kinds[tensor["dtype"]])
        return values.reshape([int(size) for size in tensor["shape"]]).astype("f4")
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise FormatError(f"{what}: these are not scores as Inseq saves them: {error!r}") from None


def _texts(listed: Any) -> list[str]:
    return [str(one["attributes"]["token"]) for one in listed]


def _own(packed: str, sequence: Mapping[str, Any], i: int) -> Result:
    """A result that `save` kept, if the scores beside it are still its own."""
    import numpy

    try:
        result = read_result(base64.b64decode(packed, validate=True))
    except ValueError as error:
        raise FormatError(f"sequence {i}: what Headwater kept cannot be read: {error}") from None
    a = result.attributions[0]
    side = "source_attributions" if a.is_grouped else "target_attributions"
    scores = _unpack(sequence.get(side), f"sequence {i}")
    expected = _scores(a, scores.ndim == 3)
    shown = scores[: len(expected)]
    if shown.shape != expected.shape or numpy.nanmax(numpy.abs(shown - expected), initial=0) > MAX_DIFFERENCE:
        raise FormatError(f"sequence {i}: its scores were changed after Headwater saved them")
    return result


def _attention(sequence: Mapping[str, Any], model: str, i: int) -> Result:
    """Mean attention over heads as a result of method `attention`: of a decoder, rows of generated tokens only."""
    import numpy

    what = f"sequence {i}"
    if sequence.get("target_attributions") is None or sequence.get("source_attributions") is not None:
        raise UnsupportedError(f"{what}: attention of an encoder-decoder; that of decoders is read")
    scores = _unpack(sequence["target_attributions"], what)
    try:
        tokens = _texts(sequence["target"])
        start, end = int(sequence["attr_pos_start"]), int(sequence["attr_pos_end"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{what}: {error!r}") from None
    while scores.ndim > 3:  # heads
        scores = scores.mean(-1)
    scores = scores.reshape(*scores.shape[:2], -1)
    if not 0 < start < end <= len(tokens) or scores.shape[:2] != (len(tokens), end - start):
        raise FormatError(
            f"{what}: scores {list(scores.shape)} of {len(tokens)} tokens, generated from {start} to {end}"
        )
    rows = numpy.zeros((scores.shape[2], end, end), "f4")
    rows[:, range(end), range(end)] = 1  # stays for the prompt's rows, which `attention` does not read
    for k in range(start, end):
        rows[:, k - 1] = 0
        rows[:, k - 1, :k] = numpy.nan_to_num(scores[:k, k - start]).T
    try:
        result = from_attentions(
            rows, tokens[:end], n_prompt=start, methods="attention", columns="all", sinks=True, name=model
        )
    except ArgumentError as error:  # here the rows are a file's
        raise FormatError(f"{what}: {error}") from None
    result.drop_trace()
    if not math.isfinite(float(result.values.sum())):
        raise FormatError(f"{what}: its scores are not finite")
    return result
