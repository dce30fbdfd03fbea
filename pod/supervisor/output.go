package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/logs"
)

// output is a running container's stdin, stdout and stderr. The keeper holds the supervisor's ends too, so that
// a dead supervisor loses nothing that the container writes.
type output struct {
	id string
	// log is nil where output is dropped.
	log *logs.Log
	// sources are the ends that the supervisor reads: two pipes, or a terminal's master.
	sources map[logs.Stream]*os.File
	// stdin, stdout and stderr are the container's ends, closed when it has them.
	stdin, stdout, stderr *os.File
	// input is the other end of stdin, kept open where the file says stdin_open.
	input *os.File
	// stop ends the pumps.
	stop  context.CancelFunc
	pumps sync.WaitGroup
}

// keys of the keeper's files of a container.
func outKey(id string) string { return "out/" + id }
func errKey(id string) string { return "err/" + id }
func inKey(id string) string  { return "in/" + id }

// newOutput opens a container's log and makes its pipes; a terminal comes from the runtime, see begin.
func newOutput(k *keeper.Client, b control.Bundle) (o *output, err error) {
	o = &output{id: b.ID, sources: map[logs.Stream]*os.File{}, stop: func() {}}
	defer func() {
		if err != nil {
			o.discard(k)
		}
	}()
	if o.log, err = openLog(b); err != nil || b.Container.TTY {
		return o, err
	}
	if o.sources[logs.Stdout], o.stdout, err = logs.NewPipe(); err != nil {
		return o, err
	}
	if o.sources[logs.Stderr], o.stderr, err = logs.NewPipe(); err != nil {
		return o, err
	}
	if err := errors.Join(o.stdout.Chown(b.UID, b.GID), o.stderr.Chown(b.UID, b.GID)); err != nil {
		return o, err
	}
	if b.Container.Stdin {
		if o.stdin, o.input, err = os.Pipe(); err != nil {
			return o, err
		}
		return o, o.stdin.Chown(b.UID, b.GID)
	}
	return o, nil
}

func openLog(b control.Bundle) (*logs.Log, error) {
	if b.Container.Log.Driver == pod.LogNone {
		return nil, nil
	}
	return logs.Open(logs.Config{Dir: b.LogDir, MaxSize: b.Container.Log.MaxSize, MaxFiles: b.Container.Log.MaxFiles})
}

// begin gives the keeper the supervisor's ends and starts to store: the container has its own ends by now.
func (o *output) begin(ctx context.Context, k *keeper.Client, console *os.File) error {
	o.closeTheirs()
	if console != nil {
		o.sources[logs.Stdout] = console
	}
	var err error
	for stream, key := range map[logs.Stream]string{logs.Stdout: outKey(o.id), logs.Stderr: errKey(o.id)} {
		if f := o.sources[stream]; f != nil {
			_, putErr := k.Put(key, f)
			err = errors.Join(err, putErr)
		}
	}
	if o.input != nil {
		_, putErr := k.Put(inKey(o.id), o.input)
		err = errors.Join(err, putErr)
	}
	o.pump(ctx)
	return err
}

// pump starts a goroutine for each source.
func (o *output) pump(ctx context.Context) {
	ctx, o.stop = context.WithCancel(ctx)
	for stream, f := range o.sources {
		o.pumps.Go(func() {
			if o.log == nil {
				report(logs.Discard(ctx, f))
				return
			}
			report(o.log.Pump(ctx, stream, f))
		})
	}
}

// drain stops the pumps and stores what is in the pipes now: the container's first process has ended, and
// whatever it left behind may hold them open for ever.
func (o *output) drain() {
	o.stop()
	o.pumps.Wait()
	for _, stream := range []logs.Stream{logs.Stdout, logs.Stderr} {
		if f := o.sources[stream]; f != nil && o.log != nil {
			report(o.log.Drain(stream, f))
		}
	}
}

// report logs why output was not stored: nobody waits for a pump's error. That it was stopped is none.
func report(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "supervisor: %v\n", err)
	}
}

// close lets go of everything after drain.
func (o *output) close(k *keeper.Client) {
	o.stop()
	o.closeTheirs()
	for _, f := range o.sources {
		f.Close()
	}
	if o.input != nil {
		o.input.Close()
	}
	if o.log != nil {
		o.log.Close()
	}
	for _, key := range []string{outKey(o.id), errKey(o.id), inKey(o.id)} {
		_ = k.Drop(key) // fails only where the keeper has gone, and the files with it
	}
}

// closeInput lets go of stdin, so that it ends with whoever has the last copy of it.
func (o *output) closeInput(k interface{ Drop(key string) error }) {
	if o.input != nil {
		o.input.Close()
		o.input = nil
	}
	_ = k.Drop(inKey(o.id)) // as in close
}

// discard lets go without storing: what is in the pipes is the runtime's own message, which comes as an error.
func (o *output) discard(k *keeper.Client) {
	o.stop()
	o.pumps.Wait()
	o.close(k)
}

func (o *output) closeTheirs() {
	for _, f := range []*os.File{o.stdin, o.stdout, o.stderr} {
		if f != nil {
			f.Close()
		}
	}
	o.stdin, o.stdout, o.stderr = nil, nil, nil
}

// adoptOutput goes on storing a container's output from the files that the keeper held.
func adoptOutput(ctx context.Context, b control.Bundle, kept map[string][]*os.File) *output {
	log, err := openLog(b)
	if err != nil {
		// What is not read is not lost, but holds the container up: its program matters more than its words.
		report(fmt.Errorf("output of container %q is dropped: %w", b.Container.Name, err))
	}
	o := &output{id: b.ID, log: log, sources: map[logs.Stream]*os.File{}, stop: func() {}}
	if f := kept[outKey(b.ID)]; len(f) == 1 {
		o.sources[logs.Stdout] = f[0]
	}
	if f := kept[errKey(b.ID)]; len(f) == 1 {
		o.sources[logs.Stderr] = f[0]
	}
	if f := kept[inKey(b.ID)]; len(f) == 1 {
		o.input = f[0]
	}
	o.pump(ctx)
	return o
}

// discardKept lets go of what a start that was interrupted had given to the keeper.
func discardKept(k *keeper.Client, id string, kept map[string][]*os.File) {
	for _, key := range []string{outKey(id), errKey(id), inKey(id)} {
		for _, f := range kept[key] {
			f.Close()
		}
		_ = k.Drop(key) // as in close
	}
}
