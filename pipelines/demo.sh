#!/usr/bin/env bash
# The whole main job on this machine: a camera goes through kvssink into kvs-server, and comes back
# through kvssrc at the same time.
#
#   pipelines/demo.sh [--seconds N] [rtsp://camera/stream | /dev/video0 | movie.mp4]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=()
source=""
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=(--seconds "${2:?--seconds needs a number}"); shift ;;
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) source=$1 ;;
  esac
  shift
done
case "$source" in
  "" | rtsp://*) ;;
  *) [ -e "$source" ] || { echo "demo: $source does not exist" >&2; exit 1; } ;;
esac

./setup.sh
echo "demo: building (a few minutes the first time)"
cargo build --release -p gst-plugin-kvs -p kvs-server --lib --examples --bins
bin=${CARGO_TARGET_DIR:-target}/release

work=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait "${started[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap '' INT # the demo itself ends on Ctrl-C, then everything else is stopped

# Starts a program in the background and waits for its first line, which says where it is.
announced() {
  local name=$1 log=$work/$1.out; shift
  : >"$log"
  (trap - INT; exec setsid "$@") >"$log" 2>"${log%.out}.err" &
  started+=($!)
  line=""
  for _ in $(seq 200); do
    read -r line <"$log" && break
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  [ -n "$line" ] || { echo "demo: $name did not start:" >&2; cat "${log%.out}.err" >&2; exit 1; }
}

announced server "$bin/kvs-server" --listen 127.0.0.1:0 --data "$work/kvs-data"
endpoint=${line##* }
echo "demo: $line"

if [ -z "$source" ]; then
  announced camera "$bin/examples/camera" pipelines/street.mp4
  source=$line
  echo "demo: a camera plays pipelines/street.mp4 at $source"
fi

echo "demo: Ctrl-C ends it"
(trap - INT; exec "$bin/examples/demo" --endpoint "$endpoint" --stream demo "${seconds[@]}" "$source")
