# redis as the official image has it: starts as root, gives /data to redis, goes on as redis.
groupadd --system --gid 999 redis
useradd --system --gid redis --uid 999 --no-create-home --home /data redis
apt-get -qq install -y --no-install-recommends redis-server >/dev/null
mkdir -p /data && chown redis:redis /data
install -m 755 /mnt/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
