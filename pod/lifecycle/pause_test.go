package lifecycle_test

import (
	"testing"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/lifecycle"
)

func TestPause(t *testing.T) {
	checked := pod.Container{Name: "shop-web-1", Health: &pod.Health{Test: []string{"CMD", "true"}, Interval: 9 * s}}
	begin := []happening{
		{start(0), "created launching => disarm:restart launch"},
		{started(0), "running pid=7 starting => arm:probe:9s"},
	}
	pausing := happening{lifecycle.Pause{}, "running pausing pid=7 starting => disarm:probe freeze"}
	heldNow := happening{lifecycle.Frozen{At: at(s)}, "paused held pid=7 starting =>"}
	paused := happening{lifecycle.Frozen{At: at(s)}, "paused pid=7 starting =>"}
	for name, events := range map[string][]happening{
		"and on, the checks rest meanwhile": {
			pausing, {lifecycle.Pause{}, "running pausing pid=7 starting =>"},
			{due(s, lifecycle.TimerProbe), "running pausing pid=7 starting =>"},
			paused, {lifecycle.Pause{}, "paused pid=7 starting =>"},
			{lifecycle.Unpause{}, "paused resuming pid=7 starting => thaw"},
			{lifecycle.Thawed{At: at(s)}, "running pid=7 starting => arm:probe:9s"},
			{lifecycle.Unpause{}, "running pid=7 starting =>"},
			{lifecycle.Thawed{At: at(s)}, "running pid=7 starting =>"},
		},
		"cannot be": {
			pausing, {lifecycle.Frozen{At: at(s), Err: "no"}, "running pid=7 starting => arm:probe:9s"},
		},
		"cannot be left, and is tried again": {
			pausing, paused, {lifecycle.Unpause{}, "paused resuming pid=7 starting => thaw"},
			{lifecycle.Thawed{At: at(s), Err: "no"}, "paused pid=7 starting =>"},
			{lifecycle.Unpause{}, "paused resuming pid=7 starting => thaw"},
		},
		"stopped": {
			pausing, paused,
			{lifecycle.Stop{Grace: s}, "paused stopping resuming stopped pid=7 starting => disarm:probe signal: arm:kill:1s thaw"},
			{lifecycle.Thawed{At: at(s)}, "running stopping stopped pid=7 starting =>"},
			{lifecycle.Pause{}, "running stopping stopped pid=7 starting =>"},
			{exited(s, 143), "exited stopped code=143 => disarm:kill disarm:probe"},
		},
		"stopped while it freezes": {
			pausing, {lifecycle.Stop{}, "running stopping pausing stopped pid=7 starting => disarm:probe signal:SIGKILL"},
			{lifecycle.Frozen{At: at(s)}, "paused stopping resuming stopped pid=7 starting => thaw"},
			{exited(s, 137), "exited stopped code=137 => disarm:kill disarm:probe"},
			{lifecycle.Thawed{At: at(s)}, "exited stopped code=137 =>"},
		},
		"killed": {
			pausing, paused, {lifecycle.Killed{}, "paused resuming stopped pid=7 starting => thaw"},
		},
		"held, and released": {
			{lifecycle.Pause{Held: true}, "running pausing held pid=7 starting => disarm:probe freeze"},
			{lifecycle.Frozen{At: at(s)}, "paused held pid=7 starting =>"},
			{lifecycle.Pause{Held: true}, "paused held pid=7 starting =>"},
			{lifecycle.Release{}, "paused resuming pid=7 starting => thaw"},
			{lifecycle.Release{}, "paused resuming pid=7 starting =>"},
			{lifecycle.Thawed{At: at(s)}, "running pid=7 starting => arm:probe:9s"},
			{lifecycle.Release{}, "running pid=7 starting =>"},
		},
		"held, and released while it freezes": {
			{lifecycle.Pause{Held: true}, "running pausing held pid=7 starting => disarm:probe freeze"},
			{lifecycle.Release{}, "running pausing resuming pid=7 starting =>"},
			{lifecycle.Frozen{At: at(s)}, "paused resuming pid=7 starting => thaw"},
		},
		"held, and cannot be": {
			{lifecycle.Pause{Held: true}, "running pausing held pid=7 starting => disarm:probe freeze"},
			{lifecycle.Frozen{At: at(s), Err: "no"}, "running pid=7 starting => arm:probe:9s"},
		},
		"held, and then by a user, who keeps it": {
			{lifecycle.Pause{Held: true}, "running pausing held pid=7 starting => disarm:probe freeze"},
			heldNow, {lifecycle.Pause{}, "paused pid=7 starting =>"}, {lifecycle.Release{}, "paused pid=7 starting =>"},
		},
		"by a user, and held then": {
			pausing, paused, {lifecycle.Pause{Held: true}, "paused pid=7 starting =>"}, {lifecycle.Release{}, "paused pid=7 starting =>"},
		},
		"held, and stopped": {
			{lifecycle.Pause{Held: true}, "running pausing held pid=7 starting => disarm:probe freeze"}, heldNow,
			{lifecycle.Stop{}, "paused stopping resuming held stopped pid=7 starting => disarm:probe signal:SIGKILL thaw"},
			{lifecycle.Release{}, "paused stopping resuming stopped pid=7 starting =>"},
			{exited(s, 137), "exited stopped code=137 => disarm:kill disarm:probe"},
		},
		"its kill is due": {
			pausing, paused, {lifecycle.Stop{Grace: s}, "paused stopping resuming stopped pid=7 starting => disarm:probe signal: arm:kill:1s thaw"},
			{lifecycle.Thawed{At: at(s), Err: "no"}, "paused stopping stopped pid=7 starting =>"},
			{due(2*s, lifecycle.TimerKill), "paused stopping resuming stopped pid=7 starting => signal:SIGKILL thaw"},
		},
	} {
		t.Run(name, func(t *testing.T) { happens(t, checked, append(begin[:2:2], events...)) })
	}
	happens(t, checked, []happening{{lifecycle.Pause{}, "created =>"}, {lifecycle.Unpause{}, "created =>"}, {lifecycle.Frozen{}, "created =>"}})
}
