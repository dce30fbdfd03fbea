package ui

import (
	"fmt"
	"strings"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// object is how an action's object is called in progress: "Container demo-web-1", as in docker compose, which calls a service
// of a provider by its name alone.
func object(d planner.Description) string {
	if d.Kind == planner.KindProvider {
		return d.Name
	}
	kind := string(d.Kind)
	return strings.ToUpper(kind[:1]) + kind[1:] + " " + d.Name
}

// words are what an action is called while it runs and once it has succeeded. A create that replaces a container
// is a recreation.
func words(action planner.Action, replaces bool) (doing, done string) {
	switch a := action.(type) {
	case planner.PullImage:
		return "Pulling", "Pulled"
	case planner.BuildImage:
		if a.Check {
			return "Checking", "Checked"
		}
		return "Building", "Built"
	case planner.PushImage:
		return "Pushing", "Pushed"
	case planner.CreateContainer:
		if replaces {
			return "Recreating", "Recreated"
		}
		return "Creating", "Created"
	case planner.CreateVolume, planner.CreateSandbox:
		return "Creating", "Created"
	case planner.ConnectCells:
		return "Connecting", "Connected"
	case planner.PublishPorts:
		if len(a.Ports) == 0 {
			return "Unpublishing", "Unpublished"
		}
		return "Publishing", "Published"
	case planner.UpdateContainer:
		return "Updating", "Updated"
	case planner.StartContainer:
		return "Starting", "Started"
	case planner.RenameContainer:
		return "Renaming", "Renamed"
	case planner.RunPostStart:
		return "Running post_start", "Ran post_start"
	case planner.RunPreStop:
		return "Running pre_stop", "Ran pre_stop"
	case planner.RunProvider:
		switch a.Command {
		case planner.ProviderDown:
			return "Removing", "Removed"
		case planner.ProviderStop:
			return "Stopping", "Stopped"
		}
		return "Creating", "Created"
	case planner.BeginWatch:
		return "Watching", "Watched"
	case planner.EndWatch:
		return "Unwatching", "Unwatched"
	case planner.WaitContainer:
		return "Waiting", reached(a.Until)
	case planner.StopContainer:
		return "Stopping", "Stopped"
	case planner.KillContainer:
		return "Killing", "Killed"
	case planner.PauseContainer:
		return "Pausing", "Paused"
	case planner.UnpauseContainer:
		return "Unpausing", "Unpaused"
	case planner.RemoveContainer, planner.RemoveSandbox, planner.RemoveVolume, planner.RemoveImage:
		return "Removing", "Removed"
	}
	panic(fmt.Sprintf("no words for %T", action))
}

func reached(until pod.Until) string {
	switch until {
	case pod.UntilHealthy:
		return "Healthy"
	case pod.UntilCompleted:
		return "Exited"
	case pod.UntilReady:
		return "Healthy" // so docker compose calls it, health check or not
	}
	return "Started"
}

// reason is what a result says beyond its verb, "" for the reasons anyone expects. A container that is replaced
// says why once, when it has been made anew.
func reason(step planner.Step, replaces bool) string {
	if a, ok := step.Action.(planner.UpdateContainer); ok {
		return strings.Join(a.Changed, ", ") + " changed"
	}
	if _, ok := step.Action.(planner.PublishPorts); ok {
		return step.Describe().Detail
	}
	_, stops := step.Action.(planner.StopContainer)
	if _, hook := step.Action.(planner.RunPreStop); stops || hook {
		return "" // said by what follows the stop
	}
	if _, ok := step.Action.(planner.RemoveContainer); ok && replaces {
		return ""
	}
	switch step.Why {
	case "does not exist", "not in the store", "created", "not started yet":
		return ""
	}
	for _, dull := range []string{"asked ", "dependents need ", "not running", "not up yet", "only its program "} {
		if strings.HasPrefix(step.Why, dull) {
			return ""
		}
	}
	return step.Why
}

// replaced are the containers that a plan both removes and creates.
func replaced(plan *planner.Plan) map[string]bool {
	removed, both := map[string]bool{}, map[string]bool{}
	for _, s := range plan.Steps {
		if a, ok := s.Action.(planner.RemoveContainer); ok {
			removed[a.Name] = true
		}
		if a, ok := s.Action.(planner.CreateContainer); ok {
			both[a.Container.Name] = removed[a.Container.Name]
		}
	}
	return both
}
