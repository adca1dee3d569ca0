#!/usr/bin/env python3
"""Writes the data sets for `headwater eval`, one JSON item per line.

    make_datasets.py FOLDER [--seed 1] [--count 100] [--text TEXT] [--only SET ...]

    facts     ten one-sentence facts, a question about one                     datasets/facts.py
    twohop    the answer needs two of the sentences                            datasets/twohop.py
    sums      six facts, a sum or comparison of two, with reasoning            datasets/sums.py
    quote     ten facts, the sentence that answers, the answer                 datasets/quote.py
    variables a chain of two to four assignments, written out                  datasets/variables.py
    needles   ten numbers, a question about three                              datasets/needles.py
    paraphrase the answer shares no word with its evidence                     datasets/paraphrase.py
    summary   four passages, a summary of two                                  datasets/summary.py
    injection an instruction smuggled into a tool's output                     datasets/injection.py
    squad     a paragraph and a question, answered by one or two of its words  datasets/squad.py
    needle-N  a fact hidden in N thousand tokens of other text, ten depths     datasets/needle.py
    passages  passages of one real text, a quotation from one to continue      datasets/passages.py
    note      the prompts of the method's first description                    datasets/note.py

The same seed, count and text give the same bytes. injection takes --agentdojo, that package's wheel, and squad --squad,
a file; either is left out without. needle and passages take --text: lcet10.txt, the proceedings of a workshop at the
Library of Congress, downloaded by setup-datasets.sh. tools/headwater/eval/dataset.h describes the fields.
"""

import argparse
import json
import pathlib
import random
import zipfile

from datasets import (facts, injection, needle, needles, note, paraphrase, passages, quote, squad, summary, sums,
                      twohop, variables)
from datasets.text import read_paragraphs

HERE = pathlib.Path(__file__).resolve().parent
NOTE = HERE.parent / "examples/note.jsonl"


def needle_of(length):
    return lambda rng, args: needle.make(rng, args.count, read_paragraphs(args.text), length)


# Name of the file, and the function that makes its items.
SETS = {
    "facts": lambda rng, args: facts.make(rng, args.count),
    "twohop": lambda rng, args: twohop.make(rng, args.count),
    "sums": lambda rng, args: sums.make(rng, args.count),
    "quote": lambda rng, args: quote.make(rng, args.count),
    "variables": lambda rng, args: variables.make(rng, args.count),
    "needles": lambda rng, args: needles.make(rng, args.count),
    "paraphrase": lambda rng, args: paraphrase.make(rng, args.count),
    "summary": lambda rng, args: summary.make(rng, args.count),
    "injection": lambda rng, args: injection.make(rng, args.count, zipfile.ZipFile(args.agentdojo)),
    "squad": lambda rng, args: squad.make(rng, args.count, args.squad),
    "needle-0.5": needle_of(0.5),
    "needle-2": needle_of(2),
    "needle-6": needle_of(6),
    "passages": lambda rng, args: passages.make(rng, args.count, read_paragraphs(args.text)),
    "note": lambda rng, args: note.make(NOTE),
}


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", default="1", help="of all that is drawn (default 1)")
    parser.add_argument("--count", type=int, default=100, help="items of each set but note (default 100)")
    parser.add_argument("--text", type=pathlib.Path, default=HERE.parent / "build/texts/lcet10.txt")
    parser.add_argument("--agentdojo", type=pathlib.Path, metavar="WHEEL", help="for injection")
    parser.add_argument("--squad", type=pathlib.Path, metavar="FILE", help="for squad")
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    return parser.parse_args()


def main():
    args = read_arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        if (name == "injection" and not args.agentdojo) or (name == "squad" and not args.squad):
            continue
        items = SETS[name](random.Random(f"{args.seed}/{name}"), args)
        lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items]
        (args.folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{name}: {len(items)} items")


if __name__ == "__main__":
    main()
