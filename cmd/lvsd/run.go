package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/cluster"
	"github.com/lvsd/lvsd/director/control"
)

// The files in the run directory, which is on tmpfs.
const (
	defaultRunDirectory = "/run/lvsd"
	socketName          = "lvsd.sock"
	stateName           = "state.json"
	lockName            = "lock"
)

// The files in the state directory, which outlives a boot.
const (
	defaultStateDirectory = "/var/lib/lvsd"
	holdsName             = "holds.json"
	overridesName         = "overrides.json"
)

// handOverSignal makes the daemon end and leave everything to a successor; in a
// systemd unit it is RestartKillSignal.
const handOverSignal = unix.SIGUSR2

// runFlags are the flags of lvsd run.
type runFlags struct {
	file           fileFlags
	runDirectory   string
	stateDirectory string
	logFormat      string
	debug          bool
}

func registerRunDirectory(command *cobra.Command, directory *string) {
	command.Flags().StringVar(directory, "run-dir", defaultRunDirectory,
		"`DIRECTORY` of the control socket and the state file, on tmpfs")
}

func registerStateDirectory(command *cobra.Command, directory *string) {
	command.Flags().StringVar(directory, "state-dir", defaultStateDirectory,
		"`DIRECTORY` of what is kept over boots: which instances are held, and what operators ordered")
}

func newRun() *cobra.Command {
	var flags runFlags
	command := &cobra.Command{
		Use:   "run",
		Short: "Run the director daemon in the foreground",
		Long: "Run the director daemon in the foreground.\n\n" +
			"SIGHUP reloads the configuration. SIGTERM and SIGINT give up mastership and\n" +
			"what this node holds. SIGUSR2 ends the daemon and leaves everything in place for\n" +
			"a successor that starts at once: no connection is lost.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if flags.debug {
				level = slog.LevelDebug
			}
			log, done, err := openLog(command.ErrOrStderr(), flags.logFormat, level)
			if err != nil {
				return err
			}
			defer done()
			return runDaemon(command.Context(), flags, log)
		},
	}
	flags.file.register(command)
	registerRunDirectory(command, &flags.runDirectory)
	registerStateDirectory(command, &flags.stateDirectory)
	command.Flags().StringVar(&flags.logFormat, "log-format", logAuto, "`FORMAT` of the log: auto, text, json or journald")
	command.Flags().BoolVar(&flags.debug, "debug", false, "log more")
	return command
}

// runDaemon runs until a signal ends it.
func runDaemon(ctx context.Context, flags runFlags, log *slog.Logger) error {
	refuseHugePages(log)
	loading()
	name, err := flags.file.nodeName()
	if err != nil {
		return err
	}
	var files config.Cache
	c, err := flags.load(&files)
	if err != nil {
		return err
	}
	warn(log, c)
	unlock, err := lockRunDirectory(flags.runDirectory)
	if err != nil {
		return err
	}
	defer unlock()
	host, err := director.OpenHost()
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	node := &self{}
	channel := cluster.New(node, log)
	node.Director = director.New(director.Options{
		Config:       c,
		ConfigPath:   flags.file.path,
		Version:      version(),
		Kernel:       host,
		Network:      host,
		Meter:        host,
		Memory:       director.MemoryFile{Path: filepath.Join(flags.runDirectory, stateName)},
		Holds:        director.HoldFile{Path: filepath.Join(flags.stateDirectory, holdsName)},
		OverrideFile: filepath.Join(flags.stateDirectory, overridesName),
		Node:         name,
		Spread:       channel.Spread,
		Log:          log,
		Ready:        func() { tellSystemd(log, daemon.SdNotifyReady) },
		Applied:      rest,
	})
	return serve(ctx, newRunning(node.Director, channel, flags, &files, log), c, flags, log)
}

// load reads the file for the node; files has what it read last time.
func (f *runFlags) load(files *config.Cache) (*config.Config, error) {
	node, err := f.file.nodeName()
	if err != nil {
		return nil, err
	}
	return files.Load(f.file.path, node)
}

// warn logs what is to be said about the file as such.
func warn(log *slog.Logger, c *config.Config) {
	for _, warning := range c.Warnings {
		log.Warn("look after the configuration file", "warning", warning)
	}
}

// serve runs the director, what stands around it, the control socket and the signal
// handler until the director ends.
func serve(ctx context.Context, r *running, c *config.Config, flags runFlags, log *slog.Logger) error {
	socket, err := control.Listen(filepath.Join(flags.runDirectory, socketName))
	if err != nil {
		return err
	}
	directorContext, stopDirector := context.WithCancelCause(ctx)
	defer stopDirector(nil)
	otherContext, stopOthers := context.WithCancel(context.WithoutCancel(ctx))
	var others sync.WaitGroup
	defer r.beside.end() // a reload that is under way may begin some
	defer others.Wait()
	defer stopOthers()
	r.begin(otherContext, &others, c)
	others.Go(func() {
		if err := control.Serve(otherContext, socket, r); err != nil {
			log.Error("the control socket does not answer any more", "err", err)
		}
	})
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, handOverSignal)
	defer signal.Stop(signals)
	stop := func(cause error) {
		tellSystemd(log, daemon.SdNotifyStopping)
		stopDirector(cause)
	}
	others.Go(func() { handleSignals(otherContext, signals, stop, r.ask) })
	log.Info("lvsd starts", "version", version(), "config", flags.file.path, "pid", os.Getpid())
	return r.Run(directorContext)
}

// handleSignals serves signals until ctx ends.
func handleSignals(ctx context.Context, signals <-chan os.Signal, stop func(cause error), reload func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			switch s {
			case unix.SIGHUP:
				reload()
			case handOverSignal:
				stop(director.ErrHandOver)
			default:
				stop(fmt.Errorf("signal %s", s))
			}
		}
	}
}

// tellSystemd reports a state, if systemd started this process.
func tellSystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", "state", state, "err", err)
	}
}

// lockRunDirectory makes the directory and keeps a second daemon out of it. The
// kernel releases the lock however this process ends.
func lockRunDirectory(path string) (unlock func(), err error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another lvsd uses %s", path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, &fs.PathError{Op: "flock", Path: lockName, Err: err})
	}
	return func() { _ = file.Close() }, nil
}
