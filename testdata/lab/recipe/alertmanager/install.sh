# The program of Debian's package alone, at the place and run by the user of the official image.
cd /tmp
apt-get -qq download prometheus-alertmanager >/dev/null 2>&1
dpkg-deb -x prometheus-alertmanager_*.deb x
install -m 755 x/usr/bin/prometheus-alertmanager /bin/alertmanager
mkdir -p /usr/share/prometheus && cp -r x/usr/share/prometheus/alertmanager /usr/share/prometheus/ # its templates
rm -rf /tmp/x /tmp/*.deb
mkdir -p /alertmanager /etc/alertmanager && chown nobody:nogroup /alertmanager
printf 'route:\n  receiver: none\nreceivers:\n  - name: none\n' > /etc/alertmanager/alertmanager.yml
