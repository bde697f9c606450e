package iptables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchBuffer holds the events that come while changed is running, in bytes.
	watchBuffer = 1 << 20
	// watchPause is the least time between two calls of Watch's function. Some
	// hosts change hundreds of rules a second, each a reason to list them all.
	watchPause = 50 * time.Millisecond
)

// Watch calls changed at the start and then after every change of a table that
// lvsd writes to, until ctx ends or the kernel gives no more events: then it
// returns an error, and the caller watches again. One call stands for all
// changes since the last; changed must not block. Only the nf_tables backend
// makes events, see Table.HasEvents.
func Watch(ctx context.Context, changed func()) error {
	socket, err := subscribe()
	if err != nil {
		return fmt.Errorf("subscribe to nf_tables events: %w", err)
	}
	defer func() { _ = socket.Close() }()
	unhook := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) })
	defer unhook()
	raw, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("nf_tables events: %w", err)
	}
	buffer := make([]byte, 1<<16)
	for {
		changed()
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
		err := await(raw.Read, buffer)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("nf_tables events: %w", err)
		}
	}
}

// await waits for an event that concerns lvsd's tables and takes all that are
// there. That some were lost counts as one.
func await(read func(func(fd uintptr) bool) error, buffer []byte) error {
	var failed error
	heard := false
	err := read(func(fd uintptr) bool {
		for {
			n, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT)
			switch {
			case err == nil:
				heard = heard || concerns(buffer[:n])
			case errors.Is(err, unix.ENOBUFS):
				heard = true
			case errors.Is(err, unix.EAGAIN):
				return heard
			case !errors.Is(err, unix.EINTR):
				failed = err
				return true
			}
		}
	})
	return errors.Join(failed, err)
}

// Offsets in a message about nf_tables: struct nlmsghdr, struct nfgenmsg, then
// the first attribute, which in those about tables, chains and rules is the
// table's name (enum nft_table_attributes and the like).
const (
	offsetType   = 4
	offsetFamily = 16
	offsetLength = 20
	offsetValue  = 24
	tableName    = 1
)

// concerns reports whether one of the messages is about a rule, chain or table
// that may be lvsd's. Elements of sets come and go by the thousand.
func concerns(messages []byte) bool {
	for len(messages) >= offsetValue {
		length := int(binary.NativeEndian.Uint32(messages))
		if length < unix.NLMSG_HDRLEN || length > len(messages) {
			return true
		}
		if length > offsetValue && concernsOne(messages[:length]) {
			return true
		}
		messages = messages[min(len(messages), (length+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return false
}

func concernsOne(message []byte) bool {
	family := message[offsetFamily]
	number := binary.NativeEndian.Uint16(message[offsetType:])
	subsystem, kind := number>>8, number&0xff
	if subsystem != unix.NFNL_SUBSYS_NFTABLES || kind > unix.NFT_MSG_DELRULE ||
		family != unix.NFPROTO_IPV4 && family != unix.NFPROTO_IPV6 {
		return false
	}
	end := offsetLength + int(binary.NativeEndian.Uint16(message[offsetLength:]))
	if binary.NativeEndian.Uint16(message[offsetLength+2:]) != tableName || end <= offsetValue || end > len(message) {
		return true
	}
	name := unix.ByteSliceToString(message[offsetValue:end])
	return name == "nat" || name == "mangle"
}

// subscribe opens the socket on which the events come.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), "nfnetlink")
	// The size is forced where that is allowed; a smaller one only loses more.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer)
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.NFNLGRP_NFTABLES),
	)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}
