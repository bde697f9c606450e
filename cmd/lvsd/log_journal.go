package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// journalSocket is where journald takes entries.
const journalSocket = "/run/systemd/journal/socket"

// isJournal reports whether w is the stream that systemd has connected to the
// journal: $JOURNAL_STREAM has its device and inode, and a child may have inherited
// it with another standard error.
func isJournal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// journal sends entries in journald's own protocol, a datagram for each Write.
type journal struct{ conn *net.UnixConn }

func dialJournal(path string) (*journal, error) {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return &journal{conn}, nil
}

// Write sends one entry. One that is too long for a datagram goes in a sealed file.
func (j *journal) Write(entry []byte) (int, error) {
	_, err := j.conn.Write(entry)
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		err = j.sendFile(entry)
	}
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	return len(entry), nil
}

func (j *journal) sendFile(entry []byte) error {
	fd, err := unix.MemfdCreate("lvsd-log", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "lvsd-log")
	defer func() { _ = file.Close() }()
	if _, err := file.Write(entry); err != nil {
		return err
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	raw, err := j.conn.SyscallConn()
	if err != nil {
		return err
	}
	// Package net sends no rights by a connected socket of datagrams.
	rights := unix.UnixRights(int(file.Fd()))
	var sent error
	err = raw.Write(func(socket uintptr) bool {
		sent = unix.Sendmsg(int(socket), nil, rights, nil, 0)
		return !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}

func (j *journal) Close() error { return j.conn.Close() }

// journalHandler makes a journal entry of each record: the line as text, and each
// attribute in a field of its own, LVSD_INSTANCE of instance.
type journalHandler struct {
	w     io.Writer
	level slog.Level
	// text is what comes before a record's own attributes, fields is the same as
	// fields; prefix is that of groups.
	text, prefix string
	fields       []byte
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements slog.Handler.
func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	own := *h
	own.fields = slices.Clone(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		own.add(a)
		return true
	})
	var entry bytes.Buffer
	appendField(&entry, "MESSAGE", r.Message+own.text)
	appendField(&entry, "PRIORITY", strconv.Itoa(syslogPriority(r.Level)))
	appendField(&entry, "SYSLOG_IDENTIFIER", "lvsd")
	entry.Write(own.fields)
	_, err := h.w.Write(entry.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	own := *h
	own.fields = slices.Clone(h.fields)
	for _, a := range attributes {
		own.add(a)
	}
	return &own
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	own := *h
	own.prefix += name + "."
	return &own
}

// add adds an attribute to the text and the fields.
func (h *journalHandler) add(a slog.Attr) {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() == slog.KindGroup {
		inner := *h
		if a.Key != "" {
			inner.prefix += a.Key + "."
		}
		for _, member := range a.Value.Group() {
			inner.add(member)
		}
		h.text, h.fields = inner.text, inner.fields
		return
	}
	if a.Key == "" {
		return
	}
	key, value := h.prefix+a.Key, a.Value.String()
	shown := value
	if shown == "" || strings.ContainsFunc(shown, needsQuotes) {
		shown = strconv.Quote(shown)
	}
	h.text += " " + key + "=" + shown
	var field bytes.Buffer
	appendField(&field, "LVSD_"+fieldName(key), value)
	h.fields = append(h.fields, field.Bytes()...)
}

func needsQuotes(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f }

// fieldName is the key as the journal has names: capitals, digits and underscores.
func fieldName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		default:
			return '_'
		}
	}, key)
}

// appendField writes a field; a value with line breaks has its length before it.
func appendField(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	if strings.Contains(value, "\n") {
		b.WriteByte('\n')
		_ = binary.Write(b, binary.LittleEndian, uint64(len(value))) // a buffer takes all
	} else {
		b.WriteByte('=')
	}
	b.WriteString(value)
	b.WriteByte('\n')
}

// syslogPriority is the level in syslog's numbers.
func syslogPriority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	default:
		return 7
	}
}
