#!/bin/bash
# demo.sh PCOMPOSE: brings the project up, writes a note, shows that it outlives `down` and ends with `down -v`.
# Needs npm's registry and one with the three images: Docker Hub, or the lab's (`make example`).
set -euo pipefail
pcompose=$(realpath "$1")
cd "$(dirname "$0")"
export PORT=${PORT:-8080}
url=http://localhost:$PORT/

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "${@/#$pcompose/pcompose}"; "$@"; }
# expect TEXT: the page is exactly that.
expect() {
  say "curl $url"
  local page
  page=$(curl -fsS "$url")
  echo "$page"
  [ "$page" = "$1" ] || { echo "demo: expected: $1" >&2; exit 1; }
}

trap '"$pcompose" down -v --rmi local -t 1 > /dev/null 2>&1 || true' EXIT
run "$pcompose" up -d --build --wait
run "$pcompose" ps
run curl -fsS -d 'pods are fine' "$url"
run "$pcompose" down
run "$pcompose" up -d --wait
expect '1. pods are fine'
run "$pcompose" logs app
run "$pcompose" down -v
run "$pcompose" up -d --wait
expect ''
run "$pcompose" down -v
