package netif

import "testing"

// TestLocal: an address of the interface is the host's until it is deleted, and one
// of its network that is somebody else's never is.
func TestLocal(t *testing.T) {
	conn := namespace(t)
	own := vip("192.0.2.1/24")
	want := func(want bool) {
		t.Helper()
		if got, err := conn.Local("left", own.Addr); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", own.Addr, got, err, want)
		}
	}
	want(false)
	if err := conn.Add(own); err != nil {
		t.Fatal(err)
	}
	want(true)
	if got, err := conn.Local("left", own.Addr.Next()); err != nil || got {
		t.Errorf("a neighbour: %v, %v, want false", got, err)
	}
	if err := conn.Delete(own.Address); err != nil {
		t.Fatal(err)
	}
	want(false)
}
