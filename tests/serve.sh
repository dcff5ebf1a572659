# Servers for the tests of other people's clients. To be sourced, with the server's binary as $1.
#
# `over_http_and_tls COMMAND...` runs the command against a server that checks signatures, first
# over http, then over TLS. Clients find what they need in their own variables: the server's
# credentials file is one of AWS's shared ones, with the profiles `everything`, `temporary` (the
# same rights, and a session token) and `narrow` (which only reads streams named `narrow-*`).

server=$(realpath "${1:?usage: run.sh SERVER_BINARY [arguments of the test runner]}")
certificates=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../crates/kvs-server/tests/server/tls")
work=$(mktemp -d)
server_pid=

stop() {
  [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=
}
trap 'stop; rm -rf "$work"' EXIT

export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_REGION=us-west-2
export AWS_DEFAULT_REGION=$AWS_REGION AWS_SHARED_CREDENTIALS_FILE=/dev/null
export PYTHONDONTWRITEBYTECODE=1

# against NAME "SERVER ARGUMENTS" COMMAND...: starts a server and runs the command against it.
against() {
  local name=$1 arguments=$2 line
  shift 2
  mkfifo "$work/$name.stdout"
  # shellcheck disable=SC2086 # the arguments are many words
  "$server" --listen 127.0.0.1:0 --data "$work/$name" --get-media-idle 200ms $arguments \
    >"$work/$name.stdout" 2>"$work/$name.log" &
  server_pid=$!
  read -r line <"$work/$name.stdout" || { cat "$work/$name.log" >&2; exit 1; }
  echo "== $name: $line"
  export KVS_ENDPOINT=${line##* }
  export AWS_ENDPOINT_URL=$KVS_ENDPOINT
  "$@" || { tail -50 "$work/$name.log" >&2; exit 1; }
  stop
}

over_http_and_tls() {
  write_credentials
  export AWS_SHARED_CREDENTIALS_FILE=$work/credentials AWS_PROFILE=${AWS_PROFILE:-everything}
  local signed="--credentials $work/credentials"
  against http "$signed" "$@"
  export AWS_CA_BUNDLE=$certificates/ca.pem NODE_EXTRA_CA_CERTS=$certificates/ca.pem
  local files="--tls-cert $certificates/server.pem --tls-key $certificates/server-key.pem"
  against tls "$signed $files" "$@"
}

write_credentials() {
  export KVS_ACCESS_KEY=AKIDEXAMPLE KVS_NARROW_ACCESS_KEY=AKIDNARROW
  export KVS_SECRET_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
  (umask 077 && cat >"$work/credentials") <<END
[everything]
aws_access_key_id = $KVS_ACCESS_KEY
aws_secret_access_key = $KVS_SECRET_KEY

[temporary]
aws_access_key_id = ASIATEMPORARY
aws_secret_access_key = $KVS_SECRET_KEY
aws_session_token = FwoGZXIvYXdzEXAMPLE

[narrow]
aws_access_key_id = $KVS_NARROW_ACCESS_KEY
aws_secret_access_key = $KVS_SECRET_KEY
kvs_streams = narrow-*
kvs_actions = read
END
}

# Makes .venv what requirements.txt says.
python_venv() {
  cmp -s requirements.txt .venv/installed && return
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt .venv/installed
}
