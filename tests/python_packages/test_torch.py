"""With PyTorch: models of transformers beside Headwater's own engine on the same weights, and Inseq's own loader.

$HEADWATER_TORCH is a Python with torch, transformers, accelerate, gguf, inseq, Matplotlib and pytest; else build/peers,
which bench/run.sh makes. Skipped where there is neither.
"""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import ENVIRONMENT, MODELS, ROOT

TORCH = pathlib.Path(os.environ.get("HEADWATER_TORCH", ROOT / "build" / "peers" / "bin" / "python"))


@pytest.fixture
def run_torch(python):
    """run_torch(module, code): what that Python prints, with the wheel's package; skips without the module."""

    def ran(modules, code):
        if not TORCH.exists() or subprocess.run([TORCH, "-c", f"import {modules}"], capture_output=True).returncode:
            pytest.skip(f"{TORCH} is not a Python with {modules}")
        package = next(python.parents[1].glob("lib/python3*/site-packages/headwater"))
        link = package.parents[3] / "package"
        link.mkdir(exist_ok=True)
        for name in ("headwater", "headwater.libs"):
            if not (link / name).exists():
                (link / name).symlink_to(package.with_name(name))
        environment = {**ENVIRONMENT, "PYTHONPATH": str(link)}
        done = subprocess.run([TORCH, "-c", code], env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return ran


def test_models_of_every_kind(run_torch):
    """Decoders, BERT, ViT with its overlay and T5, tiny and random: tests/python, which skips them without PyTorch."""
    printed = run_torch("torch, transformers, matplotlib, pytest", f"""
import pytest, sys
sys.exit(pytest.main(["-q", "-rs", "-p", "no:cacheprovider", {str(ROOT / "tests/python/test_foreign.py")!r}]))
""")
    assert "skipped" not in printed and " passed" in printed, printed


SAME_WEIGHTS = """
import json, sys, headwater, torch, transformers
folder, name = {folder!r}, "SmolLM2-135M-Instruct.F32.gguf"
tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
own = headwater.Model(folder + "/" + name, context=64)
prompt, made = "My name is Abdul, I am from", {{}}
ways = {{"rollout": {{}}, "attention": {{}}}}
a, b = (f(prompt, n=4, methods=ways) for f in
        (lambda *x, **y: headwater.from_transformers(model, tokenizer, *x, **y), own.explain))
made = {{way: float(abs(a[way].values - b[way].values).max()) for way in ways}}
note = {{"methods": "rollout", "row": "own", "completion": a.completion}}
made["note"] = float(abs(headwater.from_transformers(model, tokenizer, prompt, **note).values
                         - own.explain(prompt, **note).values).max())
print(json.dumps([made, a.completion, b.completion, a.columns == b.columns]))
"""


def test_transformers_and_the_engine_agree_on_the_same_weights(run_torch):
    printed = run_torch("torch, transformers, accelerate, gguf", SAME_WEIGHTS.format(folder=str(MODELS)))
    differences, theirs, ours, same_columns = json.loads(printed)
    assert theirs == ours == " the city of Dubai" and same_columns
    # llama.cpp keeps its cache in half precision, and sums in another order.
    assert differences["rollout"] < 2e-4 and differences["note"] < 2e-4 and differences["attention"] < 1e-3


INSEQ = """
import json, sys, numpy, headwater, headwater.inseq, inseq
model = headwater.Model({model!r}, context=256)
folder = {folder!r}
result = model.explain("My name is Abdul, I am from", n=3, methods="logit")
grouped = model.explain("The key is red. Tom is here.", n=2, methods="rollout", by="sentence")
for name, results, options in [("a.json", [result, result], {{}}), ("b.json.gz", result, {{"layers": True}}),
                               ("c.json", grouped, {{}})]:
    headwater.inseq.save(results, folder + "/" + name, **options)
    loaded = inseq.FeatureAttributionOutput.load(folder + "/" + name, decompress=name.endswith("gz"))
    assert len(loaded.show(display=False, return_html=True, do_aggregation=False)) > 1000
    loaded.save(folder + "/again.json", overwrite=True)
    again = headwater.inseq.read(folder + "/again.json")[0]
    wanted = grouped if name == "c.json" else result
    assert numpy.array_equal(again.values, wanted.values) and again.completion == wanted.completion
    if name == "a.json":
        sequence = loaded[1]
        assert [t.token for t in sequence.target] == [t.text for t in result.tokens]
        assert numpy.array_equal(sequence.target_attributions[:8].numpy(), result["logit"].mean.T)
        assert numpy.isnan(sequence.target_attributions[8:].numpy()).all()
        assert abs(sequence.step_scores["probability"].log()[0] - result.tokens[8].logprob) < 1e-5

# Attention that Inseq itself computed, of a decoder with random weights.
import torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
torch.manual_seed(0)
words = ["<s>", "the", "cat", "sat", "on", "mat"]
raw = Tokenizer(models.WordLevel({{w: i for i, w in enumerate(words)}}, unk_token="<s>"))
raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="<s>",
                                                 pad_token="<s>")
config = transformers.GPT2Config(vocab_size=6, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=0,
                                 eos_token_id=0, pad_token_id=0)
decoder = transformers.GPT2LMHeadModel(config).eval()
decoder.set_attn_implementation("eager")  # Inseq does not; others return no weights
wrapped = inseq.load_model(decoder, "attention", tokenizer=tokenizer)
out = wrapped.attribute("the cat sat", "the cat sat on mat", show_progress=False)
out.save(folder + "/theirs.json", overwrite=True)
(theirs,) = headwater.inseq.read(folder + "/theirs.json")
ours = headwater.from_transformers(decoder, tokenizer, "the cat sat", completion="on mat", methods="attention",
                                   columns="all")
print(json.dumps([list(theirs.shape), list(ours.shape), float(abs(theirs.values - ours.values).max()), theirs.columns]))
"""


def test_inseq_reads_ours_and_we_read_inseqs(run_torch, tmp_path):
    model = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
    printed = run_torch("inseq", INSEQ.format(model=str(model), folder=str(tmp_path)))
    theirs, ours, difference, columns = json.loads(printed.splitlines()[-1])
    assert theirs == ours and difference < 1e-6 and columns[:2] == ["the", "cat"]
