package main

import (
	"slices"
	"testing"
)

const modulesDep = `kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/fs/netfs/netfs.ko:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
kernel/drivers/net/a-b.ko:
`

func TestResolve(t *testing.T) {
	index, err := parseModuleIndex(modulesDep)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		names []string
		want  []string
	}{
		{"the last needed first", []string{"9p"}, []string{"kernel/fs/netfs/netfs.ko", "kernel/net/9p/9pnet.ko", "kernel/fs/9p/9p.ko"}},
		{
			"each once",
			[]string{"9pnet_virtio", "9p"},
			[]string{
				"kernel/drivers/virtio/virtio.ko", "kernel/net/9p/9pnet.ko", "kernel/net/9p/9pnet_virtio.ko.xz",
				"kernel/fs/netfs/netfs.ko", "kernel/fs/9p/9p.ko",
			},
		},
		{"built in", []string{"ext4"}, nil},
		{"dashes are underscores to the kernel", []string{"a_b"}, []string{"kernel/drivers/net/a-b.ko"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := index.resolve(c.names...); !slices.Equal(got, c.want) {
				t.Errorf("resolve(%q) = %q, want %q", c.names, got, c.want)
			}
		})
	}
	if got := index.present([]string{"ext4", "9p"}); !slices.Equal(got, []string{"9p"}) {
		t.Errorf("present = %q, want 9p", got)
	}
	if _, err := parseModuleIndex("no colon here\n"); err == nil {
		t.Error("a line without a colon is taken")
	}
}
