package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

// TestForwardPolicyDrop: beside docker or ufw, whose FORWARD drops by its policy, a pod reaches others and is reached; what
// their rules drop is dropped, and nothing stays in their chains.
func TestForwardPolicyDrop(t *testing.T) {
	host(t)
	machine, host4, host6, its4 := outside(t)
	for _, family := range []string{"ip", "ip6"} {
		run(t, "nft", fmt.Sprintf("table %s filter { chain FORWARD { type filter hook forward priority 0; policy drop; tcp dport 7009 drop; }; }", family))
		t.Cleanup(func() { run(t, "nft", "delete table "+family+" filter") })
	}
	before := run(t, "nft", "list", "ruleset")
	s, err := Create(t.Context(), config(t, "policy"))
	must(t, err)
	defer s.Close()
	echoTCP(t, s, 7001)
	echoTCP(t, s, 7009)
	_, err = s.Publish([]pod.Port{tcp("web", 18401, 7001), tcp("web", 18409, 7009)})
	must(t, err)
	wantAnswer(t, machine, host4.String(), 18401, "7001 saw 198.51.100.2\nhello")
	wantAnswer(t, machine, host6.String(), 18401, "7001 saw 2001:db8::2\nhello")
	echoTCP(t, only(machine), 7002)
	wantAnswer(t, s.cells[0], its4.String(), 7002, "7002 saw 198.51.100.1\nhello")
	if got := strings.Count(run(t, "nft", "list", "table", "ip", "filter"), linkName("pctpolicy")); got != 2 {
		t.Errorf("the link is named %d times after two changes of ports, not once each way", got)
	}
	if _, err := ask(machine, host4, 18409); err == nil {
		t.Error("a port that the host's firewall refuses is reached")
	}
	must(t, s.Close())
	if after := run(t, "nft", "list", "ruleset"); after != before {
		t.Errorf("left in the host's chains:\n%s", after)
	}
}

// TestForwardPolicyComesLater: a chain that drops and comes after the pod, or is written anew, leaves it its way out; when the pod has
// gone, nothing of it is left or comes back.
func TestForwardPolicyComesLater(t *testing.T) {
	host(t)
	machine, host4, _, _ := outside(t)
	s, err := Create(t.Context(), config(t, "policy"))
	must(t, err)
	defer s.Close()
	echoTCP(t, s, 7001)
	_, err = s.Publish([]pod.Port{tcp("web", 18401, 7001)})
	must(t, err)
	reached := func() bool {
		got, err := ask(machine, host4, 18401)
		return err == nil && got == "7001 saw 198.51.100.2\nhello"
	}
	for _, family := range []string{"ip6", "ip"} {
		run(t, "nft", fmt.Sprintf("table %s filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }", family))
		t.Cleanup(func() { run(t, "nft", "delete table "+family+" filter") })
	}
	eventually(t, "a port is reached behind a chain that came after the pod", reached)
	run(t, "nft", "flush chain ip filter FORWARD")
	eventually(t, "a port is reached behind a chain that was written anew", reached)
	if got := strings.Count(run(t, "nft", "list", "table", "ip", "filter"), linkName("pctpolicy")); got != 2 {
		t.Errorf("the link is named %d times, not once each way", got)
	}
	must(t, s.Close())
	if left := run(t, "nft", "list", "ruleset"); strings.Contains(left, linkName("pctpolicy")) {
		t.Errorf("left in the host's chains:\n%s", left)
	}
}
