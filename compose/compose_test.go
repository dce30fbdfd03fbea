package compose

import (
	"errors"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		name string
		from []string
		want string
	}{
		{"databse", []string{"cache", "database", "web"}, "database"},
		{"envronment", []string{"env_file", "environment"}, "environment"},
		{"prots", []string{"expose", "ports"}, "ports"},
		{"depends-on", []string{"depends_on", "develop"}, "depends_on"},
		{"Image", []string{"image", "init"}, "image"},
		{"db", []string{"web", "api"}, ""},
		{"dbb", []string{"db"}, "db"},
		{"completely", []string{"different"}, ""},
		{"ab", []string{"ac", "aa"}, "aa"},
		{"", []string{"a"}, "a"},
		{"x", nil, ""},
	} {
		if got := Nearest(c.name, c.from); got != c.want {
			t.Errorf("Nearest(%q, %q) = %q, want %q", c.name, c.from, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestPosition(t *testing.T) {
	for _, c := range []struct {
		at   Position
		dir  string
		want string
	}{
		{Position{File: "/p/shop/compose.yaml", Line: 14, Column: 9}, "/p/shop", "compose.yaml:14:9"},
		{Position{File: "/p/shop/compose.yaml", Line: 14}, "/p/shop/sub", "../compose.yaml:14"},
		{Position{File: "/p/shop/compose.yaml"}, "/p", "shop/compose.yaml"},
		{Position{File: "/a/b"}, "/x/y/z/w", "/a/b"},
		{Position{File: "-", Line: 1, Column: 2}, "/p", "-:1:2"},
		{Position{File: "/p/a", Line: 3, Column: 4}, "", "/p/a:3:4"},
	} {
		if got := c.at.Relative(c.dir).String(); got != c.want {
			t.Errorf("%v from %q prints %q, want %q", c.at, c.dir, got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	at := func(line, column int) Position { return Position{File: "/p/compose.yaml", Line: line, Column: column} }
	ps := Problems{
		{At: at(14, 9), Path: "services.web.depends_on", Message: `no service named "databse"`, Hint: `did you mean "database"?`},
		{At: at(3, 1), Path: "a", Message: "first"},
		{At: at(3, 1), Path: "b", Message: "first"},
		{Message: "without a place"},
	}
	want := "without a place\ncompose.yaml:3:1: a: first\ncompose.yaml:14:9: services.web.depends_on: no service named \"databse\" (did you mean \"database\"?)"
	err := ps.Sorted("/p").Err()
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	var back Problems
	if !errors.As(err, &back) || len(back) != 3 {
		t.Errorf("the error has %d problems", len(back))
	}
	if err := (Problems{}).Err(); err != nil {
		t.Errorf("no problems are the error %v", err)
	}
}

func TestPlaces(t *testing.T) {
	p := Project{}
	add := func(line int, keys ...string) { p.Places.Add(Position{File: "/f", Line: line}, keys...) }
	add(1)
	add(2, "services")
	add(3, "services", "web")
	add(4, "services", "web", "ports")
	add(5, "services", "web", "ports", "[0]")
	port := types.ServicePortConfig{Published: "80", Target: 8080, Protocol: "tcp", HostIP: "127.0.0.1"}
	p.Places.Alias(Position{File: "/f", Line: 6}, PortKeys("web", port)...)
	for path, line := range map[string]int{"": 1, "volumes.x": 1, "services": 2, "services.web": 3, "services.web.image": 3,
		"services.web.ports": 4, "services.web.ports[0]": 5, "services.web.ports[0].target": 5, "services.web.ports[7]": 4} {
		if got := p.At(path).Line; got != line {
			t.Errorf("%q is on line %d, want %d", path, got, line)
		}
	}
	if got := p.AtPort("web", port).Line; got != 6 {
		t.Errorf("the port is on line %d", got)
	}
	if got := p.AtPort("web", types.ServicePortConfig{Target: 1}).Line; got != 4 {
		t.Errorf("an unknown port is on line %d", got)
	}
	if got := len(p.Places.All()); got != 5 {
		t.Errorf("%d places", got)
	}
	short := p.Places.Relative("/")
	if got := short.At("services.web").String(); got != "f:3" {
		t.Errorf("a relative place prints %q", got)
	}
	if got := p.Problem("services.web.x", "wrong: %d", 1).Error(); got != "/f:3: services.web.x: wrong: 1" {
		t.Errorf("a problem prints %q", got)
	}
}
