#!/bin/bash
# The documented behaviour of the official image: files come into an empty /var/www/html, wp-config.php from the environment.
set -euo pipefail
if [[ "$1" == apache2* ]]; then
  if [ ! -e index.php ] && [ ! -e wp-includes/version.php ]; then
    echo "WordPress not found in $PWD - copying now..."
    cp -r /usr/src/wordpress/. . && chown -R www-data:www-data .
    echo "Complete! WordPress has been successfully copied to $PWD"
  fi
  if [ ! -s wp-config.php ] && compgen -e | grep -q '^WORDPRESS_DB_'; then
    # Keys and salts are random where the environment has none.
    awk '/put your unique phrase here/ { cmd = "head -c 40 /dev/urandom | sha256sum | cut -c1-64"; cmd | getline salt; close(cmd); gsub("put your unique phrase here", salt) } { print }' \
      wp-config-docker.php > wp-config.php
    chown www-data:www-data wp-config.php
  fi
fi
exec "$@"
