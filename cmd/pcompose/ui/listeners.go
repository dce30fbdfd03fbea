package ui

import (
	"fmt"
	"net"
	"strconv"
)

// Listener is a port that a container listens on, or should.
type Listener struct {
	Name, Service, Cell string
	Protocol            string
	// Address is "" where nobody listens.
	Address string
	Port    uint16
	PID     int
	Process string
	// Published are the host ports that lead there.
	Published []string
	// Status is what is to be said of it, against the file.
	Status string
}

// ListensOn is where, in one word.
func (l Listener) ListensOn() string {
	if l.Address == "" {
		return fmt.Sprintf("- (%d/%s)", l.Port, l.Protocol)
	}
	return net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port))) + "/" + l.Protocol
}

// By is the process that listens.
func (l Listener) By() string {
	if l.PID == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%d)", l.Process, l.PID)
}

// Headers are the titles of the fields in a table.
func (Listener) Headers() map[string]string {
	return map[string]string{
		"Name": "NAME", "Service": "SERVICE", "Cell": "CELL", "Protocol": "PROTOCOL", "Address": "ADDRESS", "Port": "PORT", "PID": "PID",
		"Process": "PROCESS", "Published": "PUBLISHED", "Status": "AGAINST THE FILE", "ListensOn": "LISTENS ON", "By": "PROCESS",
	}
}

// ShowListeners prints listeners: as a table, as JSON (one object a line), or by a Go template.
func ShowListeners(u *UI, format string, list []Listener) error {
	switch format {
	case "json":
		for _, l := range list {
			if err := u.JSONLine(l); err != nil {
				return err
			}
		}
		return nil
	case "", "table":
		format = "table {{.Name}}\t{{.Cell}}\t{{.ListensOn}}\t{{.By}}\t{{.Status}}"
	}
	return Template(u, format, Listener{}.Headers(), list)
}
