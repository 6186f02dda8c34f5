#!/bin/sh
# Installs the named Debian packages that are missing: tools/debian.sh postfix swaks …
# No service is started, now or at the next boot, and nothing that is already installed is changed.
set -eu

missing=""
for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "error: these programs are needed and this is not Debian: $missing" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        exec sudo -n sh "$0" $missing
    fi
    echo "error: Debian packages are missing; as root, run:" >&2
    echo "  sh $(realpath "$0") $missing" >&2
    exit 1
fi

# A policy-rc.d that answers 101 keeps dpkg from starting services (invoke-rc.d(8)); one that is there is put back.
policy=/usr/sbin/policy-rc.d
saved=$policy.mailseal-saved
restore() {
    rm -f "$policy"
    [ ! -e "$saved" ] || mv "$saved" "$policy"
}
[ -e "$saved" ] || [ ! -e "$policy" ] || mv "$policy" "$saved"
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

case " $missing " in
*" postfix "*)
    command -v debconf-set-selections >/dev/null &&
        echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    ;;
esac

install() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -y -qq install --no-install-recommends $missing \
        >/tmp/mailseal-apt.$$ 2>&1
}
echo "installing Debian packages: $missing"
if ! install; then
    apt-get -qq update
    install || { cat /tmp/mailseal-apt.$$ >&2; rm -f /tmp/mailseal-apt.$$; exit 1; }
fi
rm -f /tmp/mailseal-apt.$$

# What came just now shall not start at the next boot or login either: the tests and the demo start private ones.
for package in $missing; do
    scope=--system
    case $package in
    postfix | knot | unbound | opendkim) units=$package ;;
    mariadb-server) units=mariadb ;;
    gpg-agent)
        scope=--global
        units="gpg-agent.socket gpg-agent-browser.socket gpg-agent-extra.socket gpg-agent-ssh.socket"
        ;;
    *) continue ;;
    esac
    if command -v systemctl >/dev/null; then
        systemctl $scope disable $units >/dev/null 2>&1 || true
    fi
done
