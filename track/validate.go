package track

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lvsd/lvsd/command"
)

// Validate returns every reason why s cannot be watched, joined, or nil. Whether
// its command, user or file exist is not asked: that may change, and is what
// the tracker tells.
func (s Spec) Validate() error {
	var errs []error
	if s.Name == "" || strings.Contains(s.Name, "\x00") {
		errs = append(errs, errors.New("name must not be empty or hold a zero byte"))
	}
	kinds := 0
	if s.Script != nil {
		kinds++
		errs = append(errs, s.Script.validate())
	}
	if s.Process != nil {
		kinds++
		errs = append(errs, s.Process.validate())
	}
	if s.File != nil {
		kinds++
		errs = append(errs, s.File.validate())
	}
	if kinds != 1 {
		errs = append(errs, fmt.Errorf("must be one of script, process and file, got %d of them", kinds))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tracker %q: %w", s.Name, err)
	}
	return nil
}

func (s *Script) validate() error {
	var errs []error
	if len(s.Command) == 0 || !filepath.IsAbs(s.Command[0]) {
		errs = append(errs, fmt.Errorf("command %q must begin with an absolute path", s.Command))
	}
	if strings.Contains(strings.Join(s.Command, ""), "\x00") {
		errs = append(errs, fmt.Errorf("command %q must not hold a zero byte", s.Command))
	}
	if s.Interval <= 0 {
		errs = append(errs, fmt.Errorf("interval must be positive, got %v", s.Interval))
	}
	if s.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout must be positive, got %v", s.Timeout))
	}
	if s.Rise < 1 || s.Fall < 1 {
		errs = append(errs, fmt.Errorf("rise and fall must be at least 1, got %d and %d", s.Rise, s.Fall))
	}
	if s.User != "" {
		errs = append(errs, command.ParseUser(s.User))
	}
	return errors.Join(errs...)
}

func (p *Process) validate() error {
	var errs []error
	if p.Name == "" || strings.ContainsAny(p.Name, "/\x00") {
		errs = append(errs, fmt.Errorf("process name %q must be a name without directory", p.Name))
	}
	if p.Quorum < 1 {
		errs = append(errs, fmt.Errorf("quorum must be at least 1, got %d", p.Quorum))
	}
	if p.DownDelay < 0 || p.UpDelay < 0 {
		errs = append(errs, fmt.Errorf("delays must not be negative, got %v and %v", p.DownDelay, p.UpDelay))
	}
	return errors.Join(errs...)
}

func (f *File) validate() error {
	if !filepath.IsAbs(f.Path) || strings.Contains(f.Path, "\x00") {
		return fmt.Errorf("file %q must be an absolute path", f.Path)
	}
	return nil
}

// clone returns a copy that shares nothing with s.
func (s Spec) clone() Spec {
	if s.Script != nil {
		script := *s.Script
		script.Command = append([]string(nil), script.Command...)
		s.Script = &script
	}
	if s.Process != nil {
		process := *s.Process
		s.Process = &process
	}
	if s.File != nil {
		file := *s.File
		s.File = &file
	}
	return s
}
