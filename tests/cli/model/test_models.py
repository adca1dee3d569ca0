"""Models where other programs keep them: names of -m, `headwater models`, hostile manifests, llama.cpp's variables and
spellings."""

import json
import os
import shutil

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL_LAYER = "application/vnd.ollama.image.model"
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def home(tmp_path):
    """An empty home folder, and the environment in which nothing else names a cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def run(headwater, home):
    names = ("LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "OLLAMA_MODELS")

    def call(*args, **env):
        return headwater(*args, env={name: "" for name in names} | {"HOME": str(home)} | env)

    return call


def hub_file(root, repo, name, target, ref="main"):
    """A file of a repository in Hugging Face's cache, a link to `target`."""
    folder = root / ("models--" + repo.replace("/", "--"))
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / ref).write_text(COMMIT)
    path = folder / "snapshots" / COMMIT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def manifest(root, name, layers, tree="manifests", host="registry.test"):
    path = root / tree / host / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(layers if isinstance(layers, str) else json.dumps({"schemaVersion": 2, "layers": layers}))


def layer(digest=DIGEST, kind=MODEL_LAYER, **more):
    return {"mediaType": kind, "digest": digest} | more


def blob(root, target, digest=DIGEST):
    path = root / "blobs" / digest.replace(":", "-")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def opened(run, name, *more, **env):
    """The path that `info` opened for a name."""
    done = run("info", "-m", name, *more, **env)
    assert done.status == 0, done
    return next(line.split(maxsplit=1)[1] for line in done.out.splitlines() if line.startswith("file "))


def refused(run, name, status=2, **env):
    done = run("info", "-m", name, **env)
    assert (done.status, done.out) == (status, ""), done
    return done.err


@pytest.fixture(scope="session")
def small(tiny):
    return tiny / "llama.gguf"


# ------------------------------------------------------------------ Hugging Face


@pytest.mark.parametrize(
    "variable, tail",
    [
        ("LLAMA_CACHE", ""),
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
        ("HOME", ".cache/huggingface/hub"),
    ],
)
def test_the_hub_is_found_where_each_variable_says(run, tmp_path, small, variable, tail):
    path = hub_file(tmp_path / "x" / tail, "owner/repo", "model-Q4_K_M.gguf", small)
    assert opened(run, "hf:owner/repo", **{variable: str(tmp_path / "x")}) == str(path)


def test_an_earlier_variable_wins(run, tmp_path, small):
    hub_file(tmp_path / "hub", "owner/repo", "model-Q4_K_M.gguf", small)
    (tmp_path / "llama").mkdir()
    text = refused(run, "hf:owner/repo", LLAMA_CACHE=str(tmp_path / "llama"), HF_HUB_CACHE=str(tmp_path / "hub"))
    assert f"there is no such model in {tmp_path}/llama" in text


def test_quantisation_is_chosen_as_llama_cpp_does(run, tmp_path, small):
    env = {"LLAMA_CACHE": str(tmp_path / "hub")}
    files = {q: hub_file(tmp_path / "hub", "a/b", f"m-{q}.gguf", small) for q in ("BF16", "IQ4_XS", "Q8_0")}
    hub_file(tmp_path / "hub", "a/b", "mmproj-Q4_K_M.gguf", small)
    assert opened(run, "hf:a/b", **env) == str(files["Q8_0"])
    files["Q4_K_M"] = hub_file(tmp_path / "hub", "a/b", "sub/m.Q4_K_M.gguf", small)
    assert opened(run, "hf:a/b", **env) == str(files["Q4_K_M"])
    assert opened(run, "hf:a/b:iq4_xs", **env) == str(files["IQ4_XS"])
    assert opened(run, "hf:a/b:m-BF16.gguf", **env) == str(files["BF16"])
    assert 'hf:a/b has no "Q2_K"; there are BF16, IQ4_XS, Q8_0, Q4_K_M' in refused(run, "hf:a/b:Q2_K", **env)
    hub_file(tmp_path / "hub", "c/d", "second-F16.gguf", small)
    first = hub_file(tmp_path / "hub", "c/d", "first-F32.gguf", small)
    assert opened(run, "hf:c/d", **env) == str(first)


