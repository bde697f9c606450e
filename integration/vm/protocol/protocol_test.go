package protocol

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFramesComeBack(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	large := []byte(strings.Repeat("x", maxPayload+1))
	sent := []struct {
		kind    Kind
		payload []byte
	}{{Hello, []byte("6.1")}, {Stdout, []byte("a\r\nb\x00")}, {Notice, nil}, {Stdout, large}, {Exit, []byte("3")}}
	for _, f := range sent {
		if err := w.Send(f.kind, f.payload); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.Stream(Stderr).Write([]byte("tail")); n != 4 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}

	got := map[Kind]string{}
	for {
		kind, payload, err := Read(&wire)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[kind] += string(payload)
	}
	want := map[Kind]string{Hello: "6.1", Stdout: "a\r\nb\x00" + string(large), Notice: "", Exit: "3", Stderr: "tail"}
	for kind, payload := range want {
		if got[kind] != payload {
			t.Errorf("%q: got %d bytes, want %d", kind, len(got[kind]), len(payload))
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		wire string
		want error
	}{
		"nothing":     {"", io.EOF},
		"half a head": {"o\x00", io.ErrUnexpectedEOF},
		"cut short":   {"o\x00\x00\x00\x05ab", io.ErrUnexpectedEOF},
		"no payload":  {"o\x00\x00\x00\x05", io.ErrUnexpectedEOF},
	} {
		if _, _, err := Read(strings.NewReader(c.wire)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, _, err := Read(strings.NewReader("o\xff\xff\xff\xff")); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a frame of 4 GiB: %v", err)
	}
}
