// Package packaging has no code: its test builds the packages, installs one and runs
// what it installed.
package packaging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// built are the packages of this architecture, which all parts of the test share.
type built struct {
	deb, rpm string
	// root is where the deb is installed.
	root string
}

// version is one that no tag has.
const version = "9.8.7"

// TestPackages builds with the Makefile, as people do.
func TestPackages(t *testing.T) {
	for _, tool := range []string{"make", "dpkg", "dpkg-deb", "rpm", "systemd-analyze"} {
		if _, err := exec.LookPath(tool); err != nil {
			lab.Missing(t, lab.Need(tool), err)
		}
	}
	if os.Geteuid() != 0 {
		lab.Missing(t, "root", errors.New("not root"))
	}
	directory := t.TempDir()
	run(t, "..", "make", "--no-print-directory", "package", "VERSION="+version, "architectures="+runtime.GOARCH, "build="+directory)
	b := built{deb: only(t, directory, "*.deb"), rpm: only(t, directory, "*.rpm"), root: filepath.Join(directory, "root")}
	t.Run("files", b.files)
	t.Run("fields", b.fields)
	t.Run("rpm", b.likewise)
	if t.Run("installation", b.installs) {
		t.Run("unit", b.unit)
		t.Run("documents", b.documents)
		t.Run("example", b.example)
		t.Run("upgrade and stop", b.lives)
		t.Run("purge", b.purges)
	}
}

// run runs a command in the directory and returns what it prints.
func run(t *testing.T, directory, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir = directory
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(arguments, " "), err, out, &stderr)
	}
	return string(out)
}

