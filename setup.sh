#!/usr/bin/env bash
# Installs what building, testing and the demo need and what is missing here; a second run does nothing.
set -euo pipefail

# Building, running the elements, and (the last line) only the tests.
packages=(
  build-essential pkg-config
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-base-apps
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
  gstreamer1.0-libav gstreamer1.0-x
  ffmpeg mkvtoolnix meson ninja-build python3-venv
)
# Node.js comes with npm where its own makers' package is installed instead of Debian's.
if [ "${1:-}" = --tests ] && ! command -v npm >/dev/null; then
  packages+=(nodejs npm)
fi
cargo_deny_version=0.20.2

say() { printf '%s\n' "$*" >&2; }

if ! command -v cargo >/dev/null; then
  say "setup: cargo is missing. Install Rust from https://rustup.rs, open a new shell, run this again."
  exit 1
fi

if ! command -v apt-get >/dev/null; then
  say "setup: this script installs packages on Debian and Ubuntu only. Install what corresponds to"
  say "  ${packages[*]}"
  say "and cargo-deny (cargo install --locked cargo-deny), then run the command again with KVS_SETUP=done."
  [ "${KVS_SETUP:-}" = done ] && exit 0
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  say "setup: installing ${missing[*]}"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "setup: run it as root, or install sudo"; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

if [ "${1:-}" = --tests ] && ! cargo deny --version >/dev/null 2>&1; then
  say "setup: building cargo-deny $cargo_deny_version (a debug build: it is faster to make)"
  cargo install --locked --debug --quiet "cargo-deny@$cargo_deny_version"
fi
