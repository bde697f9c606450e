package track

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

// needEvents ends the test where the kernel does not tell what processes do.
func needEvents(t *testing.T) {
	t.Helper()
	c, err := openConnector()
	if err != nil {
		lab.Missing(t, "process-events", err)
	}
	defer c.close()
	// The kernel acknowledges before the request returns.
	for patience := time.After(time.Minute); ; {
		select {
		case e := <-c.events:
			if e.kind == eventListening {
				return
			}
		case <-patience:
			lab.Missing(t, "process-events", errors.New("not acknowledged"))
		}
	}
}

func message(values ...uint32) []byte {
	// Header, struct cn_msg, then struct proc_event.
	b := make([]byte, 16)
	for _, v := range append([]uint32{processIndex, processValue, 77, 78, 0}, values...) {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func TestParseEvent(t *testing.T) {
	foreign := message(procExec, 0, 0, 0, 5, 5)
	foreign[16] = 9
	for name, test := range map[string]struct {
		message []byte
		want    event
		ok      bool
	}{
		"acknowledgement":        {message(procNone, 0, 0, 0, 0), event{kind: eventListening}, true},
		"refusal":                {message(procNone, 0, 0, 0, 1), event{}, false},
		"fork":                   {message(procFork, 0, 0, 0, 11, 10, 20, 20), event{kind: eventFork, process: 20, parent: 10}, true},
		"a thread starts":        {message(procFork, 0, 0, 0, 11, 10, 21, 20), event{}, false},
		"exec":                   {message(procExec, 0, 0, 0, 20, 20), event{kind: eventChange, process: 20}, true},
		"name":                   {message(procComm, 0, 0, 0, 21, 20, 0, 0, 0, 0), event{kind: eventChange, process: 20}, true},
		"exit":                   {message(procExit, 0, 0, 0, 20, 20, 0, 17), event{kind: eventExit, process: 20, leader: true}, true},
		"a thread ends":          {message(procExit, 0, 0, 0, 21, 20, 0, 17), event{kind: eventExit, process: 20}, true},
		"another kind":           {message(4, 0, 0, 0, 20, 20), event{}, false},
		"too short":              {message(procExec, 0, 0), event{}, false},
		"not of the connector's": {foreign, event{}, false},
	} {
		e, ok := parseEvent(test.message, 77)
		if ok != test.ok || ok && e != test.want {
			t.Errorf("%s: %+v, %v", name, e, ok)
		}
	}
	if _, ok := parseEvent(message(procNone, 0, 0, 0, 0), 76); ok {
		t.Error("took the acknowledgement of another's request for its own")
	}
}

func TestEncodeRequest(t *testing.T) {
	want := []uint32{40, 3, 0, 0, 1, 1, 0, 77, 4, 1} // little endian: 4, and no flags
	var got []uint32
	b := encodeRequest(listen, 77)
	for i := 0; i < len(b); i += 4 {
		got = append(got, binary.NativeEndian.Uint32(b[i:]))
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Log("not a little-endian machine")
		want[1], want[8] = want[1]<<16, want[8]<<16
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(message(procNone, 0, 0, 0, 0))
	f.Add(message(procFork, 0, 0, 0, 11, 10, 20, 20))
	f.Add(message(procExit, 0, 0, 0, 20, 20, 0, 17))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := parseEvent(b, 77); ok && e.kind == 0 {
			t.Errorf("an event of no kind: %+v", e)
		}
	})
}

// The events of a real program, and nothing left behind, however much of it is
// not taken.
func TestConnector(t *testing.T) {
	needEvents(t)
	before := runtime.NumGoroutine()
	c, err := openConnector()
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan map[eventKind]bool)
	pid := make(chan int, 1)
	go func() {
		kinds := map[eventKind]bool{}
		var all []event
		for e := range c.events {
			all = append(all, e)
			select {
			case p := <-pid:
				pid <- p
				for _, e := range all {
					kinds[e.kind] = kinds[e.kind] || e.process == p
				}
				all = nil
			default:
			}
			if kinds[eventFork] && kinds[eventChange] && kinds[eventExit] {
				break
			}
		}
		heard <- kinds
	}()
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid <- cmd.Process.Pid
	_ = cmd.Wait()
	for deadline := time.After(eventually); heard != nil; {
		select {
		case <-heard:
			heard = nil
		case <-deadline:
			t.Fatal("not all events of a process came")
		case <-time.After(100 * time.Millisecond):
			_ = exec.Command("true").Run() // one more event, to look at those before
		}
	}
	_ = exec.Command("true").Run() // nobody takes this
	c.close()
	for deadline := time.Now().Add(eventually); runtime.NumGoroutine() > before; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}
