#!/usr/bin/env python3
"""Write tests/data/golden/: what the references give on real models and on a small random case.

    python scripts/make_golden.py             rollout_smollm2, rollout_gemma3, random_*
    python scripts/make_golden.py --methods   contribution_smollm2, contribution_gemma3

The models are the GGUF files in build/models, dequantised, run by transformers in float64 over
prompt and completion at once. Every file says in its metadata from which model file and by which
versions it was made.

Per prompt NAME (T = m prompt + n completion tokens, L layers; rows are the query positions m-1 ..
m+n-1, so that [:n] are the predictor rows and [1:] the completion tokens' own rows):

    rollout_*       NAME.ids        I32 [T]         prompt and completion, tokenised apart
                    NAME.rollout    F32 [n+1,m,L]   from the embeddings up to layer l
                    NAME.outside    F32 [n+1,L]     its mass on columns m..q
                    NAME.output     F32 [n+1,m,L]   from the last layer down to layer l
                    NAME.logprob    F32 [n]         log p of each completion token, natural
    contribution_*  NAME.METHOD     F32 [n+1,m,L]   projection, proximity1, proximity2, norm
                    NAME.METHOD_outside F32 [n+1,L] the sum over columns m..q, own residual included
                    NAME.bias_share F32 [n+1,L]     of projection: what belongs to no token
                    NAME.logit      F32 [n,m,L]     predictor rows only
                    NAME.logit_outside F32 [n,L]
                    NAME.balance    F64 [n,6]       balance sheet of logit; columns: see metadata
"""

import argparse
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import torch
import transformers
from gguf import GGUFReader, dequantize

import reference_contribution as contribution
import reference_rollout as rollout

ROOT = Path(__file__).resolve().parent.parent
MODELS = {
    "smollm2": ("SmolLM2-135M-Instruct.Q4_1.gguf", ["putin", "abdul", "sunny", "rome"]),
    "gemma3": ("gemma-3-270m-q4_k_m.gguf", ["putin", "sunny"]),
}


# --- GGUF -> transformers -------------------------------------------------------------------------


def config_for(arch, meta, n_vocab):
    """The transformers configuration described by the GGUF metadata."""
    common = {
        "hidden_size": meta("embedding_length"),
        "intermediate_size": meta("feed_forward_length"),
        "num_hidden_layers": meta("block_count"),
        "num_attention_heads": meta("attention.head_count"),
        "num_key_value_heads": meta("attention.head_count_kv"),
        "max_position_embeddings": meta("context_length"),
        "rms_norm_eps": meta("attention.layer_norm_rms_epsilon"),
        "vocab_size": n_vocab,
    }
    theta = {"rope_type": "default", "rope_theta": meta("rope.freq_base")}
    if arch == "llama":
        return transformers.LlamaConfig(
            **common,
            rope_parameters=theta,
            head_dim=meta("rope.dimension_count"),
            tie_word_embeddings=True,
        )
    if arch == "gemma3":
        # the sliding layers, five of six, rotate with their own base, which is not in the file
        sliding = {"rope_type": "default", "rope_theta": 10000.0}
        return transformers.Gemma3TextConfig(
            **common,
            head_dim=meta("attention.key_length"),
            query_pre_attn_scalar=meta("attention.key_length"),
            sliding_window=meta("attention.sliding_window"),
            tie_word_embeddings=True,
            rope_parameters={"full_attention": theta, "sliding_attention": sliding},
        )
    raise SystemExit(f"architecture {arch}, known: llama, gemma3")


MODULES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def module_name(arch, name):
    """blk.3.attn_q.weight -> model.layers.3.self_attn.q_proj.weight"""
    *layer, module, kind = name.split(".")
    prefix = f"model.layers.{layer[1]}." if layer else ""
    if module == "ffn_norm":  # named by its position, which norms after the blocks change
        module = "pre_feedforward_layernorm" if arch == "gemma3" else "post_attention_layernorm"
    return f"{prefix}{MODULES.get(module, module)}.{kind}"


def unpermute(w, n_head):
    """[H*d, D] from llama.cpp's rotary pairs (0,1), (2,3) … to those of transformers (0,d/2) …"""
    return w.reshape(n_head, -1, 2, w.shape[-1]).swapaxes(1, 2).reshape(w.shape)


