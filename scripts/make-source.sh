#!/usr/bin/env bash
# make-source.sh REVISION FOLDER: FOLDER/headwater-VERSION.tar.gz, the source of a release: the revision's files, and
# in vendor/ what its build would download: the engine's source, the lists of stop words, and the page, which is built
# from web/. The same revision gives the same bytes.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

revision=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
version=$(git -C "$root" show "$revision:CMakeLists.txt" | sed -n 's/^project(headwater VERSION \([0-9.]*\).*/\1/p')
name=headwater-$version
tree=$folder/$name
# What is built before the archive is made belongs to the revision, so it is built in the tree itself.
rm -rf "$tree"
mkdir -p "$tree"
git -C "$root" archive "$revision" | tar -x -C "$tree"
mkdir -p "$tree/build/downloads"
for file in "$downloads"/llama_cpp_python-*.tar.gz; do
    [[ -f $file ]] && ln -s "$file" "$tree/build/downloads/"
done
"$tree/scripts/setup-engine.sh" source "$tree/vendor/engine"
"$tree/scripts/setup-stopwords.sh"
"$tree/scripts/setup-web.sh"
mkdir -p "$tree/vendor/stopwords" "$tree/vendor/page"
cp "$tree"/build/deps/stopwords/*.whl "$tree/vendor/stopwords/"
cp "$tree/build/page/index.html" "$tree/build/page/sources.sha256" "$tree/vendor/page/"
rm -rf "$tree/build" "$tree/web/node_modules"
seconds=$(git -C "$root" log -1 --format=%ct "$revision")
tar --sort=name --mtime="@$seconds" --owner=0 --group=0 --numeric-owner -C "$folder" -c "$name" |
    gzip -n -9 >"$folder/$name.tar.gz"
rm -rf "$tree"
say "source: $folder/$name.tar.gz"
