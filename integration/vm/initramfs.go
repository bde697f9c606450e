package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lvsd/lvsd/integration/vm/protocol"
)

// initPackage is the command that becomes process 1.
const initPackage = "github.com/lvsd/lvsd/integration/vm/init"

// buildInitramfs writes an initramfs with init, the request and the modules
// that reach the host's root, and returns its path.
func buildInitramfs(ctx context.Context, dir string, k kernel, req protocol.Request) (string, error) {
	init, err := buildInit(ctx, dir)
	if err != nil {
		return "", err
	}
	index, err := readModuleIndex(k.modules)
	if err != nil {
		return "", err
	}
	var a archive
	a.directory("lib")
	for _, path := range index.resolve(earlyModules...) {
		b, err := os.ReadFile(filepath.Join(k.modules, path))
		if err != nil {
			return "", err
		}
		name := "/lib/" + filepath.Base(path)
		a.file(strings.TrimPrefix(name, "/"), 0o644, b)
		req.EarlyModules = append(req.EarlyModules, name)
	}
	req.Modules = index.present(guestModules)
	if req.Address.IsValid() {
		req.Modules = append(req.Modules, index.present(networkModules)...)
	}
	request, err := json.Marshal(req)
	if err != nil {
		return "", err
	}
	a.file(strings.TrimPrefix(protocol.RequestPath, "/"), 0o644, request)
	a.file("init", 0o755, init)
	path := filepath.Join(dir, "initramfs.cpio")
	return path, os.WriteFile(path, a.bytes(), 0o600)
}

// buildInit compiles init without cgo: nothing else is there when it starts.
func buildInit(ctx context.Context, dir string) ([]byte, error) {
	path := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, initPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build init: %w: %s", err, bytes.TrimSpace(out))
	}
	return os.ReadFile(path)
}

// archive is a cpio archive in the "newc" format, the only one the kernel
// takes (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	buf   bytes.Buffer
	inode int
}

const (
	modeFile      = 0o100000
	modeDirectory = 0o040000
)

func (a *archive) directory(name string) { a.entry(name, modeDirectory|0o755, nil) }

func (a *archive) file(name string, perm int, data []byte) { a.entry(name, modeFile|perm, data) }

// entry writes a header of thirteen 8-digit fields, the name with its NUL and
// the data; both are padded to four bytes.
func (a *archive) entry(name string, mode int, data []byte) {
	a.inode++
	const links = 1
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.buf.WriteString(name + "\x00")
	a.pad()
	a.buf.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

// bytes ends the archive and returns it.
func (a *archive) bytes() []byte {
	a.entry("TRAILER!!!", 0, nil)
	return a.buf.Bytes()
}