def weight(arch, config, tensor):
    """A GGUF tensor in the layout of transformers, F32."""
    w = dequantize(tensor.data, tensor.tensor_type).reshape(tuple(tensor.shape)[::-1])
    if arch == "llama" and ".attn_q." in tensor.name:
        w = unpermute(w, config.num_attention_heads)
    if arch == "llama" and ".attn_k." in tensor.name:
        w = unpermute(w, config.num_key_value_heads)
    if arch == "gemma3" and tensor.name.endswith("norm.weight"):
        w = w.astype(np.float64) - 1  # GGUF holds 1 + w
    return torch.tensor(w)


def load_model(path):
    """The model of a GGUF file in float64."""
    reader = GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()
    n_vocab = len(reader.fields["tokenizer.ggml.tokens"].data)
    config = config_for(arch, lambda key: reader.fields[f"{arch}.{key}"].contents(), n_vocab)
    model = transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation="eager_float64", dtype=torch.float64
    )
    state = {module_name(arch, t.name): weight(arch, config, t) for t in reader.tensors}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    model.tie_weights()
    return contribution.to_float64(model)


# --- prompts --------------------------------------------------------------------------------------


def token_ids(tokenizer, item, bos):
    """ids [T] and m: prompt and completion tokenised separately; no special token except `bos`."""
    ids = [[] if bos is None else [bos], []]
    for part, text in zip(ids, (item["prompt"], item["completion"]), strict=True):
        pieces = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(pieces, clean_up_tokenization_spaces=False) == text
        assert not set(pieces) & set(tokenizer.all_special_ids)
        part += pieces
    return ids[0] + ids[1], len(ids[0])


def read_model(key, models, prompts):
    """Yields name, ids, m and the recorded pass of every prompt of this model."""
    file, names = MODELS[key]
    model = load_model(models / file)
    tokenizer = transformers.AutoTokenizer.from_pretrained(models, gguf_file=file)
    bos = 2 if key == "gemma3" else None  # as llama.cpp does: tokenizer.ggml.add_bos_token
    for name in names:
        ids, m = token_ids(tokenizer, prompts[name], bos)
        yield name, ids, m, contribution.record(model, ids)


# --- files ----------------------------------------------------------------------------------------

TYPES = {np.dtype(np.float32): "F32", np.dtype(np.float64): "F64", np.dtype(np.int32): "I32"}


def save(path, tensors, metadata):
    """A .safetensors file, in a fixed order: the package's own writer shuffles the metadata.

    Wide types come first, so that every tensor is aligned.
    """
    header, offset, data = {"__metadata__": dict(sorted(metadata.items()))}, 0, []
    for name, t in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        span = [offset, offset + t.nbytes]
        header[name] = {"dtype": TYPES[t.dtype], "shape": t.shape, "data_offsets": span}
        data.append(t.tobytes())  # row-major, whatever the strides
        offset = span[1]
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))
    print(f"{path}: {path.stat().st_size} bytes, {len(tensors)} tensors")


