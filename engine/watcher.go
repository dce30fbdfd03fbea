package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"golang.org/x/sys/unix"
)

// LockWatch says that this process watches the project's files. The error says who does already, for as long as patience.
func LockWatch(ctx context.Context, p *Project, patience time.Duration) (unlock func(), err error) {
	return p.engine.state.LockWatch(ctx, p.name, p.engine.cfg.Command, patience)
}

// beginWatch has the supervisor run a program that watches files; nil ends the one that does. Where the pod has gone, that
// has ended with it.
func beginWatch(ctx context.Context, p *Project, w *pod.Watcher) error {
	if w != nil {
		if err := SetWatched(p, w.Since); err != nil {
			return err
		}
	}
	_, err := p.client().ask(ctx, control.Request{Attend: &control.Attend{Watcher: w, LogDir: p.engine.state.LogDir(p.name, pod.WatchLog)}})
	if errors.Is(err, errDown) && w == nil {
		return nil
	}
	return err
}

// watched is the file whose time says up to when all changes of files have been dealt with: a watcher that was killed is
// followed by one that begins there.
func watched(p *Project) string { return filepath.Join(p.runDir(), "watched") }

// SetWatched remembers up to when all changes have been dealt with. The file is not synced: it does not outlive the machine.
func SetWatched(p *Project, at time.Time) error {
	err := os.WriteFile(watched(p), nil, 0o600)
	if err == nil {
		err = os.Chtimes(watched(p), at, at)
	}
	return err
}

// Watched is what SetWatched remembered; the zero time where nothing was.
func Watched(p *Project) (time.Time, error) {
	st, err := os.Stat(watched(p))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return st.ModTime(), nil
}

// HasWatchLog says whether a watcher in the background has written something.
func HasWatchLog(p *Project) bool {
	_, err := os.Stat(p.engine.state.LogDir(p.name, pod.WatchLog))
	return err == nil
}

// attendantFD is the descriptor by which a program that the supervisor runs hears of it.
const attendantFD = 3

// Attended is a context that ends with the supervisor that runs this program beside its containers, and the way to tell it
// that the program has begun, or cannot; nothing but the first is heard.
func Attended(ctx context.Context) (_ context.Context, begun func(error), err error) {
	unix.CloseOnExec(attendantFD)
	kind, err := unix.GetsockoptInt(attendantFD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, nil, errors.New("cannot watch in the background by itself: `pcompose watch -d` has the pod's supervisor do so")
	}
	if err := unix.SetNonblock(attendantFD, true); err != nil {
		return nil, nil, err
	}
	link := os.NewFile(attendantFD, "supervisor")
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = link.Read(make([]byte, 1)) // the other end says nothing: this is its end
		cancel(ErrUnattended)
	}()
	return ctx, func(failure error) {
		text := control.Begun
		if failure != nil {
			text = failure.Error()
		}
		fmt.Fprint(link, text[:min(len(text), 4096)])
	}, nil
}

// ErrUnattended is the cause of the end of Attended's context.
var ErrUnattended = errors.New("the supervisor has ended the watch")
