#!/bin/bash
# enter.sh BASE OWN RECIPE: runs RECIPE/install.sh in the base, what it writes goes to OWN/upper.
# OWN has upper, overlay, merged and archives; RECIPE is seen as /mnt inside.
# Called under unshare --mount --pid --fork: mounts and daemons end with this process, however it ends.
set -eu
B=$1 W=$2 M=$2/merged
# Renames in place and whole files, so that the upper directory is a layer as other tools understand it.
mount -t overlay overlay -o "lowerdir=$B,upperdir=$W/upper,workdir=$W/overlay,redirect_dir=off,metacopy=off,index=off" "$M"
mount -t proc proc "$M/proc"
mount --rbind /dev "$M/dev"
mount --bind /etc/resolv.conf "$M/etc/resolv.conf"
mount --bind "$W/archives" "$M/var/cache/apt/archives"
mount --bind "$3" "$M/mnt"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
chroot "$M" bash -eu /mnt/install.sh
umount -R "$M"
# What an image of this recipe has beyond the base is what it installed, without apt's lists and logs.
rm -rf "$W"/upper/var/lib/apt/lists "$W"/upper/var/cache/apt "$W"/upper/var/cache/debconf/*-old "$W"/upper/var/log/apt "$W"/upper/var/log/dpkg.log "$W"/upper/var/lib/dpkg/*-old
