#!/usr/bin/env python3
"""Write small random GGUF models of several architectures, for tests.

    python scripts/make_tiny_models.py OUTDIR

    llama.gguf      sentencepiece vocabulary with byte tokens, which puts a space before every text; grouped heads
    nan.gguf        the same, one weight is not a number
    encoder.gguf    the same, its attention is not causal
    embed.gguf      the same, of an architecture that keeps no cache and has no logits
    unknown.gguf    the same, of an architecture that no engine knows
    no_vocab.gguf   the same without a vocabulary
    no_bytes.gguf   the same without byte tokens: libllama throws at text that its letters do not spell
    gpt2.gguf       byte-pair vocabulary without BOS, biases, a chat template of no known kind
    gpt_oss.gguf    learned sinks, experts, every second layer with a sliding window of 4
    jamba.gguf      three blocks, of which only the middle one has attention
    mamba.gguf      recurrent: no attention at all
    bert.gguf       an encoder
    t5.gguf         an encoder and a decoder
    granite.gguf    factors on embeddings, residuals and logits
    gemma2.gguf     norms after attention and MLP, soft caps, a sliding window
    bitnet.gguf     a norm between heads and output projection
    phi2.gguf       attention and MLP side by side, LayerNorms, biases, one on the logits
    falcon.gguf     the same with one MLP norm less and no output bias
    deci.gguf       4, 2 and no heads in its three blocks
    command_r.gguf  LayerNorms without biases, a factor on the logits
    split-0000N-of-00002.gguf  llama.gguf in two files
    lora.gguf, lora2.gguf  adapters of llama.gguf; lora_gpt2.gguf, lora_wide.gguf, lora_embd.gguf, lora_typed.gguf
                           adapters that are refused
    merged.gguf     llama.gguf with lora.gguf added as a whole, and half of lora2.gguf

Each is a few ten KB of F32 from a fixed seed: the same bytes every time. Needs the packages gguf and numpy.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter, TokenType

N_EMBD, N_HEAD, N_HEAD_KV, N_FF, N_CTX = 32, 4, 2, 48, 256
HEAD = N_EMBD // N_HEAD
KV = N_HEAD_KV * HEAD
D_INNER, D_STATE, D_CONV, DT_RANK = 2 * N_EMBD, 4, 4, 2  # of a Mamba block


# --- vocabularies: each sets the tokenizer and returns the number of tokens -----------------------


def sentencepiece(w, add_bos=True):
    """Control tokens, 256 bytes, letters and some words, longer ones with a higher score."""
    words = ["▁"] + [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words += ["he", "hel", "▁hel", "lo", "▁hello", "wo", "▁wo", "▁wor", "ld", "▁world", "▁▁", "▁a", "é"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + words
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(words)
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens)
    w.add_token_scores([0.0] * 259 + [float(len(word)) for word in words])
    w.add_token_types(types)
    w.add_unk_token_id(0)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(add_bos)
    w.add_add_space_prefix(True)
    return len(tokens)


def letters_only(w):
    tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "c", "d", "e", "f", "g", "h"]
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens)
    w.add_token_scores([0.0] * len(tokens))
    w.add_token_types(
        [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL] + [TokenType.NORMAL] * (len(tokens) - 3)
    )
    w.add_unk_token_id(0)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(True)
    return len(tokens)


def byte_alphabet():
    """GPT-2's character for every byte: itself where it can be printed, else one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def byte_pair(w):
    """256 bytes, a few merges, one control token that ends a text; no BOS."""
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "i s", "Ġ is"]
    tokens = [*byte_alphabet(), *(m.replace(" ", "") for m in merges), "<|endoftext|>"]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([TokenType.NORMAL] * (len(tokens) - 1) + [TokenType.CONTROL])
    w.add_token_merges(merges)
    w.add_bos_token_id(len(tokens) - 1)
    w.add_eos_token_id(len(tokens) - 1)
    w.add_add_bos_token(False)
    return len(tokens)


def word_piece(w):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"▁{chr(c)}" for c in range(97, 123))]
    w.add_tokenizer_model("bert")
    w.add_token_list(tokens)
    w.add_token_types([TokenType.CONTROL] * 5 + [TokenType.NORMAL] * 26)
    w.add_bos_token_id(2)
    w.add_eos_token_id(3)
    w.add_sep_token_id(3)
    w.add_unk_token_id(1)
    return len(tokens)


