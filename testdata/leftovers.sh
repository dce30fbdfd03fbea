#!/bin/bash
# leftovers.sh [DIR...]: prints what pcompose and its tests have on this machine now, one thing a line, sorted:
# mounts, network namespaces, links, nftables tables, cgroups, processes, and files under DIRs and the usual places.
# Two outputs, before and after, compared with diff or comm, tell what was left.
set -euo pipefail

ours='pct|pcompose'
{
  # A mount point is ours by its path; a store's own private mount on its overlay folder is no leftover of a pod.
  awk -v ours="/($ours)" '$5 ~ ours && $5 !~ "/overlay$" { print "mount " $5 }' /proc/self/mountinfo
  # A namespace kept alive by a bind mount, wherever that is.
  awk '$0 ~ / - nsfs / { print "namespace " $4 " at " $5 }' /proc/self/mountinfo
  find /run/netns -mindepth 1 -printf 'netns %f\n' 2> /dev/null || true
  ip -o link show | awk -F': ' '{ sub(/@.*/, "", $2); if ($2 ~ /^(pc|pct)/) print "link " $2 }'
  # Who is not root may have no tables, and not ask for them.
  { nft list tables 2> /dev/null || [ "$(id -u)" != 0 ]; } | awk -v ours="$ours" '$3 ~ ours { print "nftables " $2 " " $3 }'
  find /sys/fs/cgroup -type d -regextype posix-extended -regex ".*/[^/]*($ours)[^/]*" -printf 'cgroup %p\n' 2> /dev/null || true
  # By program or by cgroup: containers run programs of others. What ends while we look is not there.
  {
    find /proc -mindepth 2 -maxdepth 2 -path '/proc/[0-9]*/exe' -printf '%h %l\n' 2> /dev/null | sed -nE 's#^/proc/([0-9]+) .*/pcompose( \(deleted\))?$#\1#p' || true
    grep -lE "/[^/]*($ours)" /proc/[0-9]*/cgroup 2> /dev/null | cut -d/ -f3 || true
  } | sort -u | while read -r pid; do
    # One that has ended, and waits for an init that does not reap, holds nothing: in the first container of a machine say.
    grep -q '^State:.Z' "/proc/$pid/status" 2> /dev/null && continue
    echo "process $pid $(sed -n '$s/.*://p' "/proc/$pid/cgroup" 2> /dev/null) $(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline" | cut -c1-120 || true)"
  done
  for place in /run /tmp /var/tmp /var/lib /dev/shm; do
    find "$place" -mindepth 1 -maxdepth 1 -regextype posix-extended -regex ".*/($ours)[^/]*" -printf 'file %p\n' 2> /dev/null || true
  done
  for dir; do
    find "$dir" -mindepth 1 -printf 'file %p\n' 2> /dev/null || true
  done
} | LC_ALL=C sort -u
