"""Runs outlive the server, whatever ends it."""

import concurrent.futures
import contextlib
import os
import resource
import signal
import sqlite3
import time

from conftest import ENDLESS, PROMPT, text_of
from patience import HANG_S


def test_a_run_is_there_after_a_restart(serve, tmp_path):
    path = tmp_path / "runs.sqlite"
    first = serve("--store", path)
    run = first.explain(n=3, methods=["rollout"], name="kept")
    assert first.ok("GET", "/api/status")["store"] is True
    assert first.stop() == 0
    assert (path.stat().st_mode & 0o077) == 0
    second = serve("--store", path)
    assert second.ok("GET", f"/api/runs/{run['id']}") == run
    again = second.ok("POST", f"/api/runs/{run['id']}/explain", {"methods": ["attention"]})
    assert again["attributions"][0]["shape"] == run["attributions"][0]["shape"]
    assert second.explain(n=1)["id"] > run["id"]
    second.ok("DELETE", f"/api/runs/{run['id']}")
    assert second.stop(signal.SIGTERM) == 0
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM traces").fetchone() == (1,)


def test_runs_can_be_deleted_where_none_can_be_saved(serve, tmp_path):
    """No file may grow beyond what the largest has by now, as on a full disk (test_full_disk.c has one)."""
    path = tmp_path / "runs.sqlite"
    server = serve("--store", path)
    runs = [server.explain(n=4) for _ in range(2)]
    size = max(file.stat().st_size for file in tmp_path.iterdir())
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, size))
    reply = server.post("/api/explain", {"prompt": PROMPT * 4, "options": {"n_generate": 4}})
    assert (reply.status, reply.error["code"]) == (507, "store"), reply.body
    assert "the store of runs cannot be written: " in reply.error["message"]
    assert server.ok("GET", f"/api/runs/{runs[0]['id']}") == runs[0]
    for run in runs:
        assert server.ok("DELETE", f"/api/runs/{run['id']}") == {"id": run["id"]}
    assert server.explain(n=1)["id"] and server.stop() == 0


def test_ctrl_c_during_a_run_ends_at_once_and_keeps_its_tokens(serve, tmp_path):
    path = tmp_path / "runs.sqlite"
    first = serve("--store", path)
    stream = first.stream("/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}})
    text = "".join(stream.until("token")[-1][1]["token"]["text"] for _ in range(3))
    began = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - began < 20
    assert stream.until("error")[-1] == ("error", {"code": "closing", "message": "the server is stopping"})
    second = serve("--store", path)
    (entry,) = second.ok("GET", "/api/runs")["runs"]
    assert entry["finished"] is False and "the server was stopped" in entry["failure"]
    assert text_of(second.ok("POST", f"/api/runs/{entry['id']}/retry")).startswith(text)
    second.stop()


def test_clients_hear_that_the_server_stops(serve):
    server = serve("--no-store")
    stream = server.stream("/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}})
    stream.until("token")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waits = pool.submit(server.ask, "POST", "/api/explain", {"prompt": PROMPT, "options": {"n_generate": 1}})
        deadline = time.monotonic() + HANG_S
        while server.ok("GET", "/api/status")["queue"] < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.stop(signal.SIGTERM) == 0
        assert stream.until("error")[-1][1]["code"] == "closing"
        reply = waits.result()
    assert (reply.status, reply.json["error"]["code"]) == (503, "closing")


def test_a_store_of_the_version_before_is_taken_over(serve, tmp_path):
    path = tmp_path / "runs.sqlite"
    first = serve("--store", path)
    run = first.explain(n=1)
    first.stop()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE runs DROP COLUMN failure")
        db.execute(
            "INSERT INTO runs(name, created, model, sha, prompt, request) "
            "VALUES('old', '', '', '', 'a', '{\"prompt\": \"a\"}')"
        )
        db.execute("PRAGMA user_version=1")
    second = serve("--store", path)
    assert second.ok("GET", f"/api/runs/{run['id']}") == run
    (old,) = [r for r in second.ok("GET", "/api/runs")["runs"] if r["name"] == "old"]
    assert old["finished"] is False and old["failure"]
    second.stop()


def test_a_run_in_the_making_is_listed_but_not_given(server):
    stream = server.stream("/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}})
    job = stream.until("token")[0][1]["job"]
    entry = server.ok("GET", "/api/runs")["runs"][0]
    assert entry["finished"] is False
    assert server.get(f"/api/runs/{entry['id']}").error["code"] == "unfinished"
    assert server.get(f"/api/runs/{entry['id']}/export?format=html").error["code"] == "unfinished"
    server.ok("POST", f"/api/jobs/{job}/stop")
    stream.until("done")


def test_two_servers_share_no_store(serve, program, smollm, tmp_path):
    import subprocess

    path = tmp_path / "runs.sqlite"
    first = serve("--store", path)
    done = subprocess.run([program, "serve", "-m", smollm, "--store", path], capture_output=True, timeout=HANG_S)
    assert done.returncode == 1 and b"is in use by another headwater serve" in done.stderr
    first.stop()


def test_stores_that_are_none_are_refused(program, smollm, tmp_path):
    import subprocess

    other, newer, foreign = tmp_path / "text", tmp_path / "newer", tmp_path / "foreign"
    other.write_text("no database at all, but long enough to look like a file " * 20)
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=9")
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE runs(id)")
    for path, part in ((other, b"not a database"), (newer, b"version 9"), (foreign, b"of something else"),
                       (tmp_path / "no" / "where", b"cannot open")):
        before = path.read_bytes() if path.exists() else None
        done = subprocess.run([program, "serve", "-m", smollm, "--store", path], capture_output=True, timeout=HANG_S)
        assert done.returncode == 1 and part in done.stderr, done.stderr
        assert before is None or path.read_bytes() == before


def test_the_default_store_lies_in_the_users_data(serve, tmp_path):
    server = serve(env={"XDG_DATA_HOME": str(tmp_path / "data")})
    server.explain(n=1)
    server.stop()
    assert (tmp_path / "data/headwater/runs.sqlite").is_file()
    assert (os.stat(tmp_path / "data/headwater").st_mode & 0o777) == 0o700


def test_ports(serve, server, program, smollm):
    import subprocess

    done = subprocess.run(
        [program, "serve", "-m", smollm, "--no-store", "--port", str(server.port)], capture_output=True, timeout=HANG_S
    )
    assert done.returncode == 1 and f"127.0.0.1:{server.port}".encode() in done.stderr
    other = serve("--no-store")  # the usual port is taken by now, or this takes it
    assert other.port != server.port and other.explain(PROMPT, n=1)
    assert other.stop() == 0


def test_a_run_that_would_take_too_much_memory_is_refused(serve):
    server = serve("--no-store", "--memory", "300M")
    server.explain(n=1, methods=["rollout"])
    answer = server.post(
        "/api/explain", {"prompt": "word " * 1500, "options": {"n_generate": 1}, "methods": ["rollout"]}
    )
    assert answer.status == 400 and answer.error["code"] == "bad_request"
    assert "300.0 MiB" in answer.error["message"] and "a shorter prompt" in answer.error["message"]
    server.stop()


def test_memory_keeps_the_newest(serve):
    server = serve("--no-store")
    first = server.explain("a", n=1, methods=["attention"])["id"]
    for _ in range(50):
        server.explain("a", n=1, methods=["attention"])
    runs = server.ok("GET", "/api/runs")["runs"]
    assert len(runs) == 50 and first not in [r["id"] for r in runs]
    server.stop()
