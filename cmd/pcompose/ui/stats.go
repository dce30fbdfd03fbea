package ui

import (
	"fmt"
	"strconv"

	"github.com/docker/go-units"
)

// Stats is what a container uses, by docker's names and in docker's words.
type Stats struct {
	BlockIO   string
	CPUPerc   string
	Container string
	ID        string
	MemPerc   string
	MemUsage  string
	Name      string
	NetIO     string
	PIDs      string
}

// Used is what Stats are made from: bytes, and percent of one processor.
type Used struct {
	CPU                                                float64
	Memory, Limit, PIDs, Received, Sent, Read, Written uint64
}

// NewStats fills in what is used.
func NewStats(s Stats, u Used) Stats {
	share := 0.0
	if u.Limit > 0 {
		share = 100 * float64(u.Memory) / float64(u.Limit)
	}
	s.CPUPerc, s.MemPerc = fmt.Sprintf("%.2f%%", u.CPU), fmt.Sprintf("%.2f%%", share)
	s.MemUsage = units.BytesSize(float64(u.Memory)) + " / " + units.BytesSize(float64(u.Limit))
	s.NetIO, s.BlockIO = moved(u.Received, u.Sent), moved(u.Read, u.Written)
	s.PIDs = strconv.FormatUint(u.PIDs, 10)
	return s
}

func moved(in, out uint64) string {
	return units.HumanSizeWithPrecision(float64(in), 3) + " / " + units.HumanSizeWithPrecision(float64(out), 3)
}

// Headers are the titles of the fields in a table.
func (Stats) Headers() map[string]string {
	return map[string]string{
		"BlockIO": "BLOCK I/O", "CPUPerc": "CPU %", "Container": "CONTAINER", "ID": "CONTAINER ID", "MemPerc": "MEM %",
		"MemUsage": "MEM USAGE / LIMIT", "Name": "NAME", "NetIO": "NET I/O", "PIDs": "PIDS",
	}
}

// ShowStats prints what containers use: as a table, as JSON (one object a line), or by a Go template.
func ShowStats(u *UI, format string, list []Stats) error {
	switch format {
	case "json":
		for _, s := range list {
			if err := u.JSONLine(s); err != nil {
				return err
			}
		}
		return nil
	case "", "table":
		format = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
	}
	return Template(u, format, Stats{}.Headers(), list)
}
