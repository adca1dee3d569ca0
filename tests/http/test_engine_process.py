"""The model lives in a process of its own: what ends that process ends a job, not the server."""

import contextlib
import http.client
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import pytest
from conftest import ENDLESS, PROMPT, Server, text_of
from patience import HANG_S, patience

def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            found += (task / "children").read_text().split()
    return [int(child) for child in found]


def engine_of(server):
    (child,) = children(server.process.pid)
    return child


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def status_mib(pid, key):
    return int(re.search(rf"{key}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def wait_for(what, seconds=30):
    until = time.monotonic() + patience(seconds)
    while not (value := what()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)
    return value


def entry_of(server, name):
    (entry,) = [run for run in server.ok("GET", "/api/runs")["runs"] if run["name"] == name]
    return entry


def start_endless(server, name, tokens=2):
    stream = server.stream(
        "/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}, "methods": ["rollout"], "name": name}
    )
    text = "".join(stream.until("token")[-1][1]["token"]["text"] for _ in range(tokens))
    return stream, text


@pytest.fixture(scope="module")
def kept(serve, tmp_path_factory):
    """A server with a store, and a run in it that must stay as it is."""
    server = serve("--store", tmp_path_factory.mktemp("kept") / "runs.sqlite")
    server.run = server.explain(n=2, name="finished before")
    yield server
    assert server.stop() == 0, server.err.decode()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_signal_ends_the_job_and_nothing_else(kept, number):
    name = f"ended by {number}"
    stream, text = start_endless(kept, name)
    engine = engine_of(kept)
    os.kill(engine, number)
    began = time.monotonic()
    seen = stream.until("error", "done")[-1]
    assert time.monotonic() - began < 5
    assert seen[0] == "error" and seen[1]["code"] == "engine_ended" and f"signal {int(number)} (" in seen[1]["message"]
    entry = entry_of(kept, name)
    assert (
        entry["finished"] is False
        and f"signal {int(number)} (" in entry["failure"]
        and entry["completion"].startswith(text)
    )
    error = kept.get(f"/api/runs/{entry['id']}").error
    assert (
        error["code"] == "failed"
        and "signal" in error["message"]
        and f"/api/runs/{entry['id']}/retry" in error["message"]
    )
    assert kept.ok("GET", f"/api/runs/{kept.run['id']}") == kept.run
    assert text_of(kept.explain(n=2)) == text_of(kept.run), "the next job finds a model"
    assert state_of(engine) is None and engine_of(kept) != engine, "no process is left over"
    assert kept.process.poll() is None


def test_a_client_that_waits_for_one_answer_gets_the_error(kept):
    import threading

    replies = []
    thread = threading.Thread(
        target=lambda: replies.append(kept.post("/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}}))
    )
    thread.start()
    wait_for(lambda: kept.ok("GET", "/api/status")["queue"])
    time.sleep(0.3)
    os.kill(engine_of(kept), signal.SIGKILL)
    thread.join(HANG_S)
    assert replies[0].status == 500 and replies[0].error["code"] == "engine_ended"
    assert "memory runs out" in replies[0].error["message"]


def test_jobs_that_wait_are_done_by_the_next_process(kept):
    stream, _ = start_endless(kept, "first in line")
    second = kept.stream("/api/explain", {"prompt": PROMPT, "options": {"n_generate": 1}})
    second.until("queued")
    os.kill(engine_of(kept), signal.SIGKILL)
    assert stream.until("error", "done")[-1][0] == "error"
    assert second.until("error", "done")[-1][0] == "done"


def test_work_on_a_saved_run_that_is_cut_short_leaves_the_run(kept):
    stream = kept.stream(f"/api/runs/{kept.run['id']}/check", {"ablations": 5000, "by": "word"})
    stream.until("progress")
    os.kill(engine_of(kept), signal.SIGKILL)
    assert stream.until("error", "done")[-1][1]["code"] == "engine_ended"
    assert kept.ok("GET", f"/api/runs/{kept.run['id']}") == kept.run


def test_one_that_ends_while_it_has_nothing_to_do_is_replaced(kept):
    kept.idle()
    engine = engine_of(kept)
    os.kill(engine, signal.SIGKILL)
    wait_for(lambda: state_of(engine) is None)
    assert text_of(kept.explain(n=2)) == text_of(kept.run)


def test_nothing_is_left_of_processes_that_ended(kept):
    def crash():
        stream, _ = start_endless(kept, "again and again")
        os.kill(engine_of(kept), signal.SIGKILL)
        stream.until("error")
        stream.close()
        kept.explain(n=1)

    def descriptors():
        kept.idle()
        time.sleep(0.5)  # connections that were closed
        return sorted(
            os.readlink(path) for path in pathlib.Path(f"/proc/{kept.process.pid}/fd").iterdir() if path.is_symlink()
        )

    def kinds(links):
        return sorted(re.sub(r"\d+", "", link) for link in links)

    crash()
    before = descriptors()
    for _ in range(3):
        crash()
    after = kinds(descriptors())
    assert len(after) <= len(before) and set(after) <= set(kinds(before))
    assert [state_of(child) != "Z" for child in children(kept.process.pid)] == [True]
    inherited = {
        os.readlink(path) for path in pathlib.Path(f"/proc/{engine_of(kept)}/fd").iterdir() if path.is_symlink()
    }
    assert not [link for link in inherited if "sqlite" in link], "the store is the server's alone"
    assert (
        len([link for link in inherited if link.startswith("socket:")]) <= 1 + 3
    ), "its channel; the rest are standard streams"


def test_the_engine_ends_with_the_server(serve, tmp_path):
    server = serve("--store", tmp_path / "runs.sqlite")
    engine = engine_of(server)
    stream, _ = start_endless(server, "cut short")
    server.kill()
    wait_for(lambda: state_of(engine) is None, 5)
    stream.close()


def test_a_stop_that_the_engine_does_not_hear_ends_it(serve):
    server = serve("--no-store")
    stream, _ = start_endless(server, "deaf")
    engine = engine_of(server)
    os.kill(engine, signal.SIGSTOP)
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 20 and state_of(engine) is None
    stream.close()


def test_an_abandoned_job_that_does_not_stop_does_not_block_those_behind_it(serve):
    server = serve("--no-store")
    stream = server.stream(
        "/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}, "methods": ["rollout"], "name": "deaf"}
    )
    seen = stream.until("token")
    job, text = seen[0][1]["job"], seen[-1][1]["token"]["text"]
    engine = engine_of(server)
    os.kill(engine, signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(2):
        server.ok("POST", f"/api/jobs/{job}/stop")
    seen = stream.until("error", "done")[-1]
    assert seen[0] == "error" and seen[1]["code"] == "engine_ended" and "did not stop within 5 s" in seen[1]["message"]
    assert 4 < time.monotonic() - began < patience(30)
    assert (
        entry_of(server, "deaf")["completion"].startswith(text)
        and "did not stop" in entry_of(server, "deaf")["failure"]
    )
    assert server.explain(n=1) and state_of(engine) is None
    assert server.stop() == 0


def test_a_run_that_a_crash_cut_short_is_not_tried_again_by_itself(serve, tmp_path):
    path = tmp_path / "runs.sqlite"
    first = serve("--store", path)
    done = first.explain(n=2)
    stream, text = start_endless(first, "cut short", tokens=4)
    wait_for(lambda: entry_of(first, "cut short")["completion"].startswith(text))  # tokens are saved a few at a time
    first.kill()
    stream.close()
    second = serve("--store", path)
    entry = entry_of(second, "cut short")
    assert (
        entry["finished"] is False and "the server ended" in entry["failure"] and entry["completion"].startswith(text)
    )
    time.sleep(1)
    assert second.ok("GET", "/api/status")["queue"] == 0 and entry_of(second, "cut short") == entry
    assert second.post(f"/api/runs/{done['id']}/retry", b"").error["code"] == "not_failed"
    assert second.post("/api/runs/999999/retry", b"").error["code"] == "not_found"
    run = second.ok("POST", f"/api/runs/{entry['id']}/retry", b"")
    assert run["id"] == entry["id"] and run["name"] == "cut short" and text_of(run).startswith(text)
    assert [a["method"] for a in run["attributions"]] == ["rollout"]
    again = entry_of(second, "cut short")
    assert again["finished"] is True and "failure" not in again
    assert second.post(f"/api/runs/{entry['id']}/retry", b"").error["code"] == "not_failed"
    assert second.ok("GET", f"/api/runs/{done['id']}") == done
    second.stop()


def test_text_that_libllama_throws_at_is_an_error_of_the_request(program, tiny, tmp_path):
    server = Server(program, tiny / "no_bytes.gguf", "--store", tmp_path / "runs.sqlite")
    engine = engine_of(server)
    for body in ({"prompt": "xyz"}, {"prompt": "a b", "completion": "xyz"}):
        error = server.post("/api/explain", body).error
        assert error["code"] == "engine" and "lack tokens" in error["message"]
    assert engine_of(server) == engine and server.ok("GET", "/api/runs")["runs"] == []
    assert server.explain("a b", completion="c")["attributions"]
    assert server.stop() == 0


LIBRARY = os.environ.get("HEADWATER_FAIL_ALLOC")


@pytest.mark.skipif(not LIBRARY, reason="no library that lets allocations fail: a build with sanitizers")
def test_segments_without_memory_are_an_error(program, tiny):
    prompt = "A hello hello hello hello hello hello hello hello \u00e9. " * 8
    size = len(prompt) + 1  # what the segmenter notes of each character: nothing else has a byte for each
    env = {"LD_PRELOAD": LIBRARY, "FAIL_ALLOC_OF": "headwater", "FAIL_ALLOC_SIZE": str(size), "FAIL_ALLOC_AT": "1"}
    server = Server(program, tiny / "llama.gguf", "--no-store", env=env)
    body = {"prompt": prompt, "options": {"n_generate": 1}, "methods": ["rollout"], "settings": {"by": "sentence"}}
    answer = server.post("/api/explain", body)
    assert (answer.status, answer.error["code"]) == (503, "out_of_memory"), answer.body
    assert server.ok("GET", "/api/runs")["runs"] == []
    again = server.explain(prompt, n=1, methods=["rollout"], settings={"by": "sentence"})["attributions"][
        0
    ]  # only one failed
    assert again["settings"]["groups"] and server.stop() == 0


FAILED_ALLOCATIONS = [range(10, 4001, 420)]
if os.environ.get("HEADWATER_EVERY_SITE") == "1":
    FAILED_ALLOCATIONS = [range(first, first + 1000, 7) for first in range(1, 6000, 1000)]


@pytest.mark.skipif(not LIBRARY, reason="no library that lets allocations fail: a build with sanitizers")
@pytest.mark.parametrize("numbers", FAILED_ALLOCATIONS, ids=str)
def test_one_failed_allocation_ends_no_server(program, tiny, numbers):
    """In the server and in its engine's process, which counts for itself. A request that fails says so; the next one,
    or that after it where the engine had to be started again, gives what it always gave."""
    body = {"prompt": "hello world. a b", "options": {"n_generate": 2}, "settings": {"by": "sentence"}}
    good, n_failed = None, 0
    for at in (0, *numbers):
        env = {"LD_PRELOAD": LIBRARY, "FAIL_ALLOC_OF": "headwater:jansson:microhttpd", "FAIL_ALLOC_AT": str(at)}
        try:
            server = Server(program, tiny / "llama.gguf", "--no-store", env=env)
        except AssertionError as error:
            assert at > 0 and "no address: headwater: " in str(error), (at, error)
            n_failed += 1
            continue
        for _ in range(3):
            try:
                reply = server.post("/api/explain", body)
            except (http.client.HTTPException, ConnectionError):
                n_failed += 1  # no memory for an answer
                continue
            if reply.status != 200:
                assert reply.error["code"] in ("out_of_memory", "engine_ended", "internal"), (at, reply.body)
                n_failed += 1
                continue
            run = {key: value for key, value in reply.json.items() if key not in ("id", "created")}
            good = good or run
            assert run == good, at
        replies = [server.get("/api/status") for _ in range(2)]  # the allocation may be one of the first
        assert replies[1].status == 200 and replies[0].status in (200, 503), (at, replies[0].body)
        assert replies[1].json["queue"] == 0 and server.stop() == 0, (at, server.err)
    assert good and (n_failed or numbers.start > 10)


def test_the_program_says_so_too(program, tiny):
    done = subprocess.run(
        [program, "explain", "-m", tiny / "no_bytes.gguf", "-p", "xyz"], capture_output=True, timeout=HANG_S
    )
    assert done.returncode == 1 and done.stdout == b"" and b"lack tokens" in done.stderr


def test_memory_that_runs_out_in_the_engine_is_an_error_of_the_request(serve):
    server = serve("--no-store")
    server.explain(n=1)
    engine = engine_of(server)
    limit = int(status_mib(engine, "VmData") + 8) << 20
    resource.prlimit(engine, resource.RLIMIT_DATA, (limit, limit))
    answer = server.post(
        "/api/explain", {"prompt": "word " * 3000, "options": {"n_generate": 1}, "methods": ["rollout"]}
    )
    assert answer.status in (500, 503) and answer.error["code"] in (
        "out_of_memory",
        "engine",
        "engine_ended",
    ), answer.error
    if state_of(engine):
        os.kill(engine, signal.SIGKILL)
        wait_for(lambda: state_of(engine) is None)
    assert server.explain(n=1)
    assert server.stop() == 0


def test_the_memory_limit_holds_for_the_engine(serve):
    server = serve("--no-store", "--memory", "400M")
    limits = pathlib.Path(f"/proc/{engine_of(server)}/limits").read_text()
    assert re.search(r"Max data size +\d+ ", limits) and re.search(r"Max core file size +0 ", limits)
    assert server.explain(n=2, methods=["rollout"])
    assert server.stop() == 0


def test_a_large_prompt_costs_next_to_nothing(serve):
    server = serve("--no-store", "--ctx", "256")
    server.explain(n=1)
    engine = engine_of(server)
    before = status_mib(engine, "VmHWM")
    for text in ("a", " ", "word "):
        began = time.monotonic()
        error = server.post(
            "/api/explain", {"prompt": text * (7_000_000 // len(text)), "options": {"n_generate": 1}}
        ).error
        assert error["code"] == "bad_request" and "the context of 256 tokens holds at most" in error["message"]
        assert time.monotonic() - began < 20
    assert status_mib(engine, "VmHWM") - before < 100 and engine_of(server) == engine
    assert server.stop() == 0


def test_a_prompt_that_is_counted_in_parts_is_left_when_its_client_leaves(serve):
    server = serve("--no-store")
    text = "x9 " * 200_000  # 600,000 bytes: fewer than 8,192 tokens could cover, were they as long as the longest
    error = server.post("/api/explain", {"prompt": text, "options": {"n_generate": 1}}).error
    assert error["code"] == "bad_request" and "the context has 8192" in error["message"]
    assert server.stop() == 0


def test_it_is_not_for_the_command_line(program):
    done = subprocess.run([program, "engine-process", "-m", "x.gguf"], capture_output=True, timeout=HANG_S)
    assert done.returncode == 1 and b"`headwater serve` starts it" in done.stderr
    assert b"engine-process" not in subprocess.run([program, "--help"], capture_output=True, timeout=HANG_S).stdout
