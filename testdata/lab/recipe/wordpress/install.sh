# Debian's WordPress in Apache with PHP 8.2, laid out as the official image: the files lie in /usr/src and are copied at the first start.
apt-get -qq install -y --no-install-recommends apache2 libapache2-mod-php8.2 php8.2-mysql php8.2-xml php8.2-mbstring php8.2-curl wordpress wordpress-theme-twentytwentythree >/dev/null
a2enmod -q rewrite >/dev/null && a2dismod -q -f status >/dev/null
mkdir -p /usr/src/wordpress
cp -rL /usr/share/wordpress/. /usr/src/wordpress/
rm -rf /usr/src/wordpress/wp-config.php /var/www/html/* && chown www-data:www-data /var/www/html
ln -sf /dev/stdout /var/log/apache2/access.log && ln -sf /dev/stderr /var/log/apache2/error.log && ln -sf /dev/stdout /var/log/apache2/other_vhosts_access.log
echo 'ServerName localhost' >> /etc/apache2/apache2.conf
sed -i '/<Directory \/var\/www\/>/,/<\/Directory>/ s/AllowOverride None/AllowOverride All/' /etc/apache2/apache2.conf
install -m 755 /mnt/docker-entrypoint.sh /mnt/apache2-foreground /usr/local/bin/
install -m 644 /mnt/wp-config-docker.php /usr/src/wordpress/wp-config-docker.php
