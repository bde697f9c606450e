#!/bin/sh
# Installs what the tests and the demo run, where it is missing. Starts no
# service.
set -eu

# Each line: a program, and the Debian package that has it.
wanted='
qemu-system-x86_64 qemu-system-x86
keepalived keepalived
/usr/lib/frr/vrrpd frr
ipvsadm ipvsadm
iptables iptables
/usr/lib/postfix/sbin/master postfix
nginx nginx-light
dovecot dovecot-imapd
/usr/lib/dovecot/pop3 dovecot-pop3d
redis-server redis-server
vsftpd vsftpd
slapd slapd
unbound unbound
squid squid
haproxy haproxy
tcpdump tcpdump
conntrack conntrack
ip iproute2
modprobe kmod
ping iputils-ping
sysctl procps
arping iputils-arping
chromium chromium
promtool prometheus
rpm rpm
systemd-analyze systemd
make make
gcc gcc
'

PATH="$PATH:/usr/sbin:/sbin"
missing=$(echo "$wanted" | while read -r program package; do
	[ -z "$program" ] || command -v "$program" >/dev/null || echo "$package"
done)
if [ -z "$missing" ]; then
	# The kernel of the virtual machine is looked up in the package lists.
	if [ "$(id -u)" = 0 ] && command -v apt-cache >/dev/null && ! apt-cache show linux-image-amd64 >/dev/null 2>&1; then
		apt-get update -q
	fi
	exit 0
fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing packages:" $missing >&2
	exit 1
fi

# Packages of daemons start them unless policy-rc.d forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
echo "installing:" $missing
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # one word per package
apt-get install -q -y --no-install-recommends $missing
