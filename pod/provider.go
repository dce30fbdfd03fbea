package pod

// Provider is a service that an external program provides. It has no container.
type Provider struct {
	Service string
	// Type names the program, Dir is the folder it is run in.
	Type string
	Dir  string
	// Options are sorted by name.
	Options []ProviderOption `json:",omitempty"`
	// After are the providers that are run before this one, by service, sorted.
	After []string `json:",omitempty"`
	// Config is the service in canonical JSON, for a program that asks for it.
	Config string `json:",omitempty"`
}

// ProviderOption is passed to the program once for each of its values.
type ProviderOption struct {
	Name   string
	Values []string
}

// Option is the values of an option; ok says whether there is one of that name.
func (p Provider) Option(name string) (values []string, ok bool) {
	for _, o := range p.Options {
		if o.Name == name {
			return o.Values, true
		}
	}
	return nil, false
}

// ProviderStatus is a provider whose program was told to bring its service up, and not to take it down since.
type ProviderStatus struct {
	Provider
	// Variables are what the services that depend on it get, with the service's name in front; Raw what they get as it is.
	Variables map[string]string `json:",omitempty"`
	Raw       map[string]string `json:",omitempty"`
	// Stops says whether the program declares that it can stop the service.
	Stops bool `json:",omitempty"`
}

// Search is a search for a program that found none.
type Search struct {
	// Where it was looked for, in words; Known are the types of the programs that are there.
	Where string
	Known []string `json:",omitempty"`
}
