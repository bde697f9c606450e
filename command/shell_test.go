package command

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runners are the files of lvsd that import os/exec, or have a program run by
// the library of iptables. Each runs one fixed program with an argument vector;
// this package runs those that the configuration names.
var runners = []string{
	"command/command.go",
	"director/doctor/firewall_linux.go", // nft, iptables
	"director/ipvs/family_linux.go",     // modprobe
	"director/netif/fou_linux.go",       // modprobe
	"healthcheck/probe/script.go",       // the type of an error only
	"iptables/command_linux.go",         // iptables
	"track/script.go",                   // the type of an error only
}

// TestNoShell: nothing of lvsd hands a command line to a shell, and no other
// file runs programs.
func TestNoShell(t *testing.T) {
	var found []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{"integration", "build", ".git"}, name):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"os/exec"` }) {
			return nil
		}
		found = append(found, name)
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				switch filepath.Base(strings.Trim(literal.Value, "\"`")) {
				case "sh", "bash", "dash", "ash", "zsh", "-c":
					t.Errorf("%s has %s", name, literal.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, runners) {
		t.Errorf("programs are run by\n%q, want\n%q", found, runners)
	}
}
