#!/bin/sh
# Installs, upgrades or removes the incident recorder on a host with systemd.
#
#   ./install.sh           installs or upgrades; may be repeated
#   ./install.sh check     only says what the host lacks
#   ./install.sh remove    removes the program; audit log, edited policy, secrets and user stay
#
# --landlock-wrapper, after `check` or `install`: the appliance's own wrapper sets Landlock, for a util-linux older than
# 2.40.
# --libexec-link, after `install`: /usr/libexec/secure-ai/incident-recorder is a link to the command, which takes the place of
# the appliance's own recorder. Without it the link is made where the appliance has that directory, and no other program
# is in its place.
# --logrotate, after `install`: puts logrotate.conf in the place of the appliance's /etc/logrotate.d/secure-ai, which would
# cut the audit log; what was there is kept as secure-ai.orig, which logrotate does not read.
#
# The script checks the package before it runs anything of it, and the whole host before it changes anything.
set -eu
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=/usr/lib/secure-ai/incident-recorder
unit=secure-ai-incident-recorder.service
socket=secure-ai-incident-recorder.socket
# It starts when the machine is enrolled with a fleet.
shipper=secure-ai-incident-shipper.service
policy=/etc/secure-ai/policy/incident-containment.yaml
# For editors: the policy and the access file name them.
schema=${policy%.yaml}.schema.json
access_schema=$(dirname "$policy")/incident-access.schema.json
key=/etc/secure-ai/incident-recorder/audit-hmac-key
token=/run/secure-ai/service-token
log=/var/lib/secure-ai/logs/incident-recorder-audit.jsonl
wrapper=/usr/libexec/secure-ai/landlock-apply.py
wrapper_drop_in=/usr/lib/systemd/system/$unit.d/landlock-wrapper.conf
command_path=/usr/bin/incident-recorder
libexec_link=/usr/libexec/secure-ai/incident-recorder
logrotate=/etc/logrotate.d/secure-ai
lacking=
with_wrapper=
with_link=
with_logrotate=

say() { echo "incident-recorder: $*"; }

lack() {
  say "this host lacks $*" >&2
  lacking=yes
}

