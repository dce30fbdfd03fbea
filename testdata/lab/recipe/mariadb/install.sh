# MariaDB 10.11 as the official image lays it out: user 999, data in a volume, an entrypoint that initialises it, healthcheck.sh.
groupadd --system --gid 999 mysql
useradd --system --gid mysql --uid 999 --home-dir /var/lib/mysql --shell /bin/false mysql
apt-get -qq install -y --no-install-recommends mariadb-server-core mariadb-client-core >/dev/null
rm -rf /var/lib/mysql /etc/mysql && mkdir -p /var/lib/mysql /run/mysqld /docker-entrypoint-initdb.d /etc/mysql/conf.d
chown mysql:mysql /var/lib/mysql /run/mysqld
printf '[mariadbd]\nuser = mysql\nskip-name-resolve\nhost-cache-size = 0\nsocket = /run/mysqld/mysqld.sock\n[client]\nsocket = /run/mysqld/mysqld.sock\n!includedir /etc/mysql/conf.d/\n' > /etc/mysql/my.cnf
install -m 755 /mnt/docker-entrypoint.sh /mnt/healthcheck.sh /usr/local/bin/
