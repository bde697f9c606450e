package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/vm/input"
	"github.com/lvsd/lvsd/integration/vm/protocol"
)

// keepVariable asks to go on with the page when the steps are done.
const keepVariable = "DEMO_KEEP"

// anyPort is where the page is served unless the virtual machine says otherwise.
const anyPort = "127.0.0.1:0"

// pageAddress is where lvsd's page is, inside of a relay.
var pageAddress = netip.MustParseAddrPort("127.0.0.1:9467")

// keep shows the page of the MASTER until Enter is pressed.
func (d *demo) keep(stdin *os.File) error {
	if d.cluster == nil {
		return nil // the first step has failed, and said so
	}
	masters := d.cluster.Masters()
	if len(masters) == 0 {
		return errors.New("no page to show: no relay is MASTER")
	}
	ctx := d.Context()
	listen := cmp.Or(os.Getenv(protocol.ListenVariable), anyPort)
	return d.showPage(ctx, masters[0].Host, listen, input.NewReader(ctx, stdin))
}

// showPage serves the page of the host at an address outside until a line, or the
// end, is read. Where that is in a virtual machine, its port is forwarded from the
// loopback outside: people find it there in any case.
func (s *screen) showPage(ctx context.Context, h *lab.Host, listen string, stdin io.Reader) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", listen)
	if err != nil {
		return fmt.Errorf("the page of %s: %w", h.Name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	forwarded := make(chan error, 1)
	go func() { forwarded <- h.Forward(ctx, l.(*net.TCPListener), pageAddress) }()
	s.say("the page of %s: http://127.0.0.1:%d/ - press Enter to end", h.Name, l.Addr().(*net.TCPAddr).Port)
	_, err = bufio.NewReader(stdin).ReadString('\n')
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		err = nil
	}
	cancel()
	return errors.Join(err, <-forwarded)
}
