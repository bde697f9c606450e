package probe

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// GRPC asks grpc.health.v1.Health/Check, which must answer SERVING.
type GRPC struct {
	// Service is whose health is asked for; empty is the server's.
	Service string
	// Host is the :authority; empty is the target.
	Host string
	// Secure speaks TLS.
	Secure bool
	TLS    TLS
}

const (
	maxGRPCService = 1 << 10
	// maxGRPCAnswer is more than the message has, which is a number.
	maxGRPCAnswer = 1 << 10
	// grpcPrefix is the size of what goes before each message: whether it is
	// compressed, and its length.
	grpcPrefix = 5
)

// Type is "grpc".
func (GRPC) Type() string { return "grpc" }

// Validate returns what is wrong with the options.
func (k GRPC) Validate() error {
	var errs []error
	if !isWord(k.Service) || len(k.Service) > maxGRPCService {
		errs = append(errs, fmt.Errorf("service %q must be at most %d bytes of printable ASCII without spaces", k.Service, maxGRPCService))
	}
	return errors.Join(append(errs, validateHost(k.Host), k.TLS.validate())...)
}

// ask makes the one call that there is to make without the gRPC library, which
// would take 5 MiB of every director's memory for it.
func (k GRPC) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	call := k.call(to)
	conn, err := d.dialWeb(ctx, to, k.Secure, k.TLS, call.host, "h2")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	found := answer{warning: conn.warning}
	d.said.sent(fmt.Sprintf("Health/Check of service %q at %s", k.Service, call.host))
	reply, err := speakHTTP2(conn, call, maxHTTPReply)
	if err != nil {
		return found, err
	}
	found.seen, err = readHealth(reply)
	said := found.seen
	if f := (*failure)(nil); errors.As(err, &f) {
		said = f.reason
	}
	d.said.received(said)
	return found, err
}

func (k GRPC) call(to netip.AddrPort) httpCall {
	c := httpCall{
		scheme: "http", host: k.Host, method: http.MethodPost, path: "/grpc.health.v1.Health/Check",
		header: []httpField{
			{"Content-Type", "application/grpc"},
			{"TE", "trailers"},
			{"User-Agent", "lvsd"},
		},
		body: healthRequest(k.Service),
	}
	if k.Secure {
		c.scheme = "https"
	}
	if c.host == "" {
		c.host = hostHeader(to, k.Secure)
	}
	return c
}

// healthRequest is a HealthCheckRequest, whose field 1 is the service.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = protowire.AppendTag(message, 1, protowire.BytesType)
		message = protowire.AppendString(message, service)
	}
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(framed, message...)
}

// readHealth reads the answer. An error of gRPC is a proper answer that says
// no.
func readHealth(reply httpReply) (string, error) {
	kind := reply.Header.Get("Content-Type")
	switch {
	case reply.StatusCode != http.StatusOK:
		return "", &failure{L7STS, reply.seen()}
	case kind != "application/grpc" && !strings.HasPrefix(kind, "application/grpc+") && !strings.HasPrefix(kind, "application/grpc;"):
		return "", &failure{L7RSP, fmt.Sprintf("reply: not gRPC but %q", kind)}
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxGRPCAnswer+1))
	switch {
	case err != nil:
		return "", dialogueFailed("message", cmp.Or(reply.source.err, err))
	case len(body) > maxGRPCAnswer:
		return "", &failure{L7RSP, fmt.Sprintf("message: more than %d bytes", maxGRPCAnswer)}
	}
	if err := grpcStatus(reply); err != nil {
		return "", err
	}
	health, err := parseHealth(body)
	if err != nil {
		return "", dialogueFailed("message", err)
	}
	word := healthWord(health)
	if health != serving {
		return "", &failure{L7STS, word}
	}
	return word, nil
}

// grpcStatus is the error that the server answered with, if any. It comes after
// the message, or in the head if there is none.
func grpcStatus(reply httpReply) error {
	fields := reply.Trailer
	if len(fields.Values("Grpc-Status")) == 0 {
		fields = reply.Header
	}
	text := fields.Get("Grpc-Status")
	code, err := strconv.ParseUint(text, 10, 31)
	switch {
	case err != nil:
		return &failure{L7RSP, fmt.Sprintf("reply: status of gRPC is %q", text)}
	case code == 0:
		return nil
	}
	reason := "error " + text
	if code < uint64(len(grpcCodes)) {
		reason = "error " + grpcCodes[code]
	}
	message, err := url.PathUnescape(fields.Get("Grpc-Message"))
	if err == nil && message != "" {
		reason += ": " + message
	}
	return &failure{L7STS, reason}
}

// grpcCodes are the words for gRPC's status codes, which are their indices.
var grpcCodes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// serving is the only status of health that counts as up.
const serving = 1

func healthWord(status uint64) string {
	words := [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}
	if status < uint64(len(words)) {
		return words[status]
	}
	return fmt.Sprintf("status %d of health", status)
}

// parseHealth reads a HealthCheckResponse, whose field 1 is the status, 0 if
// absent.
func parseHealth(framed []byte) (status uint64, err error) {
	if len(framed) < grpcPrefix {
		return 0, errors.New("missing, or shorter than its own header")
	}
	message := framed[grpcPrefix:]
	switch size := binary.BigEndian.Uint32(framed[1:]); {
	case framed[0] != 0:
		return 0, errors.New("compressed, which was not asked for")
	case uint64(size) != uint64(len(message)):
		return 0, fmt.Errorf("%d bytes, %d were announced", len(message), size)
	}
	for len(message) > 0 {
		number, wireType, n := protowire.ConsumeTag(message)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		message = message[n:]
		if number == 1 && wireType == protowire.VarintType {
			status, n = protowire.ConsumeVarint(message)
		} else {
			n = protowire.ConsumeFieldValue(number, wireType, message)
		}
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		message = message[n:]
	}
	return status, nil
}
