package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// portDeadline bounds the wait for the port's device after its driver has
	// loaded: the host announces the name in a message of its own.
	portDeadline = 2 * time.Minute
	// orphanDelay is how long output is awaited from what the program left.
	orphanDelay = 5 * time.Second
	// logTail is how many lines of the kernel's log go with a failure.
	logTail = 60
)

// insert loads one module file of the initramfs; .ko.xz is left to the kernel.
func insert(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(path, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil && err != unix.EEXIST {
		return fmt.Errorf("%s: load: %w", filepath.Base(path), err)
	}
	return nil
}

// awaitPort opens the port by the name that the host gave it, to read or to write.
func awaitPort(port string, mode int) (*os.File, error) {
	for end := time.Now().Add(portDeadline); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			if b, err := os.ReadFile(name); err != nil || strings.TrimSpace(string(b)) != port {
				continue
			}
			return os.OpenFile(filepath.Join("/dev", filepath.Base(filepath.Dir(name))), mode, 0)
		}
	}
	return nil, fmt.Errorf("port %q: did not appear within %v", port, portDeadline)
}

// modprobe loads the modules, through the program of the host's root.
func modprobe(modules []string) error {
	if len(modules) == 0 {
		return nil
	}
	path, err := absolute("modprobe")
	if err != nil {
		return err
	}
	cmd := exec.Command(path, append([]string{"-a", "--"}, modules...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// kernelLog is the end of the kernel's log.
func kernelLog() string {
	buf := make([]byte, 256<<10)
	const readAll = 3 // SYSLOG_ACTION_READ_ALL
	n, err := unix.Klogctl(readAll, buf)
	if err != nil {
		return fmt.Sprintf("kernel log: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}
