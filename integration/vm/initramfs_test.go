package main

import (
	"encoding/hex"
	"testing"
)

// The bytes are those of "busybox cpio -o -H newc" for the same file, apart
// from what it takes from the file system: inode, owner, time and device.
func TestArchive(t *testing.T) {
	var a archive
	a.file("ab", 0o644, []byte("hello"))
	const want = "070701" + "00000001" + "000081a4" + "00000000" + "00000000" + "00000001" + "00000000" +
		"00000005" + "00000000" + "00000000" + "00000000" + "00000000" + "00000003" + "00000000" +
		"ab\x00" + "\x00\x00\x00" + // the header has 110 bytes
		"hello" + "\x00\x00\x00" +
		"070701" + "00000002" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000000" + "0000000b" + "00000000" +
		"TRAILER!!!\x00" + "\x00\x00\x00"
	if got := string(a.bytes()); got != want {
		t.Errorf("archive is\n%swant\n%s", hex.Dump([]byte(got)), hex.Dump([]byte(want)))
	}
}
