#!/usr/bin/env bash
# The AWS CLI against a real server, over http and TLS: `run.sh SERVER_BINARY`.
set -euo pipefail
. "$(dirname "$0")/../serve.sh"
cd "$(dirname "$0")"
python_venv
# The CLI cannot upload; what the tests of boto3 upload with can.
(cd ../boto3 && python_venv)

export PATH=$PWD/.venv/bin:$PATH
# A temporary key, so that the requests carry a session token.
AWS_PROFILE=temporary over_http_and_tls ./day.sh