// only is the one package that the pattern matches.
func only(t *testing.T, directory, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(directory, "packages", pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// wanted are the files that every package has, with their modes.
var wanted = map[string]string{
	"/usr/sbin/lvsd":                                 "-rwxr-xr-x",
	"/usr/lib/systemd/system/lvsd.service":           "-rw-r--r--",
	"/usr/lib/modules-load.d/lvsd.conf":              "-rw-r--r--",
	"/usr/lib/sysusers.d/lvsd.conf":                  "-rw-r--r--",
	"/usr/lib/lvsd/unprivileged.conf":                "-rw-r--r--",
	"/usr/lib/lvsd/tmpfiles.conf":                    "-rw-r--r--",
	"/etc/lvsd/lvsd.toml.example":                    "-rw-r-----",
	"/usr/share/man/man8/lvsd.8.gz":                  "-rw-r--r--",
	"/usr/share/man/man8/lvsd-status.8.gz":           "-rw-r--r--",
	"/usr/share/man/man5/lvsd.toml.5.gz":             "-rw-r--r--",
	"/usr/share/bash-completion/completions/lvsd":    "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/lvsd.fish": "-rw-r--r--",
	"/usr/share/doc/lvsd/copyright":                  "-rw-r--r--",
	"/usr/share/doc/lvsd/third-party-licences.txt":   "-rw-r--r--",
	"/usr/share/doc/lvsd/docs/operation.md":          "-rw-r--r--",

	"/usr/share/doc/lvsd/docs/":                              "drwxr-xr-x",
	"/usr/share/doc/lvsd/examples/prometheus/":               "drwxr-xr-x",
	"/usr/share/doc/lvsd/examples/mail-relay/":               "drwxr-xr-x",
	"/usr/share/doc/lvsd/examples/proxy-pair/README.md":      "-rw-r--r--",
	"/usr/share/doc/lvsd/examples/mail-relay/README.md":      "-rw-r--r--",
	"/usr/share/doc/lvsd/examples/transparent-nat/README.md": "-rw-r--r--",
	"/usr/share/doc/lvsd/examples/exchange-two-dc/README.md": "-rw-r--r--",
	"/usr/share/doc/lvsd/examples/web-farm/README.md":        "-rw-r--r--",
}

func (b built) files(t *testing.T) {
	modes := map[string]string{}
	for line := range strings.Lines(run(t, ".", "dpkg-deb", "-c", b.deb)) {
		fields := strings.Fields(line)
		modes[strings.TrimPrefix(fields[5], ".")] = fields[0]
		if fields[1] != "root/root" {
			t.Errorf("not root's: %s", line)
		}
	}
	for path, mode := range wanted {
		if modes[path] != mode {
			t.Errorf("%s is %q, want %q", path, modes[path], mode)
		}
	}
	for path, mode := range modes {
		if strings.HasSuffix(path, "/") && !strings.HasPrefix(path, "/etc/lvsd/") && mode != "drwxr-xr-x" {
			t.Errorf("the directory %s is %s", path, mode)
		}
		if path == "/etc/lvsd/lvsd.toml" {
			t.Errorf("%s would make an upgrade ask about the operator's file", path)
		}
	}
}

func (b built) fields(t *testing.T) {
	fields := run(t, ".", "dpkg-deb", "-f", b.deb)
	for _, want := range []string{"Package: lvsd", "Version: " + version, "Architecture: " + runtime.GOARCH, "Section: net"} {
		if !strings.Contains(fields, want+"\n") {
			t.Errorf("no %q in\n%s", want, fields)
		}
	}
	if conffiles := run(t, ".", "dpkg-deb", "-I", b.deb, "conffiles"); conffiles != "/etc/lvsd/lvsd.toml.example\n" {
		t.Errorf("conffiles: %q", conffiles)
	}
}

// likewise: the rpm has the same files.
func (b built) likewise(t *testing.T) {
	files := strings.Fields(run(t, ".", "rpm", "-qpl", b.rpm))
	for path := range wanted {
		if !slices.Contains(files, strings.TrimSuffix(path, "/")) {
			t.Errorf("the rpm has no %s", path)
		}
	}
	for query, want := range map[string]string{"-qpc": "/etc/lvsd/lvsd.toml.example\n", "-qp": "lvsd-" + version} {
		if got := run(t, ".", "rpm", query, b.rpm); !strings.HasPrefix(got, want) {
			t.Errorf("rpm %s: %q, want %q", query, got, want)
		}
	}
	for _, script := range []string{"postinstall", "preuninstall", "postuninstall"} {
		if !strings.Contains(run(t, ".", "rpm", "-qp", "--scripts", b.rpm), script+" scriptlet") {
			t.Errorf("the rpm has no %s script", script)
		}
	}
}

// dpkg works on the system below root, whose scripts run here but touch only that.
func (b built) dpkg(t *testing.T, arguments ...string) {
	t.Helper()
	run(t, ".", "dpkg", append([]string{"--root=" + b.root, "--force-script-chrootless", "--force-depends"}, arguments...)...)
}

func (b built) installs(t *testing.T) {
	for _, folder := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "run", "tmp", "proc"} {
		if err := os.MkdirAll(filepath.Join(b.root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(b.root, "var/lib/dpkg/status"), "")
	b.dpkg(t, "--install", b.deb)
	var info struct{ Version, Go string }
	if err := json.Unmarshal([]byte(run(t, ".", "chroot", b.root, "/usr/sbin/lvsd", "version", "--json")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Version != version || info.Go != runtime.Version() {
		t.Errorf("lvsd version says %+v", info)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// documents: what the documents and tutorials refer to is in the package too.
func (b built) documents(t *testing.T) {
	top := filepath.Join(b.root, "usr/share/doc/lvsd")
	links := 0
	for _, pattern := range []string{"docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil || len(found) < 5 {
			t.Errorf("%s: %q, %v", pattern, found, err)
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range link.FindAllStringSubmatch(string(text), -1) {
				links++
				// Links to files of the system are absolute: what they are is in another root.
				if _, err := os.Lstat(filepath.Join(filepath.Dir(path), match[1])); err != nil {
					t.Errorf("%s: %v", strings.TrimPrefix(path, top), err)
				}
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links", links)
	}
}

// unit has systemd look at the unit, with the program where it was installed.
func (b built) unit(t *testing.T) {
	text := regexp.MustCompile(`(?m)^(Exec\w+)=lvsd `).ReplaceAllString(b.read(t, "usr/lib/systemd/system/lvsd.service"), "$1="+b.root+"/usr/sbin/lvsd ")
	// [web] and [metrics] may have a port below 1024.
	if !regexp.MustCompile(`(?m)^CapabilityBoundingSet=.*\bCAP_NET_BIND_SERVICE\b`).MatchString(text) {
		t.Error("the unit does not let lvsd listen on ports below 1024")
	}
	path := filepath.Join(t.TempDir(), "lvsd.service")
	write(t, path, text)
	command := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path)
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func (b built) read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (b built) example(t *testing.T) {
	run(t, ".", "chroot", b.root, "/usr/sbin/lvsd", "check", "-c", "/etc/lvsd/lvsd.toml.example")
}

const vip = "10.99.0.100"

// director is a file that needs nothing but a network.
const director = `
[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 20
vips = ["` + vip + `"]
`

// lives runs the unit's command lines: the daemon becomes MASTER, hands over to the
// next package's as "systemctl restart" does, and gives the VIP up when it is stopped.
func (b built) lives(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	unit := b.read(t, "usr/lib/systemd/system/lvsd.service")
	write(t, filepath.Join(b.root, "etc/lvsd/lvsd.toml"), director)
	l := lab.New(t)
	host := l.Host("director", "10.99.0.1/24")
	service := started{t: t, lab: l, host: host, root: b.root, command: setting(t, unit, "ExecStart"), notices: listen(t, b.root)}
	first := service.start()
	service.wantVIP(true)

	b.dpkg(t, "--install", b.deb)
	if !first.Running() {
		t.Fatal("an upgrade ended the daemon")
	}
	if text := b.read(t, "etc/lvsd/lvsd.toml"); text != director {
		t.Errorf("an upgrade changed the file:\n%s", text)
	}
	service.end(first, setting(t, unit, "RestartKillSignal"))
	service.wantVIP(true)
	second := service.start()
	service.wantVIP(true)
	service.end(second, setting(t, unit, "KillSignal"))
	service.wantVIP(false)
}

// setting is the value of one line of a unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
	if line == nil {
		t.Fatalf("the unit has no %s", name)
	}
	return line[1]
}

// started is the unit as systemd would run it.
type started struct {
	t             *testing.T
	lab           *lab.Lab
	host          *lab.Host
	root, command string
	notices       *net.UnixConn
}

// listen makes the socket that systemd is told by.
func listen(t *testing.T, root string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(root, "run/notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// start runs the command line and waits until it says that it is ready.
func (s *started) start() *lab.Daemon {
	s.t.Helper()
	words := strings.Fields(s.command)
	daemon := s.host.Start(lab.Command{
		Name: "lvsd", Env: []string{"NOTIFY_SOCKET=/run/notify"},
		Args: append([]string{"unshare", "--mount", "sh", "-c", inRoot, s.root, "/usr/sbin/" + words[0]}, words[1:]...),
	})
	buffer := make([]byte, 4096)
	for {
		if err := s.notices.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			s.t.Fatal(err)
		}
		n, err := s.notices.Read(buffer)
		switch {
		case slices.Contains(strings.Split(string(buffer[:n]), "\n"), "READY=1"):
			return daemon
		case !daemon.Running():
			s.t.Fatalf("lvsd was not ready: %v\n%s", err, daemon.Output())
		}
	}
}

// inRoot runs a command in the system below $0, with the /proc that tells one boot
// from another.
const inRoot = `mount -t proc none "$0/proc" && exec chroot "$0" "$@"`

var signals = map[string]syscall.Signal{"SIGUSR2": syscall.SIGUSR2, "SIGTERM": syscall.SIGTERM}

// end sends the signal of that name and waits for the end.
func (s *started) end(d *lab.Daemon, name string) {
	s.t.Helper()
	signal, known := signals[name]
	if !known {
		s.t.Fatalf("the unit ends lvsd by %q", name)
	}
	d.Signal(signal)
	s.lab.WaitFor("lvsd to end by "+name, func() error {
		if d.Running() {
			return errors.New("it runs")
		}
		return nil
	})
}

func (s *started) wantVIP(want bool) {
	s.t.Helper()
	s.lab.WaitFor(fmt.Sprintf("the VIP to be there: %v", want), func() error {
		if out := s.host.Run("ip", "-4", "address", "show"); strings.Contains(out, " "+vip+"/") != want {
			return errors.New(out)
		}
		return nil
	})
}

// purges: a removal leaves what the operator wrote.
func (b built) purges(t *testing.T) {
	b.dpkg(t, "--purge", "lvsd")
	for path, want := range map[string]bool{"usr/sbin/lvsd": false, "var/lib/lvsd": false, "etc/lvsd/lvsd.toml": true} {
		if _, err := os.Stat(filepath.Join(b.root, path)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", path, err, want)
		}
	}
}

// TestScripts: what the maintainer scripts order of systemd, in a mount namespace
// where systemd seems to run.
func TestScripts(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	for _, test := range []struct {
		name, script string
		arguments    []string
		// broken is a file that the new version refuses, idle a unit that does
		// not run.
		broken, idle bool
		want         []string
	}{
		{"deb installed", "postinstall", []string{"configure", ""}, false, false, nil},
		{"deb upgraded", "postinstall", []string{"configure", "1.0"}, false, false, []string{"restart lvsd.service"}},
		{"deb upgraded, not running", "postinstall", []string{"configure", "1.0"}, false, true, nil},
		{"deb upgraded, file refused", "postinstall", []string{"configure", "1.0"}, true, false, nil},
		{"rpm installed", "postinstall", []string{"1"}, false, false, nil},
		{"rpm upgraded", "postinstall", []string{"2"}, false, false, []string{"restart lvsd.service"}},
		{"deb before upgrade", "preremove", []string{"upgrade", "2.0"}, false, false, nil},
		{"rpm before upgrade", "preremove", []string{"1"}, false, false, nil},
		{"deb removed", "preremove", []string{"remove"}, false, false, []string{"disable --now lvsd.service"}},
		{"rpm removed", "preremove", []string{"0"}, false, false, []string{"disable --now lvsd.service"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			directory := t.TempDir()
			log := filepath.Join(directory, "log")
			program := func(name string, fails bool) {
				text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >>%s\n", name, log)
				if fails {
					text += "exit 1\n"
				}
				if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			program("lvsd", test.broken)
			program("systemctl", false)
			if test.idle {
				text := fmt.Sprintf("#!/bin/sh\necho \"systemctl $*\" >>%s\n[ \"$1\" != is-active ]\n", log)
				write(t, filepath.Join(directory, "systemctl"), text)
				if err := os.Chmod(filepath.Join(directory, "systemctl"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			inside := "mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec \"$@\""
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "sh", "-c", inside, "sh", "scripts/" + test.script}, test.arguments...)...)
			command.Env = append(os.Environ(), "PATH="+directory+":"+os.Getenv("PATH"))
			if out, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			text, err := os.ReadFile(log)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			var orders []string
			for _, order := range regexp.MustCompile(`(?m)^systemctl (.* lvsd\.service)$`).FindAllStringSubmatch(string(text), -1) {
				if !strings.HasPrefix(order[1], "is-active") {
					orders = append(orders, order[1])
				}
			}
			if !slices.Equal(orders, test.want) {
				t.Errorf("ordered %q, want %q, of\n%s", orders, test.want, text)
			}
		})
	}
}
