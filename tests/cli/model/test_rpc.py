"""Devices and workers: what `info` lists, models spread over workers on this machine, and servers that are none.

A worker's memory is no memory of the program's, so everything that a GPU would need is exercised without one: rows
averaged where they live, heads of single rows, streams and values copied.
"""

import os
import pathlib
import platform
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import numpy as np
import pytest
from conftest import environment
from patience import HANG_S, patience, until
from safetensors.numpy import load_file

SCRIPT = pathlib.Path(__file__).parents[3] / "scripts" / "rpc-workers.sh"
PROMPT = "Anna keeps her key in the red box. Tom lives near the sea. Question: Where is the key? Answer: in the"
METHODS = ("rollout", "logit", "contribution")
VERSION = (7, 0, 0)  # of the protocol of the llama.cpp that scripts/setup-engine.sh builds


def free_ports(n):
    """The first of n ports in a row that nobody listens on."""
    for first in range(21000 + os.getpid() % 9000, 65000, n):
        sockets = [socket.socket() for _ in range(n)]
        try:
            for i, s in enumerate(sockets):
                s.bind(("127.0.0.1", first + i))
            return first
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


@pytest.fixture(scope="module")
def workers(program):
    """Addresses of two workers, "HOST:PORT,HOST:PORT"."""
    env = environment(HEADWATER_BIN=str(program), PORT=str(free_ports(2)), THREADS="1")
    script = subprocess.Popen([SCRIPT], stdout=subprocess.PIPE, env=env, text=True)
    yield script.stdout.readline().strip()
    script.terminate()
    assert script.wait(timeout=HANG_S) in (130, -signal.SIGTERM)


@pytest.fixture
def pretend():
    """pretend(answer, ...) listens and, once connected to, sends bytes, or nothing and hangs up; its HOST:PORT."""
    listeners = []

    def serve(answer):
        s = socket.create_server(("127.0.0.1", 0))
        listeners.append(s)

        def reply():
            try:
                peer, _ = s.accept()
            except OSError:
                return
            with peer:
                peer.recv(64)
                peer.sendall(answer)

        threading.Thread(target=reply, daemon=True).start()
        return f"127.0.0.1:{s.getsockname()[1]}"

    yield serve
    for s in listeners:
        s.close()


def hello(*version):
    return struct.pack("<Q4B24x", 28, *version, 0)


# ------------------------------------------------------------------ the list


def test_info_without_a_model_lists_devices(headwater):
    done = headwater("info")
    assert (done.status, done.err) == (0, "")
    assert re.search(r"^devices {9}.*|^ {16}.*", done.out)
    assert re.search(r"CPU: .+, [\d.]+ GB, [\d.]+ free$", done.out, re.M)


def test_info_names_the_kernels_that_products_take(headwater, monkeypatch):
    oldest = {"x86_64": "Nehalem", "aarch64": "ARMV8"}[platform.machine()]
    monkeypatch.setenv("OPENBLAS_CORETYPE", oldest)
    assert re.search(rf"^products {{8}}OpenBLAS {oldest}$", headwater("info").out, re.M)


def test_info_lists_workers_first(headwater, workers):
    done = headwater("info", "--rpc", workers)
    assert (done.status, done.err) == (0, "")
    listed = re.findall(r"(\w+): (\S+), [\d.]+ GB, [\d.]+ free, takes blocks, rows are copied from it$", done.out, re.M)
    assert listed == [(f"RPC{i}", address) for i, address in enumerate(workers.split(","))]


@pytest.mark.model
def test_info_says_where_rows_live(headwater, workers, smollm):
    done = headwater("info", "-m", smollm, "--rpc", workers, "--gpu-layers", "20")
    assert (done.status, done.err) == (0, "")
    lives = dict(re.findall(r"(\w+) (\d+)", re.search(r"^rows live on +(.+)$", done.out, re.M)[1]))
    assert set(lives) == {"CPU", "RPC0", "RPC1"}
    assert sum(map(int, lives.values())) == 30
    assert re.search(r"^probe .+, copied from the device$", done.out, re.M)
    assert "contribution: yes" in done.out and "logit: yes" in done.out
    assert re.search(r"^rows live on +CPU$", headwater("info", "-m", smollm).out, re.M)


@pytest.mark.model
@pytest.mark.parametrize(("blocks", "where"), [("0", "CPU"), ("", "RPC")])
def test_a_variable_counts_as_a_choice_of_blocks(headwater, workers, smollm, blocks, where):
    done = headwater("info", "-m", smollm, "--rpc", workers, env={"LLAMA_ARG_N_GPU_LAYERS": blocks})
    assert done.status == 0 and re.search(rf"^rows live on +{where}", done.out, re.M), done.out


