package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// colorMode is when output is coloured: "auto" is on a terminal, unless the
// environment has NO_COLOR or the terminal is a dumb one.
type colorMode string

// The modes.
const (
	colorAuto   colorMode = "auto"
	colorAlways colorMode = "always"
	colorNever  colorMode = "never"
)

func registerColor(command *cobra.Command, mode *string) {
	command.Flags().StringVar(mode, "color", string(colorAuto), "colour the output: `WHEN` is auto, always or never")
}

// newPalette is the palette for output to w.
func newPalette(mode string, w io.Writer) (palette, error) {
	switch colorMode(mode) {
	case colorAuto:
		return palette{wantsColor(w)}, nil
	case colorAlways:
		return palette{true}, nil
	case colorNever:
		return palette{false}, nil
	}
	return palette{}, usageError{fmt.Errorf("--color %q: want auto, always or never", mode)}
}

func wantsColor(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// palette colours text, or leaves it as it is.
type palette struct{ on bool }

// The colours, as parameters of the terminal's SGR sequence.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours a text without newlines. A control character in it, which the
// kernel or a file may hold, does not reach the terminal.
func (p palette) paint(sgr, text string) string {
	text = strings.Map(printable, text)
	if !p.on {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return '?'
	}
	return r
}
