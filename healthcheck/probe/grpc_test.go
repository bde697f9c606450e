package probe

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	health1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpcServer is a server of the gRPC library; serve registers what it serves.
func grpcServer(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return servertest.AddrPort(listener.Addr())
}

func TestGRPC(t *testing.T) {
	words := map[string]health1.HealthCheckResponse_ServingStatus{
		"":                        health1.HealthCheckResponse_SERVING,
		"shop.Cart":               health1.HealthCheckResponse_SERVING,
		"shop.Down":               health1.HealthCheckResponse_NOT_SERVING,
		"shop.Unknown":            health1.HealthCheckResponse_UNKNOWN,
		"shop.NoSuchThing":        health1.HealthCheckResponse_SERVICE_UNKNOWN,
		"shop.FromTheFuture":      77,
		strings.Repeat("x", 1024): health1.HealthCheckResponse_SERVING,
	}
	own := issue(t, "www.example", time.Now().Add(time.Hour), nil)
	register := func(s *grpc.Server) {
		h := health.NewServer()
		for service, word := range words {
			h.SetServingStatus(service, word)
		}
		health1.RegisterHealthServer(s, h)
	}
	plain := grpcServer(t, register)
	secure := grpcServer(t, register, grpc.Creds(credentials.NewServerTLSFromCert(&own.pair)))
	for service, test := range map[string]struct {
		code   Code
		reason string
	}{
		"":                        {L7OK, "SERVING"},
		"shop.Cart":               {L7OK, "SERVING"},
		"shop.Down":               {L7STS, "NOT_SERVING"},
		"shop.Unknown":            {L7STS, "UNKNOWN"},
		"shop.NoSuchThing":        {L7STS, "SERVICE_UNKNOWN"},
		"shop.FromTheFuture":      {L7STS, "status 77 of health"},
		"shop.Absent":             {L7STS, "error NOT_FOUND: unknown service"},
		strings.Repeat("x", 1024): {L7OK, "SERVING"},
	} {
		for _, k := range []GRPC{
			{Service: service},
			{Service: service, Secure: true, Host: "www.example", TLS: TLS{CA: own.file, ExpiryWarning: year}},
		} {
			target := plain
			if k.Secure {
				target = secure
			}
			request := of(k, target)
			if err := request.Validate(); err != nil {
				t.Fatal(err)
			}
			r := request.Ask(t.Context())
			expectResult(t, r, test.code, test.reason)
			if r.Reason != test.reason && !strings.Contains(test.reason, ":") {
				t.Errorf("reason %q, want %q", r.Reason, test.reason)
			}
			if !strings.HasSuffix(r.Transcript, "< "+r.Reason+"\n") {
				t.Errorf("transcript %q", r.Transcript)
			}
			if (r.Warning != "") != k.Secure {
				t.Errorf("warning %q", r.Warning)
			}
		}
	}
	expectResult(t, of(GRPC{Secure: true, Host: "www.example"}, secure).Ask(t.Context()), L6RSP, "tls: certificate of www.example")
	expectResult(t, of(GRPC{Secure: true}, plain).Ask(t.Context()), L6RSP, "tls: ")
	expectResult(t, of(GRPC{}, secure).Ask(t.Context()), L7RSP, "reply: ")
	expectResult(t, of(GRPC{}, servertest.Refusing(t)).Ask(t.Context()), L4CON, "connect: connection refused")
}

// brokenHealth answers with the error of its code.
type brokenHealth struct {
	health1.UnimplementedHealthServer
	code codes.Code
}

func (b brokenHealth) Check(context.Context, *health1.HealthCheckRequest) (*health1.HealthCheckResponse, error) {
	return nil, status.Error(b.code, "caf\u00e9 100% closed")
}

