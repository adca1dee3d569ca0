"""Attention from elsewhere: arrays, and models of the library transformers."""

import json
import struct

import numpy
import pytest

import headwater
from headwater import inseq
from headwater.foreign import join_encoder_decoder


def random_attention(shape, causal, seed=0):
    weights = numpy.random.default_rng(seed).random(shape).astype("f4") + 0.1
    if causal:
        weights *= numpy.tril(numpy.ones(shape[-2:], "f4"))
    return weights / weights.sum(-1, keepdims=True)


def rollout(layers):
    """[T, T, L] in doubles: S_l = A_l ... A_0, each the mean of the heads, half residual."""
    made, composed = [], numpy.eye(layers[0].shape[-1])
    for one in layers:
        mean = numpy.asarray(one, "f8").mean(0)
        composed = (mean + numpy.eye(len(mean))) / 2 @ composed
        made.append(composed)
    return numpy.stack(made, -1)


def as_file(attention, dtype="F32", **metadata):
    """Exported attention, [L, H, T, T]: what `headwater.read` reads."""
    data = attention.tobytes()
    tensor = {"dtype": dtype, "shape": attention.shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": metadata, "attention": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + data


@pytest.mark.parametrize(("causal", "arguments", "metadata"), [
    (True, {"n_prompt": 4}, {"m": "4"}),
    (True, {"n_prompt": 4, "row": "own", "residual": 0.2}, {"m": "4"}),
    (True, {}, {}),
    (False, {}, {}),
    (False, {"fuse": "max"}, {}),
    (False, {"n_prompt": 4, "causal": False}, {"m": "4", "causal": "false"}),
    (True, {"n_prompt": 4, "sinks": True}, {"m": "4", "sinks": "true"}),
])
def test_arrays_and_files_are_the_same_way_in(causal, arguments, metadata, monkeypatch):
    """Built row by row, in blocks of two here, as read from a file that has the same weights."""
    monkeypatch.setattr(headwater.foreign, "BLOCK_BYTES", 4 * 3 * 2 * 7 * 2)
    layers = random_attention((3, 2, 7, 7), causal)
    if "sinks" in arguments:
        layers *= numpy.float32(0.75)
    tokens = list("abcdefg")
    built = headwater.from_attentions(layers, tokens, **arguments)
    settings = {name: arguments[name] for name in ("row", "residual") if name in arguments}
    if "fuse" in arguments:
        source = as_file(layers, tokens=json.dumps(tokens))
        trace = headwater.result.import_attention(source, headwater.c_api.HW_FUSE_MAX)
        read = headwater.result.explain_trace(trace, built.keys(), by=None, settings={})
    else:
        read = headwater.read(as_file(layers, tokens=json.dumps(tokens), **metadata), built.keys(), **settings)
    assert list(read) == list(built) == ["rollout", "attention"]
    for method in read:
        numpy.testing.assert_array_equal(built[method].values, read[method].values)
        numpy.testing.assert_array_equal(built[method].outside, read[method].outside)
    assert (built.columns, built.prompt, built.completion) == (read.columns, read.prompt, read.completion)
    assert built.run.is_causal == read.run.is_causal == causal


def test_half_precision_is_the_same_way_in():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layers = torch.tensor(random_attention((3, 2, 7, 7), True))
    for kind, dtype, raw in ((torch.bfloat16, "BF16", torch.uint16), (torch.float16, "F16", torch.float16)):
        half = layers.to(kind)
        built = headwater.from_attentions(list(half), n_prompt=4)
        read = headwater.read(as_file(half.view(raw).numpy(), dtype, m="4"), built.keys())
        for method in read:
            numpy.testing.assert_array_equal(built[method].values, read[method].values)
    with pytest.raises(headwater.ArgumentError, match="sums to"):
        headwater.from_attentions((layers * 0.99).bfloat16(), n_prompt=4)


def test_what_is_known_of_tokens_is_kept():
    attention = numpy.tril(numpy.ones((2, 4, 4))) / numpy.arange(1, 5)[:, None]
    smile = "🙂".encode()
    result = headwater.from_attentions(attention, ["a", smile[:2], smile[2:], " b"], n_prompt=3, ids=[5, 6, 7, 8],
                                       logprobs=[float("nan")] * 3 + [-0.5])
    assert result.prompt == "a🙂" and [t.id for t in result.tokens] == [5, 6, 7, 8]
    assert result.tokens[3].logprob == -0.5 and numpy.isnan(result.tokens[0].logprob)
    with pytest.raises(headwater.ArgumentError, match="log probability 1"):
        headwater.from_attentions(attention, n_prompt=2, logprobs=[1] * 4)


def test_causal_rows_with_a_prompt():
    layers = random_attention((3, 2, 6, 6), True)
    result = headwater.from_attentions(layers, list("abcdef"), n_prompt=4)
    expected = rollout(layers)
    numpy.testing.assert_allclose(result["rollout"].values, expected[3:5, :4], atol=1e-6)
    assert result.prompt == "abcd" and result.completion == "ef" and result.columns == list("abcd")
    own = headwater.from_attentions(layers, n_prompt=4, methods="rollout", row="own")
    numpy.testing.assert_allclose(own.values, expected[4:6, :4], atol=1e-6)


def test_an_encoder_explains_every_row():
    layers = random_attention((2, 3, 5, 5), False)
    result = headwater.from_attentions([layer[None] for layer in layers])
    numpy.testing.assert_allclose(result["rollout"].values, rollout(layers), atol=1e-6)
    numpy.testing.assert_allclose(result["rollout"].scores(2), rollout(layers)[2].mean(-1), atol=1e-6)


def test_an_encoder_decoder_is_followed_into_its_source():
    encoder, decoder = random_attention((2, 2, 4, 4), False), random_attention((2, 2, 3, 3), True)
    cross = random_attention((2, 2, 3, 4), False)
    joined = join_encoder_decoder(encoder, decoder, cross)
    result = headwater.from_attentions(joined, n_prompt=5, causal=False)
    assert result["rollout"].shape == (2, 5, 6)
    numpy.testing.assert_allclose(result["rollout"].values, rollout(joined)[4:6, :5], atol=1e-6)
    assert not result.run.is_causal
    # By hand: sources after the encoder, then per decoder layer self-attention and cross-attention, each half residual.
    source, target = numpy.eye(4), numpy.hstack([numpy.zeros((3, 4)), numpy.eye(3)])
    for one in encoder:
        source = (one.mean(0) + numpy.eye(4)) / 2 @ source
    for own, other in zip(decoder, cross):
        target = (own.mean(0) @ target + target) / 2
        target = (other.mean(0) @ numpy.hstack([source, numpy.zeros((4, 3))]) + target) / 2
    numpy.testing.assert_allclose(result["rollout"].values[:, :, -1], target[:2, :5], atol=1e-6)


def test_what_is_no_attention_is_refused():
    layers = random_attention((2, 2, 4, 4), False)
    with pytest.raises(headwater.ArgumentError, match="after it"):
        headwater.from_attentions(layers, n_prompt=2)
    with pytest.raises(headwater.ArgumentError, match="layer 0, head 0, row 0 sums to 0.5"):
        headwater.from_attentions(layers / 2)
    with pytest.raises(headwater.ArgumentError, match="row 0 sums to nan"):
        headwater.from_attentions(layers * float("nan"))
    for n_prompt in (0, -1, 4):
        with pytest.raises(headwater.ArgumentError, match=f"n_prompt is {n_prompt}: 1 to 3"):
            headwater.from_attentions(layers, n_prompt=n_prompt)
    with pytest.raises(headwater.ArgumentError, match="batch of 2"):
        headwater.from_attentions([layers])
    with pytest.raises(headwater.ArgumentError, match="no layers"):
        headwater.from_attentions([])
    with pytest.raises(headwater.ArgumentError, match="alike"):
        headwater.from_attentions([layers[0], layers[1][:, :3, :3]])
    with pytest.raises(headwater.ArgumentError, match="tokens are 1: the attention has 4 tokens"):
        headwater.from_attentions(layers, ["a"])


def test_inseq_files(tmp_path):
    """What save() wrote comes back exactly, compressed or not; changed scores are found out."""
    attention = numpy.tril(numpy.ones((2, 4, 4))) / numpy.arange(1, 5)[:, None]
    made = headwater.from_attentions(attention, ["The", " cat", " sat", " on"], n_prompt=2)
    for name, options in [("a.json", {}), ("b.json.gz", {"layers": True}), ("c.json", {"method": "attention"})]:
        inseq.save([made, made], tmp_path / name, **options)
        first, second = inseq.read(tmp_path / name)
        method = options.get("method", "rollout")
        numpy.testing.assert_array_equal(first[method].values, made[method].values)
        assert first.completion == second.completion == " sat on"
    content = json.loads((tmp_path / "c.json").read_text())
    sequence = content["attributes"]["sequence_attributions"][0]["attributes"]
    scores = inseq._unpack(sequence["target_attributions"], "")
    numpy.testing.assert_allclose(scores[:2, 0], made["attention"].mean[0])
    assert numpy.isnan(scores[2:, 0]).all() and sequence["attr_pos_start"] == 2
    sequence["target_attributions"] = inseq._pack(scores * 2)
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(headwater.FormatError, match="changed"):
        inseq.read(tmp_path / "c.json")


def test_inseq_attention_is_read(tmp_path):
    """A file as Inseq's own method `attention` writes it, [tokens, generated, layers, heads]."""
    attention = numpy.tril(numpy.ones((2, 4, 4))) / numpy.arange(1, 5)[:, None]
    made = headwater.from_attentions(
        attention, ["The", " cat", " sat", " on"], n_prompt=2, methods="attention", columns="all"
    )
    inseq.save(made, tmp_path / "a.json", layers=True)
    content = json.loads((tmp_path / "a.json").read_text())
    del content["attributes"]["info"]["headwater"]
    sequence = content["attributes"]["sequence_attributions"][0]["attributes"]
    scores = inseq._unpack(sequence["target_attributions"], "")
    sequence["target_attributions"] = inseq._pack(numpy.stack([scores, scores], -1))
    (tmp_path / "a.json").write_text(json.dumps(content))
    (read,) = inseq.read(tmp_path / "a.json")
    numpy.testing.assert_allclose(read.values, made.values, atol=1e-7)
    with pytest.raises(headwater.UnsupportedError, match="trace"):
        read.explain("rollout")
    content["attributes"]["info"]["attribution_method"] = "saliency"
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(headwater.UnsupportedError, match="saliency"):
        inseq.read(tmp_path / "a.json")
    for wrong in ("[]", "{", '{"attributes": {"sequence_attributions": [{"attributes": {}}]}}'):
        (tmp_path / "a.json").write_text(wrong)
        with pytest.raises(headwater.HeadwaterError):
            inseq.read(tmp_path / "a.json")
    with pytest.raises(headwater.FileError):
        inseq.read(tmp_path / "none.json")


def test_bytes_in_and_out():
    attention = numpy.tril(numpy.ones((2, 3, 3))) / numpy.arange(1, 4)[:, None]
    made = headwater.from_attentions(attention, ["The", " cat", " sat"], n_prompt=2)
    for source in (made.to_bytes(), headwater.Result([made["rollout"]], made.run).to_bytes("safetensors")):
        numpy.testing.assert_array_equal(headwater.read(source).values, made.values)
    numpy.testing.assert_array_equal(headwater.read(made.trace_to_bytes()).values, made.values)
    assert made.to_bytes("png").startswith(b"\x89PNG") and b"headwater-data" in made.to_bytes("html")
    made.drop_trace()
    with pytest.raises(headwater.UnsupportedError):
        made.trace_to_bytes()
    for wrong in (b"", b"nonsense", b"{}", b"\xff" * 16):
        with pytest.raises(headwater.HeadwaterError):
            headwater.read(wrong)
    with pytest.raises(headwater.ArgumentError, match="nope"):
        made.to_bytes("nope")


class Words:
    """A tokenizer of five words."""

    all_special_tokens = ["</s>"]
    vocabulary = ["<pad>", "</s>", "▁the", "▁cat", "▁sat", "▁on", "▁mat"]

    def __call__(self, text, return_tensors, add_special_tokens=True):
        torch = pytest.importorskip("torch")
        ids = [self.vocabulary.index("▁" + word) for word in text.split()]
        return Batch(input_ids=torch.tensor([ids]))

    def convert_ids_to_tokens(self, ids):
        return [self.vocabulary[i] if i < 7 else f"▁{i}" for i in ids]


class Batch(dict):
    input_ids = property(lambda self: self["input_ids"])

    def to(self, device):
        return self


TINY = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}


