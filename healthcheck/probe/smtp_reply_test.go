package probe

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func reply(r io.Reader) (smtpReply, error) {
	return readSMTPReply(bufio.NewReaderSize(r, maxSMTPLine), func(string) {})
}

func TestReadSMTPReply(t *testing.T) {
	long := strings.Repeat("x", maxSMTPLine-len("220 \r\n"))
	most := slices.Repeat([]string{"220-x"}, maxSMTPLines-1)
	most[maxSMTPLines-2] = "220 x"
	for name, test := range map[string]struct {
		in   string
		want smtpReply
	}{
		"one line":               {"220 mx ESMTP\r\n", smtpReply{220, "220 mx ESMTP", nil}},
		"without text":           {"220\r\n", smtpReply{220, "220", nil}},
		"without text, space":    {"250 \r\n", smtpReply{250, "250 ", nil}},
		"without CR":             {"220 mx\n", smtpReply{220, "220 mx", nil}},
		"lines":                  {"220-mx\r\n220-wait\r\n220 go\r\n", smtpReply{220, "220-mx", []string{"220-wait", "220 go"}}},
		"lines without text":     {"250-\r\n250\r\n", smtpReply{250, "250-", []string{"250"}}},
		"longest line":           {"220 " + long + "\r\n", smtpReply{220, "220 " + long, nil}},
		"most lines":             {strings.Repeat("220-x\r\n", maxSMTPLines-1) + "220 x\r\n", smtpReply{220, "220-x", most}},
		"what follows is not it": {"421 no\r\n250 yes\r\n", smtpReply{421, "421 no", nil}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
				got, err := reply(in)
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Errorf("got %v, %v; want %v", got, err, test.want)
				}
			}
		})
	}
}

func TestReadSMTPReplyRefuses(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"nothing":              {"", "EOF"},
		"end within the line":  {"220 m", "unexpected EOF"},
		"end within the reply": {"220-mx\r\n", "unexpected EOF"},
		"no code":              {"SSH-2.0-OpenSSH_9.2\r\n", "not an SMTP reply"},
		"empty line":           {"\r\n", "not an SMTP reply"},
		"two digits":           {"22 mx\r\n", "not an SMTP reply"},
		"four digits":          {"2200 mx\r\n", "not an SMTP reply"},
		"no such code":         {"199 mx\r\n", "not an SMTP reply"},
		"no such second digit": {"260 mx\r\n", "not an SMTP reply"},
		"another separator":    {"220:mx\r\n", "not an SMTP reply"},
		"codes that differ":    {"220-mx\r\n250 mx\r\n", "not an SMTP reply"},
		"line too long":        {strings.Repeat("2", maxSMTPLine+1), "line of more than 1024 bytes"},
		"too many lines":       {strings.Repeat("220-x\r\n", maxSMTPLines+1), "reply of more than 100 lines"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := reply(strings.NewReader(test.in))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if strings.HasSuffix(test.want, "EOF") != (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("error %v: the end of input must be told by errors.Is, and nothing else", err)
			}
		})
	}
}

func FuzzReadSMTPReply(f *testing.F) {
	for _, in := range []string{
		"220 mx ESMTP\r\n", "220-mx\r\n220 go\r\n", "220\n", "220-\n220\n", "554 5.7.1 no\r\n",
		"220-mx\r\n250 mx\r\n", "\r\n", "2", "220 \x1b[2J\x00\r\n", strings.Repeat("9", maxSMTPLine),
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		source := &countingReader{Reader: bytes.NewReader(in)}
		got, err := reply(source)
		if source.n > (maxSMTPLines+1)*maxSMTPLine {
			t.Errorf("read %d bytes", source.n)
		}
		if err != nil {
			return
		}
		if got.code < 200 || got.code > 559 || len(got.line) > maxSMTPLine || strings.Contains(got.line, "\n") {
			t.Errorf("%q is %v", in, got)
		}
		at := 0
		for _, line := range append([]string{got.line}, got.rest...) {
			if !bytes.HasPrefix(in[at:], []byte(line)) {
				t.Fatalf("%q has line %q", in, line)
			}
			at += len(line) + bytes.IndexByte(in[at+len(line):], '\n') + 1
		}
	})
}

// countingReader counts what is read through it.
type countingReader struct {
	io.Reader
	n int
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}
