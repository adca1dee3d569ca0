"""Command lines that cannot be right: exit 2, nothing on standard output, and exactly these words on standard error."""

import pytest

TRACE = "t.trace.safetensors"
RUN = ["explain", "-m", "model.gguf", "-p", "x"]

CASES = {
    "unknown command": (["explian"], "unknown command \"explian\"; did you mean explain?"),
    "far from any command": (["frobnicate"], "unknown command \"frobnicate\""),
    "help of an unknown command": (["help", "vieww"], "unknown command \"vieww\"; did you mean view?"),
    "unknown option": (["explain", "--tokn", "1"], "explain has no option --tokn; did you mean --token?"),
    "option of another command": (["view", "--temp", "1"], "view has no option --temp"),
    "unknown letter": (["explain", "-Z"], "explain has no option -Z"),
    "no value": (["explain", "-n"], "-n needs a value: N"),
    "no value, long": (["explain", "--row"], "--row needs a value: predictor|own"),
    "value for a flag": (["explain", "--chat=yes"], "--chat takes no value"),
    "not a number": ([*RUN, "-n", "many"], "-n \"many\": must be a whole number from 1 to 1000000"),
    "rest after a number": ([*RUN, "-n", "4x"], "-n \"4x\": must be a whole number from 1 to 1000000"),
    "space before a number": ([*RUN, "-n", " 4"], "-n \" 4\": must be a whole number from 1 to 1000000"),
    "empty number": ([*RUN, "-n", ""], "-n \"\": must be a whole number from 1 to 1000000"),
    "below the range": ([*RUN, "-n", "0"], "-n \"0\": must be a whole number from 1 to 1000000"),
    "beyond 64 bits": (
        [*RUN, "--seed", "99999999999999999999"],
        "--seed \"99999999999999999999\": must be a whole number from 0 to 4294967295",
    ),
    "above the range": ([*RUN, "--residual", "1.5"], "--residual \"1.5\": must be a number from 0 to 1, or measured"),
    "a word that is no weight": (
        [*RUN, "--residual", "most"],
        "--residual \"most\": must be a number from 0 to 1, or measured",
    ),
    "discarding all": ([*RUN, "--discard", "1"], "--discard \"1\": must be a number from 0 to below 1"),
    "not finite": ([*RUN, "--temp", "inf"], "--temp \"inf\": must be a number from 0 to 100"),
    "not a number of any kind": ([*RUN, "--temp", "nan"], "--temp \"nan\": must be a number from 0 to 100"),
    "hexadecimal": ([*RUN, "--temp", "0x1"], "--temp \"0x1\": must be a number from 0 to 100"),
    "unknown word": ([*RUN, "--row", "mine"], "--row \"mine\": must be one of predictor, own"),
    "unknown measure": (
        [*RUN, "--measure", "foo"],
        "--measure \"foo\": must be one of projection, norm, proximity1, proximity2",
    ),
    "no size": (
        [*RUN, "--memory", "much"],
        "--memory \"much\": must be a number of bytes above 0, optionally followed by K, M, G or T, as in 500M",
    ),
    "unknown fusion": ([*RUN, "--fuse", "sum"], "--fuse \"sum\": must be one of mean, max, min"),
    "unknown colour mode": ([*RUN, "--color", "yes"], "--color \"yes\": must be one of auto|always|never"),
    "unknown preset": (
        [*RUN, "--preset", "notes"],
        "--preset \"notes\": unknown name, did you mean note?; accepted: note",
    ),
    "nothing to explain": (
        ["explain"],
        "nothing to explain: give -m MODEL and a prompt (-p TEXT, -f FILE or -), or "
        "--trace FILE, or --attention FILE",
    ),
    "no prompt": (["explain", "-m", "model.gguf"], "no prompt: give -p TEXT, -f FILE, or - for standard input"),
    "model and trace, no prompt": (
        ["explain", "-m", "model.gguf", "--trace", TRACE],
        "no prompt: give -p TEXT, -f FILE, or - for standard input (to explain from a saved " "trace leave out -m)",
    ),
    "no model": (["explain", "-p", "x"], "no model: give -m MODEL, or set HEADWATER_MODEL"),
    "two prompts": ([*RUN, "-f", "prompt.txt"], "more than one prompt: give one of -p, -f, --messages and -"),
    "prompt as an argument": (
        ["explain", "-m", "model.gguf", "My name"],
        "\"My name\": the prompt is given with -p TEXT or -f FILE, or is - for standard input",
    ),
    "model as an argument": (["info", "model.gguf"], "\"model.gguf\": the model is given with -m MODEL"),
    "empty completion": ([*RUN, "--completion", ""], "--completion \"\": there is nothing in it to explain"),
    "generate and completion": (
        [*RUN, "--completion", "y", "-n", "4"],
        "-n cannot be combined with --completion: nothing is generated",
    ),
    "prompt and attention": (
        ["explain", "--attention", "a.safetensors", "-p", "x"],
        "a prompt cannot be combined with --attention: the tokens are given",
    ),
    "model and attention": (
        ["explain", "--attention", "a.safetensors", "-m", "model.gguf"],
        "-m cannot be combined with --attention: no model is loaded",
    ),
    "sampling from a trace": (
        ["explain", "--trace", TRACE, "--temp", "1"],
        "--temp cannot be combined with a saved trace: the tokens are given",
    ),
    "generating from a trace": (
        ["explain", "--trace", TRACE, "-n", "3"],
        "-n cannot be combined with a saved trace: the tokens are given",
    ),
    "threads for a trace": (
        ["explain", "--trace", TRACE, "--threads", "3"],
        "-t cannot be combined with a saved trace: no model is loaded",
    ),
    "fusing a trace": (
        ["explain", "--trace", TRACE, "--fuse", "max"],
        "--fuse cannot be combined with a saved trace: the heads were fused when the run was captured",
    ),
    "unknown ending": (
        [*RUN, "-o", "out.txt"],
        "-o \"out.txt\": unknown file extension; accepted: .json .safetensors .csv .npy .html .png .svg .pdf",
    ),
    "no ending": (
        [*RUN, "-o", "out"],
        "-o \"out\": unknown file extension; accepted: .json .safetensors .csv .npy .html .png .svg .pdf",
    ),
    "one output twice": (
        [*RUN, "-o", "a.csv", "-o", "a.csv"],
        "a.csv would be written and is also named for something else",
    ),
    "output over the trace": (
        [*RUN, "-o", "a.safetensors", "--trace", "a.safetensors"],
        "a.safetensors would be written and is also named for something else",
    ),
    "trace over the prompt": (
        ["explain", "-m", "model.gguf", "-f", "p.txt", "--trace", "p.txt"],
        "p.txt would be written and is also named for something else",
    ),
    "nothing to view": (["view"], "name a file"),
    "two files to plot": (["plot", "a", "b"], "name one file; 2 were given"),
    "lift of nats": ([*RUN, "--method", "rollout,logit", "--lift"], "--lift divides shares, and logit gives nats"),
    "normalised nats": ([*RUN, "--method", "logit", "--normalise"], "--normalise divides shares, and logit gives nats"),
    "normalised lift": (
        [*RUN, "--lift", "--normalise"],
        "--lift cannot be combined with --normalise: a lift is not a share of a whole",
    ),
    "against without logit": (
        [*RUN, "--method", "rollout", "--against", "x"],
        "--against applies to logit, not to rollout",
    ),
    "against nothing": ([*RUN, "--against", ""], "--against \"\": must be text of 1 to 200 bytes without NUL"),
    "against of a trace": (
        ["explain", "--trace", TRACE, "--against", "x"],
        "--against cannot be combined with a saved trace: logits are read only while the model runs",
    ),
    "against of methods": (
        ["check", "-m", "model.gguf", "-p", "x", "--method", "rollout,random", "--against", "x"],
        "--against applies to logit, not to rollout and random",
    ),
    "row of methods without rows": (
        [*RUN, "--method", "logit,leave-one-out", "--row", "own"],
        "--row applies to rollout, contribution, attention, flow and uniform, not to logit and " "leave-one-out",
    ),
    "row by default": (
        [*RUN, "--method", "random", "--row", "predictor"],
        "--row applies to rollout, contribution, attention, flow and uniform, not to random",
    ),
    "measure": (
        [*RUN, "--method", "attention", "--measure", "norm"],
        "--measure applies to contribution, not to attention",
    ),
    "measure of the default": (
        [*RUN, "--measure", "norm"],
        "--measure applies to contribution, not to logit and rollout",
    ),
    "aggregate": (
        [*RUN, "--method", "logit", "--aggregate", "rollout"],
        "--aggregate applies to contribution, not to logit",
    ),
    "discard": (
        [*RUN, "--method", "attention", "--discard", "0.5"],
        "--discard applies to rollout and flow, not to attention",
    ),
    "discard of a trace": (
        ["view", "worked", "--method", "attention", "--discard", "0.5"],
        "--discard applies to rollout and flow, not to attention",
    ),
    "discard to cite": (
        ["cite", "-m", "model.gguf", "-p", "x", "--discard", "0.5"],
        "--discard applies to rollout and flow, not to logit and contribution",
    ),
    "sink": (
        [*RUN, "--method", "logit", "--remove-sink"],
        "--remove-sink applies to rollout, flow and uniform, not to logit",
    ),
    "direction": (
        [*RUN, "--method", "flow", "--direction", "output"],
        "--direction applies to rollout and uniform, not to flow",
    ),
    "direction of each layer by itself": (
        [*RUN, "--method", "contribution", "--direction", "output"],
        "--direction applies to rollout and uniform, not to contribution with these settings",
    ),
    "residual of projections": (
        [*RUN, "--method", "contribution", "--aggregate", "rollout", "--residual", "measured"],
        "--residual applies to rollout, flow and uniform, not to contribution with these settings",
    ),
    "fuse": (
        [*RUN, "--method", "logit", "--fuse", "max"],
        "--fuse applies to rollout, attention and flow, not to logit",
    ),
    "layers of methods without layers": (
        [*RUN, "--method", "leave-one-out,random", "--layers", "5-6"],
        "--layers applies to rollout, contribution, logit, attention, flow and uniform, not "
        "to leave-one-out and random",
    ),
    "unknown aggregate": ([*RUN, "--aggregate", "sum"], "--aggregate \"sum\": must be one of mean, rollout"),
    "method twice": ([*RUN, "--method", "rollout,rollout"], "--method names rollout twice"),
}


