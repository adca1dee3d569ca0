"""What goes wrong outside the program: pipes in place of files, limits, kills; and who may read what it writes."""

import os
import resource
import signal
import subprocess
import time

import pytest
from conftest import causal, environment
from patience import HANG_S


@pytest.mark.parametrize(
    "command",
    [["info", "-m"], ["explain", "-p", "x", "-m"], ["explain", "--trace"], ["explain", "--attention"], ["view"]],
)
def test_a_pipe_in_place_of_a_file(headwater, tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    done = headwater(*command, "pipe", timeout=60)
    assert (done.status, done.out) == (1, "") and "pipe" in done.err and "name a regular file" in done.err


def test_a_pipe_that_nobody_writes_to(headwater, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    done = headwater("explain", "-m", "m.gguf", "-f", "pipe", timeout=60)
    assert done.status == 1 and "prompt pipe: no program has opened this pipe to write into it" in done.err


def test_pipes_are_text_and_wait_for_slow_writers(program, headwater, tiny, tmp_path):
    (tmp_path / "text").write_text("hello a b")
    os.mkfifo(tmp_path / "pipe")
    command = [program, "explain", "-m", tiny / "llama.gguf", "-n", "1", "-o", "r.csv", "-f"]
    plain = subprocess.run([*command, "text"], cwd=tmp_path, capture_output=True, timeout=HANG_S)
    line = " ".join(f"'{word}'" for word in command) + " "
    for source in ("<(cat text)", "/dev/stdin < text", "pipe & exec 3>pipe; sleep 6; cat text >&3; exec 3>&-; wait $!"):
        done = subprocess.run(["bash", "-c", line + source], cwd=tmp_path, capture_output=True, timeout=HANG_S)
        assert (done.returncode, done.stdout) == (0, plain.stdout), done.stderr


@pytest.mark.parametrize("command", [["explain", "-m", "m.gguf", "-f"], ["eval", "-m", "m.gguf"]])
def test_ctrl_c_ends_what_waits_for_a_pipe(program, tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    process = subprocess.Popen([program, *command, "pipe"], cwd=tmp_path)
    writer = os.open(tmp_path / "pipe", os.O_WRONLY)  # returns when the program has opened it
    os.write(writer, b"h")
    process.send_signal(signal.SIGINT)
    assert process.wait(HANG_S) in (-signal.SIGINT, 130)
    os.close(writer)


@pytest.mark.parametrize("option", ["-f", "--spans", "--messages", "--chat-template", "--passages"])
@pytest.mark.parametrize("path", [".", "/dev/zero", "/proc/self/mem", "none"])
def test_an_input_that_cannot_be_read_ends_with_a_message(headwater, tmp_path, option, path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    command = ["cite", "--question", "x"] if option == "--passages" else ["explain"]
    prompt = [] if option in ("-f", "--messages", "--passages") else ["-p", "x"]
    done = headwater(*command, "-m", "m.gguf", *prompt, option, path)
    assert done.status == 1 and done.err.startswith("headwater: ") and done.err.count("\n") == 1, done
    assert f" {path}: " in done.err


def test_spans_that_are_no_json_name_their_file(headwater, attention_file, tmp_path):
    path = attention_file(causal(2, 6), m=4)
    (tmp_path / "s.json").write_bytes(b"")
    done = headwater("explain", "--attention", path, "--spans", "s.json")
    assert done.status == 1 and done.err.startswith("headwater: spans s.json: no valid JSON"), done


def test_a_file_that_grows_too_large_is_an_error(headwater, attention_file, tmp_path):
    path = attention_file(causal(4, 40, seed=1), m=30)
    (tmp_path / "r.json").write_bytes(b"old")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    done = headwater("explain", "--attention", path, "-o", "r.json", "--full", preexec_fn=limit)
    assert done.status == 1 and "r.json cannot be written: File too large" in done.err
    assert (tmp_path / "r.json").read_bytes() == b"old" and sorted(os.listdir(tmp_path)) == [path.name, "r.json"]


def test_what_holds_prompts_is_the_owners_alone(headwater, attention_file, tmp_path):
    path = attention_file(causal(2, 6), m=4)
    outputs = ["r.json", "r.csv", "r.npy", "r.safetensors", "r.html", "r.svg", "t.trace"]
    done = headwater(
        "explain",
        "--attention",
        path,
        "--trace",
        "t.trace",
        *[a for o in outputs[:-1] for a in ("-o", o)],
        preexec_fn=lambda: os.umask(0),
    )
    assert done.status == 0, done
    assert {name: oct((tmp_path / name).stat().st_mode & 0o777) for name in outputs} == dict.fromkeys(outputs, "0o600")
    os.chmod(tmp_path / "r.json", 0o644)  # what is there keeps what it allows
    assert headwater("explain", "--attention", path, "-o", "r.json").status == 0
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o644


def test_a_killed_process_leaves_no_file(program, attention_file, tmp_path):
    path = attention_file(causal(6, 700, seed=2), m=650)
    command = [str(program), "explain", "--attention", str(path), "-o", "r.json", "--full", "--method", "attention"]
    for delay in (0.3, 0.6, 0.9, 1.2, 1.5, 2, 3):
        running = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert set(os.listdir(tmp_path)) <= {path.name, "r.json"}


def test_text_is_no_formula_to_spreadsheets(headwater, attention_file, tmp_path):
    texts = ["=1+1", "+a", "-2", "@x", "\tb", "\rc", "ok", "a=b"]
    path = attention_file(causal(1, 8), m=7, tokens=texts)
    assert headwater("explain", "--attention", path, "-o", "r.csv").status == 0
    cells = (tmp_path / "r.csv").read_bytes().decode()
    for text in texts[:6]:
        assert f'"\'{text}"' in cells
    assert ",ok," in cells and "'ok" not in cells and "a=b," in cells
