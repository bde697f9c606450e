package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// vridAt is where the VRID is in a message.
const vridAt = 1

// fromNetwork is what to add to an offset from the network header, wherever a
// filter's packet begins (SKF_NET_OFF).
const fromNetwork = 0xfff00000

// attachFilter has the kernel drop the adverts of other virtual routers: where
// an interface has hundreds, each would be woken up by every advert of every
// other. What is too short to have a VRID goes too, and what the Mute says.
func attachFilter(fd int, f family, vrid uint8, m Mute) error {
	program, err := bpf.Assemble(filter(f, vrid, m))
	if err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	code := make([]unix.SockFilter, len(program))
	for i, in := range program {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	p := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, p); err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	return nil
}

func filter(f family, vrid uint8, m Mute) []bpf.Instruction {
	const whole, nothing = 1 << 16, 0
	named, others := uint32(nothing), uint32(whole)
	if m.Others {
		named, others = others, named
	}
	program := append(f.loadVRID(),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(vrid), SkipTrue: 1},
		bpf.RetConstant{Val: nothing},
	)
	for _, source := range m.Sources {
		program = append(program, ifSource(f, source, bpf.RetConstant{Val: named})...)
	}
	return append(program, bpf.RetConstant{Val: others})
}

// ifSource does what it is told if the packet is from the source.
func ifSource(f family, source netip.Addr, then bpf.Instruction) []bpf.Instruction {
	const word = 4
	b := source.AsSlice()
	program := []bpf.Instruction{then}
	for at := len(b) - word; at >= 0; at -= word {
		program = append([]bpf.Instruction{
			bpf.LoadAbsolute{Off: fromNetwork + f.sourceAt() + uint32(at), Size: word},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[at:]), SkipFalse: uint8(len(program))},
		}, program...)
	}
	return program
}