func TestGRPCErrors(t *testing.T) {
	none := grpcServer(t, func(*grpc.Server) {})
	expectResult(t, of(GRPC{}, none).Ask(t.Context()), L7STS, "error UNIMPLEMENTED: unknown service grpc.health.v1.Health")
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		target := grpcServer(t, func(s *grpc.Server) { health1.RegisterHealthServer(s, brokenHealth{code: code}) })
		// The library writes the words so: "DEADLINE_EXCEEDED".
		word := strings.Trim(mustMarshal(t, code), `"`)
		expectResult(t, of(GRPC{}, target).Ask(t.Context()), L7STS, "error "+word+": caf? 100% closed")
	}
}

func mustMarshal(t *testing.T, code codes.Code) string {
	for name := range strings.FieldsSeq(`CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS
		PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE
		DATA_LOSS UNAUTHENTICATED`) {
		var c codes.Code
		if err := c.UnmarshalJSON([]byte(`"` + name + `"`)); err != nil {
			t.Fatal(err)
		}
		if c == code {
			return name
		}
	}
	t.Fatalf("no name for %v", code)
	return ""
}

func TestGRPCReplies(t *testing.T) {
	const kind = "application/grpc"
	begun := settings() + head(false, ":status", "200", "content-type", kind)
	done := func(status string) string { return head(true, "grpc-status", status) }
	for name, test := range map[string]struct {
		reply  string
		code   Code
		reason string
	}{
		"serving":              {begun + data(false, "\x00\x00\x00\x00\x02\x08\x01") + done("0"), L7OK, "SERVING"},
		"serving, more kind":   {settings() + head(false, ":status", "200", "content-type", kind+"+proto") + data(false, "\x00\x00\x00\x00\x02\x08\x01") + done("0"), L7OK, "SERVING"},
		"in pieces":            {begun + data(false, "\x00\x00\x00") + data(false, "\x00\x02\x08\x01") + done("0"), L7OK, "SERVING"},
		"unknown fields":       {begun + data(false, "\x00\x00\x00\x00\x06\x12\x02hi\x08\x01") + done("0"), L7OK, "SERVING"},
		"the last counts":      {begun + data(false, "\x00\x00\x00\x00\x04\x08\x01\x08\x02") + done("0"), L7STS, "NOT_SERVING"},
		"default":              {begun + data(false, "\x00\x00\x00\x00\x00") + done("0"), L7STS, "UNKNOWN"},
		"error in the head":    {settings() + head(true, ":status", "200", "content-type", kind, "grpc-status", "12"), L7STS, "error UNIMPLEMENTED"},
		"error of the future":  {begun + done("99"), L7STS, "error 99"},
		"error after serving":  {begun + data(false, "\x00\x00\x00\x00\x02\x08\x01") + done("13"), L7STS, "error INTERNAL"},
		"no status":            {begun + data(true, "\x00\x00\x00\x00\x02\x08\x01"), L7RSP, `reply: status of gRPC is ""`},
		"status of words":      {begun + done("OK"), L7RSP, `reply: status of gRPC is "OK"`},
		"status below zero":    {begun + done("-1"), L7RSP, `reply: status of gRPC is "-1"`},
		"no message":           {begun + done("0"), L7RSP, "message: missing, or shorter than its own header"},
		"message cut":          {begun + data(false, "\x00\x00\x00\x00\x02\x08") + done("0"), L7RSP, "message: 1 bytes, 2 were announced"},
		"two messages":         {begun + data(false, "\x00\x00\x00\x00\x02\x08\x01\x00\x00\x00\x00\x02\x08\x01") + done("0"), L7RSP, "message: 9 bytes, 2 were announced"},
		"compressed":           {begun + data(false, "\x01\x00\x00\x00\x02\x08\x01") + done("0"), L7RSP, "message: compressed, which was not asked for"},
		"no protobuf":          {begun + data(false, "\x00\x00\x00\x00\x02\x08\xff") + done("0"), L7RSP, "message: "},
		"no tag":               {begun + data(false, "\x00\x00\x00\x00\x01\x00") + done("0"), L7RSP, "message: "},
		"group without an end": {begun + data(false, "\x00\x00\x00\x00\x01\x13") + done("0"), L7RSP, "message: "},
		"too long":             {begun + data(false, strings.Repeat("x", 2000)), L7RSP, "message: more than 1024 bytes"},
		"closed":               {begun + data(false, "\x00\x00\x00\x00\x02\x08\x01"), L7RSP, "message: closed by the server"},
		"not found":            {settings() + head(true, ":status", "404"), L7STS, "status 404 Not Found"},
		"not gRPC":             {settings() + head(true, ":status", "200", "content-type", "text/html"), L7RSP, `reply: not gRPC but "text/html"`},
		"nearly gRPC":          {settings() + head(true, ":status", "200", "content-type", kind+"-web"), L7RSP, `reply: not gRPC but "application/grpc-web"`},
	} {
		t.Run(name, func(t *testing.T) {
			target := servertest.Serve(t, afterGRPCRequest(saysAndCloses(test.reply)))
			expectResult(t, of(GRPC{}, target).Ask(t.Context()), test.code, test.reason)
		})
	}
}

