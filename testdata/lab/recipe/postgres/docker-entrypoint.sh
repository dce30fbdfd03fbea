#!/bin/bash
# The documented behaviour of the official image: POSTGRES_USER, _PASSWORD, _DB, _INITDB_ARGS (each also as _FILE),
# POSTGRES_HOST_AUTH_METHOD, and /docker-entrypoint-initdb.d, all on an empty data directory only.
set -euo pipefail

fail() { echo "Error: $*" >&2; exit 1; }

# from_file NAME: NAME_FILE's content becomes NAME; both at once is a mistake.
from_file() {
  local name=$1 file=${1}_FILE
  [ -n "${!file:-}" ] || return 0
  [ -z "${!name:-}" ] || fail "both $name and $file are set (but are exclusive)"
  [ -r "${!file}" ] || fail "$file: cannot read ${!file}"
  export "$name=$(< "${!file}")"
  unset "$file"
}

initialise() {
  local user=$POSTGRES_USER db=$POSTGRES_DB method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  [ -n "${POSTGRES_PASSWORD:-}" ] || [ "$method" = trust ] ||
    fail "Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD to a non-empty value."
  # shellcheck disable=SC2086 # the arguments are meant to be split
  initdb -D "$PGDATA" -U "$user" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") -E UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-} > /dev/null
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
  # No TCP until everything is there: whoever waits for the port must not meet the temporary server.
  pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start > /dev/null
  [ "$db" = postgres ] || psql -v ON_ERROR_STOP=1 --no-psqlrc -q -U "$user" -d postgres -c "CREATE DATABASE \"$db\""
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) echo "$0: running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) echo "$0: running $file"; psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$db" -f "$file" ;;
      *.sql.gz) echo "$0: running $file"; gunzip -c "$file" | psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$db" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop > /dev/null
  echo
  echo 'PostgreSQL init process complete; ready for start up.'
  echo
}

case "$1" in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
  fi
  for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do from_file "$name"; done
  export POSTGRES_USER=${POSTGRES_USER:-postgres}
  export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  if [ -s "$PGDATA/PG_VERSION" ]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
  else
    initialise
  fi
fi
exec "$@"
