package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/integration/vm/protocol"
)

const qemuProgram = "qemu-system-x86_64"

// errNoHello is a boot that did not get as far as init.
var errNoHello = errors.New("the guest did not start")

// machine is one guest to boot.
type machine struct {
	kernel    kernel
	initramfs string
	// accel is qemu's accelerator: "kvm" or "tcg".
	accel  string
	memory int // MiB
	share  string
	// publish is the port of this machine that leads to the guest; 0 is none.
	publish port
	// stdin is what the program reads, from the time that init reports; nil is
	// nothing.
	stdin *os.File
	// console is the file that takes the kernel's console.
	console string
	// helloWithin bounds the time until init reports.
	helloWithin    time.Duration
	stdout, stderr io.Writer
}

// boot runs the guest to its end and returns the exit status of its program.
// It returns errNoHello when init was not heard of in time, or at all: qemu
// itself ends where the accelerator does not have what the processor promises.
func (m machine) boot(ctx context.Context) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, qemuProgram, m.arguments()...)
	// Whatever ends this process ends the guest. The signal is bound to the
	// thread that starts qemu, which main keeps for itself.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	frames, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	patience := time.AfterFunc(m.helloWithin, func() { cancel(errNoHello) })
	defer patience.Stop()
	started := false
	stop := func() {}
	defer func() { stop() }()
	status, readErr := m.read(frames, func() {
		started = patience.Stop()
		if m.stdin != nil {
			stop = feed(ctx, stdin, m.stdin)
		}
	})
	if readErr != nil {
		cancel(nil)
	}
	waitErr := cmd.Wait()
	if readErr == nil {
		return status, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return 0, m.explain(cause, complaint.String())
	}
	err = fmt.Errorf("guest ended early: %w (%v)", readErr, waitErr)
	if !started {
		err = fmt.Errorf("%w: %w", errNoHello, err)
	}
	return 0, m.explain(err, complaint.String())
}

// read copies what the program wrote until its exit status arrives.
func (m machine) read(r io.Reader, hello func()) (int, error) {
	for {
		kind, payload, err := protocol.Read(r)
		if err != nil {
			return 0, err
		}
		switch kind {
		case protocol.Hello:
			hello()
		case protocol.Stdout:
			_, err = m.stdout.Write(payload)
		case protocol.Stderr:
			_, err = m.stderr.Write(payload)
		case protocol.Notice:
			_, err = fmt.Fprintf(m.stderr, "guest: %s\n", payload)
		case protocol.Exit:
			return strconv.Atoi(string(payload))
		default:
			err = fmt.Errorf("unknown frame %q", kind)
		}
		if err != nil {
			return 0, err
		}
	}
}

// explain adds qemu's complaint and the end of the console to an error.
func (m machine) explain(err error, complaint string) error {
	const tail = 4 << 10
	console, readErr := os.ReadFile(m.console)
	if readErr != nil {
		console = []byte(readErr.Error())
	}
	if len(console) > tail {
		console = console[len(console)-tail:]
	}
	return fmt.Errorf("%w\nqemu: %s\nconsole: %s", err, strings.TrimSpace(complaint), bytes.TrimSpace(console))
}

// arguments is qemu's command line. The frames go to its standard output.
func (m machine) arguments() []string {
	args := []string{
		"-M", "q35", "-accel", m.accel, "-cpu", "max", "-smp", "2", "-m", strconv.Itoa(m.memory),
		"-nodefaults", "-nographic", "-no-reboot",
		"-kernel", m.kernel.image, "-initrd", m.initramfs, "-append", kernelCommandLine,
		"-serial", "file:" + m.console,
		"-device", "virtio-serial-pci",
		// Not stdio: the end of qemu's standard input would close the port.
		"-chardev", "file,id=frames,path=/dev/stdout",
		"-device", "virtserialport,chardev=frames,name=" + protocol.PortName,
		"-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
	}
	if m.stdin != nil {
		args = append(args,
			"-chardev", "stdio,id=stdin,signal=off",
			"-device", "virtserialport,chardev=stdin,name="+protocol.StdinName)
	}
	if m.publish != 0 {
		args = append(args,
			"-netdev", "user,id=network,restrict=on,hostfwd="+m.publish.rule(),
			"-device", "virtio-net-pci,netdev=network,romfile=")
	}
	if m.share != "" {
		args = append(args, "-virtfs", "local,path="+m.share+",mount_tag=share,security_model=none,multidevs=remap")
	}
	return args
}

// kernelCommandLine: no_timer_check because a host that is short of time lets
// the kernel believe that its timer is broken; panic=-1 ends qemu at once.
const kernelCommandLine = "console=ttyS0 quiet panic=-1 no_timer_check"

// consoleFile is the console's log of one boot.
func consoleFile(dir, accel string, try int) string {
	return filepath.Join(dir, fmt.Sprintf("console-%s-%d.log", accel, try))
}
