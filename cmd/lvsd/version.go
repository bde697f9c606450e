package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version of a package: the linker sets it.
var release string

// build is what is known of how this program was built. As JSON its fields are only
// ever added to.
type build struct {
	Version string `json:"version"`
	// Revision is the commit, Time its date in RFC 3339, Modified that the tree
	// had other changes. They are empty where the build did not record them.
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	// Platform is as "linux/amd64".
	Platform string `json:"platform"`
}

func newVersion() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "version",
		Short: "Show the version and how this program was built",
		Args:  noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return writeBuild(command.OutOrStdout(), thisBuild(), asJSON)
		},
	}
	command.Flags().BoolVarP(&asJSON, "json", "j", false, "print JSON")
	return command
}

func writeBuild(w io.Writer, b build, asJSON bool) error {
	if asJSON {
		return writeJSON(w, b)
	}
	fmt.Fprintln(w, "lvsd", b.Version)
	if b.Revision != "" {
		changed := ""
		if b.Modified {
			changed = ", with changes"
		}
		fmt.Fprintf(w, "revision %s of %s%s\n", b.Revision, b.Time, changed)
	}
	_, err := fmt.Fprintf(w, "built by %s for %s\n", b.Go, b.Platform)
	return err
}

// version is the package's, or what the build recorded of the source: a tag, a
// revision, or "devel".
func version() string { return thisBuild().Version }

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(release, info)
}

func buildOf(release string, info *debug.BuildInfo) build {
	b := build{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	const shortened = 12
	switch v := info.Main.Version; {
	case release != "":
		b.Version = release
	case v != "" && v != "(devel)":
		b.Version = v
	case len(b.Revision) >= shortened:
		b.Version = "devel-" + b.Revision[:shortened]
	default:
		b.Version = "devel"
	}
	return b
}
