"""A model from Python: results, arrays, streams, citations, files, interrupts."""

import asyncio
import gc
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy
import pytest

import headwater
from headwater._library import lib

MODELS = pathlib.Path(os.environ.get("HEADWATER_TEST_MODELS", "build/models"))
MODEL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT = "My name is Abdul, I am from"
DOCUMENTS = [{"name": "Notes", "text": "The key is in the blue cup."}, {"name": "Diary", "text": "Oscar saw it."}]


@pytest.fixture(scope="module")
def model():
    with headwater.Model(MODEL) as opened:
        yield opened


@pytest.fixture(scope="module")
def result(model):
    return model.explain(PROMPT, n=4, keep="rows")


def test_numbers_are_those_of_the_program(result, tmp_path):
    command = [os.environ["HEADWATER_BIN"], "explain", "-m", MODEL, "-p", PROMPT, "-n", "4", "--quiet", "--trace"]
    subprocess.run([*command, tmp_path / "t.safetensors", "--method", "logit,rollout", "-o", tmp_path / "a.json",
                    "--full"], check=True, stdout=subprocess.DEVNULL)
    saved = headwater.read(tmp_path / "a.json")
    assert list(saved) == list(result) == ["logit", "rollout"]
    assert saved.completion == result.completion
    for method in saved:
        numpy.testing.assert_allclose(saved[method].values, result[method].values, rtol=1e-6, atol=1e-7)


