#!/usr/bin/env bash
# All tests of the project, from a bare Debian 12 with Rust. `--long` runs the seeded tests whole.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  "") ;;
  --long) export KVS_LONG_TESTS=1 ;;
  *) echo "usage: tests/run.sh [--long]" >&2; exit 2 ;;
esac

step() { printf '\n== %3d s  %s\n' "$SECONDS" "$*"; }

step "system packages"
./setup.sh --tests

step "format"
cargo fmt --all -- --check

step "licences, bans, duplicate versions"
cargo fetch --quiet --locked
cargo deny --offline check --hide-inclusion-graph licenses bans sources

step "clippy"
cargo clippy --quiet --workspace --all-targets -- -D warnings

step "tests of all packages"
cargo test --quiet --workspace

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps

step "release build, installed by meson"
target=${CARGO_TARGET_DIR:-$PWD/target}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
meson setup --prefix=/usr "$stage/build" . >"$stage/meson.log" || { cat "$stage/meson.log"; exit 1; }
DESTDIR="$stage/root" meson install -C "$stage/build"
plugin=$(find "$stage/root" -name libgstkvs.so)
[ -n "$plugin" ] || { echo "meson install put no libgstkvs.so under DESTDIR" >&2; exit 1; }

step "gst-inspect-1.0 on it"
for element in kvssink kvssrc; do
  GST_REGISTRY="$stage/registry.bin" GST_PLUGIN_PATH=$(dirname "$plugin") \
    gst-inspect-1.0 "$element" >"$stage/$element.txt"
  grep -E 'Long-name|Klass|Rank' "$stage/$element.txt"
done

step "the demo, for ten seconds"
./pipelines/demo.sh --seconds 10 </dev/null

for client in boto3 awscli javascript; do
  step "$client against the release server"
  "tests/$client/run.sh" "$target/release/kvs-server"
done

step "done"
