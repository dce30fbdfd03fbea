// Package planner is what must happen: the steps from an observed pod to a desired one, each with its reason.
//
// A plan is a value. Making one changes nothing; carrying it out (engine/execute) decides nothing. Every
// command that changes something makes a plan and runs it, so what `pcompose plan` prints is what happens.
package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Plan is a list of steps in an order in which they could be carried out one by one.
type Plan struct {
	Project string
	// Pod is what Up makes of the pod: what was desired, with the cells that were planned.
	Pod pod.Spec
	// During is the pod while containers and their successors both run; nil where it is never so.
	During *pod.Spec
	Steps  []Step
	// Notes are for the user to know and need no step: containers of services that the file no longer has.
	Notes []Note
}

// Note tells the user something that needs no step.
type Note struct {
	Text string
	// Service and Port say which published port of the file it is about; the zero values are none.
	Service string
	Port    pod.Port
}

// String is the text.
func (n Note) String() string { return n.Text }

// MarshalText is the text, too.
func (n Note) MarshalText() ([]byte, error) { return []byte(n.Text), nil }

// Step is one action of a plan.
type Step struct {
	// ID counts from 1 and is unique in the plan.
	ID     int
	Action Action
	// Why is the reason, in words for the user.
	Why string
	// After are the steps that must have succeeded before this one starts; each has a smaller ID.
	After []int
	// Past are steps that must have ended before this one starts, well or not; each has a smaller ID.
	Past []int
	// Loses says which data the step destroys; "" for none.
	Loses string
}

// Empty says whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Loses lists what data the plan destroys, in the order of its steps.
func (p *Plan) Loses() []string {
	var lost []string
	for _, s := range p.Steps {
		if s.Loses != "" {
			lost = append(lost, s.Loses)
		}
	}
	return lost
}

// String prints a step a line: what it waits for, its number, the object, the verb and the reason. Steps in
// round brackets may fail.
//
//	[1 2] -> #3 container/shop-web-1 create: image changed
//	[3 (5)] -> #6 container/shop-web-1 start: created
func (p *Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

// String is the step's line in the plan.
func (s Step) String() string {
	d := s.Describe()
	var waits []string
	for _, id := range s.After {
		waits = append(waits, strconv.Itoa(id))
	}
	for _, id := range s.Past {
		waits = append(waits, fmt.Sprintf("(%d)", id))
	}
	line := fmt.Sprintf("%v -> #%d %s %s", waits, s.ID, d.Object(), d.Verb)
	if d.Detail != "" {
		line += " " + d.Detail
	}
	line += ": " + s.Why
	if s.Loses != "" {
		line += " (loses " + s.Loses + ")"
	}
	return line
}

// Describe is how the step's action shows.
func (s Step) Describe() Description { return s.Action.describe() }

// MarshalJSON prints what String prints, as an object.
func (s Step) MarshalJSON() ([]byte, error) {
	d, after := s.Describe(), s.After
	if after == nil {
		after = []int{}
	}
	return json.Marshal(struct {
		ID     int    `json:"id"`
		After  []int  `json:"after"`
		Past   []int  `json:"past,omitempty"`
		Object string `json:"object"`
		Verb   string `json:"verb"`
		Detail string `json:"detail,omitempty"`
		Why    string `json:"why"`
		Loses  string `json:"loses,omitempty"`
	}{s.ID, after, s.Past, d.Object(), d.Verb, d.Detail, s.Why, s.Loses})
}

// add appends a step and returns its ID. Steps that do not exist (0) and doubles in after are left out.
func (p *Plan) add(a Action, why string, after ...int) int {
	id := len(p.Steps) + 1
	p.Steps = append(p.Steps, Step{ID: id, Action: a, Why: why, After: unique(after)})
	return id
}

// past makes the newest step wait for the end of others, whatever it is. What it needs anyway is left out.
func (p *Plan) past(ids ...int) {
	s := &p.Steps[len(p.Steps)-1]
	s.Past = slices.DeleteFunc(unique(ids), func(id int) bool { return slices.Contains(s.After, id) })
}

// remove adds the removal of a container, and says what is lost with it.
func (p *Plan) remove(c pod.ContainerStatus, volumes bool, why string, after ...int) int {
	id := p.add(RemoveContainer{Name: c.Name, Volumes: volumes}, why, after...)
	if volumes && len(c.Anonymous) > 0 {
		p.loses("the data in the anonymous volumes of " + c.Name)
	}
	return id
}

// loses marks the newest step as destroying data.
func (p *Plan) loses(what string) { p.Steps[len(p.Steps)-1].Loses = what }

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, Note{Text: fmt.Sprintf(format, args...)})
}
