#!/usr/bin/env bash
# The official Python client against a real server: `run.sh SERVER_BINARY [pytest arguments]`.
# Runs every test twice: against a server that takes any signature, and one that checks them.
set -euo pipefail

server=$(realpath "${1:?usage: run.sh SERVER_BINARY [pytest arguments]}")
shift
cd "$(dirname "$0")"

venv=${KVS_TEST_VENV:-.venv}
if ! cmp -s requirements.txt "$venv/installed"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt "$venv/installed"
fi

work=$(mktemp -d)
server_pid=
stop() {
  [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=
}
trap 'stop; rm -rf "$work"' EXIT

# Starts a server with these arguments and runs the tests against it.
test_against() {
  local name=$1 line
  shift
  mkfifo "$work/$name.stdout"
  "$server" --listen 127.0.0.1:0 --data "$work/$name" --get-media-idle 500ms "$@" \
    >"$work/$name.stdout" 2>"$work/$name.log" &
  server_pid=$!
  read -r line <"$work/$name.stdout" || { cat "$work/$name.log" >&2; exit 1; }
  echo "== $name: $line"
  KVS_ENDPOINT=${line##* } "$venv/bin/python" -m pytest -q -p no:cacheprovider "${tests[@]}" ||
    { tail -50 "$work/$name.log" >&2; exit 1; }
  stop
}

export AWS_EC2_METADATA_DISABLED=true PYTHONDONTWRITEBYTECODE=1
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
tests=("$@")

test_against open

export KVS_ACCESS_KEY=AKIDEXAMPLE KVS_NARROW_ACCESS_KEY=AKIDNARROW
export KVS_SECRET_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
cat >"$work/credentials" <<END
[everything]
aws_access_key_id = $KVS_ACCESS_KEY
aws_secret_access_key = $KVS_SECRET_KEY

[narrow]
aws_access_key_id = $KVS_NARROW_ACCESS_KEY
aws_secret_access_key = $KVS_SECRET_KEY
kvs_streams = narrow-*
kvs_actions = read
END
chmod 600 "$work/credentials"
test_against signed --credentials "$work/credentials"
