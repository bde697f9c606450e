package netif

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
)

// receiveBuffer holds the events that come while changed is running, in bytes.
const receiveBuffer = 1 << 20

// Watch calls changed at the start and then after every change of a link or an
// address, until ctx ends or events may have been lost: then it returns an
// error, and the caller watches again. changed must not block; one call may
// stand for many changes.
func (c *Conn) Watch(ctx context.Context, changed func()) error {
	// The reader goroutines of the library end when done is closed, and close
	// their channel then; until it is closed they must be read from.
	done := make(chan struct{})
	failed := make(chan error, 2)
	report := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	links := make(chan netlink.LinkUpdate)
	if err := netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{
		ErrorCallback: report, ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
	}); err != nil {
		close(done)
		return fmt.Errorf("subscribe to link events: %w", err)
	}
	defer drain(links)
	addresses := make(chan netlink.AddrUpdate)
	if err := netlink.AddrSubscribeWithOptions(addresses, done, netlink.AddrSubscribeOptions{
		ErrorCallback: report, ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
	}); err != nil {
		close(done)
		return fmt.Errorf("subscribe to address events: %w", err)
	}
	defer drain(addresses)
	defer close(done)
	changed()
	return c.forward(ctx, links, addresses, failed, changed)
}

func (c *Conn) forward(
	ctx context.Context, links <-chan netlink.LinkUpdate, addresses <-chan netlink.AddrUpdate,
	failed <-chan error, changed func(),
) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-failed:
			return fmt.Errorf("network events: %w", err)
		case _, ok := <-links:
			if !ok {
				return fmt.Errorf("network events: %w", errEnded)
			}
		case _, ok := <-addresses:
			if !ok {
				return fmt.Errorf("network events: %w", errEnded)
			}
		}
		changed()
	}
}

var errEnded = fmt.Errorf("the kernel ended the subscription")

// drain reads until the channel is closed.
func drain[T any](events <-chan T) {
	for range events { //nolint:revive // nothing is left to be done with them
	}
}
