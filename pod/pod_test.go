package pod_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

func TestPortString(t *testing.T) {
	for want, p := range map[string]pod.Port{
		"0.0.0.0:8080->80/tcp":   {HostPort: 8080, ContainerPort: 80, Protocol: pod.TCP},
		"127.0.0.1:53->53/udp":   {HostIP: "127.0.0.1", HostPort: 53, ContainerPort: 53, Protocol: pod.UDP},
		"[::1]:8080->80/tcp":     {HostIP: "::1", HostPort: 8080, ContainerPort: 80, Protocol: pod.TCP},
		"0.0.0.0:0->65535/tcp":   {ContainerPort: 65535, Protocol: pod.TCP},
		"[::]:65535->65535/tcp":  {HostIP: "::", HostPort: 65535, ContainerPort: 65535, Protocol: pod.TCP},
		"10.0.0.1:8080->80/tcp":  {Container: "not shown", HostIP: "10.0.0.1", HostPort: 8080, ContainerPort: 80, Protocol: pod.TCP},
		"0.0.0.0:9000->9000/udp": {HostPort: 9000, ContainerPort: 9000, Protocol: pod.UDP},
	} {
		if got := p.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestGrace(t *testing.T) {
	none, three := time.Duration(0), 3*time.Second
	for _, test := range []struct {
		grace *time.Duration
		want  time.Duration
	}{{nil, 10 * time.Second}, {&none, 0}, {&three, three}} {
		if got := (pod.Stop{Grace: test.grace}).GraceOrDefault(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func TestSpec(t *testing.T) {
	spec := pod.Spec{
		Containers: []pod.Container{
			{Name: "shop-db-1", Service: "db", Ports: []pod.Port{{HostPort: 1}}},
			{Name: "front", Service: "web", Ports: []pod.Port{{HostPort: 3}, {HostPort: 2}}},
		},
		Idle: []string{"worker"}, Disabled: []string{"debug"},
	}
	for service, want := range map[string]bool{"db": true, "web": true, "worker": true, "debug": true, "front": false, "": false} {
		if spec.Has(service) != want {
			t.Errorf("has %q: %v", service, !want)
		}
	}
	if c, ok := spec.Container("front"); !ok || c.Service != "web" {
		t.Errorf("front is %+v, %v", c, ok)
	}
	if c, ok := spec.Container("web"); ok {
		t.Errorf("web is %+v", c)
	}
	var hosts []uint16
	for _, p := range spec.Ports() {
		hosts = append(hosts, p.HostPort)
	}
	if !reflect.DeepEqual(hosts, []uint16{1, 3, 2}) {
		t.Errorf("ports %v", hosts)
	}
}

func TestStatus(t *testing.T) {
	s := pod.Status{Containers: []pod.ContainerStatus{{Container: pod.Container{Name: "a"}, ID: "1"}}}
	if c, ok := s.Container("a"); !ok || c.ID != "1" {
		t.Errorf("%+v, %v", c, ok)
	}
	if _, ok := s.Container("b"); ok {
		t.Error("there is no b")
	}
}

func TestAlive(t *testing.T) {
	for state, want := range map[pod.State]bool{
		pod.StateCreated: false, pod.StatePartial: false, pod.StateExited: false, pod.State(""): false,
		pod.StateStarting: true, pod.StateRunning: true, pod.StatePaused: true, pod.StateRestarting: true,
	} {
		if state.Alive() != want {
			t.Errorf("%s: %v", state, !want)
		}
	}
}

// TestJSON: every field of a Spec and a Status that is to be remembered survives the way through a file, whatever is in it. What an image
// decides is nil, what the file clears is empty.
func TestJSON(t *testing.T) {
	for _, v := range []any{&pod.Spec{}, &pod.Status{}} {
		fill(reflect.ValueOf(v).Elem())
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := json.Unmarshal(b, back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(v, back) {
			t.Errorf("%T becomes\n%+v, was\n%+v", v, back, v)
		}
	}
	for _, c := range []pod.Container{{}, {Entrypoint: []string{}, Command: []string{}}} {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back pod.Container
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(c, back) {
			t.Errorf("%s: %+v, %v", b, back, err)
		}
	}
}

// fill sets every field below a value to something that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2000, 1, 2, 3, 4, 5, 6, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "PreStart" { // has no end: hooks are containers
				v.Field(i).Set(reflect.ValueOf([]pod.Container{{Name: "text"}}))
				continue
			}
			if v.Type().Field(i).Tag.Get("json") == "-" { // known while planning only
				continue
			}
			fill(v.Field(i))
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

func TestCollides(t *testing.T) {
	port := func(ip string) pod.Port { return pod.Port{HostIP: ip, HostPort: 80, Protocol: pod.TCP} }
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"", "127.0.0.1", true}, {"", "::1", true}, {"0.0.0.0", "127.0.0.1", true}, {"0.0.0.0", "::", false},
		{"0.0.0.0", "::1", false}, {"::", "::1", true}, {"127.0.0.1", "127.0.0.2", false}, {"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "::ffff:127.0.0.1", true},
	} {
		if got := port(test.a).Collides(port(test.b)); got != test.want {
			t.Errorf("%q and %q collide: %v", test.a, test.b, got)
		}
		if got := port(test.b).Collides(port(test.a)); got != test.want {
			t.Errorf("%q and %q collide: %v", test.b, test.a, got)
		}
	}
	udp := port("")
	udp.Protocol = pod.UDP
	if any := (pod.Port{Protocol: pod.TCP}); udp.Collides(port("")) || any.Collides(any) {
		t.Error("another protocol, or a port of the kernel's choice, collides")
	}
}
