package vrrp

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// vridAt is where the VRID is in a message.
const vridAt = 1

// attachFilter has the kernel drop the adverts of other virtual routers: where
// an interface has hundreds, each would be woken up by every advert of every
// other. What is too short to have a VRID goes too.
func attachFilter(fd int, load []bpf.Instruction, vrid uint8) error {
	const whole = 1 << 16
	program, err := bpf.Assemble(append(load,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(vrid), SkipFalse: 1},
		bpf.RetConstant{Val: whole},
		bpf.RetConstant{Val: 0},
	))
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
