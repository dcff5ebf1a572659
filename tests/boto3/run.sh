#!/usr/bin/env bash
# boto3 against a real server: `run.sh SERVER_BINARY [pytest arguments]`. Runs every test three
# times: against a server that takes any signature, and over http and TLS with one that checks them.
# Those of quotas/ are for a server that holds to AWS's.
set -euo pipefail
. "$(dirname "$0")/../serve.sh"
shift
cd "$(dirname "$0")"
python_venv

tests() { .venv/bin/python -m pytest -q -p no:cacheprovider "$@"; }

against quotas --aws-quotas tests quotas "$@"
tests() { .venv/bin/python -m pytest -q -p no:cacheprovider --ignore=quotas "$@"; }
against open "" tests "$@"
over_http_and_tls tests "$@"
