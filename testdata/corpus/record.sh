#!/bin/sh
# Records what docker compose prints for every case of the corpus: record.sh /path/to/docker-compose [CASE]
# It must be version 2.40.3, which docs/config-differences.md speaks of. It needs no docker daemon. Where pcompose prints
# something else that is recorded too, for the difference to be read, and mended or explained.
set -eu
cd "$(dirname "$0")/../.."
"$1" version | grep -q ' 2\.40\.3' || { echo "$1 is not docker compose 2.40.3" >&2; exit 1; }
exec go test ./cmd/pcompose/cli -count=1 -run "TestCorpus/${2:-}" -record "$1"
