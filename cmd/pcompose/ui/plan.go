package ui

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/planner"
)

// Plan prints a plan as a table of its steps with their reasons, and what the user should know besides.
func (u *UI) Plan(plan *planner.Plan) error {
	if plan.Empty() {
		u.Line("%s: nothing to do", plan.Project)
		u.notes(plan)
		return nil
	}
	rows := make([][]string, len(plan.Steps))
	for i, s := range plan.Steps {
		d := s.Describe()
		var after []string
		for _, id := range s.After {
			after = append(after, strconv.Itoa(id))
		}
		for _, id := range s.Past { // may fail
			after = append(after, fmt.Sprintf("(%d)", id))
		}
		why := s.Why
		if s.Loses != "" {
			why += " (loses " + s.Loses + ")"
		}
		what := d.Verb
		if d.Detail != "" {
			what += " " + d.Detail
		}
		rows[i] = []string{strconv.Itoa(s.ID), d.Object(), what, strings.Join(after, ","), why}
	}
	if err := u.Table(Compact, []string{"STEP", "OBJECT", "ACTION", "AFTER", "WHY"}, rows); err != nil {
		return err
	}
	u.notes(plan)
	return nil
}

func (u *UI) notes(plan *planner.Plan) {
	for _, n := range plan.Notes {
		u.Line("note: %s", n)
	}
}

// PlanJSON prints a plan as one JSON object.
func (u *UI) PlanJSON(plan *planner.Plan) error {
	steps, notes := plan.Steps, plan.Notes
	if steps == nil {
		steps = []planner.Step{}
	}
	if notes == nil {
		notes = []planner.Note{}
	}
	if err := u.JSON(struct {
		Project string         `json:"project"`
		Steps   []planner.Step `json:"steps"`
		Notes   []planner.Note `json:"notes"`
	}{plan.Project, steps, notes}); err != nil {
		return fmt.Errorf("cannot print the plan: %w", err)
	}
	return nil
}
