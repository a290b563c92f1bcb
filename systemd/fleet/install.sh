#!/bin/sh
# Installs, upgrades or removes the incident fleet on a host with systemd.
#
#   ./install.sh           installs or upgrades; may be repeated
#   ./install.sh check     only says what the host lacks
#   ./install.sh remove    removes the program; database, keys, configuration and user stay
#
# The script checks the package before it runs anything of it, and the whole host before it changes anything.
set -eu
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=/usr/lib/secure-ai/incident-fleet
unit=incident-fleet.service
config=/etc/incident-fleet
command_path=/usr/bin/incident-fleet
lacking=

say() { echo "incident-fleet: $*"; }

lack() {
  say "this host lacks $*" >&2
  lacking=yes
}

# Ends at once: what was changed on the way must not run.
check_package() {
  if ! (cd "$here" && sha256sum --check --strict --quiet SHA256SUMS); then
    say "$here is not what was packaged: unpack it again" >&2
    exit 1
  fi
  # A link, a pipe or a file that the list does not name.
  strange=$(cd "$here" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort | while IFS= read -r name; do
    if [ "$name" = SHA256SUMS ]; then continue; fi
    if [ -f "$name" ] && [ ! -L "$name" ] && cut -c67- SHA256SUMS | grep -qxF -e "$name"; then continue; fi
    echo "$name"
  done)
  if [ -n "$strange" ]; then
    say "$here holds what was not packaged: $(echo "$strange" | tr '\n' ' ')" >&2
    exit 1
  fi
}

check() {
  check_package
  [ "$(id -u)" -eq 0 ] || lack 'the rights of root for this script'
  systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  [ "${systemd:-0}" -ge 252 ] || lack 'systemd 252 or newer'
  [ -d /run/systemd/system ] || lack 'systemd as its running init'
  missing=$(ldd "$here/bin/node" 2>&1 | sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p' | tr '\n' ' ')
  if [ -n "$missing" ]; then
    lack "libraries that node needs: $missing(on Debian libstdc++6 and libatomic1)"
  elif ! "$here/bin/node" -e 0; then
    lack 'a processor that this package is for'
  fi
  if ! setpriv --help 2>&1 | grep -q -e --landlock-access; then
    lack "util-linux 2.40 or newer ($(setpriv --version 2>&1)), whose setpriv sets Landlock"
  elif ! setpriv --no-new-privs --landlock-access fs --landlock-rule path-beneath:execute,read-file:/ -- true; then
    lack 'Landlock in its kernel, ABI 3 or newer: Linux 6.2 with landlock in /sys/kernel/security/lsm'
  fi
  [ -z "$lacking" ] || exit 1
}

copy_package() {
  rm -rf "$prefix.new"
  mkdir -p "$prefix.new"
  cp -R "$here/." "$prefix.new"
  chown -R 0:0 "$prefix.new"
  # The host's loader and libraries: the unit's Landlock rules let node use them.
  linked=$(ldd "$here/bin/node")
  loader=$(echo "$linked" | sed -n 's/^[[:space:]]*\(\/[^ ]*\/ld-linux[^ ]*\).*/\1/p')
  libraries=$(dirname "$(readlink -f "$(echo "$linked" | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')")")
  ln -sfn "$loader" "$prefix.new/loader"
  ln -sfn "$libraries" "$prefix.new/libraries"
}

# The token of whoever sets up the fleet; an access file takes its place.
make_token() {
  if [ -e "$config/token" ] || [ -e "$config/access.yaml" ]; then return; fi
  (umask 077 && od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$config/token.new")
  chown incident-fleet:root "$config/token.new"
  chmod 0400 "$config/token.new"
  sync "$config/token.new"
  mv "$config/token.new" "$config/token"
  say "made $config/token: who has it may do everything in the fleet"
}

install_all() {
  check
  first=
  [ -e "/usr/lib/systemd/system/$unit" ] || first=yes
  copy_package
  install -D -m 0644 "$here/systemd/sysusers.conf" /usr/lib/sysusers.d/incident-fleet.conf
  systemd-sysusers incident-fleet.conf
  # The fleet makes its signing key there at its first start; nobody else may read what is in it.
  install -d -m 0700 -o incident-fleet -g incident-fleet /var/lib/incident-fleet
  install -d -m 0750 -g incident-fleet "$config"
  make_token
  rm -rf "$prefix.old"
  [ ! -e "$prefix" ] || mv "$prefix" "$prefix.old"
  mv "$prefix.new" "$prefix"
  rm -rf "$prefix.old"
  install -D -m 0755 "$prefix/systemd/incident-fleet" "$command_path"
  install -D -m 0644 "$prefix/systemd/$unit" "/usr/lib/systemd/system/$unit"
  systemctl daemon-reload
  [ -z "$first" ] || systemctl enable --quiet "$unit"
  # A program never changes a database by itself; where there is no server yet, that is said and tried at the next install.
  if systemctl is-enabled --quiet "$unit"; then
    systemctl stop "$unit"
    "$command_path" migrate || say 'the database is not migrated: run incident-fleet migrate, then start the unit'
    systemctl start "$unit"
  fi
  say "installed; systemctl status $unit tells how it is"
}

remove_all() {
  [ "$(id -u)" -eq 0 ] || { lack 'the rights of root for this script'; exit 1; }
  if [ -e "/usr/lib/systemd/system/$unit" ]; then systemctl disable --quiet --now "$unit"; fi
  rm -rf "$prefix" "$prefix.new" "$prefix.old"
  rm -f "$command_path" "/usr/lib/systemd/system/$unit" /usr/lib/sysusers.d/incident-fleet.conf
  systemctl daemon-reload
  say "removed; /var/lib/incident-fleet, $config and the user incident-fleet stay"
}

# A function, so that the shell has read all of the script before the script moves its own file.
main() {
  case ${1:-install} in
    install) install_all ;;
    check) check && say 'this host lacks nothing' ;;
    remove) remove_all ;;
    *)
      echo 'usage: install.sh [install|check|remove]' >&2
      exit 2
      ;;
  esac
  exit
}

main "$@"
