// Package scope is the part of the tree of cgroups that systemd gives a user's pod.
//
// A user's login session may make no cgroups. The user's own systemd may, and is asked to put a process into a scope
// that it leaves to that process (Delegate=, systemd.resource-control(5)). The scope is there as long as a process is in it.
package scope

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	service   = "org.freedesktop.systemd1"
	object    = dbus.ObjectPath("/org/freedesktop/systemd1")
	manager   = service + ".Manager"
	unitThere = service + ".UnitExists"
	// slice is where scopes are, as podman's.
	slice  = "user.slice"
	suffix = ".scope"
	// answersWithin is how long systemd may take: a bus that hangs must not hold up a pod that can do without. It starts
	// a scope in milliseconds, and asks the system's systemd where the process is not among its own.
	answersWithin = 2 * time.Second
)

// errSilent is about a bus that takes requests and answers none.
var errSilent = fmt.Errorf("it does not answer within %v", answersWithin)

// Systemd is a connection to a user's systemd. It is for one goroutine.
type Systemd struct {
	conn *dbus.Conn
	// end ends the connection, and so whoever waits for an answer.
	end context.CancelFunc
	// Cgroup is that of systemd itself, below which the user may make others.
	Cgroup string
}

// Connect finds the systemd of a user: by $DBUS_SESSION_BUS_ADDRESS, else by the bus or systemd's own socket in
// $XDG_RUNTIME_DIR, which is /run/user/UID where it is not set. It fails within two seconds where none answers.
func Connect(uid int, getenv func(string) string) (*Systemd, error) {
	dir := getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(uid))
	}
	addresses := []string{"unix:path=" + dbus.EscapeBusAddressValue(dir+"/bus"), "unix:path=" + dbus.EscapeBusAddressValue(dir+"/systemd/private")}
	if bus := getenv("DBUS_SESSION_BUS_ADDRESS"); bus != "" {
		addresses = append([]string{bus}, addresses...)
	}
	var errs []error
	for _, address := range addresses {
		s, err := connect(address, uid)
		if err == nil {
			return s, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
		if errors.Is(err, errSilent) {
			break // one that hangs has taken the time of all
		}
	}
	return nil, fmt.Errorf("cannot reach the user's systemd: %w", errors.Join(errs...))
}

func connect(address string, uid int) (*Systemd, error) {
	ctx, end := context.WithCancel(context.Background())
	s := &Systemd{end: end}
	err := s.within(func() (err error) {
		if s.conn, err = dbus.Dial(address, dbus.WithContext(ctx)); err != nil {
			return err
		}
		// The user's ID as the bus knows it, not that in the user namespace.
		if err = s.conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(uid))}); err != nil {
			return err
		}
		if !strings.HasSuffix(address, "/systemd/private") { // which is no bus
			if err = s.conn.Hello(); err != nil {
				return err
			}
			if err = s.conn.AddMatchSignal(dbus.WithMatchInterface(manager), dbus.WithMatchMember("JobRemoved")); err != nil {
				return err
			}
		}
		cgroup, err := s.systemd().GetProperty(manager + ".ControlGroup")
		if err == nil {
			err = cgroup.Store(&s.Cgroup)
		}
		return err
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the connection.
func (s *Systemd) Close() {
	if s.conn != nil {
		_ = s.conn.Close() // nothing of it is to be kept
	}
	s.end()
}

func (s *Systemd) systemd() dbus.BusObject { return s.conn.Object(service, object) }

// within does what waits for answers, and ends the connection where none comes.
func (s *Systemd) within(do func() error) error {
	late := time.AfterFunc(answersWithin, s.end)
	err := do()
	if !late.Stop() {
		err = errSilent
	}
	return err
}

// Path is the cgroup that the scope of a name has in that of a user's systemd.
func Path(systemd, name string) string { return filepath.Join(systemd, slice, name+suffix) }

// Is says whether a cgroup is a scope.
func Is(cgroup string) bool { return strings.HasSuffix(cgroup, suffix) }

// Enter puts a process into a scope, given its cgroup, and makes the scope where it is not there. It returns when that is
// done. The scope has no limits of its own, and goes, also when it failed, with its last process.
func (s *Systemd) Enter(cgroup, description string, pid int) error {
	name := filepath.Base(cgroup)
	err := s.within(func() error {
		jobs := make(chan *dbus.Signal, 64)
		s.conn.Signal(jobs)
		defer s.conn.RemoveSignal(jobs)
		if err := s.systemd().Call(manager+".Subscribe", 0).Err; err != nil {
			return err
		}
		pids := []uint32{uint32(pid)}
		properties := []property{
			{"Description", dbus.MakeVariant(description)}, {"Slice", dbus.MakeVariant(slice)}, {"Delegate", dbus.MakeVariant(true)},
			{"PIDs", dbus.MakeVariant(pids)}, {"CollectMode", dbus.MakeVariant("inactive-or-failed")},
			// systemd's default bounds all containers together.
			{"TasksMax", dbus.MakeVariant(uint64(math.MaxUint64))},
		}
		var job dbus.ObjectPath
		err := s.systemd().Call(manager+".StartTransientUnit", 0, name, "fail", properties, []auxiliary{}).Store(&job)
		if told := (dbus.Error{}); errors.As(err, &told) && told.Name == unitThere {
			// Containers of the pod live in it, whose keeper was killed.
			return s.systemd().Call(manager+".AttachProcessesToUnit", 0, name, "", pids).Err
		}
		if err != nil {
			return err
		}
		return ended(jobs, job)
	})
	if err != nil {
		return fmt.Errorf("cannot have systemd make %s: %w", name, err)
	}
	return nil
}

type property struct {
	Name  string
	Value dbus.Variant
}

type auxiliary struct {
	Name       string
	Properties []property
}

// ended waits for the end of a job. The channel is closed with the connection.
func ended(jobs <-chan *dbus.Signal, job dbus.ObjectPath) error {
	for signal := range jobs {
		var id uint32
		var path dbus.ObjectPath
		var unit, result string
		if signal.Name != manager+".JobRemoved" || dbus.Store(signal.Body, &id, &path, &unit, &result) != nil || path != job {
			continue
		}
		if result != "done" {
			return fmt.Errorf("its job is %s (journalctl --user -u %s)", result, unit)
		}
		return nil
	}
	return errors.New("the connection has ended")
}
