#!/bin/bash
# The official image's: --connect is that the server takes TCP connections, --innodb_initialized that the tables can be used.
set -eu
ask() { mariadb -u healthcheck -h 127.0.0.1 --protocol=tcp -N -e "$1"; }
for check in "$@"; do
  case "$check" in
    --connect) ask 'SELECT 1' > /dev/null ;;
    --innodb_initialized) [ -n "$(ask "SELECT 1 FROM information_schema.ENGINES WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" ] ;;
  esac
done
