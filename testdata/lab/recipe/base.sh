#!/bin/bash
# base.sh DIR: a Debian bookworm root without documentation, the first layer of every image but busybox.
set -eu
mmdebstrap --quiet --mode=root --variant=apt --include=ca-certificates \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  bookworm "$1" 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main'
# As in published images: no device nodes, and an empty resolv.conf, onto which enter.sh binds the host's.
rm -rf "${1:?}"/dev/* && : > "$1/etc/resolv.conf"
# Package scripts must not start daemons.
printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d" && chmod 755 "$1/usr/sbin/policy-rc.d"
# Where the machine trusts authorities of its own (a proxy that looks into TLS), builds in these images must trust them too.
for ca in /usr/local/share/ca-certificates/*.crt; do [ ! -e "$ca" ] || cp "$ca" "$1/usr/local/share/ca-certificates/"; done
chroot "$1" update-ca-certificates >/dev/null 2>&1
