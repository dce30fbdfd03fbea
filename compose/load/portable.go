package load

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// Where the files of a portable project are, below the folder of its Compose file.
const (
	portableFiles   = "files"
	portableConfigs = "configs"
	portableSecrets = "secrets"
)

// PortableFile is a file or folder that a portable project needs. Source is a path of this machine, links resolved; where it is "" the
// file is Content.
type PortableFile struct {
	Name, Source string
	Content      []byte
}

// PortableImage is an image that a portable project needs.
type PortableImage struct {
	// Ref is as the file has it, or the name that build gives it where Built says that it is built.
	Ref, Platform string
	Built         bool
}

// Portable is a project with all it needs of this machine: its Compose file is resolved, and names nothing here but what Left tells.
type Portable struct {
	// Files and Images are sorted, each once.
	Files  []PortableFile
	Images []PortableImage
	// Missing are the secrets of files, and Variables the variables of secrets, that were left out, sorted.
	Missing, Variables []string
	// Left are what it needs of the machine where it runs, and warnings.
	Left    []compose.Problem
	project *compose.Project
}

// Carry makes a project portable: the files that configs name and the folders of the project that are mounted go with it, secrets only
// withSecrets. The services and their profiles are those of the project, which is left as it is. Files that belong to a secret
// and would come along unasked are compose.Problems.
func Carry(project *compose.Project, withSecrets bool) (*Portable, error) {
	model, plain := *project.Model, *WithoutEnvFiles(project)
	plain.Model = &model
	c := carrier{Portable: &Portable{project: &plain}, original: project, mounted: map[string]bool{}}
	var err error
	if c.root, err = filepath.EvalSymlinks(project.Dir); err != nil {
		return nil, fmt.Errorf("cannot find the project's folder: %w", err)
	}
	c.services(&model)
	c.configs(&model)
	c.secrets(&model, withSecrets)
	c.names(&model)
	model.DisabledServices, model.Environment = nil, types.Mapping{}
	c.outermost()
	if !withSecrets {
		c.exposed()
	}
	if len(c.problems) > 0 {
		return nil, c.problems.Sorted(project.Dir)
	}
	slices.SortFunc(c.Files, func(a, b PortableFile) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Images, func(a, b PortableImage) int {
		return strings.Compare(a.Ref+" "+a.Platform, b.Ref+" "+b.Platform)
	})
	c.Images = slices.Compact(c.Images)
	return c.Portable, nil
}

// Compose is the Compose file of a portable project, with images by the names that pinned gives for their references. It pulls none.
func (p *Portable) Compose(pinned map[string]string) ([]byte, error) {
	model, printed := *p.project.Model, *p.project
	model.Services = maps.Clone(model.Services)
	for name, s := range model.Services {
		s.ContainerSpec = pin(s.ContainerSpec, pinned)
		s.PreStart = slices.Clone(s.PreStart)
		for i := range s.PreStart {
			s.PreStart[i].ContainerSpec = pin(s.PreStart[i].ContainerSpec, pinned)
		}
		model.Services[name] = s
	}
	printed.Model = &model
	return Config(&printed, YAML)
}

func pin(s types.ContainerSpec, pinned map[string]string) types.ContainerSpec {
	if s.Image != "" {
		// What is not there cannot be had: an error, rather than a registry that is out of reach.
		s.Image, s.PullPolicy, s.PullRefreshAfter = pinned[s.Image], types.PullPolicyNever, ""
	}
	s.Volumes = slices.Clone(s.Volumes)
	for i, v := range s.Volumes {
		if v.Type == types.VolumeTypeImage {
			s.Volumes[i].Source = pinned[v.Source]
		}
	}
	return s
}

// carrier is one Carry on its way.
type carrier struct {
	*Portable
	original *compose.Project
	// root is the project's folder with links resolved; mounted are the folders and files below it that go along.
	root     string
	mounted  map[string]bool
	problems compose.Problems
}

func (c *carrier) services(model *types.Project) {
	services := types.Services{}
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		s := model.Services[name]
		path := "services." + name
		built := s.Build != nil
		if built && s.Image == "" {
			s.Image = model.Name + "-" + name
		}
		s.Build, s.Develop = nil, nil
		s.ContainerSpec = c.container(path, s.ContainerSpec, built)
		s.PreStart = slices.Clone(s.PreStart)
		for i := range s.PreStart {
			s.PreStart[i].ContainerSpec = c.container(path, s.PreStart[i].ContainerSpec, false)
		}
		services[name] = s
	}
	model.Services = services
}

// container notes what a container needs.
func (c *carrier) container(path string, s types.ContainerSpec, built bool) types.ContainerSpec {
	if s.Image != "" {
		c.Images = append(c.Images, PortableImage{Ref: s.Image, Platform: s.Platform, Built: built})
	}
	s.EnvFiles, s.LabelFiles = nil, nil // what they say is in environment and labels
	s.Volumes = slices.Clone(s.Volumes)
	for i, v := range s.Volumes {
		switch v.Type {
		case types.VolumeTypeImage:
			c.Images = append(c.Images, PortableImage{Ref: v.Source, Platform: s.Platform})
		case types.VolumeTypeBind:
			s.Volumes[i].Source = c.bind(path+".volumes", v)
		}
	}
	return s
}

