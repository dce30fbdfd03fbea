#!/bin/bash
# check.sh DIR: holds what build.sh made in DIR: built again in another folder it has the same bytes, its program needs no
# library and no other file, and both packages install into an empty root and run there. Needs root. Variables as for build.sh.
set -euo pipefail
dist=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "dist-check: $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: $1, not $2"; }
# runs ROOT ARG...: the program runs in ROOT, where nothing else is.
runs() { timeout 60 env -i "$(command -v chroot)" "$1" /usr/bin/pcompose "${@:2}"; }

(cd "$dist" && sha256sum --quiet -c SHA256SUMS) || fail "SHA256SUMS is not of these files"

# The sources as they are here, in a folder with another name of another length.
there=$work/$(printf 'elsewhere%.0s' {1..9})/pcompose
mkdir -p "$there"
git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2> /dev/null | tar -c -T - | tar -x -C "$there"
(cd "$there" && testdata/dist/build.sh "$work/again" > /dev/null)
diff "$dist/SHA256SUMS" "$work/again/SHA256SUMS" || fail "a build in another folder has other bytes"

program=$(echo "$dist"/pcompose-*-linux-*)
case $(ldd "$program" 2>&1 || true) in *'not a dynamic executable'*) ;; *) fail "$program needs libraries" ;; esac
grep -q -a -F -e "$PWD" -e "$HOME/go" "$program" && fail "$program has paths of this machine"
mkdir -p "$work/empty/usr/bin" && install "$program" "$work/empty/usr/bin/pcompose"
is "$(runs "$work/empty" version --short)" "${VERSION#v}" 'version in an empty root'
is "$(runs "$work/empty" version)" "pcompose version $VERSION (commit ${COMMIT:0:12} of $DATE)" 'what version says'

deb=$work/deb rpm=$work/rpm
mkdir -p "$deb/var/lib/dpkg/info" "$deb/var/lib/dpkg/updates"
touch "$deb/var/lib/dpkg/status"
dpkg --root="$deb" --force-script-chrootless --log=/dev/null -i "$dist"/pcompose_*.deb > /dev/null
is "$(dpkg --root="$deb" -V pcompose)" '' 'what dpkg -V finds changed'
mkdir -p "$rpm"
# Debian's rpm warns of its use.
rpm --root "$rpm" --nosignature --nodeps -i "$dist"/pcompose-*.rpm 2> >(grep -v '^rpm: ' >&2)
is "$(dpkg-deb -f "$dist"/pcompose_*.deb Recommends)" 'crun, passt, uidmap' 'Recommends of the .deb'
is "$(rpm -qp --nosignature --recommends "$dist"/pcompose-*.rpm | xargs)" 'crun passt shadow-utils' 'Recommends of the .rpm'
for root in "$deb" "$rpm"; do
  is "$(runs "$root" version --short)" "${VERSION#v}" 'version as installed'
  cmp "$root/usr/bin/pcompose" "$program"
  for file in man/man1/pcompose.1.gz man/man1/pcompose-up.1.gz bash-completion/completions/pcompose fish/vendor_completions.d/pcompose.fish; do
    [ -s "$root/usr/share/$file" ] || fail "no $file"
  done
  bash -n "$root/usr/share/bash-completion/completions/pcompose"
  [[ $(zcat "$root/usr/share/man/man1/pcompose-up.1.gz") == *'--wait'* ]] || fail 'the page of up has no --wait'
  is "$(readlink "$root/usr/libexec/docker/cli-plugins/docker-pcompose")" /usr/bin/pcompose 'the plugin of docker'
done
[ -s "$deb/usr/share/zsh/vendor-completions/_pcompose" ] || fail 'no completion of zsh in the .deb'
[ -s "$rpm/usr/share/zsh/site-functions/_pcompose" ] || fail 'no completion of zsh in the .rpm'
echo "dist-check: $(basename "$program"), its .deb and its .rpm are the same bytes again, and run where nothing else is"
