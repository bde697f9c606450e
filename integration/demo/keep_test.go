package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(m.Run())
}

// TestShowPage: the address that is printed leads to the page inside of the host,
// until Enter is pressed or the input ends.
func TestShowPage(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	h := lab.New(t).Host("relay2", "10.77.0.2/24")
	servePage(t, h)
	for name, press := range map[string]func(*io.PipeWriter) error{
		"Enter":   func(w *io.PipeWriter) error { _, err := io.WriteString(w, "\n"); return err },
		"the end": (*io.PipeWriter).Close,
	} {
		t.Run(name, func(t *testing.T) {
			stdin, keyboard := io.Pipe()
			screenOf, printed := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				s := &screen{w: printed}
				ended <- errors.Join(s.showPage(t.Context(), h, anyPort, stdin), printed.Close())
			}()
			address := readAddress(t, screenOf)
			if have, err := get(address); err != nil || "http://"+have+"/" != address {
				t.Errorf("%s: the page was asked as %q, error %v", address, have, err)
			}
			if err := press(keyboard); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if have, err := get(address); err == nil {
				t.Errorf("after the end: %q", have)
			}
		})
	}
}

// servePage serves a page in the host that has the name that it was asked by.
func servePage(t *testing.T, h *lab.Host) {
	t.Helper()
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = net.Listen("tcp", pageAddress.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
}

// readAddress is the address in what is printed: an empty line and one with it.
func readAddress(t *testing.T, printed io.Reader) string {
	t.Helper()
	var text string
	lines := bufio.NewReader(printed)
	for range 2 {
		line, err := lines.ReadString('\n')
		if text += line; err != nil {
			t.Fatalf("%v after %q", err, text)
		}
	}
	match := regexp.MustCompile(`^\nthe page of relay2: (http://127\.0\.0\.1:[0-9]+/) - press Enter to end\n$`).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("printed %q", text)
	}
	return match[1]
}

// get asks for the page, and leaves no connection.
func get(address string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
