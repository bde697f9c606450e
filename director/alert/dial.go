package alert

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
)

// maxHeard bounds what a mail server may say in one session, in bytes: its replies
// are read line by line, however long.
const maxHeard = 1 << 20

// bounded is a connection that ends where its other side has said too much.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the server said more than %d bytes", maxHeard)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

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
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn = &bounded{conn, maxHeard}
	if d.tls {
		secured := tls.Client(conn, d.config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = secured // the client of mail looks for this type
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
