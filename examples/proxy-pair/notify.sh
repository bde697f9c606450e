#!/bin/sh
# For a squid that listens on the VIPs by address: it opens its ports at its start and
# when it is told to read its configuration again. lvsd calls this on every change of
# role, as keepalived does: INSTANCE proxy_ip1 MASTER 255.
if [ "$3" = MASTER ]; then
	exec /usr/sbin/squid -k reconfigure
fi
