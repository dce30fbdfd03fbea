# nginx as the official image lays it out: conf.d, templates, /docker-entrypoint.d, logs to stdout and stderr.
groupadd --system --gid 101 nginx
useradd --system --gid nginx --no-create-home --home /nonexistent --shell /bin/false --uid 101 nginx
apt-get -qq install -y --no-install-recommends nginx-light gettext-base >/dev/null
rm -rf /etc/nginx/sites-* /etc/nginx/modules-* /etc/nginx/snippets
mkdir -p /etc/nginx/conf.d /usr/share/nginx/html /docker-entrypoint.d /var/cache/nginx
cp /mnt/files/nginx.conf /etc/nginx/nginx.conf
cp /mnt/files/default.conf /etc/nginx/conf.d/default.conf
install -m 755 /mnt/files/docker-entrypoint.sh /docker-entrypoint.sh
printf '<!DOCTYPE html>\n<title>Welcome to nginx!</title>\n<h1>Welcome to nginx!</h1>\n' > /usr/share/nginx/html/index.html
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