def test_hf_is_a_spelling_of_its_own(run, tmp_path, small):
    path = hub_file(tmp_path / "hub", "a/b", "m-Q8_0.gguf", small)
    for words in (["-hf", "a/b:Q8_0"], ["--hf-repo", "a/b"], ["-hfr", "a/b"]):
        done = run("info", *words, LLAMA_CACHE=str(tmp_path / "hub"))
        assert done.status == 0 and str(path) in done.out, done
    done = run("info", LLAMA_CACHE=str(tmp_path / "hub"), LLAMA_ARG_HF_REPO="a/b")
    assert str(path) in done.out
    assert "-m and --hf-repo: give one of them" in run("info", "-m", "x", "-hf", "a/b").err


def test_an_unknown_name_gets_the_nearest(run, tmp_path, small):
    hub_file(tmp_path / "hub", "owner/SmolLM-GGUF", "m-Q8_0.gguf", small)
    env = {"LLAMA_CACHE": str(tmp_path / "hub")}
    assert "did you mean hf:owner/SmolLM-GGUF?" in refused(run, "hf:owner/SmolLM-GUFF", **env)
    assert "did you mean hf:owner/SmolLM-GGUF?" in refused(run, "owner/SmolLM-GGUF", **env)
    assert "`headwater models` lists" in refused(run, "hf:x/y", **env)
    assert "hf:OWNER/REPO[:QUANT]" in refused(run, "hf:", **env)


def test_an_entry_that_points_nowhere_says_so(run, tmp_path):
    hub_file(tmp_path / "hub", "a/b", "m-Q8_0.gguf", "../../blobs/gone")
    text = refused(run, "hf:a/b", 1, LLAMA_CACHE=str(tmp_path / "hub"))
    assert "points nowhere (to ../../blobs/gone): download the model again" in text


def test_half_a_split_names_what_lacks(run, tmp_path, small):
    env = {"LLAMA_CACHE": str(tmp_path / "hub")}
    hub_file(tmp_path / "hub", "a/b", "m-Q8_0-00002-of-00002.gguf", small)
    assert "half a model: m-Q8_0-00001-of-00002.gguf is not there" in refused(run, "hf:a/b", 1, **env)
    listed = json.loads(run("models", "--json", **env).out)
    assert [m["name"] for m in listed] == ["hf:a/b:Q8_0"] and "00001-of-00002" in listed[0]["problem"]


# ------------------------------------------------------------------ Ollama


def test_ollama_names(run, home, small):
    root = home / ".ollama/models"
    path = blob(root, small)
    for name in (
        "library/smol/latest", "library/smol/135m", "library/two/a", "library/two/b", "library/one/8b", "me/mine/v1"
    ):
        manifest(root, name, [layer(kind="application/vnd.ollama.image.template"), layer(size=small.stat().st_size)])
    for name in ("smol", "smol:135m", "one", "me/mine", "me/mine:v1"):
        assert opened(run, f"ollama:{name}") == str(path), name
    assert "several tags: give one of them, as in ollama:two:a; there are a, b" in refused(run, "ollama:two")
    assert 'has no "c"; there are a, b' in refused(run, "ollama:two:c")
    assert "did you mean ollama:smol?" in refused(run, "ollama:smoll")


def test_the_newer_tree_of_manifests_wins(run, tmp_path, small):
    root = tmp_path / "o"
    new = "sha256:" + "cd" * 32
    blob(root, small), blob(root, small, new)
    manifest(root, "library/smol/latest", [layer()])
    manifest(root, "library/smol/latest", [layer(new)], tree="manifests-v2", host="other.test")
    env = {"OLLAMA_MODELS": str(root)}
    assert opened(run, "ollama:smol", **env).endswith("cd" * 32)
    assert [m["name"] for m in json.loads(run("models", "--json", **env).out)] == ["ollama:smol:latest"]