def no_vocabulary(w):
    w.add_tokenizer_model("no_vocab")
    w.add_vocab_size(300)
    return 300


# --- models ---------------------------------------------------------------------------------------


class Tiny:
    """A GGUF file being written. Shapes are row-major: a matrix is [outputs, inputs]."""

    def __init__(self, folder, name, arch, n_blocks, vocabulary, heads_kv=N_HEAD_KV, heads=N_HEAD):
        self.path = folder / f"{name}.gguf"
        self.rng = np.random.default_rng(sum(name.encode()))
        self.w = w = GGUFWriter(self.path, arch)
        w.add_name(name)
        w.add_block_count(n_blocks)
        w.add_context_length(N_CTX)
        w.add_embedding_length(N_EMBD)
        w.add_feed_forward_length(N_FF)
        w.add_head_count(heads)
        w.add_head_count_kv(heads_kv)
        w.add_file_type(0)
        self.n_vocab = vocabulary(w)
        self.matrix("token_embd.weight", self.n_vocab, N_EMBD, scale=1)

    def put(self, name, values):
        self.w.add_tensor(name, np.asarray(values, dtype=np.float32))

    def matrix(self, name, *shape, scale=0.3):
        self.put(name, scale * self.rng.standard_normal(shape))

    def norm(self, name, bias=False, width=N_EMBD):
        self.put(f"{name}.weight", 1 + 0.1 * self.rng.standard_normal(width))
        if bias:
            self.matrix(f"{name}.bias", N_EMBD, scale=0.1)

    def linear(self, name, n_out, n_in, bias=False):
        self.matrix(f"{name}.weight", n_out, n_in)
        if bias:
            self.matrix(f"{name}.bias", n_out, scale=0.1)

    def attention(self, block, bias=False, kv=KV):
        self.linear(f"{block}.attn_q", N_EMBD, N_EMBD, bias)
        self.linear(f"{block}.attn_k", kv, N_EMBD, bias)
        self.linear(f"{block}.attn_v", kv, N_EMBD, bias)
        self.linear(f"{block}.attn_output", N_EMBD, N_EMBD, bias)

    def gated_mlp(self, block):
        self.norm(f"{block}.ffn_norm")
        self.linear(f"{block}.ffn_gate", N_FF, N_EMBD)
        self.linear(f"{block}.ffn_up", N_FF, N_EMBD)
        self.linear(f"{block}.ffn_down", N_EMBD, N_FF)

    def plain_mlp(self, block):
        self.linear(f"{block}.ffn_up", N_FF, N_EMBD, bias=True)
        self.linear(f"{block}.ffn_down", N_EMBD, N_FF, bias=True)

    def mamba_block(self, block, norms=False):
        self.linear(f"{block}.ssm_in", 2 * D_INNER, N_EMBD)
        self.linear(f"{block}.ssm_conv1d", D_INNER, D_CONV, bias=True)
        self.linear(f"{block}.ssm_x", DT_RANK + 2 * D_STATE, D_INNER)
        self.linear(f"{block}.ssm_dt", D_INNER, DT_RANK, bias=True)
        self.put(f"{block}.ssm_a", -np.ones((D_INNER, D_STATE)))
        self.put(f"{block}.ssm_d", np.ones(D_INNER))
        self.linear(f"{block}.ssm_out", N_EMBD, D_INNER)
        for name, n in (("dt", DT_RANK), ("b", D_STATE), ("c", D_STATE)) if norms else ():
            self.put(f"{block}.ssm_{name}_norm.weight", np.ones(n))

    def mamba_sizes(self):
        self.w.add_ssm_conv_kernel(D_CONV)
        self.w.add_ssm_inner_size(D_INNER)
        self.w.add_ssm_state_size(D_STATE)
        self.w.add_ssm_time_step_rank(DT_RANK)

    def save(self):
        write(self.w)


