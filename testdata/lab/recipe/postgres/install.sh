# PostgreSQL 15 as the official image lays it out: user 999, data in a volume, an entrypoint that initialises it.
groupadd --system --gid 999 postgres
useradd --system --gid postgres --uid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres
apt-get -qq install -y --no-install-recommends postgresql-15 >/dev/null
rm -rf /var/lib/postgresql/15 /etc/postgresql/15 /var/log/postgresql
mkdir -p /docker-entrypoint-initdb.d /var/lib/postgresql/data /var/run/postgresql
chown postgres:postgres /var/lib/postgresql /var/lib/postgresql/data /var/run/postgresql
chmod 1777 /var/lib/postgresql/data && chmod 2777 /var/run/postgresql
sed -ri "s/^#?listen_addresses.*/listen_addresses = '*'/" /usr/share/postgresql/15/postgresql.conf.sample
install -m 755 /mnt/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
