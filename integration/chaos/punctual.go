package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
)

// An Ear hears the adverts of one router at a host, by the kernel's clock: it is
// right about when they came on a machine that is busy.
type Ear struct {
	file *os.File
	done sync.WaitGroup

	mu    sync.Mutex
	heard []time.Time
}

// listenTo listens at a host's interface to what is sent from an address.
func listenTo(h *lab.Host, source netip.Addr) (*Ear, error) {
	var fd int
	err := h.Do(func() (err error) {
		fd, err = openEar(source)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: listen to %v: %w", h.Name, source, err)
	}
	e := &Ear{file: os.NewFile(uintptr(fd), "ear")}
	e.done.Go(e.listen)
	return e, nil
}

// openEar opens a packet socket for the adverts of one source, with a stamp.
func openEar(source netip.Addr) (int, error) {
	device, err := net.InterfaceByName(lab.LinkName)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	ip := source.As4()
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: vrrp.Protocol, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 12, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(ip[:]), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err == nil {
		code := make([]unix.SockFilter, len(filter))
		for i, in := range filter {
			code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
		}
		const ipv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8
		err = errors.Join(
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ipv4, Ifindex: device.Index}),
		)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("packet socket: %w", err), unix.Close(fd))
	}
	return fd, nil
}

func (e *Ear) listen() {
	lab.ReadStamped(e.file, func(_ []byte, at time.Time) {
		if !at.IsZero() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.heard = append(e.heard, at)
		}
	})
}

// Adverts is how many were heard.
func (e *Ear) Adverts() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard)
}

// Close ends it and returns how many adverts were heard and the longest gap
// between two of them.
func (e *Ear) Close() (adverts int, longest time.Duration) {
	_ = e.file.Close()
	e.done.Wait()
	for i, at := range e.heard {
		if i > 0 {
			longest = max(longest, at.Sub(e.heard[i-1]))
		}
	}
	return len(e.heard), longest
}
