#!/bin/bash
# enter.sh WORK RECIPE: runs RECIPE/install.sh in the base, what it writes goes to WORK/upper.
# WORK has base, upper, overlay, merged, lists and archives; RECIPE is seen as /mnt inside.
# Called under unshare --mount --pid --fork: mounts and daemons end with this process, however it ends.
set -eu
W=$1 M=$1/merged
# Renames in place and whole files, so that the upper directory is a layer as other tools understand it.
mount -t overlay overlay -o "lowerdir=$W/base,upperdir=$W/upper,workdir=$W/overlay,redirect_dir=off,metacopy=off,index=off" "$M"
mount -t proc proc "$M/proc"
mount --rbind /dev "$M/dev"
mount --bind /etc/resolv.conf "$M/etc/resolv.conf"
mount --bind "$W/lists" "$M/var/lib/apt/lists"
mount --bind "$W/archives" "$M/var/cache/apt/archives"
mount --bind "$2" "$M/mnt"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
[ -n "$(ls "$W/lists" | grep _Packages)" ] || chroot "$M" apt-get -qq update
chroot "$M" bash -eu /mnt/install.sh
rm -rf "$W"/upper/var/cache/apt/*.bin "$W"/upper/var/cache/debconf/*-old "$W"/upper/var/log/apt "$W"/upper/var/log/dpkg.log "$W"/upper/var/lib/dpkg/*-old
