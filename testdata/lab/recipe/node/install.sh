# Node 20: bookworm has 18, so it comes from trixie.
groupadd --gid 1000 node
useradd --uid 1000 --gid node --shell /bin/bash --create-home node
echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' > /etc/apt/sources.list.d/trixie.list
apt-get -qq update
apt-get -qq install -y --no-install-recommends -t trixie nodejs >/dev/null
rm /etc/apt/sources.list.d/trixie.list
install -m 755 /mnt/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
case "$(node --version)" in v20.*) ;; *) echo "trixie's node is $(node --version), not 20" >&2; exit 1 ;; esac
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
# npm as its authors publish it: Debian's brings four hundred packages.
mkdir -p /usr/local/lib/node_modules/npm
node -e 'fetch("https://registry.npmjs.org/npm/-/npm-10.9.2.tgz").then((r) => r.arrayBuffer()).then((b) => process.stdout.write(Buffer.from(b)))' |
  tar -xzC /usr/local/lib/node_modules/npm --strip-components=1
ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
npm --version