# ------------------------------------------------------------------ the same numbers


def explained(headwater, model, tmp_path, name, *options):
    done = headwater("explain", "-m", model, "--threads", "2", "-p", PROMPT, "-n", "3", "--method", ",".join(METHODS),
                     "-o", f"{name}.safetensors", *options)
    assert (done.status, done.err) == (0, "")
    return {m: load_file(tmp_path / f"{name}.{m}.safetensors") for m in METHODS}, done.out


def check_alike(headwater, model, tmp_path, reference, *spreads):
    expected, text = explained(headwater, model, tmp_path, "reference", *reference)
    for spread in spreads:
        there, again = explained(headwater, model, tmp_path, "there", *spread)
        assert again == text
        for method in METHODS:
            apart = np.abs(expected[method]["attribution"].astype(float) - there[method]["attribution"]).max()
            assert apart < 1e-5, (spread, method, apart)


@pytest.mark.model
def test_a_spread_model_explains_as_a_local_one(headwater, tmp_path, workers, smollm_f32):
    """In full precision: this program repacks quantised weights for its CPU, whose kernels round otherwise; workers do
    not."""
    check_alike(headwater, smollm_f32, tmp_path, [], ["--rpc", workers], ["--rpc", workers, "--gpu-layers", "15"],
                ["--rpc", workers, "--device", "RPC1", "--ubatch", "16"])


@pytest.mark.model
def test_two_workers_explain_as_one(headwater, tmp_path, workers, gemma):
    check_alike(headwater, gemma, tmp_path, ["--rpc", workers.split(",")[0]], ["--rpc", workers])


def check_one(headwater, model, tmp_path, workers, options):
    """Local and over both workers: every file that is saved holds the same."""
    files = {}
    for name, where in (("local", []), ("there", ["--rpc", workers])):
        done = headwater("explain", "-m", model, "-p", PROMPT, "-n", "2", *options, *where, "-o", f"{name}.safetensors")
        assert (done.status, done.err) == (0, "")
        files[name] = sorted(tmp_path.glob(f"{name}*.safetensors"))
    assert len(files["local"]) == len(files["there"]) > 0
    for local, there in zip(files["local"], files["there"]):
        apart = np.abs(load_file(local)["attribution"].astype(float) - load_file(there)["attribution"]).max()
        assert apart < 1e-5, (options, there.name, apart)


@pytest.mark.model
def test_heads_are_all_copied_where_their_mean_is_not_enough(headwater, tmp_path, workers, smollm_f32):
    for options in (["--fuse", "max", "--method", "rollout"],
                    ["--method", "contribution", "--aggregate", "rollout"]):
        check_one(headwater, smollm_f32, tmp_path, workers, options)


@pytest.mark.model
def test_rows_that_are_folded_as_they_come_wait_for_their_stream(headwater, tmp_path, workers, smollm_f32):
    # Means of the prompt's rows and heads of its last one come in two parts.
    check_one(headwater, smollm_f32, tmp_path, workers,
              ["--method", "rollout,logit", "--residual", "measured", "--by", "sentence", "--ubatch", "16"])


# ------------------------------------------------------------------ what cannot be


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":50052", "localhost:70000", "localhost:5005x"])
def test_addresses_are_checked(headwater, address):
    done = headwater("info", "--rpc", address)
    assert done.status == 1
    assert f'"{address}" is not a worker address: HOST:PORT is expected' in done.err


@pytest.mark.parametrize("option, accepted", [("--rpc", "HOST:PORT,..."), ("--device", "NAME,...")])
def test_an_empty_name_is_refused(headwater, option, accepted):
    """As of a variable that is not set: it would mean that all runs here."""
    for names in ("", ",", "one:1,", ",one:1", "one:1,,two:2"):
        done = headwater("info", option, names)
        assert (done.status, done.out) == (2, "")
        assert f'{option} "{names}": must be {accepted}, and no name may be empty' in done.err


@pytest.mark.model
def test_blocks_that_no_device_takes(headwater, workers, smollm):
    remark = "--gpu-layers 5 has no effect"
    if " takes blocks" in headwater("info").out:
        remark = ""  # a machine that has such a device
    args = ("info", "-m", smollm, "--gpu-layers", "5")
    done = headwater(*args)
    assert done.status == 0 and remark in done.err and bool(done.err) == bool(remark)
    assert headwater(*args, "-q").err == "" and headwater(*args, "--rpc", workers).err == ""
    assert headwater("info", "-m", smollm, "--gpu-layers", "0").err == ""


