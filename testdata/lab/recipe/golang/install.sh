# Go 1.24, without a C compiler: bookworm has 1.19, so it comes from trixie.
echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' > /etc/apt/sources.list.d/trixie.list
apt-get -qq update
apt-get -qq install -y --no-install-recommends -t trixie golang-1.24-go >/dev/null
rm /etc/apt/sources.list.d/trixie.list
ln -s /usr/lib/go-1.24 /usr/local/go
mkdir -p /go/src /go/bin && chmod -R 1777 /go
# What only Go's own tests need.
rm -rf /usr/share/go-1.24/test /usr/lib/go-1.24/pkg/tool/*/{trace,objdump,pprof,cover,test2json}
/usr/local/go/bin/go version
# The official image has its standard library compiled; here what servers need of it is, for root.
cd / && HOME=/root GOFLAGS= CGO_ENABLED=0 /usr/local/go/bin/go build -o /dev/null net/http database/sql
