"""The zoo's tokenizers, of 320 tokens each, trained on a few sentences."""

import json

V = 320
TEXT = """the server keeps runs in a store. each thread reads a line from the file and returns it. where is the key?
the key is in the file of the server. a run has a row from its first moment. every row is read in place, in order.
what is read is shown when it is there, and what is not there is said. the store is a file beside the server.
a line that no thread reads stays in the file. the first row returns the key of the store, and the last its name.
numbers are kept as they are: 0 1 2 3 4 5 6 7 8 9. who reads them? the thread that was asked, and no other one.
a model of many layers makes a stream of rows; each layer adds to it, and the last one is read for the next word."""
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>", "[gMASK]",
           "<sop>", "<|im_end|>", "<|observation|>", "<eop>", "[MASK]", "[sMASK]", "<|begin_of_image|>",
           "<|end_of_image|>"]


def make_bpe(folder):
    """Byte-level BPE."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=V, special_tokens=SPECIAL, show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    PreTrainedTokenizerFast(tokenizer_object=t, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
                            pad_token="<pad>").save_pretrained(folder)


def make_spaces(folder):
    """BPE over words with their space, with bytes for what it lacks, as Gemma 4 has."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{i:02X}>" for i in range(256)]
    t.train_from_iterator(TEXT.split("\n"), trainers.BpeTrainer(vocab_size=V, special_tokens=special, limit_alphabet=50,
                                                                show_progress=False))
    PreTrainedTokenizerFast(tokenizer_object=t, unk_token="<unk>", bos_token="<bos>", eos_token="<eos>",
                            pad_token="<pad>").save_pretrained(folder)
    path = folder / "tokenizer.json"
    written = json.loads(path.read_text())
    written["added_tokens"] = [a for a in written["added_tokens"] if not a["content"].startswith("<0x")]
    path.write_text(json.dumps(written, ensure_ascii=False))


def make_sentencepiece(folder, **ids):
    import sentencepiece
    text = folder / "text.txt"
    text.write_text(TEXT)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=V, model_type="bpe", byte_fallback=True,
        character_coverage=1.0, minloglevel=2, num_threads=1, hard_vocab_limit=False, **ids)
    text.unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>",
         "tokenizer_class": "LlamaTokenizer"}))


MAKERS = {
    "bpe": make_bpe,
    "spaces": make_spaces,
    "spm": lambda folder: make_sentencepiece(folder, pad_id=0, eos_id=1, bos_id=2, unk_id=3),
    "llama": lambda folder: make_sentencepiece(folder, unk_id=0, bos_id=1, eos_id=2),
}


def write_tokenizer(folder, kind):
    MAKERS[kind](folder)
