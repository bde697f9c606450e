package probe

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// What is read of one SMTP reply. RFC 5321 4.5.3.1.5 allows a line 512 bytes;
// real servers greet with more.
const (
	maxSMTPLine  = 1024
	maxSMTPLines = 100
)

// smtpReply is a reply of an SMTP server: its code, 200..559, its first line and
// the rest of them, code included.
type smtpReply struct {
	code int
	line string
	rest []string
}

// readSMTPReply reads a whole reply, continuation lines included (RFC 5321
// 4.2.1): "220-" and "220 ", each with or without text, ended by LF or CR LF.
// r must have a buffer of maxSMTPLine. heard is told of each line. The error is io.EOF when
// the server closed before the reply and io.ErrUnexpectedEOF when it did so
// within.
func readSMTPReply(r *bufio.Reader, heard func(string)) (smtpReply, error) {
	var reply smtpReply
	for n := range maxSMTPLines {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) && n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return smtpReply{}, err
		}
		code, last, ok := parseSMTPLine(line)
		text := string(line)
		heard(text)
		switch {
		case !ok || n > 0 && code != reply.code:
			return smtpReply{}, fmt.Errorf("not an SMTP reply: %q", text)
		case n == 0:
			reply.code, reply.line = code, text
		default:
			reply.rest = append(reply.rest, text)
		}
		if last {
			return reply, nil
		}
	}
	return smtpReply{}, fmt.Errorf("reply of more than %d lines", maxSMTPLines)
}

// readLine reads a line as long as r's buffer at most, without its end. The
// bytes are valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("line of more than %d bytes", r.Size())
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

// parseSMTPLine takes the code off a line, and whether it is the reply's last.
func parseSMTPLine(line []byte) (code int, last, ok bool) {
	if len(line) < 3 {
		return 0, false, false
	}
	for i, limits := range [3][2]byte{{'2', '5'}, {'0', '5'}, {'0', '9'}} {
		if line[i] < limits[0] || line[i] > limits[1] {
			return 0, false, false
		}
		code = code*10 + int(line[i]-'0')
	}
	switch {
	case len(line) == 3 || line[3] == ' ':
		return code, true, true
	case line[3] == '-':
		return code, false, true
	}
	return 0, false, false
}