// bind is the source of a bind mount in the portable project. Only what lies in the project's folder is the project's.
func (c *carrier) bind(path string, v types.ServiceVolumeConfig) string {
	rel, err := filepath.Rel(c.original.Dir, v.Source)
	if err != nil || !filepath.IsLocal(rel) {
		c.left(path, "%q is not in the project's folder, and not carried along: it must be on the machine where the project runs", v.Source)
		return v.Source
	}
	real, err := filepath.EvalSymlinks(v.Source)
	switch {
	case os.IsNotExist(err): // it is made there, as it would be here
	case err != nil || !inside(real, []string{c.root}):
		c.left(path, "%q is a link out of the project's folder, and not carried along: it must be on the machine where the project runs", v.Source)
		return v.Source
	default:
		if !c.mounted[rel] {
			c.mounted[rel] = true
			c.Files = append(c.Files, PortableFile{Name: filepath.Join(portableFiles, rel), Source: real})
		}
		if !v.ReadOnly {
			c.left(path, "%q is carried along as it is now, and what is written to it stays with this bundle: a newer one brings its own. Use a volume for data that is to stay", v.Source)
		}
	}
	return "./" + filepath.Join(portableFiles, rel)
}

func (c *carrier) left(path, format string, args ...any) {
	c.Left = append(c.Left, c.original.Problem(path, format, args...))
}

// configs gives configs of files a place, and those of variables their content.
func (c *carrier) configs(model *types.Project) {
	configs := types.Configs{}
	for _, name := range slices.Sorted(maps.Keys(model.Configs)) {
		o := model.Configs[name]
		if o.Environment != "" {
			o.Content, o.Environment = c.original.Model.Environment[o.Environment], ""
		}
		if o.File != "" {
			o.File = c.file(portableConfigs, name, compose.ConfigKey(name), o.File)
		}
		configs[name] = o
	}
	model.Configs = configs
}

// file adds a file by the name of what it is for.
func (c *carrier) file(folder, name, key, source string) string {
	real, err := filepath.EvalSymlinks(source)
	if err != nil {
		c.problems = append(c.problems, c.original.Problem(key+".file", "cannot read %q: %s", source, plain(err)))
		return ""
	}
	c.Files = append(c.Files, PortableFile{Name: filepath.Join(folder, name), Source: real})
	return "./" + filepath.Join(folder, name)
}

func (c *carrier) secrets(model *types.Project, with bool) {
	secrets := types.Secrets{}
	for _, name := range slices.Sorted(maps.Keys(model.Secrets)) {
		o := model.Secrets[name]
		switch {
		case bool(o.External):
			c.left(compose.SecretKey(name), "secret %q is external: it must be on the machine where the project runs", name)
		case o.File != "" && with:
			o.File = c.file(portableSecrets, name, compose.SecretKey(name), o.File)
		case o.File != "":
			c.Missing = append(c.Missing, name)
			o.File = "./" + filepath.Join(portableSecrets, name)
		case o.Environment != "" && with:
			content := c.original.Model.Environment[o.Environment]
			o.Content, o.Environment = "", ""
			o.File = "./" + filepath.Join(portableSecrets, name)
			c.Files = append(c.Files, PortableFile{Name: filepath.Join(portableSecrets, name), Content: []byte(content)})
		case o.Environment != "":
			c.Variables = append(c.Variables, o.Environment)
		}
		secrets[name] = o
	}
	model.Secrets = secrets
	slices.Sort(c.Variables)
	c.Variables = slices.Compact(c.Variables)
}

// exposed refuses secrets that lie in a folder that goes along: they would be in the bundle, whoever reads it.
func (c *carrier) exposed() {
	for _, name := range c.Missing {
		file := c.original.Model.Secrets[name].File
		real, err := filepath.EvalSymlinks(file)
		if err != nil {
			continue // nobody can read it
		}
		for _, f := range c.Files {
			if f.Source != "" && inside(real, []string{f.Source}) {
				p := c.original.Problem(compose.SecretKey(name)+".file", "the secret's file is in %q, which is carried along", f.Source)
				p.Hint = "move it elsewhere, or carry the secrets too: --with-secrets"
				c.problems = append(c.problems, p)
			}
		}
	}
}

// outermost leaves out files that are in a folder that goes along.
func (c *carrier) outermost() {
	c.Files = slices.DeleteFunc(c.Files, func(f PortableFile) bool {
		rel, ok := strings.CutPrefix(f.Name, portableFiles+"/")
		for up := rel; ok && up != "."; {
			if up = filepath.Dir(up); c.mounted[up] {
				return true
			}
		}
		return false
	})
}

// names takes away the names that follow from the project's: whoever runs it may call it otherwise.
func (c *carrier) names(model *types.Project) {
	follows := func(key, name string, external types.External) string {
		if name == model.Name+"_"+key && !bool(external) {
			return ""
		}
		return name
	}
	model.Networks, model.Volumes = maps.Clone(model.Networks), maps.Clone(model.Volumes)
	for key, n := range model.Networks {
		n.Name = follows(key, n.Name, n.External)
		model.Networks[key] = n
	}
	for key, v := range model.Volumes {
		if device := v.DriverOpts["device"]; filepath.IsAbs(device) {
			c.left("volumes."+key, "%q is not carried along: it must be on the machine where the project runs", device)
		}
		v.Name = follows(key, v.Name, v.External)
		model.Volumes[key] = v
	}
	for key, o := range model.Configs {
		o.Name = follows(key, o.Name, o.External)
		model.Configs[key] = o
	}
	for key, o := range model.Secrets {
		o.Name = follows(key, o.Name, o.External)
		model.Secrets[key] = o
	}
}
