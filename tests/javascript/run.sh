#!/usr/bin/env bash
# AWS's SDK for JavaScript (v3) against a real server, over http and TLS: `run.sh SERVER_BINARY`.
set -euo pipefail
. "$(dirname "$0")/../serve.sh"
cd "$(dirname "$0")"

if ! cmp -s package-lock.json node_modules/installed; then
  npm ci --loglevel=error
  cp package-lock.json node_modules/installed
fi
over_http_and_tls node --test --test-reporter=spec *.test.js