def test_a_server_that_is_not_there(headwater):
    done = headwater("info", "--rpc", f"127.0.0.1:{free_ports(1)}")
    assert done.status == 1
    assert re.search(r"the worker 127\.0\.0\.1:\d+ cannot be reached: Connection refused", done.err)


def test_a_name_that_is_nobodys(headwater):
    done = headwater("info", "--rpc", "nobody.invalid:50052")
    assert done.status == 1
    assert "the worker nobody.invalid:50052: no IPv4 address: " in done.err


def test_another_version_is_refused(headwater, pretend):
    done = headwater("info", "--rpc", pretend(hello(VERSION[0], VERSION[1], VERSION[2] + 1)))
    assert done.status == 1
    assert "speaks version 7.0.1 of ggml's RPC protocol, 7.0.0 is needed" in done.err


def test_no_such_server(headwater, pretend):
    done = headwater("info", "--rpc", pretend(b""))
    assert done.status == 1
    assert "hung up" in done.err and "not a ggml RPC server" in done.err


def test_a_silent_server_is_not_waited_for(headwater):
    with socket.create_server(("127.0.0.1", 0)) as s:
        begin = time.monotonic()
        done = headwater("info", "--rpc", f"127.0.0.1:{s.getsockname()[1]}")
        assert done.status == 1
        assert "does not answer within 5 s" in done.err and "one client at a time" in done.err
        assert 4 < time.monotonic() - begin < patience(15)


def test_a_worker_is_named_once(headwater, workers):
    first = workers.split(",")[0]
    done = headwater("info", "--rpc", f"{first},{first}")
    assert (done.status, done.err) == (1, f"headwater: the worker {first} is named twice\n")


def test_devices_go_by_their_names(headwater, workers, smollm):
    done = headwater("info", "-m", smollm, "--rpc", workers, "--device", "RPC0,RPC7")
    assert (done.status, done.err) == (1, 'headwater: no device "RPC7": accepted are RPC0, RPC1\n')
    done = headwater("info", "-m", smollm, "--rpc", workers, "--device", "RPC0,RPC0")
    assert (done.status, done.err) == (1, "headwater: device RPC0 is named twice\n")


# ------------------------------------------------------------------ workers


@pytest.fixture
def worker(program):
    """A worker of one's own and its address."""
    port = free_ports(1)
    process = subprocess.Popen([program, "worker", "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(), text=True)
    yield process, f"127.0.0.1:{port}"
    process.kill()
    process.communicate()


def wait_for(headwater, address):
    until(lambda: headwater("info", "--rpc", address).status == 0, f"{address} does not answer")


def test_a_worker_ends_by_ctrl_c(headwater, worker):
    process, address = worker
    wait_for(headwater, address)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == -signal.SIGINT  # the shell's 130
    assert out == ""
    assert f"endpoint       : {address}" in err and "Accepted client connection" in err
    assert "password" not in err


def test_a_taken_port(headwater, worker):
    _, address = worker
    wait_for(headwater, address)
    port = address.split(":")[1]
    done = headwater("worker", "--port", port)
    assert (done.status, done.out) == (1, "")
    assert done.err == f"headwater: 127.0.0.1:{port} cannot be listened on: Address already in use\n"


def test_an_open_worker_warns(headwater):
    done = headwater("worker", "--host", "192.0.2.1")  # an address that is never this machine's
    assert done.status == 1
    assert re.match(r"headwater: 192\.0\.2\.1: whoever reaches port 50052 .+ no password .+\n", done.err)
    assert "192.0.2.1:50052 cannot be listened on: Cannot assign requested address" in done.err


def test_a_workers_options_are_checked(headwater):
    for options, complaint in ((["--host", "nobody"], 'host "nobody": an IPv4 address of this machine is accepted'),
                               (["--device", "CUDA9"], 'no device "CUDA9": accepted are CPU'),
                               (["--port", "0"], "--port"), (["model.gguf"], "it takes no arguments")):
        done = headwater("worker", *options)
        assert done.status == 2
        assert complaint in done.err


@pytest.mark.model
def test_a_worker_that_dies_ends_the_run_in_one_line(program, headwater, worker, smollm, tmp_path):
    process, address = worker
    wait_for(headwater, address)
    run = subprocess.Popen(
        [program, "explain", "-m", smollm, "-p", "word " * 400, "-n", "400", "--rpc", address],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert run.stdout.read(1)  # it generates
    process.kill()
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 1
    assert "rollout" not in out  # what was generated by then stays, and nothing is explained
    assert re.fullmatch(
        r"headwater: the engine gave up: .*Remote RPC server crashed or returned malformed response\n", err
    )
