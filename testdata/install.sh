#!/bin/bash
# install.sh: what the tests need on a Debian machine, installed only where it is missing; needs root for that.
#   install.sh           packages, and the machine prepared for crun
#   install.sh demo      the few of them that building and running pcompose takes
#   install.sh lint DIR  golangci-lint in DIR, at the version of $GOLANGCI_LINT
#   install.sh dist DIR  what packages are made by, nfpm in DIR, at the version of $NFPM_VERSION
set -euo pipefail

# program (or file) and the package that has it
to_run='
crun crun
gcc gcc
/usr/include/stdlib.h libc6-dev
/usr/include/seccomp.h libseccomp-dev
pkg-config pkg-config
curl curl
/etc/ssl/certs/ca-certificates.crt ca-certificates
mount mount
'
to_dist='
gcc gcc
/usr/include/stdlib.h libc6-dev
/usr/include/seccomp.h libseccomp-dev
pkg-config pkg-config
rpm rpm
'
to_test='
runc runc
newuidmap uidmap
nft nftables
ip iproute2
mmdebstrap mmdebstrap
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
tmux tmux
git git
ps procps
unshare util-linux
script bsdutils
/usr/lib/systemd/systemd systemd
perl perl-base
'

packages() {
  local what package missing=()
  while read -r what package; do
    [ -n "$what" ] || continue
    [ -e "$what" ] || command -v "$what" > /dev/null || missing+=("$package")
  done <<< "$1"
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "install.sh: installing ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    echo "install.sh: that needs root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends "${missing[@]}" > /dev/null
}

# crun refuses hybrid cgroups whose v2 side has controllers. Where hugetlb is the only one there, as on machines without
# systemd, mounting it as v1 leaves the v2 side empty.
cgroups() {
  local unified=/sys/fs/cgroup/unified v1=/sys/fs/cgroup/hugetlb
  [ "$(id -u)" = 0 ] && [ -e $unified/cgroup.controllers ] || return 0
  [ "$(< $unified/cgroup.controllers)" = hugetlb ] || return 0
  echo "install.sh: mounting the hugetlb controller at $v1, which crun needs with hybrid cgroups"
  mkdir -p $v1
  mount -t cgroup -o hugetlb hugetlb $v1
}

# Built from the Go module proxy: two minutes on two cores, once a machine.
tool() {
  local dir=$1 package=$2 version=$3 name=${2##*/}
  [ ! -x "$dir/$name" ] || return 0
  echo "install.sh: building $name $version into $dir"
  mkdir -p "$dir"
  (cd / && GOFLAGS='' GOBIN=$dir go install "$package@$version") 2>&1 | { grep -v '^go: downloading' || true; }
  [ -x "$dir/$name" ]
}

case "${1:-}" in
  '') packages "$to_run$to_test"; cgroups ;;
  demo) packages "$to_run"; cgroups ;;
  lint) tool "$2" github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$GOLANGCI_LINT" ;;
  dist) packages "$to_dist"; tool "$2" github.com/goreleaser/nfpm/v2/cmd/nfpm "$NFPM_VERSION" ;;
  *) sed -n '2,6p' "$0" >&2; exit 2 ;;
esac
