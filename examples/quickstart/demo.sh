#!/bin/bash
# demo.sh PCOMPOSE: makes the images, brings the project up, uses it, and takes it down, as root or as a user. Go is all
# it needs. PORT says where to listen, 8080 by itself.
set -euo pipefail
pcompose=$(realpath "$1")
cd "$(dirname "$0")"
export PORT=${PORT:-8080}

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "${@/#$pcompose/pcompose}"; "$@"; }

images=$(mktemp -d)
# However this ends, nothing of it stays.
end() {
  rm -rf "$images"
  "$pcompose" down -v -t 1 && "$pcompose" image rm localhost/quickstart-web localhost/quickstart-store
}
trap 'end > /dev/null 2>&1 || true' EXIT
say "go run ./images  # two static programs, an image from scratch each"
go run ./images "$images"
run "$pcompose" image load -i "$images/store.tar"
run "$pcompose" image load -i "$images/web.tar"
run "$pcompose" up -d --wait
run curl -sS "http://localhost:$PORT/"
run curl -sS "http://localhost:$PORT/"
run "$pcompose" ps
run "$pcompose" logs
run "$pcompose" down -v
