// Command vm runs a program as root on a kernel that has IPVS and returns its
// exit status:
//
//	go run ./integration/vm [flags] -- program [argument ...]
//
// On a machine that is root and has ip_vs it runs the program directly.
// Elsewhere it boots the distribution's kernel under qemu with the host's root,
// read-only under an overlay, as the root of the guest: every program and path
// of the host is there, and nothing the guest does is kept. It must not know
// what the program is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/integration/vm/protocol"
)

// exitFailed is the status when the program could not be run to its end.
const exitFailed = 125

// options are the flags.
type options struct {
	// where only tells where a program would run.
	where         bool
	cache         string
	direct        string
	share         string
	memory        int
	stdin         bool
	publish       port
	timeout, boot time.Duration
}

func main() {
	// qemu dies with the thread that started it: keep this one.
	runtime.LockOSThread()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := run(ctx, log, os.Args[1:])
	if err != nil {
		// Not a log line: it may have the end of a kernel's console in it.
		fmt.Fprintln(os.Stderr, "vm:", err)
		status = exitFailed
	}
	stop()
	os.Exit(status)
}

func run(ctx context.Context, log *slog.Logger, args []string) (int, error) {
	o, program, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %v", o.timeout))
	defer cancel()
	here := o.direct == "always" || o.direct == "auto" && canRunDirectly(ctx)
	switch {
	case o.where && here:
		fmt.Println("here")
		return 0, nil
	case o.where:
		fmt.Println("guest")
		return 0, nil
	case here:
		return o.runDirectly(ctx, program)
	}
	return o.runGuest(ctx, log, program)
}

func parse(args []string) (options, []string, error) {
	var o options
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	fs := flag.NewFlagSet("vm", flag.ContinueOnError)
	fs.BoolVar(&o.where, "where", false, "only print where it would run: here or guest")
	fs.StringVar(&o.cache, "cache", filepath.Join(cache, "lvsd"), "keep the kernel in `DIR`")
	fs.StringVar(&o.direct, "direct", "auto", "run on this machine: auto, always or never")
	fs.StringVar(&o.share, "share", "", "let the guest write to `DIR`")
	fs.IntVar(&o.memory, "memory", 2048, "memory of the guest in `MiB`")
	fs.BoolVar(&o.stdin, "stdin", false, "let the program in the guest read the standard input")
	fs.Var(&o.publish, "publish", "reach what the program serves at the address in $"+protocol.ListenVariable+" on 127.0.0.1:`PORT`")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Minute, "give up after")
	fs.DurationVar(&o.boot, "boot-timeout", 5*time.Minute, "boot again when the guest has not started after")
	if err := fs.Parse(args); err != nil {
		return o, nil, err
	}
	switch {
	case o.direct != "auto" && o.direct != "always" && o.direct != "never":
		return o, nil, fmt.Errorf("-direct %q: want auto, always or never", o.direct)
	case fs.NArg() == 0 && !o.where:
		return o, nil, errors.New("no program to run")
	}
	if o.share != "" {
		o.share, err = filepath.Abs(o.share)
	}
	return o, fs.Args(), err
}

// runGuest prepares the kernel and the initramfs and boots them.
func (o options) runGuest(ctx context.Context, log *slog.Logger, program []string) (int, error) {
	if err := o.publish.free(); err != nil {
		return 0, err
	}
	k, err := prepareKernel(ctx, o.cache, log)
	if err != nil {
		return 0, fmt.Errorf("kernel: %w", err)
	}
	req, err := o.request(k, program)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "lvsd-vm-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	initramfs, err := buildInitramfs(ctx, dir, k, req)
	if err != nil {
		return 0, fmt.Errorf("initramfs: %w", err)
	}
	m := machine{
		kernel: k, initramfs: initramfs, memory: o.memory, share: o.share, publish: o.publish,
		stdout: os.Stdout, stderr: os.Stderr,
	}
	if o.stdin {
		m.stdin = os.Stdin
	}
	return o.bootUntilHello(ctx, log, m, dir)
}

// bootUntilHello boots on KVM where that works, else twice on tcg: a boot may
// hang on a host that is short of time, and a second one seldom does too.
func (o options) bootUntilHello(ctx context.Context, log *slog.Logger, m machine, dir string) (int, error) {
	memory := newKVMMemory(o.cache)
	if memory.worthTrying() {
		m.accel, m.helloWithin, m.console = "kvm", kvmHelloWithin, consoleFile(dir, "kvm", 1)
		status, err := m.boot(ctx)
		if !errors.Is(err, errNoHello) {
			return status, err
		}
		log.Info("kvm does not start a guest here, using tcg")
		if err := memory.failed(); err != nil {
			log.Warn("kvm will be tried again", "error", err)
		}
	}
	m.accel, m.helloWithin = "tcg", o.boot
	var status int
	var err error
	for try := 1; try <= 2; try++ {
		m.console = consoleFile(dir, m.accel, try)
		if status, err = m.boot(ctx); !errors.Is(err, errNoHello) {
			return status, err
		}
		log.Warn("boot hung", "try", try)
	}
	return status, err
}

// request describes the program as the guest must see it.
func (o options) request(k kernel, program []string) (protocol.Request, error) {
	path, err := exec.LookPath(program[0])
	if err != nil {
		return protocol.Request{}, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return protocol.Request{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return protocol.Request{}, err
	}
	modules, err := filepath.Abs(k.modules)
	if err != nil {
		return protocol.Request{}, err
	}
	req := protocol.Request{
		Args:       append([]string{path}, program[1:]...),
		Env:        append(os.Environ(), o.publish.environment(guestAddress.Addr())...),
		Dir:        dir,
		ModuleTree: modules,
		Release:    k.release,
		Share:      o.share,
		Stdin:      o.stdin,
	}
	if o.publish != 0 {
		req.Address = guestAddress
	}
	return req, nil
}