def made_by(model_path=None):
    """Metadata of every file."""
    made = {"script": "scripts/make_golden.py"}
    if model_path:
        made |= {
            "model": model_path.name,
            "model_sha256": hashlib.sha256(model_path.read_bytes()).hexdigest(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numbers": "weights dequantised, computed in float64",
        }
    return made


def f32(x):
    return np.asarray(x).astype(np.float32)


def make_rollout(key, models, prompts, out):
    tensors, metadata = {}, made_by(models / MODELS[key][0])
    for name, ids, m, rec in read_model(key, models, prompts):
        rows = np.arange(m - 1, len(ids))
        mixed = rollout.add_residual(rollout.fuse_heads(rec.attention.numpy()))
        up, outside = rollout.slice_prompt(rollout.rollout(mixed), rows, m)
        down, _ = rollout.slice_prompt(rollout.rollout(mixed, "output"), rows, m)
        metadata |= {
            f"{name}.m": str(m),
            f"{name}.prompt": prompts[name]["prompt"],
            f"{name}.completion": prompts[name]["completion"],
        }
        tensors |= {
            f"{name}.ids": np.array(ids, np.int32),
            f"{name}.rollout": f32(up),
            f"{name}.outside": f32(outside),
            f"{name}.output": f32(down),
            f"{name}.logprob": f32(rec.logprobs(m)),
        }
    save(out / f"rollout_{key}.safetensors", tensors, metadata)


def make_contribution(key, models, prompts, out):
    tensors, metadata = {}, made_by(models / MODELS[key][0])
    metadata["balance"] = json.dumps(contribution.BALANCE)
    for name, ids, m, rec in read_model(key, models, prompts):
        shares, bias_share = contribution.contributions(rec, torch.arange(m - 1, len(ids)))
        shares["logit"], balance = contribution.logit_effects(rec, m)
        for method, c in shares.items():
            tensors |= {
                f"{name}.{method}": f32(c[:, :m]),
                f"{name}.{method}_outside": f32(c[:, m:].sum(1)),
            }
        tensors |= {
            f"{name}.ids": np.array(ids, np.int32),
            f"{name}.bias_share": f32(bias_share),
            f"{name}.balance": balance.numpy(),
        }
        metadata[f"{name}.m"] = str(m)
    save(out / f"contribution_{key}.safetensors", tensors, metadata)


# --- a small random case, for attentions that come from a file ------------------------------------

RANDOM_M = 16
# fmt: off
RANDOM_TOKENS = [
    "<s>", "Zürich", " is", " the", " 東京", "の", " naïve", " 🙂", "\n", "\t", '"', "\\", " مرحبا",
    " e\u0301t\u0301", " Ω", ",", " It", " costs", " 5", " €", ".", " And", " so", "</s>",
]
# fmt: on
RANDOM_CASES = {  # name: settings of reference_rollout.attribute
    "predictor_input_mean": {},
    "own_input_mean": {"row": "own"},
    "predictor_output_mean": {"direction": "output"},
    "own_output_mean": {"row": "own", "direction": "output"},
    "predictor_input_max": {"fuse": "max"},
    "own_output_max": {"row": "own", "direction": "output", "fuse": "max"},
    "predictor_input_min": {"fuse": "min"},
    "predictor_input_mean_r30": {"residual": 0.3},
    "own_input_min_r30": {"row": "own", "fuse": "min", "residual": 0.3},
    "own_output_max_r30": {"row": "own", "direction": "output", "fuse": "max", "residual": 0.3},
}


def random_attention(rng, n_layers, n_heads, n_tok, causal):
    """A [L,H,T,T] F32 of random scores; causal rows are exactly 0 above the diagonal."""
    scores = 2 * rng.standard_normal((n_layers, n_heads, n_tok, n_tok))
    weights = np.exp(scores) * (np.tri(n_tok) if causal else 1)
    return f32(weights / weights.sum(-1, keepdims=True))


def make_random(out):
    rng = np.random.default_rng(7)
    causal = random_attention(rng, 4, 3, len(RANDOM_TOKENS), causal=True)
    both_ways = random_attention(rng, 3, 2, 10, causal=False)
    text = {"m": str(RANDOM_M), "tokens": json.dumps(RANDOM_TOKENS, ensure_ascii=False)}
    save(out / "random_attention.safetensors", {"attention": causal}, made_by() | text)
    save(out / "random_bidirectional.safetensors", {"attention": both_ways}, made_by())
    tensors, metadata = {}, made_by() | {"m": str(RANDOM_M)}
    for name, settings in RANDOM_CASES.items():
        attribution, outside = rollout.attribute(causal, RANDOM_M, **settings)
        tensors |= {f"{name}.attribution": attribution, f"{name}.outside": outside}
        metadata |= {
            f"{name}.settings": json.dumps(settings),
            f"{name}.diagnostics": json.dumps(rollout.diagnostics(attribution, outside)),
        }
    tensors["bidirectional.attribution"], _ = rollout.attribute(both_ways)
    segments = np.eye(5)[np.arange(len(RANDOM_TOKENS)) * 5 // len(RANDOM_TOKENS)]  # [T,5]
    grouped = rollout.rollout(rollout.add_residual(rollout.fuse_heads(causal)), grouping=segments)
    tensors |= {"segments.grouping": segments, "segments.attribution": grouped.transpose(1, 2, 0)}
    save(out / "random_attention_expected.safetensors", tensors, metadata)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--methods", action="store_true", help="the contribution files instead")
    p.add_argument("--models", type=Path, default=ROOT / "build/models")
    p.add_argument("--prompts", type=Path, default=ROOT / "examples/note.jsonl")
    p.add_argument("--out", type=Path, default=ROOT / "tests/data/golden")
    a = p.parse_args()
    torch.set_num_threads(2)
    items = [json.loads(line) for line in a.prompts.read_text().splitlines() if line.strip()]
    prompts = {item["name"]: item for item in items}
    if not a.methods:
        make_random(a.out)
    for key in MODELS:
        (make_contribution if a.methods else make_rollout)(key, a.models, prompts, a.out)


if __name__ == "__main__":
    main()
