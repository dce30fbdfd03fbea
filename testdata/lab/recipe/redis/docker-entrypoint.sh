#!/bin/bash
# Options alone are options of redis-server, as documented for the official image.
set -eu
case "$1" in -*|*.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis:redis '{}' +
  exec setpriv --reuid redis --regid redis --init-groups "$0" "$@"
fi
# The official build has protected mode off, since a container's port is reached through its network only.
if [ "$1" = redis-server ] && [ $# -eq 1 ]; then set -- "$@" --protected-mode no; fi
exec "$@"
