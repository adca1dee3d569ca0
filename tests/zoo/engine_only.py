#!/usr/bin/env python3
"""Make the zoo's models of architectures that Hugging Face's code or llama.cpp's converter lacks: random weights,
written as GGUF directly. Nothing is compared with them: the probe must close, and the balance of each logit.

    python tests/zoo/engine_only.py LLAMA_CPP TOKENIZER.gguf [NAME...]

LLAMA_CPP is a folder with llama.cpp's source, whose package gguf is used; TOKENIZER a model of the zoo, whose tokens
are taken. Writes tests/data/zoo/NAME.tar.xz as make.py does.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from archive import pack
from safetensors.numpy import save

DATA = Path(__file__).resolve().parent.parent / "data" / "zoo"
TEXT = {"prompt": "the server keeps runs in a store. each thread reads a line. ", "completion": " in it"}
LAYERS, WIDTH, HEAD, RANK = 2, 64, 64, 4  # a head of 64: ggml's kernels for RWKV 7 read whole vectors
CONTEXT = 512
IMAGES = 8192  # tokens of images, after the first four: Chameleon's graph has both numbers


def ffn(width, hidden):
    return {"ffn_norm": (width,), "ffn_gate": (width, hidden), "ffn_up": (width, hidden), "ffn_down": (hidden, width)}


def square(*names):
    return {name: (WIDTH, WIDTH) for name in names}


def vectors(*names):
    return {name: (WIDTH,) for name in names}


def low_rank(*names):
    """NAME1 and NAME2 of a product of low rank."""
    return {f"time_mix_{n}{i}": s for n in names for i, s in ((1, (WIDTH, RANK)), (2, (RANK, WIDTH)))}


# Per architecture: tensors of a block, as ggml has their dimensions; settings.
MODELS = {
    "arwkv7": ({"attn_norm": (WIDTH,), "time_mix_lerp_fused": (WIDTH, 1, 1, 6), **low_rank("w", "a", "v", "g"),
                **vectors("time_mix_w0", "time_mix_a0", "time_mix_v0", "time_mix_k_k", "time_mix_k_a", "time_mix_r_k"),
                **square("time_mix_key", "time_mix_value", "time_mix_receptance", "time_mix_output"),
                **ffn(WIDTH, 32)},
               {"attention.head_count": 0, "wkv.head_size": HEAD, "token_shift_count": 1,
                **{f"attention.{k}_lora_rank": RANK for k in ("decay", "iclr", "value_residual_mix", "gate")}}),
    "rwkv6qwen2": ({"attn_norm": (WIDTH,), "time_mix_lerp_x": (WIDTH, 1, 1), "time_mix_lerp_fused": (WIDTH, 1, 1, 5),
                    "time_mix_w1": (WIDTH, 5 * RANK), "time_mix_w2": (RANK, WIDTH, 5), "time_mix_decay": (WIDTH,),
                    "time_mix_decay_w1": (WIDTH, RANK), "time_mix_decay_w2": (RANK, WIDTH),
                    **square("time_mix_key", "time_mix_value", "time_mix_receptance", "time_mix_gate",
                             "time_mix_output"), **ffn(WIDTH, 32)},
                   {"attention.head_count": 0, "attention.head_count_kv": WIDTH // HEAD, "wkv.head_size": HEAD,
                    "token_shift_count": 1, "time_mix_extra_dim": RANK, "time_decay_extra_dim": RANK}),
    "chameleon": ({"attn_norm": (16,), "attn_q_norm": (8, 2), "attn_k_norm": (8, 2), "attn_q": (16, 16),
                   "attn_k": (16, 16), "attn_v": (16, 16), "attn_output": (16, 16), **ffn(16, 32)},
                  {"attention.head_count": 2, "attention.head_count_kv": 2, "rope.dimension_count": 8}),
}


def numbers(name, shape, random):
    """Random numbers of 6 values; norms around 1."""
    levels = (np.floor(random.standard_normal(shape[::-1])) + 0.5).clip(-2.5, 2.5)
    norm = "norm" in name
    return ((1 + 0.1 * levels) if norm else 0.25 * levels).astype(np.float32)


def copy_tokenizer(writer, source, gguf, images):
    """Chameleon's tokens of text are behind those of images."""
    for field in source.fields.values():
        if not field.name.startswith("tokenizer.ggml."):
            continue
        value = field.contents()
        if images and field.name.endswith(".tokens"):
            value = value[:4] + [f"<image{i}>" for i in range(IMAGES)] + value[4:]
        if images and field.name.endswith(".token_type"):
            value = value[:4] + [4] * IMAGES + value[4:]
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(field.name, value)
        else:
            writer.add_key_value(field.name, value, field.types[0])


def write_model(path, name, source, gguf):
    block, settings = MODELS[name]
    width, hidden = block["ffn_gate"]
    images = name == "chameleon"
    n_vocab = len(source.fields["tokenizer.ggml.tokens"].data) + images * IMAGES
    random = np.random.default_rng(sum(map(ord, name)))
    writer = gguf.GGUFWriter(path, name)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(hidden)
    writer.add_layer_norm_eps(1e-5)
    writer.add_layer_norm_rms_eps(1e-6)
    for key, value in settings.items():
        writer.add_uint32(f"{name}.{key}", value)
    copy_tokenizer(writer, source, gguf, images)
    tensors = {"token_embd": (width, n_vocab), "output_norm": (width,), "output": (width, n_vocab)}
    tensors |= {f"blk.{i}.{k}": v for i in range(LAYERS) for k, v in block.items()}
    for tensor, shape in tensors.items():
        writer.add_tensor(f"{tensor}.weight", numbers(tensor, shape, random))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    sys.path.insert(0, str(Path(sys.argv[1]) / "gguf-py"))
    import gguf
    source = gguf.GGUFReader(sys.argv[2])
    for name in sys.argv[3:] or MODELS:
        golden = save({"ids": np.zeros(1, np.int32)},
                      {**TEXT, "methods": "contribution,logit", "converted_from": "none", "tables": "0"})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.gguf"
            write_model(path, name, source, gguf)
            pack(DATA / f"{name}.tar.xz", {path.name: path.read_bytes(), f"{name}.safetensors": golden})
        print(name, (DATA / f"{name}.tar.xz").stat().st_size)


if __name__ == "__main__":
    main()
