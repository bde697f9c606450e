package netif

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// receiveBuffer holds the events that come while changed is running, in bytes.
const receiveBuffer = 1 << 20

// watchPause is the least time between two calls of Watch's function.
const watchPause = 5 * time.Millisecond

// groups are the multicast groups of rtnetlink(7) that Watch hears, and routes
// those of them whose messages are about routes.
var groups = []int{
	unix.RTNLGRP_LINK,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
}

// Watch calls changed at the start and then after every change of a link, an
// address, a rule, or a route that bears Protocol, until ctx ends or the kernel
// gives no more events: then it returns an error, and the caller watches again.
// One call stands for all changes since the last; changed must not block.
func (c *Conn) Watch(ctx context.Context, changed func()) error {
	socket, err := subscribe()
	if err != nil {
		return fmt.Errorf("subscribe to network events: %w", err)
	}
	defer func() { _ = socket.Close() }()
	unhook := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) })
	defer unhook()
	raw, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("network events: %w", err)
	}
	buffer := make([]byte, 1<<16)
	for {
		changed()
		// Hundreds of changes in a row are one: each call costs the time that a
		// takeover needs.
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
		err := receive(raw.Read, buffer)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("network events: %w", err)
		}
	}
}

// receive waits for an event and takes all that are there. That some were lost
// is one event more.
func receive(read func(func(fd uintptr) bool) error, buffer []byte) error {
	var failed error
	err := read(func(fd uintptr) bool {
		for heard := false; ; heard = true {
			_, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT)
			switch {
			case err == nil, errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
			case errors.Is(err, unix.EAGAIN):
				return heard
			default:
				failed = err
				return true
			}
		}
	})
	return errors.Join(failed, err)
}

// subscribe opens the socket on which the events come.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), "rtnetlink")
	// The size is forced where that is allowed; a smaller one only loses more.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	err = errors.Join(filterRoutes(fd), unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	for _, group := range groups {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group))
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

// Offsets in a message about a route: struct nlmsghdr, then struct rtmsg.
const (
	offsetType     = 4
	offsetProtocol = 16 + 5
	wholeMessage   = 1 << 18
)

// filterRoutes makes the kernel drop messages about routes of other protocols:
// a router may change thousands a second.
func filterRoutes(fd int) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: asLoaded(unix.RTM_NEWROUTE), SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: asLoaded(unix.RTM_DELROUTE), SkipTrue: 2},
		bpf.LoadAbsolute{Off: offsetProtocol, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: Protocol, SkipTrue: 1},
		bpf.RetConstant{Val: wholeMessage},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, instruction := range program {
		filter[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// asLoaded is how a filter, which loads in network order, sees a number that
// netlink sends in the machine's.
func asLoaded(n uint16) uint32 {
	return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n)))
}
