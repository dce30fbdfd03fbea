# The program of Debian's package alone, at the place and run by the user of the official image.
cd /tmp
apt-get -qq download prometheus-node-exporter >/dev/null 2>&1
dpkg-deb -x prometheus-node-exporter_*.deb x
install -m 755 x/usr/bin/prometheus-node-exporter /bin/node_exporter
rm -rf /tmp/x /tmp/*.deb
