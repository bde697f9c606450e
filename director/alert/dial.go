package alert

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// dialer dials one connection and closes it, whatever became of it: the client of
// mail leaves some open that fail before a session stands.
type dialer struct {
	tls    bool
	config *tls.Config

	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	var err error
	if d.tls {
		conn, err = (&tls.Dialer{Config: d.config}).DialContext(ctx, network, address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = conn
	if d.closed {
		_ = conn.Close()
	}
	return conn, nil
}

// close may be called more than once.
func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.conn != nil {
		_ = d.conn.Close()
	}
}
