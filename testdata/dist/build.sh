#!/bin/bash
# build.sh DIR: makes in DIR what is handed out: a static binary, a .deb, a .rpm, and SHA256SUMS. The same commit makes the
# same bytes, in whatever folder and whenever. The Makefile gives VERSION, COMMIT, DATE, TAGS and NFPM, a program.
set -euo pipefail
mkdir -p "$1"
out=$(realpath "$1")
config=$PWD/testdata/dist/nfpm.yaml
export SOURCE_DATE_EPOCH ARCH PACKAGE_VERSION LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=$(date -d "$DATE" +%s)
ARCH=$(go env GOARCH)
STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
umask 022

# Versions of packages begin with a number and have no hyphen: v1.2.3-4-gabc is 1.2.3+4.gabc, a commit without a tag
# before it comes before every release.
case $VERSION in
  v[0-9]*) PACKAGE_VERSION=${VERSION#v} PACKAGE_VERSION=${PACKAGE_VERSION/-/+} PACKAGE_VERSION=${PACKAGE_VERSION//-/.} ;;
  *) PACKAGE_VERSION=0~git$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).${VERSION//-/.} ;;
esac

# What tells one build of the same source from another is left out: paths, build IDs, C's debug information.
export GOFLAGS="-trimpath -buildvcs=false -tags=$TAGS,netgo,osusergo" CGO_ENABLED=1 CGO_CFLAGS='-O2 -g0'
static=-static
case ,$TAGS, in *,seccomp,*) static="-static $(pkg-config --static --libs libseccomp)" ;; esac
# glibc's dlopen, by which a key of a PKCS #11 token would be loaded, is the one thing that a static program cannot do.
go build -ldflags "-s -w -buildid= -linkmode external -extldflags '$static -Wl,--build-id=none' \
  -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" -o "$STAGE/pcompose" ./cmd/pcompose \
  2> >(grep -v -e "Using 'dlopen' in statically linked" -e 'in function `New' -e '^# github.com/pcompose' >&2)
for shell in bash zsh fish; do
  "$STAGE/pcompose" completion $shell > "$STAGE/pcompose.$shell"
done
# The pages are made by this machine's program, of the same source.
go run ./testdata/man "$STAGE/man" "$VERSION"
gzip -9n "$STAGE"/man/man1/*
cp LICENSE README.md CHANGELOG.md "$STAGE"
find "$STAGE" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

rm -f "$out"/pcompose* "$out/SHA256SUMS"
install -m 755 "$STAGE/pcompose" "$out/pcompose-$VERSION-linux-$ARCH"
for format in deb rpm; do
  said=$(cd "$STAGE" && "$NFPM" package -f "$config" -p $format -t "$out" 2>&1) || { echo "$said" >&2; exit 1; }
done
(cd "$out" && sha256sum pcompose* > SHA256SUMS && cat SHA256SUMS)
