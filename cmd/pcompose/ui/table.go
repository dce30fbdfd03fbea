package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"text/template"
)

// Column widths as docker's tables have them: top is tight, ps narrow, the others wide. Plans are compact.
const (
	Tight   = 4
	Compact = 6
	Narrow  = 10
	Wide    = 20
)

// Table prints rows under their headers, columns at least minimum wide and three spaces apart; two where they are tight.
func (u *UI) Table(minimum int, headers []string, rows [][]string) error {
	apart := 3
	if minimum == Tight {
		apart = 2
	}
	w := tabwriter.NewWriter(u.Out, minimum, 1, apart, ' ', 0)
	fmt.Fprintln(w, strings.Join(headers, "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// Template prints each row through a Go template, as docker's --format has it: "table " in front aligns columns
// and prints the fields' headers above.
func Template[T any](u *UI, format string, headers map[string]string, rows []T) error {
	format = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(format)
	body, aligned := strings.CutPrefix(format, "table ")
	t, err := template.New("format").Funcs(functions()).Option("missingkey=error").Parse(strings.TrimSpace(body))
	if err != nil {
		return fmt.Errorf("cannot read format %q: %w", format, err)
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, Narrow, 1, 3, ' ', 0)
	if !aligned {
		w = nil
	}
	print := func(v any) error {
		var line bytes.Buffer
		if err := t.Execute(&line, v); err != nil {
			return fmt.Errorf("cannot print with format %q: %w", format, err)
		}
		line.WriteByte('\n')
		if w != nil {
			_, err = w.Write(line.Bytes())
			return err
		}
		_, err = out.Write(line.Bytes())
		return err
	}
	if aligned {
		if err := print(headings(headers)); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if err := print(row); err != nil {
			return err
		}
	}
	if w != nil {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return u.Text(out.Bytes())
}

// headings are the headers of a table, which a template asks for as it asks for fields.
type headings map[string]string

// Label is the header of a label's column: the last part of its name, as docker has it.
func (headings) Label(name string) string {
	return strings.NewReplacer("-", " ", "_", " ").Replace(name[strings.LastIndex(name, ".")+1:])
}

// functions are those docker's templates have.
func functions() template.FuncMap {
	return template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(b), err
		},
		"join":  strings.Join,
		"split": strings.Split,
		"lower": strings.ToLower,
		"upper": strings.ToUpper,
		"truncate": func(s string, n int) string {
			if r := []rune(s); n >= 0 && len(r) > n {
				return string(r[:n])
			}
			return s
		},
	}
}
