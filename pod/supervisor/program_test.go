package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/runtime"
)

// runtimeProgram is an OCI runtime with runc's command line whose containers are plain processes of the host. As with
// a real one, and unlike with runtimetest.Fake, they are orphans: the keeper's children, which outlive a supervisor, and
// what is known of them is in files. It refuses a create while ROOT/refuse exists, and hangs in one for as long as
// ROOT/hang does.
func runtimeProgram(args []string) int {
	p := &program{options: map[string]string{}}
	for i := 0; i < len(args); i++ {
		switch a := args[i]; a {
		case "--root", "--log", "--log-format", "--bundle", "--pid-file", "--process":
			i++
			p.options[a] = args[i]
		case "--force":
			p.options[a] = "yes"
		default:
			p.words = append(p.words, a)
		}
	}
	if p.words[0] == "kill" { // the supervisor signals by itself
		return p.fail(errors.New("kill is not known here"))
	}
	p.dir = filepath.Join(p.options["--root"], p.words[1])
	code, err := map[string]func() (int, error){
		"create": p.create, "start": p.start, "delete": p.delete, "state": p.state, "exec": p.exec,
	}[p.words[0]]()
	if err != nil {
		return p.fail(err)
	}
	return code
}

type program struct {
	options map[string]string
	words   []string
	dir     string
}

func (p *program) fail(err error) int {
	line, _ := json.Marshal(map[string]string{"level": "error", "msg": err.Error()})
	os.WriteFile(p.options["--log"], append(line, '\n'), 0o600)
	return 1
}

func (p *program) create() (int, error) {
	root := p.options["--root"]
	if _, err := os.Stat(filepath.Join(root, "refuse")); err == nil {
		return 0, errors.New("refused")
	}
	var spec specs.Spec
	if err := readJSON(filepath.Join(p.options["--bundle"], "config.json"), &spec); err != nil {
		return 0, err
	}
	if _, err := exec.LookPath(spec.Process.Args[0]); err != nil {
		return 0, fmt.Errorf("exec: %q: executable file not found in $PATH", spec.Process.Args[0])
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return 0, err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "hang")); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	gate := filepath.Join(p.dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		return 0, err
	}
	// As with a real one, a container whose create is killed before it is known ends by itself: by the pipe's end.
	known, knows, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	line := `read -r _ <&3 || exit; exec 3<&-; read -r _ < "$0"; exec "$@"`
	c := exec.Command("/bin/sh", append([]string{"-c", line, gate}, spec.Process.Args...)...)
	c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{known}
	c.Env, c.Dir = spec.Process.Env, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := inside(spec.Linux.Namespaces[0].Path, c.Start); err != nil {
		return 0, err
	}
	start, err := keeper.StartTime(c.Process.Pid)
	if err != nil {
		return 0, err
	}
	pid := strconv.Itoa(c.Process.Pid)
	if err := os.WriteFile(filepath.Join(p.dir, "pid"), fmt.Appendf(nil, "%s %d", pid, start), 0o600); err != nil {
		return 0, err
	}
	_, err = knows.WriteString("\n")
	return 0, errors.Join(err, os.WriteFile(p.options["--pid-file"], []byte(pid), 0o600))
}

// inside does something in a network namespace: a child that is started there lives there, and keeps it alive.
func inside(netns string, do func() error) error {
	goruntime.LockOSThread() // for good: this process is about to end
	f, err := os.Open(netns)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return do()
}

func (p *program) start() (int, error) {
	gate, err := os.OpenFile(filepath.Join(p.dir, "gate"), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer os.Remove(gate.Name())
	_, err = gate.WriteString("go\n")
	for pid := p.pid(); err == nil && pid != 0 && pid == p.pid(); { // until it has read, and is no shell any more
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if !gateKeeper(name, gate.Name()) {
			break
		}
	}
	return 0, err
}

// gateKeeper says whether a command line is of a container that has not begun.
func gateKeeper(cmdline []byte, gate string) bool {
	argv := splitZero(cmdline)
	return len(argv) > 3 && argv[3] == gate
}

func splitZero(b []byte) (words []string) {
	start := 0
	for i, c := range b {
		if c == 0 {
			words = append(words, string(b[start:i]))
			start = i + 1
		}
	}
	return words
}

// pid of the first process, 0 once it has ended.
func (p *program) pid() int {
	var pid int
	var start uint64
	b, _ := os.ReadFile(filepath.Join(p.dir, "pid"))
	if n, _ := fmt.Sscan(string(b), &pid, &start); n != 2 {
		return 0
	}
	if now, err := keeper.StartTime(pid); err != nil || now != start {
		return 0
	}
	return pid
}

func (p *program) delete() (int, error) {
	pid := p.pid()
	if pid != 0 && p.options["--force"] == "" {
		return 0, errors.New("it is running")
	}
	if pid != 0 {
		runtime.KillBelow(pid)
	}
	var group int // its processes are one group, as those of a real container are one cgroup
	b, _ := os.ReadFile(filepath.Join(p.dir, "pid"))
	if n, _ := fmt.Sscan(string(b), &group); n == 1 && group > 1 {
		syscall.Kill(-group, syscall.SIGKILL)
	}
	return 0, os.RemoveAll(p.dir)
}

func (p *program) state() (int, error) {
	status := "stopped"
	if p.pid() != 0 {
		status = "running"
	}
	return 0, json.NewEncoder(os.Stdout).Encode(map[string]any{"id": p.words[1], "status": status, "pid": p.pid()})
}

func (p *program) exec() (int, error) {
	var process specs.Process
	if err := readJSON(p.options["--process"], &process); err != nil {
		return 0, err
	}
	if _, err := exec.LookPath(process.Args[0]); err != nil {
		return 0, fmt.Errorf("exec: %q: executable file not found in $PATH", process.Args[0])
	}
	c := exec.Command(process.Args[0], process.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr, c.Env = os.Stdin, os.Stdout, os.Stderr, process.Env
	err := c.Start()
	if err == nil {
		err = os.WriteFile(p.options["--pid-file"], []byte(strconv.Itoa(c.Process.Pid)), 0o600)
	}
	var exit *exec.ExitError
	if err = errors.Join(err, c.Wait()); errors.As(err, &exit) {
		return exitCode2(exit), nil
	}
	return 0, err
}

func exitCode2(e *exec.ExitError) int {
	if ws := e.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return e.ExitCode()
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