HOSTILE = {
    "not JSON": ("{", "its manifest cannot be read"),
    "no layers": ("{}", "layers"),
    "layers no list": ('{"layers": {}}', "layers"),
    "layers of numbers": ('{"layers": [1, null, [], {}]}', "has 0 GGUF layers"),
    "deep": ("[" * 100000, "its manifest cannot be read"),
    "huge": ('{"layers": [' + " " * (1 << 20) + "]}", "at most 1048576 are read"),
    "path": ([layer("../../../etc/passwd")], 'names the blob "../../../etc/passwd": must be sha256:'),
    "path in a digest": ([layer("sha256:../" + "a" * 61)], "must be sha256: and 64 hexadecimal digits"),
    "short": ([layer("sha256:abcd")], "must be sha256: and 64 hexadecimal digits"),
    "number": ([layer(7)], "must be sha256: and 64 hexadecimal digits"),
    "NUL": (json.dumps({"layers": [layer(DIGEST + "\0/x")]}), "must be sha256: and 64 hexadecimal digits"),
    "two models": ([layer(), layer()], "has 2 GGUF layers"),
    "no GGUF": ([layer(kind="application/vnd.ollama.image.tensor")], "its layers: application/vnd.ollama.image.tensor"),
    "no blob": ([layer("sha256:" + "00" * 32)], "`ollama pull` fetches it again"),
    "cut off": ([layer(size=1 << 40)], "`ollama pull` completes it"),
    "adapter": (
        [layer(), layer("sha256:" + "ee" * 32, "application/vnd.ollama.image.adapter")],
        "--lora BLOBS/sha256-" + "ee" * 32,
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_manifests_are_refused(run, tmp_path, small, case):
    layers, words = HOSTILE[case]
    blob(tmp_path / "o", small)
    manifest(tmp_path / "o", "library/bad/latest", layers)
    env = {"OLLAMA_MODELS": str(tmp_path / "o")}
    assert words in refused(run, "ollama:bad", 1, **env)
    listed = json.loads(run("models", "--json", **env).out)
    assert (
        len(listed) == 1
        and words in listed[0]["problem"]
        and listed[0]["path"] in ("", str(tmp_path / "o/blobs" / DIGEST.replace(":", "-")))
    )


def test_a_layer_that_is_no_gguf_says_what_it_is(run, tmp_path):
    (tmp_path / "weights").write_bytes(b"\x80\x02}qmore")
    blob(tmp_path / "o", tmp_path / "weights")
    manifest(tmp_path / "o", "library/old/latest", [layer()])
    text = refused(run, "ollama:old", 1, OLLAMA_MODELS=str(tmp_path / "o"))
    assert "its model layer is not a GGUF file (begins with bytes 80 02 7d 71)" in text


# ------------------------------------------------------------------ LM Studio, the list


def test_lm_studio(run, home, small):
    for root in (".lmstudio/models", ".cache/lm-studio/models"):
        folder = home / root / "lmstudio-community" / f"Smol{len(root)}-GGUF"
        folder.mkdir(parents=True)
        shutil.copy(small, folder / "Smol-Q4_K_M.gguf")
        assert opened(run, f"lmstudio:lmstudio-community/{folder.name}:Q4_K_M") == str(folder / "Smol-Q4_K_M.gguf")
        assert opened(run, f"lmstudio:lmstudio-community/{folder.name}") == str(folder / "Smol-Q4_K_M.gguf")


def test_models_lists_size_architecture_and_what_speaks_against(run, home, tmp_path, smollm, small):
    hub_file(home / ".cache/huggingface/hub", "HuggingFaceTB/SmolLM2", "SmolLM2-Q4_1.gguf", smollm)
    (tmp_path / "junk").write_bytes(b"GGUF\x03\0\0\0")
    hub_file(home / ".cache/huggingface/hub", "x/broken", "broken-Q4_1.gguf", tmp_path / "junk")
    bytes_of = small.read_bytes()
    assert bytes_of.count(b"general.architecture") == 1
    at = bytes_of.index(b"llama", bytes_of.index(b"general.architecture"))
    (tmp_path / "other").write_bytes(bytes_of[:at] + b"lamma" + bytes_of[at + 5:])
    hub_file(home / ".cache/huggingface/hub", "x/other", "other-Q4_1.gguf", tmp_path / "other")
    done = run("models")
    assert done.status == 0 and "by the files' headers" in done.err
    lines = {line.split()[0]: line for line in done.out.splitlines() if line.startswith("  ")}
    assert lines["hf:HuggingFaceTB/SmolLM2:Q4_1"].split() == [
        "hf:HuggingFaceTB/SmolLM2:Q4_1", "96.6", "MB", "llama", "Q4_1", "yes"
    ]
    assert "no: " in lines["hf:x/broken:Q4_1"]
    assert (
        "no: libllama (" in lines["hf:x/other:Q4_1"]
        and "does not know its architecture, lamma: a newer llama.cpp may" in lines["hf:x/other:Q4_1"]
    )
    assert f"Hugging Face cache: {home}/.cache/huggingface/hub\n" in done.out
    assert "LM Studio: no folder\n" in done.out
    rows = {m["name"]: m for m in json.loads(run("models", "--json").out)}
    row = rows["hf:HuggingFaceTB/SmolLM2:Q4_1"]
    assert (row["architecture"], row["quantisation"], row["files"], row["problem"]) == ("llama", "Q4_1", 1, "")
    assert 134e6 < row["parameters"] < 135e6 and 96e6 < row["bytes"] < os.stat(smollm).st_size


@pytest.mark.skipif(not os.environ.get("HEADWATER_ABORT_ON_OPEN"), reason="sanitizers have no preloaded libraries")
def test_a_file_that_crashes_the_engine_is_one_line(run, tmp_path, small):
    for name in ("a", "crash", "z"):
        hub_file(tmp_path, "x/" + name, f"{name}-Q4_K_M.gguf", small)
    settings = {"LD_PRELOAD": os.environ["HEADWATER_ABORT_ON_OPEN"], "ABORT_ON": "crash-"}
    done = run("models", "--json", LLAMA_CACHE=str(tmp_path), **settings)
    assert done.status == 0
    assert {m["name"][3:]: m["problem"] for m in json.loads(done.out)} == {
        "x/a:Q4_K_M": "",
        "x/crash:Q4_K_M": "its headers cannot be read: it ends its process by signal 6 (Aborted)",
        "x/z:Q4_K_M": "",
    }


def test_a_name_runs(run, home, smollm):
    hub_file(home / ".cache/huggingface/hub", "HuggingFaceTB/SmolLM2", "SmolLM2-Q4_1.gguf", smollm)
    done = run(
        "explain", "-m", "hf:HuggingFaceTB/SmolLM2", "-p", "My name is Abdul, I am from", "-n", "2", "--method",
        "attention"
    )
    assert done.status == 0 and "Abdul" in done.out


# ------------------------------------------------------------------ llama.cpp's variables and spellings


def explain(run, small, *words, **env):
    return run("explain", "-m", small, "-p", "a b c", "--method", "attention", "-o", "r.json", *words, **env)


def test_variables_give_what_options_do_not(run, tmp_path, small):
    assert explain(run, small, LLAMA_ARG_N_PREDICT="3").status == 0
    three = (tmp_path / "r.json").read_text()
    assert explain(run, small, "-n", "3").status == 0
    assert (tmp_path / "r.json").read_text() == three
    assert explain(run, small, "-n", "2", LLAMA_ARG_N_PREDICT="3").status == 0
    assert (tmp_path / "r.json").read_text() != three
    done = run("explain", "-p", "a b c", "-n", "1", "--method", "attention", LLAMA_ARG_MODEL=str(small))
    assert done.status == 0


def test_variables_that_cannot_be_read_are_named(run, small):
    done = explain(run, small, LLAMA_ARG_N_PREDICT="-1")
    assert done.status == 2
    assert 'LLAMA_ARG_N_PREDICT="-1" in the environment is not what --generate accepts' in done.err
    assert explain(run, small, "-n", "1", LLAMA_ARG_N_PREDICT="-1").status == 0


def test_variables_refuse_nothing(run, small):
    """A variable is for all programs: what has nothing to act on is not refused, as an option is."""
    done = explain(run, small, "--completion", " d", LLAMA_ARG_N_PREDICT="3")
    assert done.status == 0, done


@pytest.mark.parametrize(
    "words",
    [
        ["-ngl", "0"],
        ["-ngl", "all"],
        ["--n-gpu-layers", "0"],
        ["-c", "64"],
        ["--ctx-size", "64"],
        ["-t", "1"],
        ["--n-predict", "2"],
        ["--predict=2"],
        ["--jinja"],
        ["-ub", "8"],
        ["--temperature", "0"],
    ],
)
def test_spellings_of_llama_cpp(run, small, words):
    done = explain(run, small, "-n", "2", *words)
    assert done.status == 0, done


def test_a_value_is_no_spelling(run, small):
    done = run("explain", "-m", small, "-n", "1", "--method", "attention", "-qp", "-ngl", "-o", "r.json")
    assert done.status == 0, done
    assert run("explain", "-m", small, "-n", "1", "--prompt", "-hf").status == 0
