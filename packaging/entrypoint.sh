#!/bin/sh
# Starts the server of a container; at its first start makes an access key, and says it once.
set -eu

# The image's volume; a test has another.
data=${KVS_DATA:-/data}
credentials=$data/credentials

# A tool, such as `check --data /data/store`.
case ${1-} in
'' | -*) ;;
*) exec kvs-server "$@" ;;
esac

# So many characters out of these.
random() {
    LC_ALL=C tr -dc "$2" </dev/urandom | head -c "$1"
}

if [ ! -e "$credentials" ]; then
    umask 077
    id=AKIA$(random 16 A-Z2-7)
    secret=$(random 40 A-Za-z0-9+/)
    # Whole or not at all: a later start takes what is there.
    cat >"$credentials.new" <<END
[admin]
aws_access_key_id = $id
aws_secret_access_key = $secret
END
    mv "$credentials.new" "$credentials"
    cat >&2 <<END
The first start: this access key may do everything. It is in $credentials, and not said again.
  AWS_ACCESS_KEY_ID=$id
  AWS_SECRET_ACCESS_KEY=$secret
END
fi

exec kvs-server --listen 0.0.0.0:5600 --data "$data/store" --credentials "$credentials" "$@"
