package director

import (
	"fmt"
	"os"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// lacksOfChecks are the files of checks that cannot be read: such a check says
// nothing about its server.
func lacksOfChecks(c *config.Config) []Lack {
	var lacks []Lack
	seen := Set[string]{}
	for _, spec := range specs(c) {
		for _, path := range filesOf(spec) {
			if seen.Has(path) {
				continue
			}
			seen.Add(path)
			f, err := os.Open(path)
			if err != nil {
				lacks = append(lacks, Lack{
					What:   fmt.Sprintf("file %s: %v", path, reasonOf(err)),
					Breaks: fmt.Sprintf("check %s does not count", spec),
				})
				continue
			}
			_ = f.Close()
		}
	}
	return lacks
}

// reasonOf is err without the path and what was tried with it.
func reasonOf(err error) error {
	if failed, ok := err.(*os.PathError); ok {
		return failed.Err
	}
	return err
}

// filesOf are the files without which the check cannot be carried out.
func filesOf(spec healthcheck.Spec) []string {
	var tls probe.TLS
	var files []string
	switch kind := spec.Check().Kind.(type) {
	case probe.HTTP:
		tls = kind.TLS
	case probe.SMTP:
		tls = kind.TLS
	case probe.GRPC:
		tls = kind.TLS
	case probe.Banner:
		tls = kind.TLS
	case probe.Script:
		files = kind.Command.Values()[:1]
	}
	for _, path := range []string{tls.CA, tls.Certificate, tls.Key} {
		if path != "" {
			files = append(files, path)
		}
	}
	return files
}

// interfacesOfChecks are those that probes must leave through.
func interfacesOfChecks(c *config.Config) []use {
	var uses []use
	for _, spec := range specs(c) {
		if name := spec.Check().Route.Interface; name != "" {
			uses = append(uses, use{name, fmt.Sprintf("check %s does not count", spec)})
		}
	}
	return uses
}
