# Node 20 and the PostgreSQL client `pg`, both Debian's: bookworm has Node 18, so they come from trixie.
groupadd --gid 1000 node
useradd --uid 1000 --gid node --shell /bin/bash --create-home node
echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' > /etc/apt/sources.list.d/trixie.list
apt-get -qq update
apt-get -qq install -y --no-install-recommends -t trixie nodejs node-pg >/dev/null
rm /etc/apt/sources.list.d/trixie.list
install -m 755 /mnt/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
case "$(node --version)" in v20.*) ;; *) echo "trixie's node is $(node --version), not 20" >&2; exit 1 ;; esac
node -e 'require("pg")'
