package segment

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/vrrp"
)

// Where the IP headers have what the filter looks at.
const (
	ipv4ProtocolAt = 9
	ipv6NextAt     = 6
	vlanMask       = 0x0fff
)

// filter lets through what may be VRRP. The packet begins with its IP header.
// What has a VLAN's tag is left out: it is seen again, without, on the VLAN's
// interface.
func filter() []bpf.Instruction {
	return []bpf.Instruction{
		0:  bpf.LoadExtension{Num: bpf.ExtVLANTag},
		1:  bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: vlanMask},
		2:  bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 14},
		3:  bpf.LoadExtension{Num: bpf.ExtProto},
		4:  bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipTrue: 6},
		5:  bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: 11},
		6:  bpf.LoadMemShift{Off: 0}, // X is the length of the IPv4 header
		7:  bpf.LoadAbsolute{Off: ipv4ProtocolAt, Size: 1},
		8:  bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrp.Protocol, SkipTrue: 7},
		9:  bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolAH, SkipTrue: 4},
		10: bpf.Jump{Skip: 6},
		11: bpf.LoadConstant{Dst: bpf.RegX, Val: ipv6HeaderLen},
		12: bpf.LoadAbsolute{Off: ipv6NextAt, Size: 1},
		13: bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolAH, SkipTrue: 1},
		14: bpf.LoadIndirect{Off: 0, Size: 1}, // what follows the authentication header
		15: bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: vrrp.Protocol, SkipTrue: 1},
		16: bpf.RetConstant{Val: longestPacket},
		17: bpf.RetConstant{Val: 0},
	}
}

func attachFilter(fd int) error {
	assembled, err := bpf.Assemble(filter())
	if err != nil {
		return fmt.Errorf("assemble: %w", err)
	}
	program := make([]unix.SockFilter, len(assembled))
	for i, in := range assembled {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}
