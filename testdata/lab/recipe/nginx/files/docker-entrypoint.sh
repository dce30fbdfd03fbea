#!/bin/bash
# The documented part of the official image: /docker-entrypoint.d/*.sh, and /etc/nginx/templates through envsubst.
set -eu
if [ "$1" = nginx ]; then
  for template in /etc/nginx/templates/*.template; do
    [ -e "$template" ] || continue
    # Only variables that are set: nginx's own $host and $uri stay.
    envsubst "$(printf '${%s} ' $(compgen -e))" < "$template" > "/etc/nginx/conf.d/$(basename "$template" .template)"
  done
  for script in /docker-entrypoint.d/*.sh; do
    if [ -x "$script" ]; then "$script"; fi
  done
fi
exec "$@"
