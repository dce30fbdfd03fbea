mkdir -p /out/state /out/tmp && chmod 1777 /out/tmp
install -m 755 /mnt/ferretdb /out/ferretdb
