package ui

// colour is a select-graphic-rendition parameter (ECMA-48 section 8.3.117).
type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	blue   colour = "34"
	dim    colour = "2"
)

// paint is text in a colour, where colours are on.
func paint(on bool, c colour, text string) string {
	if !on || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// logColour is the colour of the nth container's logs. The order keeps neighbours apart; red is left to errors.
func logColour(n int) colour {
	colours := [...]colour{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}
	return colours[n%len(colours)]
}
