#!/usr/bin/env python3
"""Measures how well the marks of `headwater cite` agree with leaving each passage out.

    scripts/measure_citations.py --program build/release/headwater --model MODEL.gguf --chat

Makes questions over passages from the data set `facts` (scripts/setup-datasets.sh): about one fact, about two facts,
or about something in no passage. The model answers; its sentences are cited by each method, and by leave-one-out,
which measures the drop in log probability of each sentence without each passage. Prints the precision of the marks
(the share on passages without which the sentence's log probability drops by at least 2, or 4, nats) and their recall
(the share of such passages with a mark); the same for other thresholds of the peak. --pairs keeps what was measured in
a file, and a run continues with the questions that are not in it; without --model the file is reported, of all
questions or of each second one (--half 0 or 1). There the methods `logit --confirm Q` are those of
`cite --confirm Q`, whose Q passages are taken to be those of the highest peaks.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

NAMES = ["Notes", "Diary", "Letter", "Report", "News", "Memo", "Guide", "List", "Blog", "Mail"]
UNTOLD = ["What is the capital of France?", "Write two sentences about the sea.", "How many days are there in a week?",
          "What colour is the sky?", "Who wrote Romeo and Juliet?", "Tell me a short story about a dragon.",
          "What is two plus two?", "Why do people sleep?"]
THRESHOLDS = {"logit": [0.1, 0.12, 0.14, 0.15, 0.16, 0.18, 0.2, 0.25, 0.3, 0.35],
              "logit --direct": [0.1, 0.15, 0.2, 0.25, 0.3],
              "contribution": [2, 3, 4, 5, 6], "attention": [2, 3, 4, 5, 6]}
FALLS = (2.0, 4.0)
CONFIRMED = (1, 2, 3, 4)
THRESHOLDS |= {f"logit --confirm {q}": [0.2, 0.25] for q in CONFIRMED}


def passages_of(item, asked, shift):
    """Six of an item's ten facts, including those of the question."""
    facts = [item["prompt"][begin:end] for begin, end in item["spans"]]
    others = [k for k in ((shift + 3 * step) % 10 for step in range(10)) if k not in asked]
    return [{"name": NAMES[k], "text": facts[k]} for k in sorted([*asked, *others[:6 - len(asked)]])]


def questions(path, n):
    """n of each kind: one fact, two facts, and at most 8 that no passage answers."""
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for i, item in enumerate(items[:n]):
        question = item["prompt"].split("\nQuestion: ")[1].split("\nAnswer:")[0]
        fact = next(k for k, span in enumerate(item["spans"]) if span[0] <= item["evidence"][0][0] < span[1])
        yield passages_of(item, [fact], i), question
        if i % 3 == 0:
            other = (fact + 1 + i) % 10
            other = other if other != fact else (other + 1) % 10
            who = item["prompt"][item["spans"][other][0]:].split()[0].removesuffix("'s")
            yield passages_of(item, [fact, other], i), f"{question} And what do the passages say about {who}?"
        if i % 3 == 1 and i // 3 < len(UNTOLD):
            yield passages_of(item, [], i), UNTOLD[i // 3]


def cite(args, folder, question, method, completion=None):
    """The citations of one method; None if the model generates nothing."""
    command = [args.program, "cite", "-m", args.model, "--passages", folder / "p.json", "--question", question,
               "--method", *method.split(), "-o", folder / "c.json", "--quiet", "--threads", str(args.threads)]
    command += ["--chat"] if args.chat else []
    command += ["-n", "36"] if completion is None else ["--completion", completion]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode and "ended its completion before the first token" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads((folder / "c.json").read_text(encoding="utf-8"))


def measured_questions(path):
    """Numbers of the questions whose last method is in the file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
    return {line["question"] for line in map(json.loads, lines) if line["method"] == "leave-one-out"}


def measure(args, folder):
    """Pairs (drop, {method: peak}) over all sentences and passages."""
    pairs, done = [], measured_questions(args.pairs)
    for number, (passages, question) in enumerate(questions(args.facts, args.items)):
        if number in done:
            continue
        (folder / "p.json").write_text(json.dumps(passages))
        first = cite(args, folder, question, "logit")
        if first is None or "\ufffd" in first["completion"]:
            continue
        again = {m: cite(args, folder, question, m, first["completion"]) for m in (*args.methods, "leave-one-out")}
        for s, drops in enumerate(again["leave-one-out"]["peaks"]):
            pairs += [(drop, {m: again[m]["peaks"][s][p] for m in args.methods}) for p, drop in enumerate(drops)]
        if args.pairs:
            made = [{"question": number, "peaks": again[m]["peaks"], "method": m} for m in again]
            with args.pairs.open("a", encoding="utf-8") as out:
                out.writelines(json.dumps(line) + "\n" for line in made)
    return pairs


def read_pairs(path, methods, half):
    """The pairs of a kept file; of each second question from `half` on, or of all."""
    questions = {}
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        questions.setdefault(line["question"], {})[line["method"]] = line["peaks"]
    whole = [of for number, of in questions.items() if "leave-one-out" in of and half in (None, number % 2)]
    for of in whole:
        of |= {f"logit --confirm {q}": confirmed(of["logit"], of["leave-one-out"], q) for q in CONFIRMED}
    return [(drop, {m: of[m][s][p] for m in methods})
            for of in whole for s, drops in enumerate(of["leave-one-out"]) for p, drop in enumerate(drops)]


def confirmed(peaks, drops, q):
    """Peaks of which those of the q highest passages are 1 where the sentence loses 2 nats without them, else 0."""
    highest = sorted(range(len(peaks[0])), key=lambda p: -max(row[p] for row in peaks))[:q]
    return [[float(drop >= FALLS[0]) if p in highest else peak for p, (peak, drop) in enumerate(zip(*rows))]
            for rows in zip(peaks, drops)]


def report(pairs, methods):
    falls = ", ".join(f"{drop:g} nats in {sum(f >= drop for f, _ in pairs)}" for drop in FALLS)
    print(f"{len(pairs)} pairs of sentence and passage; without the passage the sentence loses {falls}\n")
    print("| a mark from a peak of | marks |" + "".join(f" precision, recall at {drop:g} nats |" for drop in FALLS)
          + "\n|---|---|" + "---|" * len(FALLS))
    for method in methods:
        for least in THRESHOLDS[method]:
            marked = [drop for drop, peaks in pairs if peaks[method] >= least]
            row = f"| {method}, {least:g} | {len(marked)} |"
            for drop in FALLS:
                hits, n_relevant = sum(f >= drop for f in marked), sum(f >= drop for f, _ in pairs)
                row += f" {hits / max(len(marked), 1):.2f}, {hits / max(n_relevant, 1):.2f} |"
            print(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default="build/release/headwater")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--pairs", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--facts", type=pathlib.Path, default="build/datasets/facts.jsonl")
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=THRESHOLDS, metavar="METHOD",
                        default=[m for m in THRESHOLDS if "--confirm" not in m])
    parser.add_argument("--chat", action="store_true")
    args = parser.parse_args()
    if not args.model:
        report(read_pairs(args.pairs, args.methods, args.half), args.methods)
        return
    with tempfile.TemporaryDirectory() as folder:
        report(measure(args, pathlib.Path(folder)), args.methods)


if __name__ == "__main__":
    main()
