# The program of Debian's package alone, at the place and run by the user of the official image.
cd /tmp
apt-get -qq download prometheus >/dev/null 2>&1
dpkg-deb -x prometheus_*.deb x
install -m 755 x/usr/bin/prometheus /bin/prometheus
rm -rf /tmp/x /tmp/*.deb
mkdir -p /prometheus /etc/prometheus && chown nobody:nogroup /prometheus
printf 'global:\n  scrape_interval: 15s\nscrape_configs:\n  - job_name: prometheus\n    static_configs:\n      - targets: ["localhost:9090"]\n' > /etc/prometheus/prometheus.yml
