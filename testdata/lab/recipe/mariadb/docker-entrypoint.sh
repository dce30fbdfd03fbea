#!/bin/bash
# The documented behaviour of the official image: MARIADB_ROOT_PASSWORD, _ALLOW_EMPTY_ROOT_PASSWORD, _RANDOM_ROOT_PASSWORD, _DATABASE,
# _USER and _PASSWORD (each also as MYSQL_… and as …_FILE), and /docker-entrypoint-initdb.d, all on an empty data directory only.
set -euo pipefail

fail() { echo "[ERROR] [Entrypoint]: $*" >&2; exit 1; }

# setting NAME: MARIADB_NAME, else MYSQL_NAME, or the content of the file that either with _FILE names.
setting() {
  local name file
  for name in "MARIADB_$1" "MYSQL_$1"; do
    file=${name}_FILE
    if [ -n "${!name:-}" ]; then printf '%s' "${!name}"; return; fi
    if [ -n "${!file:-}" ]; then printf '%s' "$(< "${!file}")"; return; fi
  done
}

# quote TEXT: as a string of SQL.
quote() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }

initialise() {
  local root user password db empty random
  root=$(setting ROOT_PASSWORD) user=$(setting USER) password=$(setting PASSWORD) db=$(setting DATABASE)
  empty=$(setting ALLOW_EMPTY_ROOT_PASSWORD) random=$(setting RANDOM_ROOT_PASSWORD)
  [ -n "$root$empty$random" ] ||
    fail "Database is uninitialized and password option is not specified: MARIADB_ROOT_PASSWORD, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD or MARIADB_RANDOM_ROOT_PASSWORD"
  if [ -n "$random" ]; then root=$(tr -dc A-Za-z0-9 < /dev/urandom | head -c 32 || true); echo "GENERATED ROOT PASSWORD: $root"; fi
  mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db --auth-root-authentication-method=normal > /dev/null
  # No TCP until everything is there: whoever waits for the port must not meet the temporary server.
  mariadbd --skip-networking --socket=/run/mysqld/mysqld.sock &
  local server=$! file
  until mariadb -u root -e 'SELECT 1' > /dev/null 2>&1; do kill -0 $server || fail "the server has ended"; sleep 0.1; done
  {
    [ -z "$db" ] || echo "CREATE DATABASE IF NOT EXISTS \`$db\`;"
    if [ -n "$user" ]; then
      echo "CREATE USER $(quote "$user")@'%' IDENTIFIED BY $(quote "$password");"
      [ -z "$db" ] || echo "GRANT ALL ON \`${db//_/\\_}\`.* TO $(quote "$user")@'%';"
    fi
    echo "CREATE USER healthcheck@localhost, healthcheck@127.0.0.1, healthcheck@'::1' IDENTIFIED BY '';"
    echo "CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY $(quote "$root"); GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
    echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quote "$root"); FLUSH PRIVILEGES;"
  } | mariadb -u root
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) echo "$0: running $file"; . "$file" ;;
      *.sql) echo "$0: running $file"; mariadb -u root -p"$root" ${db:+"$db"} < "$file" ;;
      *.sql.gz) echo "$0: running $file"; gunzip -c "$file" | mariadb -u root -p"$root" ${db:+"$db"} ;;
    esac
  done
  kill $server && wait $server
  echo 'MariaDB init process done. Ready for start up.'
}

case "$1" in -*) set -- mariadbd "$@" ;; esac
if [ "$1" = mariadbd ]; then
  if [ "$(id -u)" = 0 ]; then
    find /var/lib/mysql /run/mysqld \! -user mysql -exec chown mysql: '{}' +
    exec setpriv --reuid mysql --regid mysql --init-groups "$0" "$@"
  fi
  [ -d /var/lib/mysql/mysql ] || initialise
fi
exec "$@"
