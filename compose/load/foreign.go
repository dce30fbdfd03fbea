package load

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/compose"
)

// foreign is an error of compose-go that no check of ours foresaw, at the best place its text gives away: the path of an
// attribute, else the name of a service.
func foreign(err error, places *compose.Places) compose.Problem {
	if m := regexp.MustCompile(`failed to read (\S+): line (\d+): (.+)`).FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[2])
		return compose.Problem{At: compose.Position{File: m[1], Line: line}, Message: m[3], Hint: "write NAME=VALUE, one a line"}
	}
	// mapstructure says what failed only in the lines after its first.
	all := strings.TrimPrefix(err.Error(), "decoding failed due to the following error(s):")
	text, _, _ := strings.Cut(strings.TrimSpace(all), "\n")
	for _, suffix := range []string{": invalid compose project", ": not found"} {
		text = strings.TrimSuffix(text, suffix)
	}
	p := compose.Problem{At: places.At(""), Message: text}
	path := regexp.MustCompile(`(?:services|volumes|networks|secrets|configs)\.[\w.\[\]-]+`).FindString(text)
	if path == "" {
		// mapstructure names fields as 'services[web].ports[0].target'.
		if m := regexp.MustCompile(`'(\w+)\[([\w.-]+)\]([\w.\[\]]*)'`).FindStringSubmatch(text); m != nil {
			path = m[1] + "." + m[2] + m[3]
		}
	}
	if m := regexp.MustCompile(`service "([^"]+)"`).FindStringSubmatch(text); path == "" && m != nil {
		path = "services." + m[1]
	}
	if path != "" {
		p.At, p.Path = places.At(path), strings.TrimRight(path, ".")
		p.Message = strings.TrimPrefix(strings.TrimPrefix(text, path), ": ")
	}
	return p
}
