package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"
)

const (
	// hashCost makes a try take a few tenths of a second, here and for who guesses.
	hashCost = 12
	// shortestPassword and longestPassword are in bytes; bcrypt takes no more.
	shortestPassword = 8
	longestPassword  = 72
)

func newHashPassword() *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "Make the hash of a password for the users of the page",
		Long: "Read a password from the terminal, or a line of standard input, and print its\n" +
			"bcrypt hash, as [web.users] wants it. The password is not shown and not kept.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			password, err := readPassword(command.InOrStdin(), command.ErrOrStderr())
			if err != nil {
				return fmt.Errorf("password: %w", err)
			}
			hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
			if err != nil {
				return fmt.Errorf("password: %w", err)
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s\n", hash)
			return err
		},
	}
}

// readPassword reads it from a terminal, twice and unseen, or a line from anything
// else.
func readPassword(in io.Reader, prompt io.Writer) (string, error) {
	terminal, isFile := in.(*os.File)
	if !isFile || !term.IsTerminal(int(terminal.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, 4<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return fitting(strings.TrimRight(line, "\r\n"))
	}
	ask := func(question string) (string, error) {
		fmt.Fprint(prompt, question)
		defer fmt.Fprintln(prompt)
		text, err := term.ReadPassword(int(terminal.Fd()))
		return string(text), err
	}
	password, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	again, err := ask("Again: ")
	if err != nil {
		return "", err
	}
	if password != again {
		return "", errors.New("the two are not the same")
	}
	return fitting(password)
}

// fitting refuses what is too short to be one, or too long for bcrypt.
func fitting(password string) (string, error) {
	if n := len(password); n < shortestPassword || n > longestPassword {
		return "", fmt.Errorf("has %d bytes, expected %d..%d", n, shortestPassword, longestPassword)
	}
	return password, nil
}