@pytest.mark.parametrize("name", CASES)
def test_usage_error(headwater, worked, name):
    args, message = CASES[name]
    args = [str(worked) if a == "worked" else a for a in args]
    command = args[0] + " " if args[0] in ("explain", "view", "plot", "info", "check", "cite") else ""
    done = headwater(*args)
    assert done.err == f"headwater: {message}\nSee `headwater {command}--help`.\n"
    assert (done.status, done.out) == (2, "")


@pytest.mark.parametrize("method", ["rolout", "rollout,", ",", "rollout,gradient"])
def test_unknown_method_lists_the_methods(headwater, method):
    done = headwater(*RUN, "--method", method)
    assert (done.status, done.out) == (2, "")
    assert "unknown name" in done.err and "accepted: " in done.err and "rollout" in done.err


def test_near_method_is_suggested(headwater):
    assert "did you mean rollout?" in headwater(*RUN, "--method", "rolout").err


def test_unknown_filter_lists_the_filters(headwater):
    done = headwater(*RUN, "--hide", "first,punctation")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(
        "headwater: --hide: filter \"punctation\": unknown name, did you mean punctuation?; accepted: note, first, "
    )


def test_values_from_the_command_line_reach_the_terminal_sanitised(headwater):
    done = headwater(*RUN, "-n", "\x1b[31mred\a")
    assert "\x1b" not in done.err and "\a" not in done.err
    assert "␛[31mred␇" in done.err


def test_model_from_the_environment(headwater):
    done = headwater("explain", "-p", "x", env={"HEADWATER_MODEL": "/nowhere/model.gguf"})
    assert done.status == 1 and "/nowhere/model.gguf" in done.err


def test_the_environment_names_no_model_for_a_trace(headwater):
    done = headwater("explain", "--trace", "none.safetensors", env={"HEADWATER_MODEL": "/nowhere/model.gguf"})
    assert done.status == 1 and "none.safetensors" in done.err and "model.gguf" not in done.err
