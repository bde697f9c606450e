package netif

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// fou speaks the generic netlink family "fou" (linux/fou.h), whose ports take
// packets out of UDP.
type fou struct {
	sockets map[int]*nl.SocketHandle
}

// guePort is a port on which GUE is listened for.
type guePort struct {
	ipv6   bool
	number uint16
}

// Commands and attributes of linux/fou.h.
const (
	fouName    = "fou"
	fouVersion = 1
	fouAdd     = 1
	fouDelete  = 2
	fouGet     = 3

	fouPort   = 1
	fouFamily = 2
	fouType   = 4
	fouGUE    = 2 // a value of fouType
)

// genericHeader is the length of struct genlmsghdr.
const genericHeader = 4

func openFOU() (*fou, error) {
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("generic netlink: %w", err)
	}
	timeout := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := errors.Join(socket.SetSendTimeout(&timeout), socket.SetReceiveTimeout(&timeout)); err != nil {
		socket.Close()
		return nil, fmt.Errorf("generic netlink: %w", err)
	}
	return &fou{map[int]*nl.SocketHandle{unix.NETLINK_GENERIC: {Socket: socket}}}, nil
}

func (f *fou) close() {
	for _, s := range f.sockets {
		s.Close()
	}
}

// request sends one message and returns the answers without their headers.
func (f *fou) request(family, flags int, command, version uint8, attributes ...*nl.RtAttr) ([][]byte, error) {
	request := nl.NewNetlinkRequest(family, flags)
	request.Sockets = f.sockets
	request.AddData(&nl.Genlmsg{Command: command, Version: version})
	for _, a := range attributes {
		request.AddData(a)
	}
	answers, err := request.Execute(unix.NETLINK_GENERIC, 0)
	for i, answer := range answers {
		answers[i] = answer[min(len(answer), genericHeader):]
	}
	return answers, err
}

// id is the number of the family. It is asked for each time: it changes when the
// module is loaded anew. Without the module the error is ENOENT.
func (f *fou) id() (int, error) {
	answers, err := f.request(nl.GENL_ID_CTRL, 0, nl.GENL_CTRL_CMD_GETFAMILY, nl.GENL_CTRL_VERSION,
		nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(fouName)))
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		attributes, err := nl.ParseRouteAttr(answer)
		if err != nil {
			return 0, err
		}
		for _, a := range attributes {
			if a.Attr.Type == nl.GENL_CTRL_ATTR_FAMILY_ID && len(a.Value) >= 2 {
				return int(binary.NativeEndian.Uint16(a.Value)), nil
			}
		}
	}
	return 0, unix.ENOENT
}

// change adds or deletes a port.
func (f *fou) change(ctx context.Context, command uint8, port guePort) error {
	id, err := f.id()
	if errors.Is(err, unix.ENOENT) {
		// The kernel does not load this module by itself.
		out, failed := exec.CommandContext(ctx, "modprobe", fouName).CombinedOutput()
		if id, err = f.id(); err != nil && failed != nil {
			err = fmt.Errorf("%w: modprobe %s: %w: %s", err, fouName, failed, strings.TrimSpace(string(out)))
		}
	}
	if err != nil {
		return fmt.Errorf("the module fou: %w", err)
	}
	family := uint8(unix.AF_INET)
	if port.ipv6 {
		family = unix.AF_INET6
	}
	attributes := []*nl.RtAttr{
		nl.NewRtAttr(fouPort, binary.BigEndian.AppendUint16(nil, port.number)),
		nl.NewRtAttr(fouFamily, []byte{family}),
	}
	if command == fouAdd {
		attributes = append(attributes, nl.NewRtAttr(fouType, []byte{fouGUE}))
	}
	_, err = f.request(id, unix.NLM_F_ACK, command, fouVersion, attributes...)
	return err
}

// list lists the ports on which GUE is listened for; without the module there is
// none.
func (f *fou) list() ([]guePort, error) {
	id, err := f.id()
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	var answers [][]byte
	if err == nil {
		answers, err = f.request(id, unix.NLM_F_DUMP, fouGet, fouVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("list GUE ports: %w", err)
	}
	var ports []guePort
	for _, answer := range answers {
		port, gue, err := parsePort(answer)
		if err != nil {
			return nil, fmt.Errorf("list GUE ports: %w", err)
		}
		if gue {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// parsePort reads what the kernel says of a port; gue is false if it is for
// another encapsulation.
func parsePort(answer []byte) (port guePort, gue bool, err error) {
	attributes, err := nl.ParseRouteAttr(answer)
	if err != nil {
		return guePort{}, false, err
	}
	for _, a := range attributes {
		switch {
		case a.Attr.Type == fouPort && len(a.Value) >= 2:
			port.number = binary.BigEndian.Uint16(a.Value)
		case a.Attr.Type == fouFamily && len(a.Value) >= 1:
			port.ipv6 = a.Value[0] == unix.AF_INET6
		case a.Attr.Type == fouType && len(a.Value) >= 1:
			gue = a.Value[0] == fouGUE
		}
	}
	return port, gue, nil
}
