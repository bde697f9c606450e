package sysctl

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTree(t *testing.T) {
	tree := Tree{Root: t.TempDir()}
	directory := filepath.Join(tree.Root, "net", "ipv4", "conf", "eth0.100")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "rp_filter"), []byte("4096\t87380  6291456\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const name = "net.ipv4.conf.eth0/100.rp_filter"
	if value, err := tree.Get(name); err != nil || value != "4096 87380 6291456" {
		t.Errorf("get %q, %v", value, err)
	}
	if err := os.WriteFile(filepath.Join(directory, "rp_filter"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := tree.Set(name, "2"); err != nil {
		t.Fatal(err)
	}
	if value, err := tree.Get(name); err != nil || value != "2" {
		t.Errorf("get after set %q, %v", value, err)
	}
}

func TestAbsentParameterStaysAbsent(t *testing.T) {
	tree := Tree{Root: t.TempDir()}
	if _, err := tree.Get("net.absent"); !errors.Is(err, ErrNotExist) {
		t.Errorf("get: %v", err)
	}
	if err := tree.Set("absent", "1"); !errors.Is(err, ErrNotExist) {
		t.Errorf("set: %v", err)
	}
	if _, err := os.Stat(filepath.Join(tree.Root, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("set made a file: %v", err)
	}
}

func TestNamesStayBelowTheRoot(t *testing.T) {
	tree := Tree{Root: filepath.Join(t.TempDir(), "sys")}
	for _, name := range []string{"", "net..ipv4", "net.//.secret", "net./.x", "."} {
		if value, err := tree.Get(name); err == nil || !strings.Contains(err.Error(), "not a name") {
			t.Errorf("get %q: %q, %v", name, value, err)
		}
	}
}

func TestKernel(t *testing.T) {
	if value, err := (Tree{}).Get("kernel.ostype"); err != nil || value != "Linux" {
		t.Errorf("kernel.ostype = %q, %v", value, err)
	}
}

func TestGetAll(t *testing.T) {
	names := []string{"kernel.ostype", "net.absent", "net.ipv4.ip_local_port_range"}
	values, err := Tree{}.GetAll(names)
	if err != nil || len(values) != 2 || values["kernel.ostype"] != "Linux" ||
		len(strings.Split(values["net.ipv4.ip_local_port_range"], " ")) != 2 {
		t.Errorf("%q, %v", values, err)
	}
	if values, err := (Tree{}).GetAll([]string{"kernel.ostype", "/"}); err == nil {
		t.Errorf("%q although a name is none", values)
	}
}

func TestLongValue(t *testing.T) {
	tree := Tree{Root: t.TempDir()}
	want := strings.Repeat("4096 ", 1000) + "1"
	if err := os.WriteFile(filepath.Join(tree.Root, "long"), []byte(want+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if value, err := tree.Get("long"); err != nil || value != want {
		t.Errorf("get %d bytes, %v, want %d", len(value), err, len(want))
	}
}

func TestNormal(t *testing.T) {
	for _, value := range []string{"3 50", "3\t50\n", " 3  50 "} {
		if got := Normal(value); got != "3 50" {
			t.Errorf("%q is %q", value, got)
		}
	}
}