@pytest.fixture
def transformers():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    found = pytest.importorskip("transformers", reason="transformers is not installed")
    __import__("torch").manual_seed(0)
    return found


def layers_of(attentions):
    return [one[0].detach().numpy() for one in attentions]


def test_a_decoder_of_transformers(transformers):
    import torch

    config = transformers.LlamaConfig(vocab_size=64, max_position_embeddings=64, **TINY)
    model = transformers.LlamaForCausalLM(config)
    result = headwater.from_transformers(model, Words(), "the cat sat", n=4, methods="rollout")
    model.set_attn_implementation("eager")
    ids = torch.tensor([[2, 3, 4]])
    ids = model.generate(ids, max_new_tokens=4, do_sample=False)
    expected = rollout(layers_of(model(ids, output_attentions=True).attentions))
    n = ids.shape[1] - 3
    numpy.testing.assert_allclose(result.values, expected[2 : 2 + n, :3], atol=1e-5)
    given = headwater.from_transformers(model, Words(), "the cat", completion="sat on", methods="rollout", row="own")
    assert given.prompt == " the cat" and given.completion == " sat on"
    whole = torch.tensor([[2, 3, 4, 5]])
    chosen = model(whole).logits[0].log_softmax(-1)[[1, 2], [4, 5]].tolist()
    assert [t.id for t in given.tokens] == whole[0].tolist()
    assert [t.logprob for t in given.tokens[2:]] == pytest.approx(chosen, abs=1e-5)
    assert headwater.from_transformers(model.bfloat16(), Words(), "the cat", completion="sat")["rollout"].shape[0] == 1