def llama(folder, name, vocabulary=sentencepiece, causal=True, broken=False, arch="llama"):
    t = Tiny(folder, name, arch, 2, vocabulary)
    t.w.add_layer_norm_rms_eps(1e-5)
    t.w.add_rope_dimension_count(HEAD)
    t.w.add_rope_freq_base(10000.0)
    if not causal:
        t.w.add_causal_attention(False)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm")
        t.attention(block)
        t.gated_mlp(block)
    t.put("output_norm.weight", np.full(N_EMBD, np.nan if broken == "end" else 1))
    if broken:
        t.put("rope_freqs.weight", np.full(HEAD // 2, np.nan))
    t.save()


def gpt2(folder):
    t = Tiny(folder, "gpt2", "gpt2", 2, byte_pair, heads_kv=N_HEAD)
    t.w.add_layer_norm_eps(1e-5)
    t.w.add_chat_template("{{ a template of no known kind }}")
    t.matrix("position_embd.weight", N_CTX, N_EMBD)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm", bias=True)
        t.linear(f"{block}.attn_qkv", 3 * N_EMBD, N_EMBD, bias=True)
        t.linear(f"{block}.attn_output", N_EMBD, N_EMBD, bias=True)
        t.norm(f"{block}.ffn_norm", bias=True)
        t.plain_mlp(block)
    t.norm("output_norm", bias=True)
    t.save()


def gpt_oss(folder, n_expert=2):
    t = Tiny(folder, "gpt_oss", "gpt-oss", 4, byte_pair)
    t.w.add_layer_norm_rms_eps(1e-5)
    t.w.add_rope_dimension_count(HEAD)
    t.w.add_key_length(HEAD)
    t.w.add_value_length(HEAD)
    t.w.add_sliding_window(4)
    t.w.add_expert_count(n_expert)
    t.w.add_expert_used_count(1)
    t.w.add_expert_feed_forward_length(N_FF)
    for block in (f"blk.{b}" for b in range(4)):
        t.norm(f"{block}.attn_norm")
        t.norm(f"{block}.post_attention_norm")
        t.attention(block, bias=True)
        t.matrix(f"{block}.attn_sinks.weight", N_HEAD, scale=1)
        t.linear(f"{block}.ffn_gate_inp", n_expert, N_EMBD, bias=True)
        for part, n_out, n_in in (("gate", N_FF, N_EMBD), ("up", N_FF, N_EMBD), ("down", N_EMBD, N_FF)):
            t.matrix(f"{block}.ffn_{part}_exps.weight", n_expert, n_out, n_in)
            t.matrix(f"{block}.ffn_{part}_exps.bias", n_expert, n_out)
    t.norm("output_norm")
    t.matrix("output.weight", t.n_vocab, N_EMBD)
    t.save()


def jamba(folder):
    t = Tiny(folder, "jamba", "jamba", 3, sentencepiece, heads_kv=[0, N_HEAD_KV, 0])
    t.w.add_layer_norm_rms_eps(1e-5)
    t.mamba_sizes()
    for b in range(3):
        t.norm(f"blk.{b}.attn_norm")
        if b == 1:
            t.attention("blk.1")
        else:
            t.mamba_block(f"blk.{b}", norms=True)
        t.gated_mlp(f"blk.{b}")
    t.norm("output_norm")
    t.save()


def mamba(folder):
    t = Tiny(folder, "mamba", "mamba", 2, byte_pair, heads_kv=0)
    t.w.add_layer_norm_rms_eps(1e-5)
    t.mamba_sizes()
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm")
        t.mamba_block(block)
    t.norm("output_norm")
    t.save()


def bert(folder):
    t = Tiny(folder, "bert", "bert", 2, word_piece, heads_kv=N_HEAD)
    t.w.add_layer_norm_eps(1e-12)
    t.w.add_causal_attention(False)
    t.w.add_token_type_count(2)
    t.matrix("token_types.weight", 2, N_EMBD)
    t.matrix("position_embd.weight", N_CTX, N_EMBD)
    t.norm("token_embd_norm", bias=True)
    for block in ("blk.0", "blk.1"):
        t.attention(block, bias=True, kv=N_EMBD)
        t.norm(f"{block}.attn_output_norm", bias=True)
        t.plain_mlp(block)
        t.norm(f"{block}.layer_output_norm", bias=True)
    t.save()


def t5(folder):
    t = Tiny(folder, "t5", "t5", 2, sentencepiece, heads_kv=N_HEAD)
    t.w.add_layer_norm_rms_eps(1e-6)
    t.w.add_key_length(HEAD)
    t.w.add_value_length(HEAD)
    t.w.add_relative_attn_buckets_count(8)
    t.w.add_decoder_start_token_id(0)
    for side in ("enc", "dec"):
        for block in (f"{side}.blk.0", f"{side}.blk.1"):
            for name in ["attn"] + (["cross_attn"] if side == "dec" else []):
                t.norm(f"{block}.{name}_norm")
                for part in ("q", "k", "v", "o"):
                    t.linear(f"{block}.{name}_{part}", N_EMBD, N_EMBD)
            t.matrix(f"{block}.attn_rel_b.weight", 8, N_HEAD)
            t.gated_mlp(block)
        t.norm(f"{side}.output_norm")
    t.save()


def granite(folder):
    t = Tiny(folder, "granite", "granite", 2, sentencepiece)
    t.w.add_layer_norm_rms_eps(1e-5)
    t.w.add_rope_dimension_count(HEAD)
    t.w.add_embedding_scale(3.0)
    t.w.add_residual_scale(0.4)
    t.w.add_attention_scale(0.2)
    t.w.add_logit_scale(4.0)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm")
        t.attention(block)
        t.gated_mlp(block)
    t.norm("output_norm")
    t.save()


def gemma2(folder):
    t = Tiny(folder, "gemma2", "gemma2", 2, sentencepiece)
    t.w.add_layer_norm_rms_eps(1e-6)
    t.w.add_key_length(HEAD)
    t.w.add_value_length(HEAD)
    t.w.add_attn_logit_softcapping(50.0)
    t.w.add_final_logit_softcapping(30.0)
    t.w.add_sliding_window(4)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm")
        t.attention(block)
        t.norm(f"{block}.post_attention_norm")
        t.gated_mlp(block)
        t.norm(f"{block}.post_ffw_norm")
    t.norm("output_norm")
    t.save()


def bitnet(folder):
    t = Tiny(folder, "bitnet", "bitnet", 2, sentencepiece)
    t.w.add_layer_norm_rms_eps(1e-5)
    t.w.add_rope_dimension_count(HEAD)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm")
        t.norm(f"{block}.attn_sub_norm")
        t.attention(block)
        t.gated_mlp(block)
        t.norm(f"{block}.ffn_sub_norm", width=N_FF)
    t.norm("output_norm")
    t.save()


def phi2(folder):
    t = Tiny(folder, "phi2", "phi2", 2, byte_pair, heads_kv=N_HEAD)
    t.w.add_layer_norm_eps(1e-5)
    t.w.add_rope_dimension_count(HEAD)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm", bias=True)
        t.attention(block, bias=True, kv=N_EMBD)
        t.plain_mlp(block)
    t.norm("output_norm", bias=True)
    t.matrix("output.weight", t.n_vocab, N_EMBD)
    t.matrix("output.bias", t.n_vocab)
    t.save()


def falcon(folder):
    t = Tiny(folder, "falcon", "falcon", 2, byte_pair, heads_kv=1)
    t.w.add_layer_norm_eps(1e-5)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm", bias=True)
        t.linear(f"{block}.attn_qkv", N_EMBD + 2 * HEAD, N_EMBD)
        t.linear(f"{block}.attn_output", N_EMBD, N_EMBD)
        t.linear(f"{block}.ffn_up", N_FF, N_EMBD)
        t.linear(f"{block}.ffn_down", N_EMBD, N_FF)
    t.norm("output_norm", bias=True)
    t.save()


def deci(folder):
    heads, heads_kv = [N_HEAD, N_HEAD // 2, 0], [N_HEAD_KV, 1, 0]
    t = Tiny(folder, "deci", "deci", 3, sentencepiece, heads_kv=heads_kv, heads=heads)
    t.w.add_layer_norm_rms_eps(1e-5)
    t.w.add_rope_dimension_count(HEAD)
    t.w.add_key_length(HEAD)
    t.w.add_value_length(HEAD)
    for i, (n, kv) in enumerate(zip(heads, heads_kv)):
        block = f"blk.{i}"
        if n:
            t.norm(f"{block}.attn_norm")
            t.linear(f"{block}.attn_q", n * HEAD, N_EMBD)
            t.linear(f"{block}.attn_k", kv * HEAD, N_EMBD)
            t.linear(f"{block}.attn_v", kv * HEAD, N_EMBD)
            t.linear(f"{block}.attn_output", N_EMBD, n * HEAD)
        t.gated_mlp(block)
    t.norm("output_norm")
    t.save()


def command_r(folder):
    t = Tiny(folder, "command_r", "command-r", 2, byte_pair)
    t.w.add_layer_norm_eps(1e-5)
    t.w.add_logit_scale(0.25)
    for block in ("blk.0", "blk.1"):
        t.norm(f"{block}.attn_norm")
        t.attention(block)
        t.linear(f"{block}.ffn_gate", N_FF, N_EMBD)
        t.linear(f"{block}.ffn_up", N_FF, N_EMBD)
        t.linear(f"{block}.ffn_down", N_EMBD, N_FF)
    t.norm("output_norm")
    t.save()


def write(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def copy_fields(w, whole):
    for field in whole.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind = field.types[0]
            w.add_key_value(field.name, field.contents(), kind, field.types[-1] if len(field.types) > 1 else None)


RANK, ALPHA = 2, 3.0
ADAPTED = ("blk.0.attn_output", "blk.0.attn_q", "blk.0.ffn_down", "blk.1.attn_output", "blk.1.attn_v", "blk.1.ffn_up")


def adapter(folder, name, arch="llama", weights=ADAPTED, width=None, alpha=ALPHA):
    """Pairs A [rank, inputs], B [outputs, rank] for weights of llama.gguf; returns {weight: B A}."""
    rng = np.random.default_rng(sum(name.encode()))
    shapes = {t.name: t.shape for t in GGUFReader(folder / "llama.gguf").tensors}
    w = GGUFWriter(folder / f"{name}.gguf", arch)
    w.add_type("adapter")
    w.add_string("adapter.type", "lora")
    (w.add_float32 if isinstance(alpha, float) else w.add_uint32)("adapter.lora.alpha", alpha)
    changes = {}
    for weight in weights:
        n_in, n_out = (int(n) for n in shapes[f"{weight}.weight"])
        a, b = (0.3 * rng.standard_normal(s).astype(np.float32) for s in ((RANK, width or n_in), (n_out, RANK)))
        w.add_tensor(f"{weight}.weight.lora_a", a)
        w.add_tensor(f"{weight}.weight.lora_b", b)
        changes[f"{weight}.weight"] = b.astype(float) @ a.astype(float)
    write(w)
    return changes


def adapters(folder):
    whole, w = GGUFReader(folder / "llama.gguf"), GGUFWriter(folder / "merged.gguf", "llama")
    changes, more = adapter(folder, "lora"), adapter(folder, "lora2", weights=ADAPTED[:1])
    copy_fields(w, whole)
    for t in whole.tensors:
        data = np.array(t.data, float)
        for scale, change in ((1, changes), (0.5, more)):
            data = data + scale * ALPHA / RANK * change.get(t.name, 0)
        w.add_tensor(t.name, data.astype(np.float32))
    write(w)
    adapter(folder, "lora_gpt2", arch="gpt2")
    adapter(folder, "lora_wide", width=2 * N_EMBD)
    adapter(folder, "lora_embd", weights=("token_embd",))
    adapter(folder, "lora_typed", alpha=3)


def split(folder, source, n=2):
    """The same tensors in n files, split like llama.cpp's: the first has the metadata."""
    whole = GGUFReader(folder / f"{source}.gguf")
    size = -(-len(whole.tensors) // n)
    for part in range(n):
        w = GGUFWriter(folder / f"split-{part + 1:05}-of-{n:05}.gguf", "llama")
        if part == 0:
            copy_fields(w, whole)
        w.add_uint16("split.no", part)
        w.add_uint16("split.count", n)
        w.add_int32("split.tensors.count", len(whole.tensors))
        for tensor in whole.tensors[part * size : (part + 1) * size]:
            w.add_tensor(tensor.name, np.array(tensor.data))
        write(w)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("folder", type=Path)
    folder = p.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    llama(folder, "llama")
    llama(folder, "nan", broken=True)
    llama(folder, "encoder", causal=False)
    llama(folder, "embed", arch="llama-embed")
    llama(folder, "unknown", arch="hyperllama9")
    llama(folder, "no_vocab", vocabulary=no_vocabulary)
    llama(folder, "no_bytes", vocabulary=letters_only)
    for make in (gpt2, gpt_oss, jamba, mamba, bert, t5, granite, gemma2, bitnet, phi2, falcon, command_r, deci):
        make(folder)
    split(folder, "llama")
    adapters(folder)
    print(f"{len(list(folder.glob('*.gguf')))} models in {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
