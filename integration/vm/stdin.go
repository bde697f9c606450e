package main

import (
	"context"
	"io"
	"os"
	"sync"

	"github.com/lvsd/lvsd/integration/vm/input"
)

// feed copies a file and closes what it copies to. It is for a guest that has
// started: one that hangs would take what the next is to read. Stop ends it.
func feed(ctx context.Context, to io.WriteCloser, from *os.File) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var copying sync.WaitGroup
	copying.Go(func() {
		defer to.Close()
		_, _ = io.Copy(to, input.NewReader(ctx, from)) // nobody has to read it
	})
	return func() {
		cancel()
		copying.Wait()
	}
}
