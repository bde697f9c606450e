package integration

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// visit is a client's connection to the web service, and the server that it is to.
type visit struct {
	conn   net.Conn
	reader *bufio.Reader
	server string
	// request is the last one's first line.
	request string
	rig     *transparent
}

// visit connects from an address of the host to a port of the service, and asks
// for the first page.
func (x *transparent) visit(h *lab.Host, from string, port uint16) (*visit, error) {
	conn, err := h.Dial(lab.TCP, netip.MustParseAddr(from), netip.AddrPortFrom(x.service, port), x.lab.Scaled(time.Minute))
	if err != nil {
		return nil, err
	}
	x.T.Cleanup(func() { _ = conn.Close() })
	if port == 443 {
		conn = tls.Client(conn, &tls.Config{RootCAs: x.roots, ServerName: webName})
	}
	v := &visit{conn: conn, reader: bufio.NewReader(conn), rig: x}
	return v, v.ask()
}

// ask asks for the first page, and learns who serves it.
func (v *visit) ask() error {
	v.rig.requests++
	response, err := v.get(fmt.Sprintf("/?%d", v.rig.requests))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	v.server = string(body)
	return err
}

func (v *visit) get(path string) (*http.Response, error) {
	if err := v.conn.SetDeadline(time.Now().Add(v.rig.lab.Scaled(5 * time.Minute))); err != nil {
		return nil, err
	}
	v.request = "GET " + path + " HTTP/1.1"
	if _, err := fmt.Fprintf(v.conn, "%s\r\nHost: %s\r\n\r\n", v.request, webName); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(v.reader, nil)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return response, err
}

// hold opens a connection of a client's to port 80, which stays.
func (x *transparent) hold(from string) *visit {
	x.Helper()
	x.addClient(from)
	v, err := x.visit(x.client, from, 80)
	if err != nil {
		x.Fatalf("client %s: %v", from, err)
	}
	return v
}

// once is hold for a connection that ends.
func (x *transparent) once(from string) (server string) {
	x.Helper()
	v := x.hold(from)
	_ = v.conn.Close()
	return v.server
}

// addClient gives the host of the clients one more address.
func (x *transparent) addClient(address string) {
	x.Helper()
	x.client.Run("ip", "address", "replace", address+"/24", "dev", lab.LinkName)
}

// logs waits until the web server's log says that the visit's last request came
// from the address.
func (x *transparent) logs(v *visit, from string) {
	x.Helper()
	x.lab.WaitFor(fmt.Sprintf("%s to log %q", v.server, v.request), func() error {
		text, err := os.ReadFile(filepath.Join(x.webs[v.server].directory, "access.log"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"`+v.request+`"`) {
				if client, _, _ := strings.Cut(line, " "); client != from {
					x.Fatalf("%s says that %s asked, want %s", v.server, client, from)
				}
				return nil
			}
		}
		return errors.New("it does not yet")
	})
}

// connections are the lines of the node's IPVS table of connections that have all
// of the words.
func (x *transparent) connections(n *node, words ...string) ([]string, error) {
	table, err := n.Try("ipvsadm", "-Lnc")
	var found []string
	for line := range strings.Lines(table) {
		matches := true
		for _, word := range words {
			matches = matches && strings.Contains(line, " "+word+" ")
		}
		if matches {
			found = append(found, line)
		}
	}
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s: no line with %q in\n%s", n.Name, words, table)
	}
	return found, err
}

// download is the big file on its way to a client that takes its time.
type download struct {
	visit *visit
	rest  io.Reader
	sum   hash.Hash
	// hurry ends the pause between bytes; done has why the download ended.
	hurry chan struct{}
	end   func()
	done  chan error
}

// pace of a download: so many bytes each tick, and never the second half.
const (
	downloadBytes = 1 << 10
	downloadTick  = 20 * time.Millisecond
)

// download begins one, and returns when it is under way and the other director
// knows of its connection.
func (x *transparent) download(from string, backup *node) *download {
	x.Helper()
	v := x.hold(from)
	// With the kernel's usual buffer much of the file would be here at once.
	if err := v.conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		x.Fatalf("download: %v", err)
	}
	response, err := v.get("/big")
	if err != nil {
		x.Fatalf("download: %v", err)
	}
	d := &download{visit: v, rest: response.Body, sum: sha256.New(), hurry: make(chan struct{}), done: make(chan error, 1)}
	d.end = sync.OnceFunc(func() { close(d.hurry) })
	var taking sync.WaitGroup
	taking.Go(func() { d.done <- d.run() })
	x.T.Cleanup(func() {
		d.end()
		_ = v.conn.Close()
		taking.Wait()
	})
	x.lab.WaitFor(backup.Name+" to know of the download", func() error {
		_, err := x.connections(backup, "ESTABLISHED", v.conn.LocalAddr().String())
		return err
	})
	return d
}

// run reads slowly until it is told to hurry.
func (d *download) run() error {
	tick := time.NewTicker(downloadTick)
	defer tick.Stop()
	for taken, hurry := 0, false; !hurry; {
		select {
		case <-d.hurry:
			hurry = true
		case <-tick.C:
			if taken >= len(bigFile)/2 {
				continue
			}
			n, err := io.CopyN(d.sum, d.rest, downloadBytes)
			if err != nil {
				return err
			}
			taken += int(n)
		}
	}
	_, err := io.Copy(d.sum, d.rest)
	return err
}

// finish takes the rest and fails the test unless the whole file has come.
func (d *download) finish(t *testing.T) {
	t.Helper()
	d.end()
	if err := <-d.done; err != nil {
		t.Errorf("the download ended: %v", err)
		return
	}
	if want := sha256.Sum256([]byte(bigFile)); string(d.sum.Sum(nil)) != string(want[:]) {
		t.Error("what was downloaded is not the file")
	}
}