def test_a_model_that_was_proven_is_not_probed_again(tmp_path, monkeypatch):
    """As by the program, which reads the same notes; nothing depends on a folder for them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    noted = tmp_path / "headwater"
    headwater.Model(MODEL, context=64, prove=True).close()
    assert not noted.exists()
    headwater.Model(MODEL, context=64).close()
    notes = {file: file.stat().st_mtime_ns for file in noted.iterdir()}
    assert len(notes) == 1 and noted.stat().st_mode & 0o777 == 0o700
    with headwater.Model(MODEL, context=64) as again:
        assert again.explain(PROMPT, n=1).completion
    run = [os.environ["HEADWATER_BIN"], "explain", "-m", MODEL, "-p", PROMPT, "-n", "1", "-c", "64", "-q"]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    assert {file: file.stat().st_mtime_ns for file in noted.iterdir()} == notes
    for elsewhere in ("/proc/none", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", elsewhere)
        monkeypatch.setenv("HOME", "")
        headwater.Model(MODEL, context=64).close()


def test_arrays_are_memory_of_the_library(result):
    for method in result:
        a = result[method]
        assert a.values.ctypes.data == lib.hw_attribution_values(a.address)
        assert a.outside.ctypes.data == lib.hw_attribution_outside(a.address)
        assert not a.values.flags.writeable and not a.values.flags.owndata
        assert a.values.shape == (4, 8, 30) == a.shape
    balance = result["logit"].balance
    parts = sum(balance[name] for name in ("prompt", "completion", "bias", "mlp", "embedding"))
    numpy.testing.assert_allclose(parts, balance["logit"], atol=0.3)


def test_arrays_outlive_the_result_and_the_model():
    with headwater.Model(MODEL, context=64) as short:
        made = short.explain(PROMPT, n=2, methods="rollout")
        values, before = made.values, made.values.copy()
        scores = made["rollout"].view().scores
        made.close()
    del made, short
    gc.collect()
    rubbish = [numpy.full(values.shape, 7, "f4") for _ in range(64)]
    numpy.testing.assert_array_equal(values, before)
    assert scores.shape == (8,) and len(rubbish) == 64


def test_a_closed_result_and_model_say_so(model):
    made = model.explain(PROMPT, n=1, methods="attention")
    made.close()
    with pytest.raises(headwater.ArgumentError, match="closed"):
        made.values
    gone = headwater.Model(MODEL, context=64)
    gone.close()
    with pytest.raises(headwater.ArgumentError, match="closed"):
        gone.info


def test_tokens_columns_and_scores(result, model):
    assert "".join(result.columns) == PROMPT == result.prompt
    assert "".join(t.text for t in result.tokens[8:]) == result.completion
    assert [t.role for t in result.tokens] == ["prompt"] * 8 + ["completion"] * 4
    assert result.tokens[8].alternatives[0].id == result.tokens[8].id
    assert [t.id for t in model.tokenize(PROMPT)] == [t.id for t in result.tokens[:8]]
    numpy.testing.assert_allclose(result.scores(1), result.values[1].mean(1), atol=1e-6)
    label, value = result.top(1, hide="first", layers="30")[0]
    assert label in result.columns and value == pytest.approx(result.values[:, :, 29].mean(0)[1:].max(), abs=1e-6)


def test_segments_and_spans_are_columns(model):
    by = model.explain("The key is red. Tom is here.", n=1, methods="rollout", by="sentence")
    assert [s.text.strip() for s in by.segments] == ["The key is red.", "Tom is here."]
    spans = [{"name": "key", "begin": 0, "end": 15}]
    named = model.explain("The key is red. Tom is here.", n=1, methods="rollout", spans=spans)
    assert named.columns[0] == "key"
    numpy.testing.assert_allclose(named.values[:, 0], by.values[:, 0], atol=1e-6)


def test_a_trace_is_explained_again(result, model, tmp_path):
    again = result.explain("rollout", row="own")
    assert again["rollout"].settings["row"] == "own"
    assert not numpy.allclose(again.values, result["rollout"].values)
    result.save_trace(tmp_path / "t.safetensors")
    numpy.testing.assert_array_equal(headwater.read(tmp_path / "t.safetensors").values, result["rollout"].values)
    with pytest.raises(headwater.UnsupportedError, match="not kept"):
        model.explain(PROMPT, n=1, methods="attention").explain("rollout")
    assert headwater.read(tmp_path / "t.safetensors", "attention", by="word").columns[0].strip() == "My"


def test_wrong_arguments_are_named(model, tmp_path):
    for arguments, says in [({"residual": 3}, "residual must be a number from 0 to 1"), ({"nope": 1}, "unknown option"),
                            ({"methods": "nope"}, "unknown name"), ({"row": "x"}, "predictor, own"),
                            ({"keep": "x"}, "results"), ({"memory": -1}, "memory is -1"),
                            ({"by": "word", "spans": []}, "give one"), ({"n": 0}, "n_gen")]:
        with pytest.raises(headwater.ArgumentError, match=says):
            model.explain(PROMPT, **{"n": 1, **arguments})
    with pytest.raises(headwater.FileError):
        headwater.Model(tmp_path / "none.gguf")
    with pytest.raises(headwater.FormatError):
        (tmp_path / "bad.gguf").write_bytes(b"no model")
        headwater.Model(tmp_path / "bad.gguf")
    with pytest.raises(headwater.ArgumentError, match="role"):
        model.explain([{"content": "x"}], n=1)


def test_a_stream_yields_tokens_and_rows(model, result):
    stream = model.stream(PROMPT, n=4)
    assert "".join(t.text for t in stream) == stream.result.completion == result.completion
    rows = list(model.stream(PROMPT, n=4, interval=1).explained())
    assert [t.index for t, _ in rows] == [8, 9, 10, 11]
    for i, (_, row) in enumerate(rows):
        numpy.testing.assert_allclose(row["rollout"], result["rollout"].values[i], atol=1e-6)
        numpy.testing.assert_allclose(row["logit"], result["logit"].values[i], atol=1e-4)
    only = model.stream(PROMPT, n=4, interval=0)
    assert "".join(t.text for t in only) == result.completion
    numpy.testing.assert_array_equal(only.result.values, result.values)
    with pytest.raises(headwater.ArgumentError, match="interval 0"):
        next(only.explained())
    with pytest.raises(headwater.ArgumentError, match="interval"):
        model.stream(PROMPT, n=4, interval=-1)


def test_leaving_a_stream_stops_it(model):
    stream = model.stream(PROMPT, n=2000, methods="attention")
    for _ in stream:
        break
    assert stream.result.run.finish_reason == "cancelled"
    assert stream.result.run.n_completion < 2000


def test_asyncio(model, result):
    async def work():
        made = await model.explain_async(PROMPT, n=4)
        texts = [t.text async for t in model.stream(PROMPT, n=4)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(model.explain_async(PROMPT, n=2000, methods="attention"), 0.3)
        return made.completion, "".join(texts)

    begin = time.monotonic()
    assert asyncio.run(work()) == (result.completion, result.completion)
    assert time.monotonic() - begin < 15


def test_an_exception_in_a_callback_ends_the_run(model):
    def fail(stage, done, total):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.explain(PROMPT, n=500, progress=fail)


def test_an_interrupt_stops_a_run():
    code = (f"import headwater\nm = headwater.Model({str(MODEL)!r})\nprint('go', flush=True)\n"
            f"try: m.explain({PROMPT!r}, n=4000, methods='attention')\n"
            "except KeyboardInterrupt: print('stopped', m.explain('a b', n=1).run.n_completion)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "go\n"
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=120)[0] == "stopped 1\n"


def test_citations(model):
    cited = model.cite("Where is the key?", DOCUMENTS, n=40, confirm=1)
    assert str(cited) == "The key is in the blue cup. [1]"
    assert cited.parts[0].citations[0].name == cited.documents[0].name == "Notes"
    part = cited.parts[0]
    assert sum(part.shares) + part.rest + part.answer + part.model == pytest.approx(1, abs=1e-6)
    assert cited.documents[0].measured and cited.documents[0].drop > 1
    assert [d.main_share for d in cited.documents] == [1, 0]
    spoken = model.cite("Where is the key?", DOCUMENTS, system="Answer briefly.", completion="In the blue cup.")
    assert [d.text for d in spoken.documents] == ["Notes: The key is in the blue cup.", "Diary: Oscar saw it."]
    with pytest.raises(headwater.ArgumentError, match="document 1"):
        model.cite("x", ["a", {"name": "b"}])


def test_files_figures_and_reports(result, tmp_path):
    result.save(tmp_path / "r.json")
    read = headwater.read(tmp_path / "r.json")
    numpy.testing.assert_array_equal(read["logit"].values, result["logit"].values)
    values = read.values
    del read
    gc.collect()
    numpy.testing.assert_array_equal(values, result.values)
    result.save(tmp_path / "M.npy")
    numpy.testing.assert_array_equal(numpy.load(tmp_path / "M.rollout.npy"), result["rollout"].values)
    assert result.plot("heatmap", token=0)._repr_png_().startswith(b"\x89PNG")
    assert "<svg" in result.plot(format="svg", hide="first")._repr_svg_()
    assert result._repr_html_().startswith("<iframe id=") and "headwater-data" in result.report()
    with pytest.raises(headwater.ArgumentError, match="kind"):
        result.plot("nonsense")


def test_pandas(result):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = result.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 2 * 4 * 8
    one = frame[(frame.method == "rollout") & (frame.token == 2)]
    numpy.testing.assert_allclose(one.value, result["rollout"].values[2].mean(1), rtol=1e-5)
    assert len(result.to_pandas(layers=True)) == 2 * 4 * 8 * 30


def test_matplotlib(result):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed").use("Agg")
    from matplotlib import pyplot

    for kind in ("bars", "heatmap", "map"):
        axes = pyplot.subplots()[1]
        assert result.plot(kind, ax=axes, hide="first") is axes
        assert len(axes.get_xticks()) == 7
