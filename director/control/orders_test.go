package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os/user"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvsd/lvsd/director"
)

// fill sets every exported field to something, and makes every slice and map one
// element long.
func fill[T any](value *T) { fillValue(reflect.ValueOf(value).Elem(), 0) }

func fillValue(v reflect.Value, depth int) {
	const deep = 12 // no type on the socket is so deep, unless it is its own part
	if depth > deep {
		return
	}
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
		return
	case reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.1")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillValue(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(v.Index(0), depth+1)
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		fillValue(element, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x").Convert(v.Type().Key()), element)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	default:
	}
}

func (s source) spread(target director.Target, by string) director.Spread {
	return director.Spread{
		Override: director.Override{Target: target, State: director.Drain, By: by, Node: "relay1", At: time.Unix(1, 0).UTC()},
		Told:     []string{"relay2"}, Untold: map[string]string{"relay3": "connection refused"},
	}
}

func (s source) Order(_ context.Context, order director.Order) (director.Spread, error) {
	switch {
	case order.Target.Service == "absent":
		return director.Spread{}, fmt.Errorf("%w: %q", director.ErrUnknownService, order.Target.Service)
	case order.Target.Server == "absent":
		return director.Spread{}, fmt.Errorf("%w: %q", director.ErrUnknownServer, order.Target.Server)
	case order.Target.Node == "absent":
		return director.Spread{}, fmt.Errorf("%w: %q", director.ErrUnknownNode, order.Target.Node)
	case order.Target == director.Target{}:
		return director.Spread{}, fmt.Errorf("%w: of nothing", director.ErrBadOrder)
	}
	return s.spread(order.Target, order.By), nil
}

func (s source) Clear(_ context.Context, target director.Target, by string) (director.Spread, error) {
	return s.spread(target, by), nil
}

func (s source) Maintenance(_ context.Context, order director.MaintenanceOrder) (director.Spread, error) {
	return s.spread(director.Target{Node: "relay1"}, fmt.Sprint(order.By, order.On, order.Reason, order.For)), nil
}

func (s source) CheckNow(ctx context.Context, server, service string) (director.Explanation, error) {
	return s.Explain(server, service)
}

func (s source) Traffic(context.Context) (director.Traffic, error) {
	var traffic director.Traffic
	fill(&traffic)
	return traffic, nil
}

func (s source) ExplainInstance(name string) (director.InstanceExplanation, error) {
	var e director.InstanceExplanation
	if name == "absent" {
		return e, unknown(name)
	}
	fill(&e)
	e.Instance.Name = name
	return e, nil
}

func (s source) ExplainService(name string) (director.ServiceExplanation, error) {
	var e director.ServiceExplanation
	if name == "absent" {
		return e, fmt.Errorf("%w: %q", director.ErrUnknownService, name)
	}
	fill(&e)
	e.Services[0].Name = name
	return e, nil
}

func (s source) Reload(_ context.Context, request ReloadRequest) (ReloadAnswer, error) {
	if request.Confirm == 13 {
		return ReloadAnswer{}, fmt.Errorf("reload: %w", &Error{CodeBusy, "another reload is under way"})
	}
	var answer ReloadAnswer
	fill(&answer)
	answer.ConfirmUntil = time.Unix(0, int64(request.Confirm)).UTC()
	return answer, nil
}

func (s source) Confirm(context.Context) error {
	return &Error{CodeNothingToConfirm, "no reload waits to be confirmed"}
}

