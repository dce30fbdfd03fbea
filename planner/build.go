package planner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// BuildWhich says which images a plan builds.
type BuildWhich int

const (
	// BuildMissing builds what the store lacks, and what has the pull policy build.
	BuildMissing BuildWhich = iota
	// BuildAll builds every image that containers of the plan have, BuildNone none.
	BuildAll
	BuildNone
)

// Build plans the builds that an up with these options begins with, and no more: only the image that came shows what
// changed, so they are carried out by themselves. Up plans them too, unless it is told that they are Built.
func Build(desired pod.Spec, observed pod.Status, opt UpOptions) (*Plan, error) {
	u := newUp(newChoice(desired, observed, opt))
	u.chooseFates()
	err := addBuilds(u)
	return u.plan, err
}

// BuildRun is Build for a one-off container.
func BuildRun(desired pod.Spec, c pod.Container, observed pod.Status, opt RunOptions) (*Plan, error) {
	ch := runChoice(desired, c, observed, opt)
	include(ch, c)
	u := newUp(ch)
	err := addBuilds(u)
	return u.plan, err
}

// BuildServices plans the builds of services, nil for all, and of those whose images they are made of.
func BuildServices(desired pod.Spec, services []string) (*Plan, error) {
	b := builds{plan: &Plan{Project: desired.Name}, desired: desired, made: map[string]int{}}
	var errs []error
	for _, build := range desired.Builds {
		if services == nil || slices.ContainsFunc(build.Services, func(s string) bool { return slices.Contains(services, s) }) {
			errs = append(errs, b.add(build, false, "asked to build"))
		}
	}
	return b.plan, errors.Join(errs...)
}

// addBuilds adds the builds that containers of the plan ask for.
func addBuilds(u *up) error {
	if u.opt.Build == BuildNone || u.opt.Built {
		return nil
	}
	b := builds{plan: u.plan, desired: u.desired, images: u.observed.Images, made: map[string]int{}}
	var errs []error
	for _, name := range u.names {
		f := u.fates[name]
		for _, c := range append([]pod.Container{f.want}, f.want.PreStart...) {
			for _, image := range c.Images() {
				build, ok := u.desired.BuildOf(image)
				if !ok || b.made[build.Image()] != 0 {
					continue
				}
				if why, pull := whyBuild(u, f, c, build); why != "" {
					errs = append(errs, b.add(build, pull, why))
				}
			}
		}
	}
	u.built = b.made
	u.pulls = append(u.pulls, slices.Sorted(maps.Values(b.made))...)
	return errors.Join(errs...)
}

// whyBuild says why an image is built for a container, "" for not, and whether its registry is asked first.
func whyBuild(u *up, f *fate, c pod.Container, build pod.Build) (why string, pull bool) {
	policy := c.Pull
	// A registry that is asked gives one name only.
	pull = build.Registry(c.Image) && len(build.Services) == 1 && policy != pod.PullNever && policy != pod.PullBuild
	_, have := u.observed.Images[c.Image]
	switch {
	case u.opt.Build == BuildAll:
		return "asked to build", false
	case policy == pod.PullBuild && !u.asFound:
		return "its pull policy is build", false
	case have || !f.created() && c.Hook == "":
		return "", false
	}
	return "not in the store", pull
}

// builds adds steps that build images, each once, behind those they are made of.
type builds struct {
	plan    *Plan
	desired pod.Spec
	// images are those in the store; nil has every one built that another is made of.
	images map[string]pod.Image
	// made are the steps by the image's first name; -1 for one in the making.
	made map[string]int
}

// add adds a build, and before it those of the images it is made of. Those that wait for each other are an error.
func (b builds) add(build pod.Build, pull bool, why string) error {
	image := build.Image()
	switch b.made[image] {
	case 0:
	case -1:
		return fmt.Errorf("cannot build image %q: additional_contexts make it of itself, by service %s", image, strings.Join(build.After, ", "))
	default:
		return nil
	}
	b.made[image] = -1
	var after []int
	for _, service := range build.After {
		other, ok := b.desired.BuildFor(service)
		if !ok {
			continue // its image is pulled as any that a Dockerfile begins with
		}
		if _, have := b.images[other.Image()]; have && why == "not in the store" && b.made[other.Image()] == 0 {
			continue
		}
		if err := b.add(other, false, fmt.Sprintf("image %s is made of it", image)); err != nil {
			return err
		}
		after = append(after, b.made[other.Image()])
	}
	b.made[image] = b.plan.add(BuildImage{Build: build, Pull: pull}, why, after...)
	return nil
}