// afterGRPCRequest reads a request up to the end of its body, and goes on with
// then.
func afterGRPCRequest(then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
		for framer := http2.NewFramer(nil, conn); ; {
			frame, err := framer.ReadFrame()
			if d, ok := frame.(*http2.DataFrame); err != nil || ok && d.StreamEnded() {
				break
			}
		}
		then(conn)
	}
}

func TestGRPCEndsAtItsTimeout(t *testing.T) {
	begun := settings() + head(false, ":status", "200", "content-type", "application/grpc")
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
		code   Code
		reason string
	}{
		"silent":        {GRPC{}, servertest.Silent, L7TOUT, "reply: timed out"},
		"message never": {GRPC{}, afterGRPCRequest(says(begun)), L7TOUT, "message: timed out"},
		"trailer never": {GRPC{}, afterGRPCRequest(says(begun + data(false, "\x00\x00\x00\x00\x02\x08\x01"))), L7TOUT, "message: timed out"},
		"tls stall":     {GRPC{Secure: true}, servertest.Silent, L6TOUT, "tls: timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := of(test.kind, anywhere)
				r.Timeout = 30 * time.Second
				got := piped(t, test.handle).ask(t.Context(), r)
				expectResult(t, got, test.code, test.reason)
				if got.Duration != r.Timeout {
					t.Errorf("took %v, want %v", got.Duration, r.Timeout)
				}
			})
		})
	}
}

// Over TLS, a server must agree to HTTP/2 before anything is asked.
func TestGRPCNeedsHTTP2(t *testing.T) {
	own := issue(t, "www.example", time.Now().Add(time.Hour), nil)
	target := servertest.Serve(t, func(conn net.Conn) {
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{own.pair}}).Handshake()
		servertest.Silent(conn)
	})
	expectResult(t, of(GRPC{Secure: true, TLS: TLS{Insecure: true}}, target).Ask(t.Context()), L6RSP, "tls: the server does not agree to h2 (ALPN)")
}

func TestGRPCValidate(t *testing.T) {
	for _, test := range []struct {
		kind GRPC
		want string
	}{
		{GRPC{}, ""},
		{GRPC{Service: "shop.Cart", Host: "www.example:50051"}, ""},
		{GRPC{Service: "shop Cart"}, `service "shop Cart" must be at most 1024 bytes of printable ASCII without spaces`},
		{GRPC{Service: strings.Repeat("x", 1025)}, "must be at most 1024 bytes"},
		{GRPC{Host: "a/b"}, `host "a/b" must be a name, or a name and a port`},
	} {
		expectError(t, test.kind.Validate(), test.want)
	}
}

func FuzzHealthMessage(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Add([]byte("\x00\x00\x00\x00\x06\x12\x02hi\x08\x01"))
	f.Add([]byte("\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		status, err := parseHealth(message)
		if err == nil && len(message) < grpcPrefix {
			t.Errorf("%q is status %d", message, status)
		}
	})
}
