# busybox from scratch: the static binary under every name it answers to, and the few files programs expect.
apt-get -qq install -y --no-install-recommends busybox-static >/dev/null
mkdir -p /out/{bin,etc,home,root,tmp,usr/bin,usr/sbin,var/www,var/spool/mail}
chmod 1777 /out/tmp && chmod 700 /out/root
cp /bin/busybox /out/bin/busybox
for applet in $(/bin/busybox --list); do
  [ "$applet" = busybox ] || ln -f /out/bin/busybox "/out/bin/$applet"
done
ln -s ../../bin/env /out/usr/bin/env
cat > /out/etc/passwd <<'F'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
F
printf 'root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:\nnobody:x:65534:\n' > /out/etc/group