// who is the name of who runs the test.
func who(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// TestOrdersOverTheSocket: what is ordered arrives, with the name of who asked.
func TestOrdersOverTheSocket(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	target, me := director.Target{Service: "smtp", Server: "192.0.2.1:25"}, who(t)
	check := func(what string, got director.Spread, err error, want director.Spread) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
		}
	}
	got, err := Order(t.Context(), path, director.Order{Target: target, State: director.Drain})
	check("order", got, err, s.spread(target, me))
	got, err = Clear(t.Context(), path, target, "")
	check("clear", got, err, s.spread(target, me))
	got, err = Maintenance(t.Context(), path, director.MaintenanceOrder{On: true, Reason: "disk", For: time.Minute})
	check("maintenance", got, err, s.spread(director.Target{Node: "relay1"}, me+"truedisk1m0s"))

	_, err = Order(t.Context(), path, director.Order{Target: director.Target{Service: "absent"}})
	wantCode(t, "unknown service", err, CodeUnknownService, "absent")
	_, err = Order(t.Context(), path, director.Order{Target: director.Target{Server: "absent"}})
	wantCode(t, "unknown server", err, CodeUnknownServer, "absent")
	_, err = Order(t.Context(), path, director.Order{Target: director.Target{Node: "absent"}})
	wantCode(t, "unknown node", err, CodeUnknownNode, "absent")
	_, err = Order(t.Context(), path, director.Order{})
	wantCode(t, "no target", err, CodeBadRequest, "of nothing")
	if _, err := Order(t.Context(), path+"x", director.Order{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
}

// TestOthersOverTheSocket: each of the further questions is answered.
func TestOthersOverTheSocket(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	same := func(what string, got, want any, err, wantErr error) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(director.Preview{}), cmpopts.EquateComparable(netip.Addr{})); err != nil || wantErr != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
		}
	}
	traffic, err := Traffic(t.Context(), path)
	wantTraffic, wantErr := s.Traffic(t.Context())
	same("traffic", traffic, wantTraffic, err, wantErr)
	instance, err := ExplainInstance(t.Context(), path, "a/b ?#%2f")
	wantInstance, wantErr := s.ExplainInstance("a/b ?#%2f")
	same("instance", instance, wantInstance, err, wantErr)
	service, err := ExplainService(t.Context(), path, "my/service ä")
	wantService, wantErr := s.ExplainService("my/service ä")
	same("service", service, wantService, err, wantErr)
	checked, err := CheckNow(t.Context(), path, "192.0.2.1:25", "smtp")
	same("check", checked, s.explanation("192.0.2.1:25", "smtp"), err, nil)
	reloaded, err := Reload(t.Context(), path, ReloadRequest{Confirm: time.Minute})
	wantReloaded, wantErr := s.Reload(t.Context(), ReloadRequest{Confirm: time.Minute})
	same("reload", reloaded, wantReloaded, err, wantErr)

	_, err = ExplainInstance(t.Context(), path, "absent")
	wantCode(t, "unknown instance", err, CodeUnknownInstance, "absent")
	_, err = ExplainService(t.Context(), path, "absent")
	wantCode(t, "unknown service", err, CodeUnknownService, "absent")
	_, err = CheckNow(t.Context(), path, "absent", "")
	wantCode(t, "unknown server", err, CodeUnknownServer, "absent")
	_, err = Reload(t.Context(), path, ReloadRequest{Confirm: 13})
	wantCode(t, "busy", err, CodeBusy, "another reload")
	wantCode(t, "nothing to confirm", Confirm(t.Context(), path), CodeNothingToConfirm, "no reload waits")
}

// lastingSource tells when a reload begins, and ends it when it is let.
type lastingSource struct {
	source
	began chan context.Context
	let   chan struct{}
}

func (s lastingSource) Reload(ctx context.Context, _ ReloadRequest) (ReloadAnswer, error) {
	s.began <- ctx
	select {
	case <-s.let:
		return ReloadAnswer{}, nil
	case <-ctx.Done():
		return ReloadAnswer{}, context.Cause(ctx)
	}
}

// TestReloadOutlastsItsClient: a reload takes longer than other requests, goes on when
// who asked has gone, and ends with the daemon.
func TestReloadOutlastsItsClient(t *testing.T) {
	const timeout = 10 * time.Millisecond
	s := lastingSource{newSource(), make(chan context.Context), make(chan struct{})}
	path, stop := serving(t, func(ctx context.Context, l net.Listener) error { return serve(ctx, l, s, timeout) })
	done := make(chan error)
	go func() {
		_, err := Reload(t.Context(), path, ReloadRequest{})
		done <- err
	}()
	<-s.began
	<-time.After(20 * timeout)
	s.let <- struct{}{}
	if err := <-done; err != nil {
		t.Errorf("after a long wait: %v", err)
	}

	impatient, leave := context.WithCancel(t.Context())
	go func() {
		_, err := Reload(impatient, path, ReloadRequest{})
		done <- err
	}()
	inside := <-s.began
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that left: %v", err)
	}
	<-time.After(20 * timeout)
	if err := inside.Err(); err != nil {
		t.Errorf("the reload ended with its client: %v", err)
	}
	go stop()
	<-inside.Done()
}

func TestNotPermittedIsAPermissionError(t *testing.T) {
	err := fmt.Errorf("x: %w", &Error{CodeNotPermitted, "no"})
	if !errors.Is(err, fs.ErrPermission) || errors.Is(&Error{CodeBusy, "no"}, fs.ErrPermission) {
		t.Error("only CodeNotPermitted is fs.ErrPermission")
	}
}
