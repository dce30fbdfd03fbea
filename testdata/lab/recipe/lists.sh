#!/bin/bash
# lists.sh BASE: fetches apt's lists into the base, once for all that is installed over it.
# Called under unshare --mount --pid --fork: the mounts end with this process.
set -eu
mount --rbind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
LC_ALL=C chroot "$1" apt-get -qq update
