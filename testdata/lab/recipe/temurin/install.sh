# OpenJDK 17 in the place of the official image; one image is both the JDK and the JRE.
mkdir -p /usr/share/man/man1 # post-installation scripts of Java link manual pages
apt-get -qq install -y --no-install-recommends openjdk-17-jdk-headless >/dev/null
mkdir -p /opt/java && ln -s "$(dirname "$(dirname "$(readlink -f /usr/bin/javac)")")" /opt/java/openjdk
# Modules to link programs of: nobody does here, and they are half of it.
rm -rf /opt/java/openjdk/jmods /opt/java/openjdk/demo
/opt/java/openjdk/bin/javac -version
