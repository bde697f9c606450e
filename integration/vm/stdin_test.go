package main

import (
	"io"
	"os"
	"testing"
)

// TestFeed: all of the input arrives, its end too, and what waits for more of it
// can be stopped.
func TestFeed(t *testing.T) {
	for name, ended := range map[string]bool{"the input ends": true, "it is stopped": false} {
		t.Run(name, func(t *testing.T) {
			from, keyboard, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			defer keyboard.Close()
			guest, to := io.Pipe()
			stop := feed(t.Context(), to, from)
			if _, err := io.WriteString(keyboard, "one\n"); err != nil {
				t.Fatal(err)
			}
			have := make([]byte, 4)
			if _, err := io.ReadFull(guest, have); err != nil || string(have) != "one\n" {
				t.Errorf("%q, error %v", have, err)
			}
			if ended {
				_ = keyboard.Close()
			} else {
				stop()
			}
			if rest, err := io.ReadAll(guest); err != nil || len(rest) > 0 {
				t.Errorf("the rest is %q, error %v", rest, err)
			}
			stop()
		})
	}
}