check_landlock() {
  rule='path-beneath:execute,read-file:/'
  if [ -n "$with_wrapper" ]; then
    "$wrapper" --check >/dev/null 2>&1 || lack "$wrapper, or a kernel on which its --check succeeds"
  elif ! setpriv --help 2>&1 | grep -q -e --landlock-access; then
    lack "util-linux 2.40 or newer ($(setpriv --version 2>&1)), whose setpriv sets Landlock"
    [ ! -x "$wrapper" ] || say "$wrapper can do it instead: ./install.sh install --landlock-wrapper" >&2
  elif ! setpriv --no-new-privs --landlock-access fs --landlock-rule "$rule" -- true; then
    lack 'Landlock in its kernel, ABI 3 or newer: Linux 6.2 with landlock in /sys/kernel/security/lsm'
  fi
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

check_node() {
  missing=$(ldd "$here/bin/node" 2>&1 | sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p' | tr '\n' ' ')
  if [ -n "$missing" ]; then
    lack "libraries that node needs: $missing(on Debian libstdc++6 and libatomic1)"
  elif ! "$here/bin/node" --jitless -e 0; then
    lack 'a processor that this package is for'
  fi
}

check() {
  check_package
  [ "$(id -u)" -eq 0 ] || lack 'the rights of root for this script'
  systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  [ "${systemd:-0}" -ge 252 ] || lack 'systemd 252 or newer'
  [ -d /run/systemd/system ] || lack 'systemd as its running init'
  check_node
  check_landlock
  ldconfig -p | grep -q 'libbpf\.so' ||
    say 'note: without libbpf (on Debian libbpf1) systemd does not keep the service from binding ports' >&2
  [ -z "$lacking" ] || exit 1
}

# A policy that nobody has edited is replaced by the one in the package. An edited policy stays. A removed policy is not
# installed again.
install_policy() {
  shipped=$here/policy/incident-containment.yaml
  before=$prefix/policy/incident-containment.yaml
  install -m 0644 "$here/policy/${schema##*/}" "$schema"
  install -m 0644 "$here/policy/${access_schema##*/}" "$access_schema"
  if [ -e "$policy" ]; then
    if cmp -s "$shipped" "$policy"; then return; fi
    if ! cmp -s "$before" "$policy"; then
      install -m 0644 "$shipped" "$policy.new"
      say "$policy was edited and stays; the one of this package is $policy.new"
      return
    fi
  elif [ -e "$before" ]; then
    return
  fi
  install -m 0644 "$shipped" "$policy"
}

install_logrotate() {
  stanza=$here/systemd/logrotate.conf
  if cmp -s "$stanza" "$logrotate"; then return; fi
  [ ! -e "$logrotate" ] || mv "$logrotate" "$logrotate.orig"
  install -D -m 0644 "$stanza" "$logrotate"
  say "$logrotate rotates the other logs of the directory, and not the audit log"
}

# Only before the first entry: a log keeps its first key.
make_key() {
  if [ -e "$key" ] || [ -e "$log" ] || [ -e "$log.checkpoint" ]; then return; fi
  (umask 077 && od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$key.new")
  chown incident-recorder:root "$key.new"
  chmod 0400 "$key.new"
  sync "$key.new"
  mv "$key.new" "$key"
  say "made $key: keep a copy elsewhere, the log can't be verified or continued without it"
}

# Version 0.1.0 let the group of the log read the key.
close_key() {
  if [ "$(stat -c '%u:%G:%a' "$key" 2>/dev/null)" != 0:incident-recorder:440 ]; then return; fi
  chown incident-recorder:root "$key"
  chmod 0400 "$key"
  say "$key is for the recorder alone now; its group could read it"
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

# Makes V8's cached data of the service. It differs each time, so it is not in the package. Without it a start takes longer.
compile() {
  work=$(mktemp -d)
  token_here=$(od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n')
  (umask 077 && printf %s "$token_here" >"$work/token")
  # The flags of the unit: V8 accepts cached data only with the same flags.
  flags=$(sed -n 's/^ *\(--jitless .*\) \\$/\1/p' "$here/systemd/$unit")
  bundle=$prefix.new/dist/bundle.cjs
  # shellcheck disable=SC2086
  # The host's access file is not for this token.
  env -i BIND_ADDR="unix:$work/socket" SERVICE_TOKEN_PATH="$work/token" ACCESS_PATH=none AUDIT_LOG_PATH="$work/log" \
    CONTAINMENT_POLICY_PATH="$here/policy/incident-containment.yaml" OPENSSL_CONF=/nonexistent TZ=UTC \
    timeout 120 "$here/bin/node" $flags "$here/dist/warm-up.cjs" \
    "$bundle" "$bundle.cache" "$work/socket" "$token_here" >/dev/null || say 'not compiled: starts take longer'
  chmod -f 0644 "$bundle.cache" || true
  rm -rf "$work"
}

swap_package() {
  rm -rf "$prefix.old"
  [ ! -e "$prefix" ] || mv "$prefix" "$prefix.old"
  mv "$prefix.new" "$prefix"
  rm -rf "$prefix.old"
}

# The appliance starts its recorder there. A program that is there already is replaced only when asked, and kept.
link_libexec() {
  if [ "$(readlink "$libexec_link")" = "$command_path" ]; then return; fi
  if [ -z "$with_link" ] && [ ! -d "$(dirname "$libexec_link")" ]; then return; fi
  if [ -e "$libexec_link" ] || [ -L "$libexec_link" ]; then
    if [ -z "$with_link" ]; then
      say "$libexec_link is another program and stays; to replace it: ./install.sh install --libexec-link"
      return
    fi
    mv "$libexec_link" "$libexec_link.before"
    say "$libexec_link was another program: it is $libexec_link.before now"
  fi
  mkdir -p "$(dirname "$libexec_link")"
  ln -s "$command_path" "$libexec_link"
  say "$libexec_link is a link to $command_path"
}

install_all() {
  check
  first=
  [ -e "/usr/lib/systemd/system/$unit" ] || first=yes
  # An unchanged socket stays open through an upgrade.
  new_socket=
  cmp -s "$here/systemd/$socket" "/usr/lib/systemd/system/$socket" || new_socket=yes
  copy_package
  compile

  install -D -m 0644 "$here/systemd/sysusers.conf" /usr/lib/sysusers.d/secure-ai-incident-recorder.conf
  install -D -m 0644 "$here/systemd/tmpfiles.conf" /usr/lib/tmpfiles.d/secure-ai-incident-recorder.conf
  systemd-sysusers secure-ai-incident-recorder.conf
  systemd-tmpfiles --create secure-ai-incident-recorder.conf
  install -d /etc/secure-ai /etc/secure-ai/policy
  install -d -m 0750 -g incident-recorder "$(dirname "$key")"
  install_policy
  make_key
  close_key
  [ -z "$with_logrotate" ] || install_logrotate
  swap_package

  install -D -m 0755 "$prefix/systemd/incident-recorder" "$command_path"
  link_libexec
  for page in "$prefix"/systemd/incident-recorder.[18]; do
    [ ! -e "$page" ] || install -D -m 0644 "$page" "/usr/share/man/man${page##*.}/${page##*/}"
  done
  install -D -m 0644 "$prefix/systemd/$unit" "/usr/lib/systemd/system/$unit"
  install -D -m 0644 "$prefix/systemd/$socket" "/usr/lib/systemd/system/$socket"
  install -D -m 0644 "$prefix/systemd/$shipper" "/usr/lib/systemd/system/$shipper"
  if [ -n "$with_wrapper" ]; then
    install -D -m 0644 "$prefix/systemd/drop-ins/landlock-wrapper.conf" "$wrapper_drop_in"
  else
    rm -f "$wrapper_drop_in"
  fi

  systemctl daemon-reload
  [ -z "$first" ] || systemctl enable --quiet "$unit"
  if systemctl is-enabled --quiet "$unit"; then
    # Also where an earlier version has no socket.
    systemctl enable --quiet "$socket"
    [ -z "$new_socket" ] || systemctl stop "$unit" "$socket"
    systemctl start "$socket"
    systemctl restart "$unit"
  fi
  # Only where it runs: it is enabled by whoever enrols the machine.
  systemctl try-restart "$shipper"
  say "installed; systemctl status $unit tells how it is"
  if [ ! -e "$token" ] && ! systemctl show --property=LoadCredential "$unit" | grep -q service-token; then
    say "it waits for its token; make one with"
    say "  (umask 077; openssl rand -base64 32 > $token.new; chown incident-recorder:incident-reporters $token.new)"
    say "  chmod 0440 $token.new; mv $token.new $token"
    say "and put who reports into the group: usermod -aG incident-reporters USER"
  fi
}

remove_all() {
  [ "$(id -u)" -eq 0 ] || { lack 'the rights of root for this script'; exit 1; }
  # Both at once: a socket alone would start the service again.
  for one in "$shipper" "$socket" "$unit"; do
    [ ! -e "/usr/lib/systemd/system/$one" ] || systemctl disable --quiet "$one"
  done
  [ ! -e "/usr/lib/systemd/system/$shipper" ] || systemctl stop "$shipper"
  [ ! -e "/usr/lib/systemd/system/$unit" ] || systemctl stop "$unit" "$socket"
  if [ -e "$policy" ] && cmp -s "$prefix/policy/incident-containment.yaml" "$policy"; then rm "$policy"; fi
  rm -rf "$prefix" "$prefix.new" "$prefix.old" "$(dirname "$wrapper_drop_in")"
  if [ "$(readlink "$libexec_link")" = "$command_path" ]; then rm "$libexec_link"; fi
  rm -f "$command_path" "$schema" "$access_schema" "/usr/lib/systemd/system/$unit" "/usr/lib/systemd/system/$socket" \
    "/usr/lib/systemd/system/$shipper" /usr/share/man/man[18]/incident-recorder.[18] \
    /usr/lib/sysusers.d/secure-ai-incident-recorder.conf /usr/lib/tmpfiles.d/secure-ai-incident-recorder.conf
  systemctl daemon-reload
  say "removed; $(dirname "$log"), /etc/secure-ai and the user incident-recorder stay"
}

# A function, so that the shell has read all of the script before the script moves its own file.
main() {
  command=${1:-install}
  [ $# -eq 0 ] || shift
  for option in "$@"; do
    case $option in
      --landlock-wrapper) with_wrapper=yes ;;
      --libexec-link) with_link=yes ;;
      --logrotate) with_logrotate=yes ;;
      *) command=usage ;;
    esac
  done
  case $command in
    install) install_all ;;
    check) check && say 'this host lacks nothing' ;;
    remove) remove_all ;;
    *)
      echo 'usage: install.sh [install|check|remove] [--landlock-wrapper] [--libexec-link] [--logrotate]' >&2
      exit 2
      ;;
  esac
  exit
}

main "$@"
