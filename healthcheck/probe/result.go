package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Code says how far a probe came and how it ended, in HAProxy's words.
type Code string

// The codes. L4 is the connection, L6 the TLS handshake, L7 the dialogue.
const (
	L4OK    Code = "L4OK"    // connected; nothing more was asked
	L4CON   Code = "L4CON"   // refused, or no route
	L4TOUT  Code = "L4TOUT"  // no connection within the timeout
	L6RSP   Code = "L6RSP"   // no TLS, or not the certificate it should be
	L6TOUT  Code = "L6TOUT"  // handshake not finished within the timeout
	L7OK    Code = "L7OK"    // the right answer
	L7RSP   Code = "L7RSP"   // an answer that is not the protocol's, or none
	L7STS   Code = "L7STS"   // a proper answer that says no
	L7TOUT  Code = "L7TOUT"  // answer not complete within the timeout
	SOCKERR Code = "SOCKERR" // this host could not ask: no verdict

	// Of a program that asks.
	PROCOK   Code = "PROCOK"   // its exit status is a success
	PROCERR  Code = "PROCERR"  // it is not, or a signal killed it
	PROCTOUT Code = "PROCTOUT" // killed: not finished within the timeout
)

// OK reports whether c is a success.
func (c Code) OK() bool { return c == L4OK || c == L7OK || c == PROCOK }

// Result is the outcome of one probe.
type Result struct {
	// At is when the probe began and Duration how long it took.
	At       time.Time
	Duration time.Duration
	OK       bool
	Code     Code
	// Reason is what was seen, at most 200 bytes of printable ASCII: it may
	// quote the server, which is not trusted.
	Reason string
	// Weight is what the server says its weight is, if the kind has it say so.
	Weight Weight
	// Warning is what is wrong although it does not decide, such as a
	// certificate that expires soon; printable, empty if there is nothing.
	Warning string
	// Transcript is what was said and heard, at most 1 KiB in printable lines
	// that begin with "> " for what was sent, "< " for what was received and
	// "* " for what was done.
	Transcript string
	// Tries counts the probes this result stands for: more than 1 after
	// retries.
	Tries int
}

// Conclusive reports whether r says anything about the server. It does not
// when the probe failed for want of this host's own resources, or was
// abandoned.
func (r Result) Conclusive() bool { return r.Code != "" && r.Code != SOCKERR }

// Weight is a real server's weight as it tells it, if Known.
type Weight struct {
	Known bool
	Value int // 0..65535
}

// maxReason is the longest Reason, in bytes.
const maxReason = 200

// sanitise makes a reason out of text that a server may have written: nothing
// in it can address a terminal, a log or a page's encoding.
func sanitise(text string) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(text) {
		if b.Len() == maxReason {
			return b.String()[:maxReason-3] + "..."
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// failure is the error of a dialogue: the code and the reason, not sanitised.
type failure struct {
	code   Code
	reason string
}

func (f *failure) Error() string { return string(f.code) + " " + f.reason }

func connectFailed(err error) error { return failed("connect", err, L4TOUT, L4CON) }

func dialogueFailed(step string, err error) error { return failed(step, err, L7TOUT, L7RSP) }

// handshakeFailed leaves out that package tls says "tls: " as well.
func handshakeFailed(err error) error {
	f := failed("tls", err, L6TOUT, L6RSP)
	f.reason = "tls: " + strings.ReplaceAll(strings.TrimPrefix(f.reason, "tls: "), "tls: ", "")
	return f
}

// failed makes the failure of a step out of the error that ended it.
func failed(step string, err error, timeout, other Code) *failure {
	f := &failure{code: other, reason: step + ": " + describe(err)}
	switch {
	case localFault(err):
		f.code = SOCKERR
	case timedOut(err):
		f.code = timeout
	}
	return f
}

// describe says what err was, without the addresses that package net adds: the
// target is known.
func describe(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case timedOut(err):
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the server"
	}
	return err.Error()
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// localFault reports whether err is for want of this host's own resources:
// descriptors, places in epoll instances, memory, or ports to connect from; or for
// a packet filter, a route or a policy of its own that lets nothing out.
func localFault(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL,
		syscall.EADDRINUSE, syscall.EPERM, syscall.ENOSPC,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.Is(err, syscall.EACCES) && !fromAfar(err)
}

// fromAfar reports whether EACCES may be a router's word instead of this host's:
// of IPv6, what is prohibited on the way is told by the same error.
func fromAfar(err error) bool {
	var of *net.OpError
	if !errors.As(err, &of) || of.Addr == nil {
		return false
	}
	to, err := netip.ParseAddrPort(of.Addr.String())
	return err == nil && to.Addr().Is6() && !to.Addr().Is4In6()
}
