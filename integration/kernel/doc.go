// Package kernel tests what lvsd relies on in the kernel, by ipvsadm and
// iptables alone. When one of its tests fails, lvsd's design is wrong on that
// kernel, not its code.
package kernel
