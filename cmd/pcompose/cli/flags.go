package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
)

// graceFlag declares -t, seconds to stop in; a target that stays nil leaves it to the file.
func graceFlag(f *pflag.FlagSet, target **time.Duration) {
	f.VarP(&seconds{target}, "timeout", "t", "Seconds a container has to stop before it is killed")
}

// seconds is a flag of whole seconds, nil unless given. -1 waits without end, as docker has it.
type seconds struct{ target **time.Duration }

func (s *seconds) Set(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < -1 {
		return fmt.Errorf("%q is not a number of seconds", value)
	}
	d := time.Duration(n) * time.Second
	if n == -1 {
		d = math.MaxInt64
	}
	*s.target = &d
	return nil
}

func (s *seconds) String() string { return "" }

// Type is what help calls the value.
func (s *seconds) Type() string { return "seconds" }

// scaleFlag declares --scale SERVICE=NUM.
func scaleFlag(f *pflag.FlagSet, target *map[string]int) {
	f.Var(&scales{target}, "scale", "Number of containers of a service, SERVICE=NUM; overrides the file")
}

type scales struct{ target *map[string]int }

func (s *scales) Set(value string) error {
	service, number, ok := strings.Cut(value, "=")
	n, err := strconv.Atoi(number)
	if !ok || service == "" || err != nil || n < 0 {
		return fmt.Errorf("%q is not SERVICE=NUM", value)
	}
	if *s.target == nil {
		*s.target = map[string]int{}
	}
	(*s.target)[service] = n
	return nil
}

func (s *scales) String() string { return "" }

// Type is what help calls the value.
func (s *scales) Type() string { return "SERVICE=NUM" }

// moment is a flag that is a time: RFC 3339, a date, Unix seconds, or how long ago ("10m").
type moment struct {
	target *time.Time
	now    func() time.Time
}

func (m *moment) Set(value string) error {
	if ago, err := time.ParseDuration(value); err == nil {
		*m.target = m.now().Add(-ago)
		return nil
	}
	if unix, err := strconv.ParseFloat(value, 64); err == nil {
		*m.target = time.Unix(0, int64(unix*1e9))
		return nil
	}
	if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
		*m.target = t
		return nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			*m.target = t
			return nil
		}
	}
	return fmt.Errorf("%q is neither a time (2026-01-02T15:04:05Z) nor a duration (42m)", value)
}

func (m *moment) String() string { return "" }

// Type is what help calls the value.
func (m *moment) Type() string { return "time" }

// lowerNames lets flags be written in any case.
func lowerNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ToLower(name))
}

// size is a flag of a number of bytes, as in 512m.
type size int64

func (s *size) Set(value string) error {
	n, err := units.RAMInBytes(value)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no size, as in 512m", value)
	}
	*s = size(n)
	return nil
}

func (s *size) String() string { return "" }

// Type is what help calls the value.
func (s *size) Type() string { return "bytes" }