def test_parts_of_a_character_are_exact(transformers):
    """Byte-level vocabularies: tokens of an emoji that is split have its bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(headwater.foreign._byte_letters())
    raw = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>")
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=257, max_position_embeddings=64, **TINY))
    result = headwater.from_transformers(model, tokenizer, "é 🙂", completion="日<end>", methods="rollout")
    assert result.prompt == "é 🙂" and result.completion == "日<end>"
    assert [t.bytes for t in result.tokens[:4]] == ["é".encode()[:1], "é".encode()[1:], b" ", "🙂".encode()[:1]]


def test_an_encoder_of_transformers(transformers):
    import torch

    model = transformers.BertModel(transformers.BertConfig(vocab_size=64, max_position_embeddings=64, **TINY))
    result = headwater.from_transformers(model, Words(), "the cat sat on")
    model.eval().set_attn_implementation("eager")
    expected = rollout(layers_of(model(torch.tensor([[2, 3, 4, 5]]), output_attentions=True).attentions))
    numpy.testing.assert_allclose(result.values, expected, atol=1e-5)


def test_an_image_model_of_transformers(transformers):
    import torch

    class Processor:
        image_mean = [0.5]

        def __call__(self, image, return_tensors):
            return Batch(pixel_values=torch.tensor(image)[None])

    config = transformers.ViTConfig(image_size=32, patch_size=8, **TINY)
    result = headwater.from_transformers(transformers.ViTModel(config), Processor(), numpy.ones((3, 32, 32), "f4"))
    assert result.values.shape == (17, 17, 3) and result.columns[0] == "[CLS]" and result.columns[-1].strip() == "3,3"
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed").use("Agg")
    from matplotlib import pyplot

    from headwater.axes import overlay

    overlay(result, numpy.ones((32, 32, 3)), pyplot.subplots()[1])


def test_an_encoder_decoder_of_transformers(transformers):
    config = transformers.T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
                                   decoder_start_token_id=0)
    model = transformers.T5ForConditionalGeneration(config)
    result = headwater.from_transformers(model, Words(), "the cat sat", completion="on mat")
    assert result.values.shape == (2, 4, 6)
    total = result.values[:, :, -1].sum(1) + result["rollout"].outside[:, -1]
    numpy.testing.assert_allclose(total, 1, atol=1e-5)
    assert result.columns == [" the", " cat", " sat", "<pad>"] and result.completion == " on mat"
